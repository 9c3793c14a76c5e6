//! A session that is served through TLS, and what it has not taken yet. Knows no record.

use crate::session::{Flow, Input, Session, Wait};

pub(super) struct Inside {
    /// Nothing until the handshake is done: what comes right behind it may be here before. Nothing
    /// either where it is refused a session then.
    session: Option<Box<dyn Session>>,
    /// Bytes are not taken now.
    held: bool,
    /// What came while it held: at most what one input brought.
    unread: Vec<u8>,
    end: End,
    closed: bool,
}

/// The end of what the peer says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// It stands behind what is unread.
    Come,
    Told,
}

impl Default for Inside {
    fn default() -> Self {
        Self { session: None, held: true, unread: Vec::new(), end: End::Open, closed: false }
    }
}

impl Inside {
    /// From now on `session` is served.
    pub(super) fn open(&mut self, session: Box<dyn Session>, out: &mut Vec<u8>) {
        self.session = Some(session);
        self.held = false;
        self.go_on(out);
    }

    /// Ends without a session: `busy` is all that is said.
    pub(super) fn refuse(&mut self, busy: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(busy);
        self.closed = true;
    }

    /// Whether the handshake is done.
    pub(super) fn is_open(&self) -> bool {
        self.session.is_some() || self.closed
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
        match (self.closed, self.held && self.is_open()) {
            (true, _) => Flow::Close,
            (false, true) => Flow::Hold,
            (false, false) => Flow::Continue,
        }
    }

    pub(super) fn wait(&self) -> Option<Wait> {
        if self.closed { None } else { self.session.as_ref()?.wait() }
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
        let Some(session) = self.session.as_mut().filter(|_| !self.closed) else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => self.closed = true,
        }
    }
}
