//! The listeners and those who wait to be let in. Knows no session in progress: the reactor says
//! how much room there is and takes newcomers out.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{SockRef, TcpKeepalive};

use super::addresses::Addresses;
use super::{Limits, Listener};
use crate::hint::hint;
use crate::session::{Peer, Service};

/// Everybody who is not yet served.
pub(super) struct Entrance {
    doors: Vec<Door>,
    waiting: VecDeque<Newcomer>,
    /// Those whose address has all the connections it may have. They take up to half of the places
    /// to wait, so that however many come from there, others still find one.
    crowded: VecDeque<Newcomer>,
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
            crowded: VecDeque::new(),
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
            if !self.has_place(room) {
                return;
            }
            if let Err(error) = self.accept(index, now) {
                if !std::mem::replace(&mut self.pause_logged, true) {
                    let hint = hint(&error).unwrap_or("newcomers wait");
                    log::warn!(
                        "action: accept | result: in_progress | reason: {error} | hint: {hint}"
                    );
                }
                self.paused_until = Some(now + ACCEPT_PAUSE);
                return;
            }
        }
    }

    /// Where there is room: who came first of those whose address has a place.
    pub(super) fn welcome(&mut self, addresses: &Addresses) -> Option<Newcomer> {
        if let Some(first) = self.crowded.iter().position(|newcomer| newcomer.fits(addresses)) {
            return self.crowded.remove(first);
        }
        while let Some(newcomer) = self.waiting.pop_front() {
            if newcomer.fits(addresses) {
                return Some(newcomer);
            }
            self.crowd(newcomer);
        }
        None
    }

    /// Those who waited as long as anybody should, up to `most`.
    pub(super) fn turn_away(&mut self, most: usize, now: Instant) -> Vec<Newcomer> {
        let tired = |newcomer: &&Newcomer| newcomer.since + self.busy_time <= now;
        let waiting = self.waiting.iter().take(most).take_while(tired).count();
        let most_crowded = self.farewells_of_crowded(most - waiting);
        let crowded = self.crowded.iter().take(most_crowded).take_while(tired).count();
        self.waiting.drain(..waiting).chain(self.crowded.drain(..crowded)).collect()
    }

    /// Whether somebody waits for another to leave.
    pub(super) fn is_waited_at(&self) -> bool {
        let waits = !self.waiting.is_empty() || !self.crowded.is_empty();
        waits || self.doors.iter().any(|door| door.ready)
    }

    /// When there is something to do though nobody comes or leaves.
    pub(super) fn next(
        &self,
        room: usize,
        farewells: usize,
        addresses: &Addresses,
        now: Instant,
    ) -> Option<Instant> {
        let fits = |newcomer: &Newcomer| newcomer.fits(addresses);
        if room > 0 && (!self.waiting.is_empty() || self.crowded.iter().any(fits)) {
            return Some(now);
        }
        let accepts = self.doors.iter().any(|door| door.ready) && self.has_place(room);
        let accepts = accepts.then(|| self.paused_until.unwrap_or(now));
        let waiting = self.waiting.front().filter(|_| farewells > 0);
        let crowded = self.crowded.front().filter(|_| self.farewells_of_crowded(farewells) > 0);
        let busy = waiting.into_iter().chain(crowded).map(|first| first.since + self.busy_time);
        accepts.into_iter().chain(busy).min()
    }

    /// Shuts the doors. Who waited inside is still to be told.
    pub(super) fn close(self) -> impl Iterator<Item = Newcomer> {
        self.waiting.into_iter().chain(self.crowded)
    }

    /// Whether one more may come in and wait.
    fn has_place(&self, room: usize) -> bool {
        self.waiting.len() + self.crowded.len() < room.saturating_add(self.waiting_max)
    }

    /// Has one wait whose address has no place. Where too many do it is closed without a word:
    /// there is nothing it could be kept for, and who it keeps out may be somebody else.
    fn crowd(&mut self, newcomer: Newcomer) {
        if self.crowded.len() < self.waiting_max / 2 {
            self.crowded.push_back(newcomer);
        } else {
            let ip = newcomer.peer.address.ip();
            log::debug!("action: accept | result: in_progress | ip: {ip} | closed: true");
        }
    }

    /// How many of `most` farewells may be theirs: half of all are kept for everybody else.
    fn farewells_of_crowded(&self, most: usize) -> usize {
        most.saturating_sub(self.waiting_max / 2)
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
                let peer = Peer::at(address);
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

impl Newcomer {
    fn fits(&self, addresses: &Addresses) -> bool {
        addresses.has_place(self.peer.address.ip())
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
    use mio::Token;

    use super::*;
    use crate::driver::AddressLimits;
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

    /// Lets all in for whom there is room and whose address has a place.
    fn welcome_all(entrance: &mut Entrance, addresses: &mut Addresses) -> Vec<Newcomer> {
        let next = || {
            let newcomer = entrance.welcome(addresses)?;
            addresses.enter(token_of(&newcomer), newcomer.peer.address.ip());
            Some(newcomer)
        };
        std::iter::from_fn(next).collect()
    }

    /// A token that no other newcomer of a test has.
    fn token_of(newcomer: &Newcomer) -> Token {
        let SocketAddr::V4(address) = newcomer.peer.address else { panic!("not IPv4") };
        let [.., last] = address.ip().octets();
        Token(usize::from(last) << 16 | usize::from(address.port()))
    }

    /// Under these an address of this machine may have so many connections.
    fn addresses(max: usize) -> Addresses {
        let limits = AddressLimits { max: Some(max), count_loopback: true, ..Default::default() };
        Addresses::new(limits, usize::MAX)
    }

    /// A client whose address ends with `last`.
    fn connect(from: u8, to: SocketAddr) -> TcpStream {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, from], 0)).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        socket.into()
    }

    #[test]
    fn an_accepted_socket_has_its_listener_s_options() {
        let limits = Limits::default();
        let (mut entrance, addresses) = entrance(&limits, 1);
        let _client = TcpStream::connect(addresses[0]).unwrap();
        entrance.gather(1, Instant::now());
        let newcomer = entrance.welcome(&self::addresses(1)).unwrap();
        let socket = SockRef::from(&newcomer.stream);
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
        let mut addresses = self::addresses(usize::MAX);
        let first = welcome_all(&mut entrance, &mut addresses);
        assert!(first.len() < 100, "{} accepted in one round", first.len());
        let lonely = lonely.local_addr().unwrap();
        assert!(first.iter().any(|newcomer| newcomer.peer.address == lonely));
        let next = entrance.next(usize::MAX, 1, &addresses, now);
        assert_eq!(next, Some(now), "the others are not forgotten");
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
        let addresses = self::addresses(1);
        let next = |entrance: &Entrance, farewells| entrance.next(0, farewells, &addresses, now);
        assert_eq!(next(&entrance, 1), Some(now + busy_time));
        assert_eq!(next(&entrance, 0), None, "nobody can be told before one leaves");
        assert_eq!(entrance.turn_away(1, now + busy_time).len(), 1);
        assert_eq!(next(&entrance, 1), Some(now), "there is a place in the row");
    }

    #[test]
    fn a_crowd_from_one_address_leaves_places_to_those_of_others() {
        const ROOM: usize = 9;
        let busy_time = Duration::from_secs(1);
        let limits = Limits { newcomers_max: 4, busy_time, ..Limits::default() };
        let (mut entrance, doors) = entrance(&limits, 1);
        let mut addresses = self::addresses(2);
        let crowd: Vec<_> = (0..12).map(|_| connect(2, doors[0])).collect();
        let now = Instant::now();
        entrance.gather(ROOM, now);
        let inside = welcome_all(&mut entrance, &mut addresses);
        assert_eq!(inside.len(), 2);
        assert_eq!((entrance.waiting.len(), entrance.crowded.len()), (0, 2));
        let closed = |client: &&TcpStream| {
            client.set_nonblocking(true).unwrap();
            io::Read::read(&mut &**client, &mut [0; 1]).is_ok()
        };
        assert_eq!(crowd.iter().filter(closed).count(), 8);
        let other = connect(3, doors[0]);
        entrance.knocked(0);
        entrance.gather(ROOM, now);
        let welcome = welcome_all(&mut entrance, &mut addresses);
        assert_eq!(welcome.len(), 1);
        assert_eq!(welcome[0].peer.address, other.local_addr().unwrap());
        // Without room at all the others of the row's places are theirs too.
        let _others: Vec<_> = (0..3).map(|_| connect(4, doors[0])).collect();
        entrance.knocked(0);
        entrance.gather(0, now);
        assert_eq!((entrance.waiting.len(), entrance.crowded.len()), (2, 2));
    }

    #[test]
    fn who_waits_for_its_address_is_let_in_when_one_leaves_or_turned_away() {
        let busy_time = Duration::from_secs(1);
        let limits = Limits { newcomers_max: 4, busy_time, ..Limits::default() };
        let (mut entrance, doors) = entrance(&limits, 1);
        let mut addresses = self::addresses(1);
        let clients: Vec<_> = (0..3).map(|_| connect(2, doors[0])).collect();
        let now = Instant::now();
        entrance.gather(9, now);
        let first = token_of(&welcome_all(&mut entrance, &mut addresses).remove(0));
        assert_eq!(entrance.next(9, 4, &addresses, now), Some(now + busy_time));
        assert_eq!(entrance.next(9, 2, &addresses, now), None, "two farewells are for others");
        assert!(entrance.is_waited_at());
        addresses.leave(first);
        assert_eq!(entrance.next(9, 4, &addresses, now), Some(now));
        let second = welcome_all(&mut entrance, &mut addresses).remove(0);
        assert_eq!(second.peer.address, clients[1].local_addr().unwrap());
        assert_eq!(entrance.turn_away(4, now).len(), 0);
        assert_eq!(entrance.turn_away(2, now + busy_time).len(), 0);
        assert_eq!(entrance.turn_away(4, now + busy_time).len(), 1);
        assert!(!entrance.is_waited_at());
    }
}
