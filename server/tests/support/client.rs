//! A session, and what a connection would keep beside it. Reads and takes as a connection does; knows no socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bolillero_server::session::{Flow, Input, Mail, Session, Wait, Wake};

use super::wire::{Reply, packets};
use super::{Happened, Journal};

/// A session, and what its connection would keep.
pub(crate) struct Client {
    session: Option<Box<dyn Session>>,
    wakes: Arc<Wakes>,
    wakes_seen: usize,
    /// What the peer has sent and the session has not taken, because it holds.
    unread: Vec<u8>,
    /// The peer sends no more.
    ended: bool,
    held: bool,
    /// It was told of the stop while it held, and is to be told again behind what had arrived.
    stop_due: bool,
    out: Vec<u8>,
}

impl Client {
    pub(super) fn new(session: Box<dyn Session>, wakes: Arc<Wakes>) -> Self {
        Self {
            session: Some(session),
            wakes,
            wakes_seen: 0,
            unread: Vec::new(),
            ended: false,
            held: false,
            stop_due: false,
            out: Vec::new(),
        }
    }

    /// Sends bytes. The session takes them unless it holds.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.turn();
    }

    /// Ends the peer's sending.
    pub(crate) fn half_close(&mut self) {
        self.ended = true;
        self.turn();
    }

    /// Has the session told that the server stops.
    pub(crate) fn stop(&mut self) {
        self.stop_due = self.held;
        self.hand_in(Input::Mail(Mail::Shutdown));
        self.turn();
    }

    /// Has the session told that its time is over.
    pub(crate) fn time_out(&mut self) {
        self.hand_in(Input::Deadline);
    }

    /// Reads all there is.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            self.turn();
            if self.out.is_empty() {
                return read;
            }
            read.append(&mut self.out);
            if self.held {
                self.hand_in(Input::Drained);
            }
        }
    }

    /// Reads what was appended by now, and nothing of what follows it.
    pub(crate) fn read_once(&mut self) -> Vec<u8> {
        let read = std::mem::take(&mut self.out);
        if self.held && !read.is_empty() {
            self.hand_in(Input::Drained);
        }
        read
    }

    /// Reads all there is, as packets.
    pub(crate) fn replies(&mut self) -> Vec<Reply> {
        packets(&self.read())
    }

    /// What the session has appended and nobody has read, in bytes.
    pub(crate) fn unread_output(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn wait(&self) -> Option<Wait> {
        self.session.as_ref().unwrap().wait()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_none()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// How often it was told that there is news.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.count.load(Ordering::Relaxed)
    }

    pub(crate) fn number(&self) -> usize {
        self.wakes.number
    }

    /// Hands in what a connection would: news first, then bytes, then their end.
    fn turn(&mut self) {
        loop {
            let wakes = self.wakes();
            if wakes > self.wakes_seen {
                self.wakes_seen = wakes;
                self.hand_in(Input::Mail(Mail::News));
            } else if !self.held && !self.unread.is_empty() {
                let bytes = std::mem::take(&mut self.unread);
                self.hand_in(Input::Bytes(&bytes));
            } else if !self.held && self.ended {
                self.ended = false;
                self.hand_in(Input::Eof);
            } else if !self.held && self.stop_due {
                self.stop_due = false;
                self.hand_in(Input::Mail(Mail::Shutdown));
            } else {
                return;
            }
        }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let Some(session) = &mut self.session else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, &mut self.out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => self.session = None,
        }
    }
}

/// What stands behind a client's mailbox.
pub(super) struct Wakes {
    number: usize,
    count: AtomicUsize,
    journal: Journal,
}

impl Wakes {
    pub(super) fn new(number: usize, journal: Journal) -> Self {
        Self { number, count: AtomicUsize::new(0), journal }
    }
}

impl Wake for Wakes {
    fn wake(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.journal.lock().unwrap().push(Happened::Woken(self.number));
    }
}
