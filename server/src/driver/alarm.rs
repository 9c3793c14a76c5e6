//! When the reactor has to look at deadlines. One sweep over all serves them all, at the earliest
//! that is known; keeping an exact order would cost every turn more than the sweeps cost the
//! reactor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A time in milliseconds since the server's start, so that it fits an atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

/// One connection's deadline, as the reactor sees it.
pub(super) struct Deadline(AtomicU64);

/// The time of the next sweep.
///
/// Invariant: outside of a sweep it is at or before every deadline that was set.
pub(super) struct Alarm {
    start: Instant,
    next: AtomicU64,
}

/// A sweep in progress. It ends when it is dropped.
pub(super) struct Sweep<'a> {
    alarm: &'a Alarm,
    now: Tick,
    earliest: Tick,
}

impl Default for Deadline {
    fn default() -> Self {
        Self(AtomicU64::new(NEVER.0))
    }
}

impl Alarm {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, next: AtomicU64::new(NEVER.0) }
    }

    /// Sets `deadline`. True when it is before the next sweep: the reactor sleeps too long and must
    /// be woken.
    #[must_use]
    pub(super) fn set(&self, deadline: &Deadline, at: Option<Instant>) -> bool {
        let tick = at.map_or(NEVER, |at| self.tick_after(at));
        if deadline.0.load(Ordering::Relaxed) == tick.0 {
            return false;
        }
        // A sweep first forgets the next time and then reads the deadlines, here the deadline is
        // stored first and then the next time read. In one order of all, one of the two sees the
        // other.
        deadline.0.store(tick.0, Ordering::SeqCst);
        tick.0 < self.next.load(Ordering::SeqCst)
            && tick.0 < self.next.fetch_min(tick.0, Ordering::SeqCst)
    }

    /// When the next sweep is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = Tick(self.next.load(Ordering::SeqCst));
        (next != NEVER).then(|| self.start + Duration::from_millis(next.0))
    }

    /// Begins a sweep. All deadlines must be shown to it.
    pub(super) fn sweep(&self, now: Instant) -> Sweep<'_> {
        self.next.store(NEVER.0, Ordering::SeqCst);
        Sweep { alarm: self, now: self.tick_before(now), earliest: NEVER }
    }

    /// Rounded up: no deadline is taken for over too early.
    fn tick_after(&self, at: Instant) -> Tick {
        Tick(self.tick_before(at).0 + 1)
    }

    fn tick_before(&self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(self.start).as_millis();
        Tick(u64::try_from(since).map_or(NEVER.0 - 1, |millis| millis.min(NEVER.0 - 1)))
    }
}

impl Sweep<'_> {
    /// Whether `deadline` is over. It counts as told then, and is to be set anew.
    pub(super) fn is_over(&mut self, deadline: &Deadline) -> bool {
        let tick = Tick(deadline.0.load(Ordering::SeqCst));
        if tick > self.now {
            self.earliest = self.earliest.min(tick);
            return false;
        }
        // Where it was set anew just now, whoever set it saw to the next sweep.
        deadline.0.compare_exchange(tick.0, NEVER.0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        self.alarm.next.fetch_min(self.earliest.0, Ordering::SeqCst);
    }
}

const NEVER: Tick = Tick(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deadline_before_all_others_wakes_the_reactor() {
        let start = Instant::now();
        let alarm = Alarm::new(start);
        let (one, two) = (Deadline::default(), Deadline::default());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        assert_eq!(alarm.next(), None);
        assert!(alarm.set(&one, at(20)));
        assert!(!alarm.set(&two, at(30)));
        assert!(!alarm.set(&one, at(25)), "later than the sweep that is planned");
        assert!(alarm.set(&two, at(10)));
        assert!(!alarm.set(&two, None));
        assert_eq!(alarm.next(), at(10).map(|at| at + Duration::from_millis(1)));
    }

    #[test]
    fn a_sweep_tells_what_is_over_once_and_plans_the_next() {
        let start = Instant::now();
        let alarm = Alarm::new(start);
        let (one, two) = (Deadline::default(), Deadline::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let sweep = |seconds| {
            let mut sweep = alarm.sweep(at(seconds));
            [sweep.is_over(&one), sweep.is_over(&two)]
        };
        assert!(alarm.set(&one, Some(at(10))));
        assert!(!alarm.set(&two, Some(at(20))));
        assert_eq!(sweep(9), [false, false]);
        assert_eq!(alarm.next(), Some(at(10) + Duration::from_millis(1)));
        assert_eq!(sweep(11), [true, false]);
        assert_eq!(alarm.next(), Some(at(20) + Duration::from_millis(1)));
        assert_eq!(sweep(12), [false, false], "told once");
        assert!(alarm.set(&one, Some(at(10))), "and can be set to the same again");
    }
}
