//! The listeners and those who wait to be let in. Knows no session in progress: the reactor says how much
//! room there is and takes newcomers out.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{SockRef, TcpKeepalive};

use super::{Limits, Listener};
use crate::session::{Peer, Service};

/// Everybody who is not yet served.
pub(super) struct Entrance {
    doors: Vec<Door>,
    waiting: VecDeque<Newcomer>,
    waiting_max: usize,
    busy_time: Duration,
    /// Set while the process or the system has no descriptor left.
    paused_until: Option<Instant>,
}

struct Door {
    socket: TcpListener,
    service: Arc<dyn Service>,
    /// May have somebody to accept; under edges nobody says so again.
    ready: bool,
}

/// A connection without a session.
pub(super) struct Newcomer {
    pub(super) stream: TcpStream,
    pub(super) peer: Peer,
    pub(super) service: Arc<dyn Service>,
    since: Instant,
}

impl Entrance {
    pub(super) fn new(listeners: Vec<Listener>, limits: &Limits) -> io::Result<Self> {
        let mut doors = Vec::with_capacity(listeners.len());
        for Listener { socket, service } in listeners {
            set_options(&socket, limits)?;
            doors.push(Door { socket, service, ready: false });
        }
        Ok(Self {
            doors,
            waiting: VecDeque::new(),
            waiting_max: limits.newcomers_max,
            busy_time: limits.busy_time,
            paused_until: None,
        })
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &TcpListener> {
        self.doors.iter().map(|door| &door.socket)
    }

    /// Somebody came to the door with this number.
    pub(super) fn knocked(&mut self, door: usize) {
        self.doors[door].ready = true;
    }

    /// Somebody left: there may be descriptors again.
    pub(super) fn left(&mut self) {
        self.paused_until = None;
    }

    /// Accepts some, one of each door in turn, so that neither one door nor all of them hold the reactor.
    pub(super) fn gather(&mut self, room: usize, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        let was_paused = self.paused_until.take().is_some();
        for index in (0..self.doors.len()).cycle().take(ACCEPTS_PER_ROUND_MAX) {
            if self.waiting.len() >= room.saturating_add(self.waiting_max) {
                return;
            }
            if let Err(error) = self.accept(index, now) {
                if !was_paused {
                    log::warn!("action: accept | result: in_progress | reason: {error}");
                }
                self.paused_until = Some(now + ACCEPT_PAUSE);
                return;
            }
        }
    }

    /// The first in the row, for whom there is room.
    pub(super) fn welcome(&mut self) -> Option<Newcomer> {
        self.waiting.pop_front()
    }

    /// The first in the row, if nobody should wait as long.
    pub(super) fn turn_away(&mut self, now: Instant) -> Option<Newcomer> {
        self.waiting.pop_front_if(|first| first.since + self.busy_time <= now)
    }

    /// Whether somebody waits for another to leave.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.waiting.is_empty() || self.doors.iter().any(|door| door.ready)
    }

    /// When there is something to do though nobody comes or leaves.
    pub(super) fn next(&self, room: usize, may_dismiss: bool, now: Instant) -> Option<Instant> {
        if room > 0 && !self.waiting.is_empty() {
            return Some(now);
        }
        let accepts = self.doors.iter().any(|door| door.ready)
            && self.waiting.len() < room.saturating_add(self.waiting_max);
        let accepts = accepts.then(|| self.paused_until.unwrap_or(now));
        let busy = self.waiting.front().filter(|_| may_dismiss);
        let busy = busy.map(|first| first.since + self.busy_time);
        accepts.into_iter().chain(busy).min()
    }

    /// Shuts the doors. Who waited inside is still to be told.
    pub(super) fn close(self) -> impl Iterator<Item = Newcomer> {
        self.waiting.into_iter()
    }

    /// An error is ours. Those of the connection that was to be accepted are none.
    fn accept(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let door = &mut self.doors[index];
        if !door.ready {
            return Ok(());
        }
        match acceptfrom_with(&door.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((stream, address)) => {
                let address = address.and_then(|address| SocketAddr::try_from(address).ok());
                let Some(address) = address else { return Ok(()) };
                let (stream, service) = (TcpStream::from(stream), Arc::clone(&door.service));
                let peer = Peer { address };
                self.waiting.push_back(Newcomer { stream, peer, service, since: now });
                Ok(())
            }
            Err(error) => match io::Error::from(error) {
                error if error.kind() == ErrorKind::WouldBlock => {
                    door.ready = false;
                    Ok(())
                }
                error if is_of_the_peer(&error) => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// Linux hands a connection's own network errors to accept. Whatever else it says, we pause: trying again at
/// once would spin.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::PermissionDenied
    )
}

/// On Linux an accepted socket has the options of its listener. Setting them there spares five calls each.
fn set_options(socket: &TcpListener, limits: &Limits) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(limits.peer_time_max))?;
    let probing = TcpKeepalive::new()
        .with_time(whole_seconds(limits.peer_time_max / 2))
        .with_interval(whole_seconds(limits.peer_time_max / 6));
    socket.set_tcp_keepalive(&probing)
}

/// The kernel counts keepalive in seconds and refuses none.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().max(1))
}

/// How many are accepted before those who are inside have their turn.
const ACCEPTS_PER_ROUND_MAX: usize = 64;
/// How long accepting rests without descriptors when nobody leaves.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
