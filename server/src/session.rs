//! What a connection means, without the connection: bytes and news come in, bytes go out.
//!
//! A session knows no socket, no thread and no clock. So one session runs under every driver, under
//! TLS, and in a test which has neither network nor disk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What can happen to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes of the peer, in order, cut anywhere. The session owns them from here on: one that
    /// holds still has them, and goes on with them after [`Input::Mail`] or [`Input::Drained`].
    Bytes(&'a [u8]),
    /// Another thread has something for this session.
    Mail(Mail),
    /// All output was handed to the peer's socket. Sent to a session that holds.
    Drained,
    /// The time of [`Session::wait`] is over.
    Deadline,
    /// The peer sends no more. What it is still owed leaves first.
    Eof,
}

/// News from another thread. It carries no data: the session looks at what it waits for, so that
/// mail can be merged and always has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// Something this session waits for may have happened.
    News,
    /// The server stops: all bytes that had arrived were handed in, finish those and close. A
    /// session that holds is told at once, gets what had arrived when it goes on, and is told again
    /// behind it. Later bytes never come.
    Shutdown,
}

/// How a connection goes on after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Go on reading.
    Continue,
    /// No more bytes until there was mail or the output is drained, and that was answered with
    /// [`Flow::Continue`]. An empty output is not drained again: who holds without output waits
    /// for mail.
    Hold,
    /// Flush the output, shut the sending side, drain the peer briefly, close.
    Close,
}

/// What a session waits for. Its clock is restarted only when the id changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Names this wait among the session's waits.
    pub id: u64,
    /// How long it may take.
    pub time_max: Duration,
}

/// One connection's protocol state.
pub trait Session: Send {
    /// Takes an input and appends what the peer is to get to `out`.
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow;

    /// The deadline under which the session waits now, if it waits under one.
    fn wait(&self) -> Option<Wait>;
}

/// What opens the sessions of one listener.
pub trait Service: Send + Sync {
    /// The name in the log, for example `lottery`.
    fn name(&self) -> &'static str;

    /// A session for a new connection. `mailbox` wakes it from any thread.
    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session>;

    /// How many descriptors a session may hold beside its socket.
    fn descriptors_each(&self) -> usize {
        0
    }

    /// Whom it lets in over TLS, as the log has it. `None`: it is reached without TLS.
    fn admission(&self) -> Option<&'static str> {
        None
    }

    /// What a newcomer is told when there is no room, before it is closed.
    fn busy(&self) -> &[u8];
}

/// Who is on the other side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The peer's address.
    pub address: SocketAddr,
    /// The agency that its certificate names, where it showed one. It speaks for no other.
    pub agency: Option<u32>,
}

impl Peer {
    /// One of which nothing but its address is known.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, agency: None }
    }
}

/// How other threads reach a session, and how a session reaches its driver. Cheap to clone, never
/// blocks, always has a place.
#[derive(Clone)]
pub struct Mailbox(Arc<dyn Wake>);

/// What stands behind a [`Mailbox`]: a driver's connection, or a test.
pub trait Wake: Send + Sync {
    /// Sees to it that the session gets [`Mail::News`] soon. Several calls may become one mail.
    fn wake(&self);

    /// See [`Mailbox::count_for_agency`]. Without a driver nothing is counted.
    fn count_for_agency(&self, _agency: u32) -> bool {
        true
    }
}

impl Mailbox {
    /// A mailbox that wakes through `wake`.
    #[must_use]
    pub fn new(wake: Arc<dyn Wake>) -> Self {
        Self(wake)
    }

    /// Tells the session to look at what it waits for.
    pub fn news(&self) {
        self.0.wake();
    }

    /// Counts the connection for the agency that its certificate names, and no longer for its
    /// address. Called once, by the session itself. False: the agency has as many connections as it
    /// may have; this one is to be told so and closed.
    #[must_use]
    pub fn count_for_agency(&self, agency: u32) -> bool {
        self.0.count_for_agency(agency)
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailbox")
    }
}
