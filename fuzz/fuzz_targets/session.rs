//! Has a fuzzer look for what a peer can do to an office. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::office::session(data));
