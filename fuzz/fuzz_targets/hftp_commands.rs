//! Has a fuzzer look for a command of the files' protocol that is read as another. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::hftp::commands(data));
