//! The workers of the driver `pool`: a fixed number of threads, and the slots that wait for one.
//! Knows no socket.
//!
//! A job of the thread pool is not one turn but turns until nobody waits: handing a job to a sleeping
//! thread costs more than most turns do, and a worker that is awake takes the next slot for the price
//! of a lock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hub::Hub;
use super::slot::{Outcome, Slot};
use crate::conn::Scratch;
use crate::threads::{NoThread, Pool};

/// The threads, and what waits for them.
pub(super) struct Workers {
    pool: Pool,
    queue: Mutex<Queue>,
}

/// Slots whose turn the queue owns, and who is at work on them.
///
/// Invariant: while a slot waits somebody is at work, who looks here before stopping.
#[derive(Default)]
struct Queue {
    slots: VecDeque<Arc<Slot>>,
    at_work: usize,
}

impl Workers {
    pub(super) fn start(count: usize) -> Result<Self, NoThread> {
        Ok(Self { pool: Pool::start("worker", count)?, queue: Mutex::default() })
    }

    /// Has slots turned, whose turns the caller owns.
    pub(super) fn take(&self, slots: impl Iterator<Item = Arc<Slot>>, hub: &Arc<Hub>) {
        let mut queue = self.lock();
        queue.slots.extend(slots);
        let called = missing(queue.slots.len(), queue.at_work, self.pool.threads());
        queue.at_work += called;
        drop(queue);
        for _ in 0..called {
            let hub = Arc::clone(hub);
            self.pool.execute(move || work(&hub));
        }
    }

    /// Waits until nobody is at work.
    pub(super) fn join(&self) {
        self.pool.join();
    }

    /// The next slot for a worker; who gets none has stopped.
    fn next(&self) -> Option<Arc<Slot>> {
        let mut queue = self.lock();
        let slot = queue.slots.pop_front();
        queue.at_work -= usize::from(slot.is_none());
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many more are to come to work for those who wait. Each who is at work takes one without being
/// called.
fn missing(waiting: usize, at_work: usize, workers_max: usize) -> usize {
    waiting.min(workers_max).saturating_sub(at_work)
}

fn work(hub: &Arc<Hub>) {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    let Some(workers) = hub.workers() else { return };
    SCRATCH.with_borrow_mut(|scratch| {
        while let Some(slot) = workers.next() {
            match slot.run(hub, scratch) {
                Outcome::Rest => {}
                Outcome::Again => workers.take(std::iter::once(slot), hub),
                Outcome::Closed => hub.report_closed(slot.token),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_more_than_there_are_at_work_calls_another_worker() {
        // Slots that wait, at work, workers: who is called.
        let rows =
            [(0, 0, 2, 0), (1, 0, 2, 1), (1, 1, 2, 0), (2, 1, 2, 1), (9, 0, 2, 2), (9, 2, 2, 0)];
        for (waiting, at_work, workers_max, expected) in rows {
            assert_eq!(missing(waiting, at_work, workers_max), expected, "{waiting} {at_work}");
        }
    }
}
