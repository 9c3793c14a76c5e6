//! What the threads of the ledger and of a connection's schedule meet in: `std`'s. It has a name of its own so that
//! `tests/models` can put a model checker's in its place, under the same sources. Adds nothing.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
