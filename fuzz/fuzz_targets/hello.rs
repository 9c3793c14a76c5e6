//! Has a fuzzer look for a hello that is read otherwise than its page says. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::wire::hello(data));
