//! Many sockets and one poll, none of which blocks. Knows no byte's meaning.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::connect::Address;

/// The longest time to connect.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// Connections told as ready at once.
const EVENTS_MAX: usize = 1024;
/// How long to wait for the rest of a packet that is only to be shown.
const LATE_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Connections to one office, each at its place.
pub(super) struct Sockets {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    ready: Vec<Ready>,
    links: Vec<Option<Link>>,
    buffer: Box<[u8]>,
}

struct Link {
    stream: TcpStream,
    /// Whether the poll knows it.
    watched: bool,
}

/// A place where something has changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) place: usize,
    pub(super) readable: bool,
}

/// What a read has brought.
pub(super) enum Read<'a> {
    Nothing,
    Bytes {
        bytes: &'a [u8],
        /// There may be more at once.
        more: bool,
    },
    /// The connection has ended, in the way told.
    Ended(String),
}

impl Sockets {
    /// No connection yet. The limit on open files is raised as far as it goes.
    pub(super) fn new(server: &Address) -> anyhow::Result<Self> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Where it cannot be raised, too many connections will tell.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        Ok(Self {
            address: find(server)?,
            poll: Poll::new().context("starting to poll")?,
            events: Events::with_capacity(EVENTS_MAX),
            ready: Vec::with_capacity(EVENTS_MAX),
            links: Vec::new(),
            buffer: vec![0; READ_SIZE].into_boxed_slice(),
        })
    }

    /// Opens a connection at each of the first `places`, and waits until all are.
    pub(super) fn connect_all(&mut self, places: usize) -> io::Result<()> {
        for place in 0..places {
            let stream = BlockingStream::connect_timeout(&self.address, CONNECT_MAX)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let mut link = Link { stream: TcpStream::from_std(stream), watched: false };
            link.watch(&self.poll, place, Interest::READABLE | Interest::WRITABLE)?;
            self.put(place, link);
        }
        Ok(())
    }

    /// Writes once, on a new connection where there is none; says how many bytes were taken.
    pub(super) fn write(&mut self, place: usize, bytes: &[u8]) -> io::Result<usize> {
        if self.links.get(place).is_none_or(Option::is_none) {
            // While it is being connected it takes nothing, and says so like a full one.
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            self.put(place, Link { stream, watched: false });
        }
        let link = self.links[place].as_mut().expect("it was opened");
        let size = loop {
            match link.stream.write(bytes) {
                Ok(size) => break size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if !link.watched {
            let all = size == bytes.len();
            let writable = Interest::READABLE | Interest::WRITABLE;
            link.watch(&self.poll, place, if all { Interest::READABLE } else { writable })?;
        }
        Ok(size)
    }

    /// Reads once.
    pub(super) fn read(&mut self, place: usize) -> Read<'_> {
        let Some(Some(link)) = self.links.get_mut(place) else { return Read::Nothing };
        loop {
            return match link.stream.read(&mut self.buffer) {
                Ok(0) => Read::Ended("the office closed it".to_owned()),
                Ok(size) => {
                    Read::Bytes { bytes: &self.buffer[..size], more: size == self.buffer.len() }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Read::Ended(reason(&error)),
            };
        }
    }

    /// Waits a little for more bytes; says whether some came.
    pub(super) fn read_late(&mut self, place: usize, bytes: &mut Vec<u8>) -> bool {
        let Some(Some(link)) = self.links.get(place) else { return false };
        let mut ready = [PollFd::new(&link.stream, PollFlags::IN)];
        if !poll(&mut ready, Some(&LATE_MAX)).is_ok_and(|n| n > 0) {
            return false;
        }
        let Read::Bytes { bytes: late, .. } = self.read(place) else { return false };
        bytes.extend_from_slice(late);
        true
    }

    pub(super) fn close(&mut self, place: usize) {
        self.links[place] = None;
    }

    /// Waits until something has changed; returns at how many places. 0: for `timeout` nothing has.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        loop {
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        }
        self.ready.clear();
        self.ready.extend(self.events.iter().map(|event| Ready {
            place: event.token().0,
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
        }));
        Ok(self.ready.len())
    }

    /// One of the places that the last wait has told.
    pub(super) fn ready(&self, index: usize) -> Ready {
        self.ready[index]
    }

    fn put(&mut self, place: usize, link: Link) {
        if self.links.len() <= place {
            self.links.resize_with(place + 1, || None);
        }
        self.links[place] = Some(link);
    }
}

impl Link {
    fn watch(&mut self, poll: &Poll, place: usize, interest: Interest) -> io::Result<()> {
        self.watched = true;
        poll.registry().register(&mut self.stream, Token(place), interest)
    }
}

/// How a connection ended, for a person.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrNotAvailable => {
            "no local port is free: those of closed connections rest for a while".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The address that answers, if a name has several.
fn find(server: &Address) -> anyhow::Result<SocketAddr> {
    let addresses = server.look_up().map_err(|problem| anyhow!(problem))?;
    let answers =
        |address: &&SocketAddr| BlockingStream::connect_timeout(address, CONNECT_MAX).is_ok();
    let found =
        if addresses.len() == 1 { addresses.first() } else { addresses.iter().find(answers) };
    found.copied().with_context(|| format!("no office answers at {server}"))
}
