//! Has a fuzzer look for a reply of the files' protocol that is read in two ways. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::hftp::reply(data));
