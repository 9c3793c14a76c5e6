//! Sees to it that no two threads turn one thing at a time, and that no cause to turn it is lost.
//! Knows neither connection nor queue.

use crate::conn::Causes;
use crate::sync::{AtomicU32, Ordering};

/// One atomic word: the causes that came in, and whether somebody has it, in a queue or in hand.
///
/// Invariant: while `SCHEDULED` is set exactly one thread, or one place in a queue, owns the turn.
pub(super) struct Schedule(AtomicU32);

impl Schedule {
    /// Owned by its maker, who ends with [`Schedule::rest`] or hands it over.
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(SCHEDULED))
    }

    /// Adds `causes`. True when nobody had it: the caller owns the turn now, and must hand it over.
    #[must_use]
    pub(super) fn due(&self, causes: Causes) -> bool {
        self.0.fetch_or(causes.bits() | SCHEDULED, Ordering::AcqRel) & SCHEDULED == 0
    }

    /// For the owner: takes the causes that came in so far.
    pub(super) fn take(&self) -> Causes {
        Causes::from_bits(self.0.swap(SCHEDULED, Ordering::AcqRel) & !SCHEDULED)
    }

    /// For the owner: gives the turn up. False when a cause came in meanwhile; it is still the
    /// owner's then.
    #[must_use]
    pub(super) fn rest(&self) -> bool {
        self.0.compare_exchange(SCHEDULED, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

const SCHEDULED: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn only_who_finds_it_at_rest_must_hand_it_over() {
        let schedule = Schedule::new();
        assert!(!schedule.due(Causes::MAIL), "its maker owns it");
        assert!(!schedule.rest(), "a cause is waiting");
        assert_eq!(schedule.take(), Causes::MAIL);
        assert!(schedule.rest());
        assert!(schedule.due(Causes::READABLE));
        assert!(!schedule.due(Causes::WRITABLE));
        assert_eq!(schedule.take(), Causes::READABLE.and(Causes::WRITABLE));
        assert_eq!(schedule.take(), Causes::NONE);
        assert!(schedule.rest());
    }

    /// Two threads wake, two turn. Each wake is preceded by a count that the turn after it must
    /// see.
    #[test]
    fn no_wake_is_lost_and_no_two_threads_turn_at_once() {
        const WAKES: u64 = 100_000;
        let schedule = Schedule::new();
        assert!(schedule.rest());
        let (posted, seen) = ([AtomicU64::new(0), AtomicU64::new(0)], AtomicU64::new(0));
        let turning = AtomicBool::new(false);
        let (queue, jobs) = mpsc::channel::<()>();
        let jobs = std::sync::Mutex::new(jobs);
        thread::scope(|scope| {
            for count in &posted {
                let (queue, schedule) = (queue.clone(), &schedule);
                scope.spawn(move || {
                    for wake in 1..=WAKES {
                        count.store(wake, Ordering::Relaxed);
                        if schedule.due(Causes::MAIL) {
                            queue.send(()).unwrap();
                        }
                    }
                });
            }
            drop(queue);
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(()) = { jobs.lock().unwrap().recv().ok() } {
                        assert!(!turning.swap(true, Ordering::AcqRel), "two threads turn at once");
                        loop {
                            schedule.take();
                            let sum =
                                posted.iter().map(|count| count.load(Ordering::Relaxed)).sum();
                            seen.store(sum, Ordering::Relaxed);
                            turning.store(false, Ordering::Release);
                            if schedule.rest() {
                                break;
                            }
                            turning.store(true, Ordering::Release);
                        }
                    }
                });
            }
        });
        assert_eq!(seen.into_inner(), 2 * WAKES);
    }
}
