//! Has a fuzzer look for a file of bets that is read otherwise in pieces, or cut into no batches. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::source::source(data));
