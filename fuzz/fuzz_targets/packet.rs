//! Has a fuzzer look for a stream that is cut into other packets than it holds. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::wire::packet(data));
