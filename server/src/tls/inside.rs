//! A session that is served through TLS, and what it has not taken yet. Knows no record.

use crate::session::{Flow, Input, Session, Wait};

pub(super) struct Inside {
    session: Box<dyn Session>,
    /// It takes no bytes now.
    held: bool,
    /// What came while it held: at most what one input brought.
    unread: Vec<u8>,
    /// The peer's end, and whether the session was told.
    end: End,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// It stands behind what is unread.
    Come,
    Told,
}

impl Inside {
    pub(super) fn new(session: Box<dyn Session>) -> Self {
        Self { session, held: false, unread: Vec::new(), end: End::Open, closed: false }
    }

    /// Has the session take bytes, now or when it no longer holds.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.closed || self.end > End::Open {
            return;
        }
        if self.held {
            self.unread.extend_from_slice(bytes);
        } else {
            self.hand_in(Input::Bytes(bytes), out);
        }
    }

    /// The peer sends no more.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.end = self.end.max(End::Come);
        self.go_on(out);
    }

    /// Tells the session what happens beside the peer's bytes.
    pub(super) fn tell(&mut self, input: Input<'_>, out: &mut Vec<u8>) {
        self.hand_in(input, out);
        self.go_on(out);
    }

    pub(super) fn flow(&self) -> Flow {
        match (self.closed, self.held) {
            (true, _) => Flow::Close,
            (false, true) => Flow::Hold,
            (false, false) => Flow::Continue,
        }
    }

    pub(super) fn wait(&self) -> Option<Wait> {
        if self.closed { None } else { self.session.wait() }
    }

    /// Hands in what stands behind a hold that is over.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        if !self.held && !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            self.hand_in(Input::Bytes(&unread), out);
        }
        if !self.held && self.end == End::Come {
            self.end = End::Told;
            self.hand_in(Input::Eof, out);
        }
    }

    fn hand_in(&mut self, input: Input<'_>, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match self.session.handle(input, out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => self.closed = true,
        }
    }
}
