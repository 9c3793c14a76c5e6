//! Has a fuzzer look for an object of the room that is read or written as another. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::room::objects(data));
