//! Has a fuzzer talk the text dialect to an office. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::office::text_session(data));
