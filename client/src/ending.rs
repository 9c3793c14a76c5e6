//! The wish to end, and who has to hear of it: whoever pauses wakes, whoever waits for a connection
//! finds it shut. Knows no signal and no socket.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The end of a client's work, seen by all its threads.
#[derive(Clone, Default)]
pub struct Ending {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: bool,
    ended: bool,
    /// Has whoever waits for a connection find it shut.
    shut: Option<Box<dyn Fn() + Send>>,
}

/// The end was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this client was asked to stop")]
pub struct Asked;

/// While it lives, what it was made with is done when the end is asked for.
pub struct Held {
    ending: Ending,
}

impl Ending {
    /// Asks for the end: pauses are over, what is held is shut.
    pub fn ask(&self) {
        let mut state = self.state();
        state.asked = true;
        if let Some(shut) = state.shut.take() {
            shut();
        }
        self.shared.changed.notify_all();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.state().asked
    }

    /// Waits, but not beyond the end.
    ///
    /// # Errors
    /// [`Asked`].
    pub fn pause(&self, time: Duration) -> Result<(), Asked> {
        if self.wait(time, |state| state.asked).asked { Err(Asked) } else { Ok(()) }
    }

    /// Does `shut` when the end is asked for; at once if it was. One thing at a time is held.
    #[must_use]
    pub fn hold(&self, shut: impl Fn() + Send + 'static) -> Held {
        let mut state = self.state();
        if state.asked {
            shut();
        } else {
            assert!(state.shut.is_none(), "one connection at a time");
            state.shut = Some(Box::new(shut));
        }
        Held { ending: self.clone() }
    }

    /// Says that the work has ended. Only who is told `true` may speak of it: it is the first.
    #[must_use]
    pub fn end(&self) -> bool {
        let first = !std::mem::replace(&mut self.state().ended, true);
        self.shared.changed.notify_all();
        first
    }

    /// Waits until the work has ended; says whether it has, in `time`.
    #[must_use]
    pub fn ends_within(&self, time: Duration) -> bool {
        self.wait(time, |state| state.ended).ended
    }

    fn wait(&self, time: Duration, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let changed = &self.shared.changed;
        let waited = changed.wait_timeout_while(self.state(), time, |state| !until(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ending.state().shut = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// No test waits longer.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_pause_is_over_when_the_end_is_asked_for_and_none_begins_after() {
        let ending = Ending::default();
        assert_eq!(ending.pause(Duration::from_millis(1)), Ok(()));
        let asking = ending.clone();
        let asker = thread::spawn(move || asking.ask());
        assert_eq!(ending.pause(LONG), Err(Asked));
        asker.join().unwrap();
        assert_eq!(ending.pause(LONG), Err(Asked));
        assert!(ending.is_asked());
    }

    #[test]
    fn what_is_held_is_shut_once_and_what_was_let_go_is_not() {
        let ending = Ending::default();
        let shut = Arc::new(AtomicUsize::new(0));
        let hold = |ending: &Ending| {
            let shut = shut.clone();
            ending.hold(move || {
                shut.fetch_add(1, Ordering::SeqCst);
            })
        };
        drop(hold(&ending));
        let held = hold(&ending);
        assert_eq!(shut.load(Ordering::SeqCst), 0);
        ending.ask();
        ending.ask();
        assert_eq!(shut.load(Ordering::SeqCst), 1);
        drop(held);
        let _late = hold(&ending);
        assert_eq!(shut.load(Ordering::SeqCst), 2, "the end was asked for before");
    }

    #[test]
    fn only_the_first_to_end_the_work_may_speak_of_it() {
        let ending = Ending::default();
        assert!(!ending.ends_within(Duration::from_millis(1)));
        assert!(ending.end());
        assert!(!ending.end());
        assert!(ending.ends_within(LONG));
    }
}
