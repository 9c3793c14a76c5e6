//! A door at which threads wait until a test opens it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A door that is shut until it is opened. Its clones are the same door.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Door>, Condvar)>);

#[derive(Default)]
struct Door {
    open: bool,
    waiting: usize,
}

impl Gate {
    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let (door, moved) = &*self.0;
        let mut door = door.lock().unwrap();
        door.waiting += 1;
        moved.notify_all();
        let (mut door, late) = moved.wait_timeout_while(door, PATIENCE, |door| !door.open).unwrap();
        assert!(!late.timed_out(), "nobody opens the gate");
        door.waiting -= 1;
    }

    /// Waits until so many wait here.
    pub(crate) fn await_waiting(&self, count: usize) {
        let (door, moved) = &*self.0;
        let door = door.lock().unwrap();
        let waiting = moved.wait_timeout_while(door, PATIENCE, |door| door.waiting < count);
        assert!(!waiting.unwrap().1.timed_out(), "not {count} wait");
    }

    /// Lets all pass from now on.
    pub(crate) fn open(&self) {
        let (door, moved) = &*self.0;
        door.lock().unwrap().open = true;
        moved.notify_all();
    }
}
