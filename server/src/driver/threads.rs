//! The driver `threads`: each connection has its own thread, which waits on its own poll of socket
//! and bell. Accepting, limits and the end are the reactor's, as under the other drivers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::hub::Hub;
use super::slot::{Outcome, Slot, advance, discard};
use crate::conn::{Causes, Connection, Scratch};

/// What wakes a connection's thread from its poll.
pub(super) fn bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)
}

/// Wakes the slot's thread, now or when it next waits.
pub(super) fn ring(slot: &Slot) {
    if let Some(bell) = &slot.bell {
        // It fails only when the count is full, and then the bell rings already.
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}

/// Gives a connection, and the slot it is woken through, a thread of their own. Where there is none
/// to be had the connection is closed.
pub(super) fn spawn(hub: Arc<Hub>, slot: Arc<Slot>, connection: Connection) -> io::Result<()> {
    let thread = thread::Builder::new().name("connection".into()).stack_size(THREAD_STACK_BYTES);
    thread.spawn(move || {
        serve(&hub, &slot, connection);
        hub.report_closed(slot.token);
    })?;
    Ok(())
}

fn serve(hub: &Hub, slot: &Slot, mut connection: Connection) {
    let mut scratch = Scratch::default();
    loop {
        match advance(&mut connection, &slot.schedule, &mut scratch, hub, |_| Ok(())) {
            Outcome::Rest => {
                let causes = wait(&connection, slot, hub).unwrap_or(Causes::ABORT);
                // Whether the turn was at rest or somebody has just taken it and rings: only this
                // thread turns it.
                let _ = slot.schedule.due(causes);
            }
            Outcome::Again => thread::yield_now(),
            Outcome::Closed => {
                let peer = connection.peer();
                return discard(Some(connection), peer);
            }
        }
    }
}

fn wait(connection: &Connection, slot: &Slot, hub: &Hub) -> io::Result<Causes> {
    let mut interest = PollFlags::empty();
    interest.set(PollFlags::IN, connection.waits_to_read(&hub.limits));
    interest.set(PollFlags::OUT, connection.waits_to_write());
    let socket = PollFd::from_borrowed_fd(connection.as_fd(), interest);
    let bell = slot.bell.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let mut fds = [socket, PollFd::new(bell, PollFlags::IN)];
    let timeout = connection.deadline().map(time_until);
    match poll(&mut fds, timeout.as_ref()) {
        Ok(0) => return Ok(Causes::DEADLINE),
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if !fds[1].revents().is_empty() {
        // What it was rung for is in the schedule; here it only must be silenced.
        let _ = rustix::io::read(bell, &mut [0; 8]);
    }
    Ok(causes(fds[0].revents()))
}

fn causes(events: PollFlags) -> Causes {
    let mut causes = Causes::NONE;
    if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
        causes = causes.and(Causes::READABLE);
    }
    if events.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR) {
        causes = causes.and(Causes::WRITABLE);
    }
    if events.intersects(PollFlags::HUP | PollFlags::ERR) {
        causes = causes.and(Causes::BROKEN);
    }
    causes
}

/// Poll rounds up to its clock's grain, so it does not come back before `at`.
fn time_until(at: Instant) -> Timespec {
    let left = at.saturating_duration_since(Instant::now());
    Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

/// Sessions keep their data on the heap; this is what a turn, a log line and a panic's backtrace
/// take.
const THREAD_STACK_BYTES: usize = 256 * 1024;
