//! The life of a server as one closed enum that a test can wait on, and the one way to end it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where a server is in its life. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Reads its ledger.
    Recovering,
    /// Accepts connections.
    Serving,
    /// Accepts no more, finishes what had arrived.
    Draining,
    /// Nothing runs any more.
    Stopped,
}

/// A handle on a server's life, shared by all its threads, its signal handler and its tests.
#[derive(Clone)]
pub struct Lifecycle {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    phase: Phase,
    stop: bool,
    abandoned: bool,
    on_stop: Vec<Box<dyn Fn() + Send>>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A life that begins with [`Phase::Recovering`].
    #[must_use]
    pub fn new() -> Self {
        let state =
            State { phase: Phase::Recovering, stop: false, abandoned: false, on_stop: Vec::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), moved: Condvar::new() }) }
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Moves on to a later phase. An earlier one is ignored: life has one direction.
    pub fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        if phase > state.phase {
            state.phase = phase;
            self.shared.moved.notify_all();
        }
    }

    /// Asks the server to stop. Returns at once; may be called from any thread, any number of times.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stop = true;
        for tell in &state.on_stop {
            tell();
        }
        self.shared.moved.notify_all();
    }

    /// Like [`Lifecycle::stop`], for a server that cannot finish what is owed: connections are not
    /// waited for.
    pub fn abandon(&self) {
        self.lock().abandoned = true;
        self.stop();
    }

    /// Whether connections are not to be waited for.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Whether somebody asked the server to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Has `tell` called by every [`Lifecycle::stop`], and now if there was one already. It must not block, and
    /// not call the lifecycle.
    pub fn on_stop(&self, tell: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        if state.stop {
            tell();
        }
        state.on_stop.push(Box::new(tell));
    }

    /// Waits until the life has reached `phase`. False when `time_max` passed first.
    #[must_use]
    pub fn wait_for(&self, phase: Phase, time_max: Duration) -> bool {
        let deadline = Instant::now() + time_max;
        let mut state = self.lock();
        while state.phase < phase {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let woken = self.shared.moved.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two of its statements: a panic elsewhere does not spoil it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_life_has_one_direction() {
        let life = Lifecycle::new();
        for (entered, expected) in [
            (Phase::Serving, Phase::Serving),
            (Phase::Recovering, Phase::Serving),
            (Phase::Stopped, Phase::Stopped),
            (Phase::Draining, Phase::Stopped),
        ] {
            life.enter(entered);
            assert_eq!(life.phase(), expected);
        }
    }

    #[test]
    fn a_phase_that_was_passed_is_not_waited_for() {
        let life = Lifecycle::new();
        assert!(!life.wait_for(Phase::Serving, Duration::ZERO));
        life.enter(Phase::Draining);
        assert!(life.wait_for(Phase::Serving, Duration::ZERO));
        let waiting = life.clone();
        let waiting =
            thread::spawn(move || waiting.wait_for(Phase::Stopped, Duration::from_secs(30)));
        life.enter(Phase::Stopped);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn whoever_asks_to_be_told_of_a_stop_is_told() {
        let life = Lifecycle::new();
        let told = Arc::new(AtomicU32::new(0));
        let telling = Arc::clone(&told);
        life.on_stop(move || {
            telling.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(told.load(Ordering::Relaxed), 0);
        life.stop();
        assert_eq!(told.load(Ordering::Relaxed), 1);
        let telling = Arc::clone(&told);
        life.on_stop(move || {
            telling.fetch_add(10, Ordering::Relaxed);
        });
        assert_eq!(told.load(Ordering::Relaxed), 11);
        life.abandon();
        assert_eq!(told.load(Ordering::Relaxed), 22);
        assert!(life.is_stopping() && life.is_abandoned());
    }
}
