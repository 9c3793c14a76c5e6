//! What the threads of one driver share: where a turn goes that nobody owns, and what the reactor
//! is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

use super::addresses::Addresses;
use super::alarm::Alarm;
use super::slot::Slot;
use super::workers::Workers;
use super::{Limits, threads};

/// Shared by the reactor, the workers and, through the slots, by every thread with a mailbox.
pub(super) struct Hub {
    pub(super) limits: Limits,
    pub(super) runner: Runner,
    pub(super) alarm: Alarm,
    pub(super) registry: Registry,
    waker: Waker,
    /// Changed by the reactor when connections come and go, and by whoever turns one that turns out
    /// to be an agency's.
    addresses: Mutex<Addresses>,
    inbox: Mutex<Inbox>,
    stopping: AtomicBool,
}

/// Where turns run.
pub(super) enum Runner {
    /// On the reactor's own thread while that is soon done, else on a fixed number of workers.
    Pool(Workers),
    /// On the reactor's own thread.
    Reactor,
    /// Each connection on its own thread.
    Threads,
}

/// News for the reactor from other threads.
#[derive(Default)]
pub(super) struct Inbox {
    /// To be turned.
    pub(super) ready: Vec<Arc<Slot>>,
    /// Closed by another thread.
    pub(super) closed: Vec<Token>,
    /// The reactor waits for somebody to leave. Else it learns of it when it next has something to
    /// do.
    awaits_closed: bool,
}

impl Hub {
    pub(super) fn new(
        runner: Runner,
        limits: Limits,
        alarm: Alarm,
        registry: Registry,
        waker: Waker,
    ) -> Self {
        let addresses = Mutex::new(Addresses::new(limits.addresses, limits.connections_max));
        let (inbox, stopping) = (Mutex::default(), AtomicBool::new(false));
        Self { limits, runner, alarm, registry, waker, addresses, inbox, stopping }
    }

    /// Brings a slot, whose turn the caller owns, to where it is turned. Under `pool` the reactor
    /// decides who turns it.
    pub(super) fn hand_over(&self, slot: Arc<Slot>) {
        if let Runner::Threads = self.runner {
            return threads::ring(&slot);
        }
        let mut inbox = self.lock();
        inbox.ready.push(slot);
        let first = inbox.ready.len() == 1;
        drop(inbox);
        if first {
            self.wake_reactor();
        }
    }

    /// Tells the reactor that a slot's connection is closed.
    pub(super) fn report_closed(&self, token: Token) {
        let mut inbox = self.lock();
        inbox.closed.push(token);
        if inbox.awaits_closed {
            drop(inbox);
            self.wake_reactor();
        }
    }

    /// Counts a connection for an agency instead of its address. False: the agency has all the
    /// connections that it may have.
    pub(super) fn move_to_agency(&self, connection: Token, agency: u32) -> bool {
        let moved = self.addresses().move_to_agency(connection, agency);
        // Somebody may wait for the place of the address.
        if moved && self.lock().awaits_closed {
            self.wake_reactor();
        }
        moved
    }

    pub(super) fn addresses(&self) -> MutexGuard<'_, Addresses> {
        // A count is changed in one step: a panic elsewhere does not spoil it.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the reactor, before it sleeps: swaps what came in for the emptied `inbox`, and says
    /// whether it is to be woken for closed ones from now on.
    pub(super) fn collect(&self, inbox: &mut Inbox, awaits_closed: bool) {
        inbox.awaits_closed = awaits_closed;
        std::mem::swap(&mut *self.lock(), inbox);
    }

    pub(super) fn wake_reactor(&self) {
        // It fails only when the reactor is gone.
        let _ = self.waker.wake();
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_reactor();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The workers, under `pool`.
    pub(super) fn workers(&self) -> Option<&Workers> {
        match &self.runner {
            Runner::Pool(workers) => Some(workers),
            Runner::Reactor | Runner::Threads => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
