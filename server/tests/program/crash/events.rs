//! What the agencies of one life of a server have seen so far, for who decides when it dies. Knows
//! no process and no socket.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Events {
    counts: Mutex<Counts>,
    moved: Condvar,
}

#[derive(Debug)]
pub(super) struct Counts {
    /// Agencies that are not done.
    pub(super) working: usize,
    /// Answers to batches, to 5 and to 6, of all agencies.
    pub(super) answers: u64,
    /// Sessions that know their winners.
    pub(super) told: usize,
    /// From here on connections may end: the server is killed, or the test has failed.
    pub(super) over: bool,
}

/// An agency at work. Dropped when it is done, or has failed.
pub(super) struct Working<'a>(&'a Events);

impl Events {
    pub(super) fn new(working: usize) -> Self {
        let counts = Counts { working, answers: 0, told: 0, over: false };
        Self { counts: Mutex::new(counts), moved: Condvar::new() }
    }

    /// One of those that were counted as working begins.
    pub(super) fn begin(&self) -> Working<'_> {
        Working(self)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
        self.moved.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Waits until `holds`, no agency works, or it is over. False when `time_max` passed first.
    pub(super) fn wait(&self, holds: impl Fn(&Counts) -> bool, time_max: Duration) -> bool {
        let waits = |counts: &mut Counts| !holds(counts) && counts.working > 0 && !counts.over;
        let waited = self.moved.wait_timeout_while(self.lock(), time_max, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.change(|counts| {
            counts.working -= 1;
            // Nobody is to wait for what one that failed will not do.
            counts.over |= thread::panicking();
        });
    }
}
