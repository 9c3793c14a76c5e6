//! Has a fuzzer look for a flipped byte that is served. The check is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bolillero_fuzz::ledger::damage(data));
