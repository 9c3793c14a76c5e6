//! The model checker's locks and atomics, in the place of `server/src/sync.rs`. Time does not pass: who waits is woken by
//! somebody or for ever, so that a wake that is lost is found as a deadlock.

use std::sync::LockResult;
use std::time::Duration;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};

pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        self.0.wait(guard).map(|guard| (guard, ())).map_err(|_| unreachable!("nobody panics"))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time_max: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        while condition(&mut guard) && !time_max.is_zero() {
            (guard, ()) = self.wait_timeout(guard, time_max)?;
        }
        Ok((guard, ()))
    }
}
