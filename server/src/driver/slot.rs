//! The place of one connection in a driver: how it is woken, turned by one thread at a time, and
//! given up.

use std::any::Any;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use bolillero_protocol::log_line;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::alarm::Deadline;
use super::hub::Hub;
use super::schedule::Schedule;
use crate::conn::{Budget, Causes, Connection, Ending, Means, Scratch, Turn};
use crate::session::{Peer, Wake};

/// Where a connection lives. Mailboxes, queues and the reactor point to it, and it outlives the
/// connection as long as they do.
pub(super) struct Slot {
    pub(super) token: Token,
    pub(super) schedule: Schedule,
    pub(super) deadline: Deadline,
    /// Locked by who owns the turn, so never contended. It is taken out when the connection closes:
    /// that also breaks the circle slot -> connection -> session -> mailbox -> slot.
    connection: Mutex<Option<Connection>>,
    /// The reactor is asked for room to write only after a write found none: edges for it would
    /// else come with every packet.
    watches_writing: AtomicBool,
    /// What a connection's own thread waits on, beside its socket. Only under `threads`.
    pub(super) bell: Option<OwnedFd>,
    hub: Weak<Hub>,
    me: Weak<Slot>,
}

/// How a job on a slot ended.
pub(super) enum Outcome {
    /// The turn is given up.
    Rest,
    /// Still owned, and to be turned again after the others.
    Again,
    /// Owned for ever: whatever still wakes it does nothing.
    Closed,
}

impl Slot {
    /// A slot whose turn the caller owns.
    pub(super) fn new(token: Token, bell: Option<OwnedFd>, hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            token,
            schedule: Schedule::new(),
            deadline: Deadline::default(),
            connection: Mutex::new(None),
            watches_writing: AtomicBool::new(false),
            bell,
            hub: Arc::downgrade(hub),
            me: Weak::clone(me),
        })
    }

    /// For the owner of the turn.
    pub(super) fn put(&self, connection: Connection) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Adds causes, from any thread.
    pub(super) fn due(&self, causes: Causes) {
        if self.schedule.due(causes)
            && let (Some(hub), Some(me)) = (self.hub.upgrade(), self.me.upgrade())
        {
            hub.hand_over(me);
        }
    }

    /// Turns the connection until nothing is left to do or the budget is spent. For the owner of
    /// the turn.
    pub(super) fn run(&self, hub: &Hub, scratch: &mut Scratch) -> Outcome {
        let mut place = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = place.as_mut() else { return Outcome::Closed };
        let peer = connection.peer();
        let settle = |connection: &Connection| self.settle(connection, hub);
        let outcome = advance(connection, &self.schedule, scratch, hub, settle);
        if let Outcome::Closed = outcome {
            discard(place.take(), peer);
        }
        outcome
    }

    /// Before the turn is given up: what the reactor must watch for.
    fn settle(&self, connection: &Connection, hub: &Hub) -> io::Result<()> {
        if hub.alarm.set(&self.deadline, connection.deadline()) {
            hub.wake_reactor();
        }
        if connection.waits_to_write() && !self.watches_writing.swap(true, Ordering::Relaxed) {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let socket = connection.as_fd().as_raw_fd();
            // What is ready already is told again, so nothing between the write and here is missed.
            hub.registry.reregister(&mut SourceFd(&socket), self.token, interest)?;
        }
        Ok(())
    }
}

impl Wake for Slot {
    fn wake(&self) {
        self.due(Causes::MAIL);
    }

    fn count_for_agency(&self, agency: u32) -> bool {
        self.hub.upgrade().is_some_and(|hub| hub.move_to_agency(self.token, agency))
    }
}

/// The turn loop, for the owner of the turn: takes the causes, acts on them, and goes idle only if
/// none came in meanwhile. `settle` is called each time before it would go idle.
pub(super) fn advance(
    connection: &mut Connection,
    schedule: &Schedule,
    scratch: &mut Scratch,
    hub: &Hub,
    settle: impl Fn(&Connection) -> io::Result<()>,
) -> Outcome {
    let limits = &hub.limits;
    let peer = connection.peer();
    let mut budget = Budget::new(limits.turn_bytes_max);
    loop {
        let causes = schedule.take();
        let now = Instant::now();
        let means = &mut Means { scratch, budget: &mut budget, limits, now };
        let turn = catch_unwind(AssertUnwindSafe(|| connection.turn(causes, means)));
        match turn {
            Ok(Turn::Idle) if settle(connection).is_err() => {
                return closed(connection, Ending::Reset);
            }
            Ok(Turn::Idle) if schedule.rest() => return Outcome::Rest,
            Ok(Turn::Idle) if !budget.is_spent() => budget.spend(0),
            Ok(Turn::Idle | Turn::Again) => return Outcome::Again,
            Ok(Turn::Closed(ending)) => return closed(connection, ending),
            Err(panic) => {
                log_panic(peer, &*panic);
                return Outcome::Closed;
            }
        }
    }
}

fn closed(connection: &Connection, ending: Ending) -> Outcome {
    if connection.has_spoken() {
        let ip = connection.peer().address.ip();
        log::debug!("action: close | result: success | ip: {ip} | ending: {ending:?}");
    }
    Outcome::Closed
}

/// Drops what is left of a connection. A session that panicked once may do so again.
pub(super) fn discard(connection: Option<Connection>, peer: Peer) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(connection))) {
        log_panic(peer, &*panic);
    }
}

/// A defect of ours, told with what it says of itself.
pub(super) fn log_panic(peer: Peer, panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = log_line::value(text.unwrap_or("unknown"));
    log::error!("action: serve | result: fail | ip: {} | panic: {text}", peer.address.ip());
}
