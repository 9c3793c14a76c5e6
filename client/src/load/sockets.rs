//! Many sockets and one poll, none of which blocks, in plain text or under TLS. Knows no byte's
//! meaning.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use bolillero_tls::explain::explain;
use bolillero_tls::rustls;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::report::Handshakes;
use crate::config::Tls;
use crate::connect::{Address, Distrust, Records};

/// The longest time to connect, and that of a handshake before the load begins.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// The longest record of TLS that may have come in part before a read, in bytes.
const RECORD_SIZE_MAX: usize = 18 << 10;
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
    /// What a read has brought: under TLS, what was said in it.
    buffer: Box<[u8]>,
    tls: Option<Secure>,
}

/// What all connections have for their TLS.
struct Secure {
    tls: Tls,
    /// Where they go, for a person.
    server: String,
    /// What was read and is not opened yet: empty before and after each read.
    sealed: Box<[u8]>,
    handshakes: Handshakes,
}

struct Link {
    stream: TcpStream,
    /// Whether the poll knows it.
    watched: bool,
    /// Its session of TLS, if it is spoken.
    records: Option<Box<Records>>,
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
    pub(super) fn new(server: &Address, tls: Option<&Tls>) -> anyhow::Result<Self> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Where it cannot be raised, too many connections will tell.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        Ok(Self {
            address: find(server)?,
            poll: Poll::new().context("starting to poll")?,
            events: Events::with_capacity(EVENTS_MAX),
            ready: Vec::with_capacity(EVENTS_MAX),
            links: Vec::new(),
            buffer: vec![0; READ_SIZE + tls.map_or(0, |_| RECORD_SIZE_MAX)].into_boxed_slice(),
            tls: tls.map(|tls| Secure {
                tls: tls.clone(),
                server: server.to_string(),
                sealed: vec![0; READ_SIZE].into_boxed_slice(),
                handshakes: Handshakes::default(),
            }),
        })
    }

    /// How many handshakes of TLS were held, if it is spoken.
    pub(super) fn handshakes(&self) -> Option<Handshakes> {
        self.tls.as_ref().map(|secure| secure.handshakes)
    }

    /// Opens a connection at each of the first `places`, and waits until all are.
    pub(super) fn connect_all(&mut self, places: usize) -> anyhow::Result<()> {
        for place in 0..places {
            let stream = BlockingStream::connect_timeout(&self.address, CONNECT_MAX)?;
            stream.set_nodelay(true)?;
            let secure = self.tls.as_mut();
            let records = secure.map(|secure| secure.shake_hands(&stream)).transpose()?;
            stream.set_nonblocking(true)?;
            let stream = TcpStream::from_std(stream);
            let mut link = Link { stream, watched: false, records: records.map(Box::new) };
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
            let records = self.tls.as_ref().map(|secure| Records::new(&secure.tls));
            let records = records.transpose().map_err(io::Error::other)?.map(Box::new);
            self.put(place, Link { stream, watched: false, records });
        }
        let link = self.links[place].as_mut().expect("it was opened");
        let size = match &mut link.records {
            None => write(&mut link.stream, bytes)?,
            Some(records) => write_sealed(&mut link.stream, records, bytes)?,
        };
        if !link.watched {
            let all = size == bytes.len() && link.records.is_none();
            let writable = Interest::READABLE | Interest::WRITABLE;
            link.watch(&self.poll, place, if all { Interest::READABLE } else { writable })?;
        }
        Ok(size)
    }

    /// Writes what was taken before, if it waits: TLS takes more than the socket does.
    pub(super) fn flush(&mut self, place: usize) -> io::Result<()> {
        match self.links.get_mut(place) {
            Some(Some(Link { stream, records: Some(records), .. })) => {
                write_sealed(stream, records, &[]).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Reads once; under TLS until something is said, or nothing more is there.
    pub(super) fn read(&mut self, place: usize) -> Read<'_> {
        let Some(Some(link)) = self.links.get_mut(place) else { return Read::Nothing };
        match (&mut self.tls, &mut link.records) {
            (Some(secure), Some(records)) => {
                secure.read(&mut link.stream, records, &mut self.buffer)
            }
            _ => match read(&mut link.stream, &mut self.buffer) {
                Ok(size) => {
                    Read::Bytes { bytes: &self.buffer[..size], more: size == self.buffer.len() }
                }
                Err(unread) => unread,
            },
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

impl Secure {
    /// Holds a handshake on a connection that blocks.
    fn shake_hands(&mut self, mut stream: &BlockingStream) -> anyhow::Result<Records> {
        let (begin, mut records) = (Instant::now(), Records::new(&self.tls)?);
        loop {
            records.flush(&mut stream)?;
            if !records.is_handshaking() {
                self.handshakes.note(&records);
                return Ok(records);
            }
            let left = CONNECT_MAX.saturating_sub(begin.elapsed());
            ensure!(!left.is_zero(), "no TLS handshake in time: does the server speak TLS there?");
            stream.set_read_timeout(Some(left))?;
            let size = match stream.read(&mut self.sealed) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                size => size?,
            };
            ensure!(size > 0, "the connection ended in the TLS handshake");
            let said = records.open(&mut &self.sealed[..size], &mut [0]);
            let said = said.map_err(|error| anyhow!(self.explain(&error, &records)))?;
            ensure!(said == 0, "the server speaks first. Is what listens there a central office?");
        }
    }

    fn read<'a>(
        &mut self,
        stream: &mut TcpStream,
        records: &mut Records,
        buffer: &'a mut [u8],
    ) -> Read<'a> {
        loop {
            let size = match read(stream, &mut self.sealed) {
                Ok(size) => size,
                Err(Read::Ended(_)) if records.is_handshaking() => {
                    return Read::Ended("it was closed in the TLS handshake".to_owned());
                }
                Err(unread) => return unread,
            };
            let (all, was_handshaking) = (size == self.sealed.len(), records.is_handshaking());
            // The buffer has room for all that these bytes can hold.
            let said = match records.open(&mut &self.sealed[..size], buffer) {
                Ok(said) => said,
                Err(error) => {
                    // The server is told what was wrong, if it still listens.
                    let _ = records.flush(stream);
                    return Read::Ended(self.explain(&error, records));
                }
            };
            if was_handshaking && !records.is_handshaking() {
                self.handshakes.note(records);
            }
            if said > 0 {
                return Read::Bytes { bytes: &buffer[..said], more: all || records.is_closed() };
            }
            if !all && !records.is_closed() {
                return Read::Nothing;
            }
        }
    }

    fn explain(&self, error: &rustls::Error, records: &Records) -> String {
        Distrust::of(error, &self.server, &self.tls, records)
            .map_or_else(|| format!("TLS: {}", explain(error)), |distrust| distrust.to_string())
    }
}

/// Writes once; says how many bytes were taken.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Seals and writes until the socket takes no more; says how many bytes were sealed. In a handshake
/// none are.
fn write_sealed(stream: &mut TcpStream, records: &mut Records, bytes: &[u8]) -> io::Result<usize> {
    let mut sealed = 0;
    loop {
        match records.flush(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sealed),
            flushed => flushed?,
        }
        if sealed == bytes.len() || records.is_handshaking() {
            return Ok(sealed);
        }
        sealed += records.seal(&bytes[sealed..]);
    }
}

/// Reads once: how many bytes, at least one, or that there are none.
fn read(stream: &mut TcpStream, bytes: &mut [u8]) -> Result<usize, Read<'static>> {
    loop {
        return match stream.read(bytes) {
            Ok(0) => Err(Read::Ended("the office closed it".to_owned())),
            Ok(size) => Ok(size),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Read::Nothing),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(Read::Ended(reason(&error))),
        };
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
