//! Has a fuzzer look for bytes of the text dialect that mean something else than they say. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::wire::text(data));
