//! Has a fuzzer look for a request that is not written as it was read. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::wire::request(data));
