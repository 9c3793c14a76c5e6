//! The listeners and those who wait to be let in. Knows no session in progress: the reactor says
//! how much room there is and takes newcomers out.

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
    /// That was said, and nobody could be accepted since.
    pause_logged: bool,
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
            pause_logged: false,
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

    /// Accepts some, one of each door in turn, so that neither one door nor all of them hold the
    /// reactor.
    pub(super) fn gather(&mut self, room: usize, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        for index in (0..self.doors.len()).cycle().take(ACCEPTS_PER_ROUND_MAX) {
            if self.waiting.len() >= room.saturating_add(self.waiting_max) {
                return;
            }
            if let Err(error) = self.accept(index, now) {
                if !std::mem::replace(&mut self.pause_logged, true) {
                    log::warn!("action: accept | result: in_progress | reason: {error}");
                }
                self.paused_until = Some(now + ACCEPT_PAUSE);
                return;
            }
        }
    }

    /// Those who came first, for whom there is room.
    pub(super) fn welcome(&mut self, room: usize) -> Vec<Newcomer> {
        self.waiting.drain(..room.min(self.waiting.len())).collect()
    }

    /// Those who waited as long as anybody should, up to `most`.
    pub(super) fn turn_away(&mut self, most: usize, now: Instant) -> Vec<Newcomer> {
        let tired = |newcomer: &&Newcomer| newcomer.since + self.busy_time <= now;
        let count = self.waiting.iter().take(most).take_while(tired).count();
        self.waiting.drain(..count).collect()
    }

    /// Whether somebody waits for another to leave.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.waiting.is_empty() || self.doors.iter().any(|door| door.ready)
    }

    /// When there is something to do though nobody comes or leaves.
    pub(super) fn next(&self, room: usize, farewells: usize, now: Instant) -> Option<Instant> {
        if room > 0 && !self.waiting.is_empty() {
            return Some(now);
        }
        let accepts = self.doors.iter().any(|door| door.ready)
            && self.waiting.len() < room.saturating_add(self.waiting_max);
        let accepts = accepts.then(|| self.paused_until.unwrap_or(now));
        let busy = self.waiting.front().filter(|_| farewells > 0);
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
                self.pause_logged = false;
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

/// Linux hands a connection's own network errors to accept. Whatever else it says, we pause: trying
/// again at once would spin.
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

/// On Linux an accepted socket has the options of its listener. Setting them there spares five
/// calls each.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;

    fn entrance(limits: &Limits, n_doors: usize) -> (Entrance, Vec<SocketAddr>) {
        let sockets = (0..n_doors).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let sockets: Vec<_> = sockets.collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let listen = |socket| Listener { socket, service: Arc::new(Echo::default()) as _ };
        let listeners = sockets.into_iter().map(listen).collect();
        let mut entrance = Entrance::new(listeners, limits).unwrap();
        (0..n_doors).for_each(|door| entrance.knocked(door));
        (entrance, addresses)
    }

    #[test]
    fn an_accepted_socket_has_its_listener_s_options() {
        let limits = Limits::default();
        let (mut entrance, addresses) = entrance(&limits, 1);
        let _client = TcpStream::connect(addresses[0]).unwrap();
        entrance.gather(1, Instant::now());
        let newcomers = entrance.welcome(1);
        let socket = SockRef::from(&newcomers[0].stream);
        assert!(socket.nonblocking().unwrap());
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.peer_time_max));
    }

    #[test]
    fn a_crowd_at_one_door_waits_its_turn_and_does_not_block_the_other() {
        let limits = Limits { newcomers_max: 0, ..Limits::default() };
        let (mut entrance, addresses) = entrance(&limits, 2);
        let _crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(addresses[0]).unwrap()).collect();
        let lonely = TcpStream::connect(addresses[1]).unwrap();
        let now = Instant::now();
        entrance.gather(usize::MAX, now);
        let first = entrance.welcome(usize::MAX);
        assert!(first.len() < 100, "{} accepted in one round", first.len());
        let lonely = lonely.local_addr().unwrap();
        assert!(first.iter().any(|newcomer| newcomer.peer.address == lonely));
        assert_eq!(entrance.next(usize::MAX, 1, now), Some(now), "the others are not forgotten");
    }

    #[test]
    fn newcomers_wait_in_a_row_of_bounded_length_and_are_turned_away_in_order() {
        let busy_time = Duration::from_secs(1);
        let limits = Limits { newcomers_max: 2, busy_time, ..Limits::default() };
        let (mut entrance, addresses) = entrance(&limits, 1);
        let _crowd: Vec<_> = (0..3).map(|_| TcpStream::connect(addresses[0]).unwrap()).collect();
        let now = Instant::now();
        entrance.gather(0, now);
        assert_eq!(entrance.waiting.len(), 2);
        assert_eq!(entrance.turn_away(9, now).len(), 0);
        assert_eq!(entrance.next(0, 1, now), Some(now + busy_time));
        assert_eq!(entrance.next(0, 0, now), None, "nobody can be told before one leaves");
        assert_eq!(entrance.turn_away(1, now + busy_time).len(), 1);
        assert_eq!(entrance.next(0, 1, now), Some(now), "there is a place in the row");
    }
}
