//! The moment at which everybody is told the winners: once they are published, and after a time at
//! the latest. Knows no file.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Office;
use super::winners::Winners;

/// Announces the winners when it is told to, and by itself once its time is over: a file system
/// that does not answer holds the thread that writes, and not the winners.
pub(super) struct Announcement {
    office: Arc<Office>,
    winners: Arc<Winners>,
    /// Nothing once they are announced.
    latest: Option<Latest>,
}

/// The thread that announces them at the latest; it ends when the sender is dropped.
struct Latest(Sender<()>, JoinHandle<()>);

impl Announcement {
    pub(super) fn begin(office: Arc<Office>, winners: Arc<Winners>, wait: Duration) -> Self {
        let mut begun = Self { office, winners, latest: None };
        let latest = (!wait.is_zero()).then(|| begun.announce_after(wait)).flatten();
        match latest {
            Some(latest) => begun.latest = Some(latest),
            None => begun.announce(),
        }
        begun
    }

    /// None where there is no thread to be had.
    fn announce_after(&self, wait: Duration) -> Option<Latest> {
        let (office, winners) = (Arc::clone(&self.office), Arc::clone(&self.winners));
        let (sender, ends) = mpsc::channel();
        let announce = move || {
            if ends.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                office.announce(&winners);
            }
        };
        let thread = thread::Builder::new().name("announcement".to_owned()).spawn(announce);
        Some(Latest(sender, thread.ok()?))
    }

    pub(super) fn announce(&mut self) {
        self.office.announce(&self.winners);
        self.end();
    }

    fn end(&mut self) {
        if let Some(Latest(sender, thread)) = self.latest.take() {
            drop(sender);
            // A panic under the lottery's lock has ended the process by now.
            let _ = thread.join();
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.end();
    }
}
