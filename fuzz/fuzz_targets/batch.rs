//! Has a fuzzer look for a batch that is judged otherwise than by the slow reference. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::wire::batch(data));
