//! Has a fuzzer look for records that a start cannot refuse. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::office::replay(data));
