//! Has a fuzzer look for bytes that are served as a ledger and are none. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::ledger::segment(data));
