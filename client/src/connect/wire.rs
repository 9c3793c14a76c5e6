//! One connection's bytes, in plain text or under TLS: writes them whole, and waits for them no
//! longer than it may. Knows no byte's meaning.

use std::io::{self, ErrorKind, Read as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bolillero_protocol::comm::{SEGMENT_SIZE_DEFAULT, write_whole};
use bolillero_tls::explain::explain;
use bolillero_tls::rustls;

use super::distrust::Distrust;
use super::listener::{FIRST_BYTES_MAX, KNOCK, Listener, Stranger};
use super::records::Records;
use super::{Office, READ_SIZE};
use crate::config::Tls;
use crate::dialogue::Stop;
use crate::ending::{Ending, Held};

/// How long to read on after a failed write: what the office had said before may be on its way.
pub(super) const BROKEN_READ_MAX: Duration = Duration::from_secs(1);

/// Why a connection is of no more use.
pub(super) enum End {
    /// Another may do better.
    Lost(Lost),
    /// Another would end the same way.
    Stop(Stop),
}

/// How a connection ended without the work being done or in vain.
#[derive(Debug)]
pub(super) struct Lost {
    /// In words that no log parser takes for a failure.
    pub(super) reason: String,
    /// How, if no byte came on it.
    pub(super) unheard: Option<Unheard>,
}

/// How a connection ended on which no byte came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheard {
    /// The server closed it.
    Closed,
    /// The server said nothing in time.
    Silent,
}

impl From<String> for Lost {
    fn from(reason: String) -> Self {
        Self { reason, unheard: None }
    }
}

impl End {
    /// How the connection ended, if another may do better.
    pub(super) fn lost(self) -> Result<Lost, Stop> {
        match self {
            Self::Lost(reason) => Ok(reason),
            Self::Stop(stop) => Err(stop),
        }
    }
}

/// One connection.
pub(super) struct Wire<'a> {
    socket: Socket,
    tls: Option<Box<Tunnel>>,
    /// Why nothing can be written any more. What the office had said before is still read.
    broken: Option<String>,
    /// The first bytes that were written, and the first that were read.
    said: Vec<u8>,
    heard: Vec<u8>,
    office: &'a Office,
}

impl<'a> Wire<'a> {
    /// The connection that `stream` is, once its handshake is done where there is one, which may
    /// take `time`.
    pub(super) fn new(
        stream: TcpStream,
        office: &'a Office,
        tls: Option<&Tls>,
        ending: &Ending,
        time: Duration,
    ) -> Result<Self, End> {
        let socket = Socket::new(stream, ending);
        let (said, heard) = (Vec::new(), Vec::new());
        let mut wire = Self { socket, tls: None, broken: None, said, heard, office };
        if let Some(tls) = tls {
            let tunnel = Tunnel::new(tls).map_err(|error| wire.end(&Fault::Tls(error)))?;
            wire.tls = Some(Box::new(tunnel));
            wire.shake_hands(time)?;
            let timeout = wire.socket.stream.set_write_timeout(Some(office.reply_timeout));
            timeout.map_err(|error| wire.end(&error.into()))?;
        }
        Ok(wire)
    }

    /// Whether nothing but blanks was read.
    pub(super) fn is_unheard(&self) -> bool {
        self.heard.trim_ascii().is_empty()
    }

    /// Whether nothing can be written any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>) {
        self.said.extend(out.iter().take(FIRST_BYTES_MAX - self.said.len()));
        if self.broken.is_none() {
            let written = match &mut self.tls {
                None => write_whole(&mut &*self.socket.stream, out, SEGMENT_SIZE_DEFAULT),
                Some(tunnel) => tunnel.write(&self.socket, out),
            };
            self.broken = written.err().map(|error| reason(&error));
        }
        out.clear();
    }

    /// Reads what there is. `wait`: how long there may be nothing; no limit when there is none.
    pub(super) fn read(&mut self, bytes: &mut [u8], wait: Option<Duration>) -> Result<usize, End> {
        let wait = if self.broken.is_some() { Some(BROKEN_READ_MAX) } else { wait };
        if wait.is_some_and(|wait| wait.is_zero()) {
            return Err(self.end(&io::Error::from(ErrorKind::WouldBlock).into()));
        }
        match self.read_or_end(bytes, wait)? {
            0 => Err(self.end(&io::Error::from(ErrorKind::UnexpectedEof).into())),
            size => Ok(size),
        }
    }

    /// As [`Self::read`], but 0 at the end, and `wait` as it is, which is more than nothing.
    pub(super) fn read_or_end(
        &mut self,
        bytes: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<usize, End> {
        let size = self.try_read(bytes, wait).map_err(|fault| self.end(&fault))?;
        self.note(&bytes[..size])
    }

    /// As [`Self::read_or_end`], but `None` where nothing came in time.
    pub(super) fn read_or_wait(
        &mut self,
        bytes: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<Option<usize>, End> {
        match self.try_read(bytes, wait) {
            Err(Fault::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(fault) => Err(self.end(&fault)),
            Ok(size) => self.note(&bytes[..size]).map(Some),
        }
    }

    /// What another thread needs to write on it.
    pub(super) fn writing(&self) -> (Arc<TcpStream>, Option<Arc<Mutex<Records>>>) {
        let records = self.tls.as_ref().map(|tunnel| Arc::clone(&tunnel.records));
        (Arc::clone(&self.socket.stream), records)
    }

    fn try_read(&mut self, bytes: &mut [u8], wait: Option<Duration>) -> Result<usize, Fault> {
        match &mut self.tls {
            None => self.socket.read(bytes, wait).map_err(Fault::from),
            Some(tunnel) => tunnel.read(&mut self.socket, bytes, wait),
        }
    }

    /// Looks at the first bytes that are read: how many they are, or that another kind of server
    /// says them.
    fn note(&mut self, bytes: &[u8]) -> Result<usize, End> {
        let room = FIRST_BYTES_MAX - self.heard.len();
        if room == 0 {
            return Ok(bytes.len());
        }
        if self.heard.is_empty()
            && self.tls.is_none()
            && let Some(distrust) = Distrust::of_plain(bytes, &self.office.server.to_string())
        {
            return Err(End::Stop(distrust.into()));
        }
        self.heard.extend(bytes.iter().take(room));
        let found = Listener::of(&self.heard, &self.said);
        match found.and_then(|found| Stranger::of(found, self.office)) {
            Some(stranger) => Err(End::Stop(stranger.into())),
            None => Ok(bytes.len()),
        }
    }

    /// Has a listener that says nothing show what it is, in `time`.
    pub(super) fn knock(mut self, time: Duration) -> Option<Listener> {
        self.write(&mut KNOCK.to_vec());
        let (begin, mut bytes, mut heard) = (Instant::now(), [0; FIRST_BYTES_MAX], Vec::new());
        while heard.len() < FIRST_BYTES_MAX {
            let left = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero())?;
            let Ok(size @ 1..) = self.try_read(&mut bytes, Some(left)) else { break };
            heard.extend_from_slice(&bytes[..size]);
            let found = Listener::of(&heard, &KNOCK);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn shake_hands(&mut self, time: Duration) -> Result<(), End> {
        let Self { socket, tls: Some(tunnel), .. } = self else { return Ok(()) };
        let shaken = tunnel.shake_hands(socket, time);
        shaken.map_err(|fault| match fault {
            Fault::Io(error) if error.kind() == ErrorKind::WouldBlock => End::Lost(Lost {
                reason: "no TLS handshake in time: does the server speak TLS there?".to_owned(),
                unheard: Some(Unheard::Silent),
            }),
            Fault::Io(error) => {
                End::Lost(format!("in the TLS handshake: {}", reason(&error)).into())
            }
            Fault::Tls(_) => self.end(&fault),
        })
    }

    /// What a fault means. What broke the writing says more than what came of it, but for what the
    /// server said.
    pub(super) fn end(&mut self, fault: &Fault) -> End {
        let said = match (fault, &self.tls) {
            (Fault::Io(error), _) => reason(error),
            (Fault::Tls(error), Some(tunnel)) => {
                let (tls, records) = (&tunnel.tls, tunnel.records());
                let server = self.office.server.to_string();
                if let Some(distrust) = Distrust::of(error, &server, tls, &records) {
                    return End::Stop(distrust.into());
                }
                format!("TLS: {}", explain(error))
            }
            (Fault::Tls(error), None) => format!("TLS: {}", explain(error)),
        };
        let reason = self.broken.take().unwrap_or(said);
        End::Lost(Lost { reason, unheard: self.unheard(fault) })
    }

    fn unheard(&self, fault: &Fault) -> Option<Unheard> {
        let Fault::Io(error) = fault else { return None };
        let silent = error.kind() == ErrorKind::WouldBlock;
        let how = if silent { Unheard::Silent } else { Unheard::Closed };
        self.heard.is_empty().then_some(how)
    }
}

impl Drop for Wire<'_> {
    /// Under TLS an end is said, where that costs no wait.
    fn drop(&mut self) {
        let Some(tunnel) = &self.tls else { return };
        if self.broken.is_none() && self.socket.stream.set_nonblocking(true).is_ok() {
            let mut records = tunnel.records();
            records.close();
            // Who does not take it sees the connection end.
            let _ = records.flush(&mut &*self.socket.stream);
        }
    }
}

/// Why nothing more came.
pub(super) enum Fault {
    Io(io::Error),
    Tls(rustls::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustls::Error> for Fault {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

/// A socket that is shut when the end is asked for, so that no wait on it goes on.
struct Socket {
    stream: Arc<TcpStream>,
    _held: Held,
    read_timeout: Option<Duration>,
}

impl Socket {
    fn new(stream: TcpStream, ending: &Ending) -> Self {
        let stream = Arc::new(stream);
        let shut = Arc::clone(&stream);
        let held = ending.hold(move || drop(shut.shutdown(Shutdown::Both)));
        Self { stream, _held: held, read_timeout: None }
    }

    fn read(&mut self, bytes: &mut [u8], wait: Option<Duration>) -> io::Result<usize> {
        if self.read_timeout != wait {
            self.stream.set_read_timeout(wait)?;
            self.read_timeout = wait;
        }
        loop {
            match (&*self.stream).read(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A session of TLS, and what of it has come.
struct Tunnel {
    tls: Tls,
    /// Shared with who writes from another thread. Nobody reads from the socket with it.
    records: Arc<Mutex<Records>>,
    /// What was read from the socket: of its first `filled` bytes those up to `opened` are opened.
    came: Box<[u8]>,
    opened: usize,
    filled: usize,
}

impl Tunnel {
    fn new(tls: &Tls) -> Result<Self, rustls::Error> {
        let records = Arc::new(Mutex::new(Records::new(tls)?));
        let came = vec![0; READ_SIZE].into_boxed_slice();
        Ok(Self { tls: tls.clone(), records, came, opened: 0, filled: 0 })
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the handshake, in `time`.
    fn shake_hands(&mut self, socket: &mut Socket, time: Duration) -> Result<(), Fault> {
        let begin = Instant::now();
        socket.stream.set_write_timeout(Some(time))?;
        loop {
            self.records().flush(&mut &*socket.stream)?;
            if !self.records().is_handshaking() {
                return Ok(());
            }
            self.receive(socket, Some(left(time, begin)?))?;
            self.open(socket, &mut [])?;
        }
    }

    fn write(&self, socket: &Socket, bytes: &[u8]) -> io::Result<()> {
        self.records().write(bytes, &mut &*socket.stream)
    }

    /// As [`Socket::read`]. Records that trickle in do not restart `wait`: it is for what they hold.
    fn read(
        &mut self,
        socket: &mut Socket,
        bytes: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<usize, Fault> {
        let begin = Instant::now();
        loop {
            let size = self.open(socket, bytes)?;
            if size > 0 || self.records().is_closed() {
                return Ok(size);
            }
            let wait = wait.map(|wait| left(wait, begin)).transpose()?;
            match self.receive(socket, wait) {
                Err(Fault::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                received => received?,
            }
        }
    }

    /// Reads once from the socket, of which all was opened.
    fn receive(&mut self, socket: &mut Socket, wait: Option<Duration>) -> Result<(), Fault> {
        (self.opened, self.filled) = (0, socket.read(&mut self.came, wait)?);
        if self.filled > 0 { Ok(()) } else { Err(io::Error::from(ErrorKind::UnexpectedEof).into()) }
    }

    fn open(&mut self, socket: &Socket, bytes: &mut [u8]) -> Result<usize, Fault> {
        let mut sealed = &self.came[self.opened..self.filled];
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = records.open(&mut sealed, bytes);
        self.opened = self.filled - sealed.len();
        if opened.is_err() {
            // The server is told what was wrong, if it still listens.
            let _ = records.flush(&mut &*socket.stream);
        }
        Ok(opened?)
    }
}

/// What is left of `time`; a timeout where nothing is.
fn left(time: Duration, begin: Instant) -> io::Result<Duration> {
    let left = time.saturating_sub(begin.elapsed());
    if left.is_zero() { Err(ErrorKind::WouldBlock.into()) } else { Ok(left) }
}

/// How a connection ended, in words that no log parser takes for a failure.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => "no answer in time".to_owned(),
        ErrorKind::UnexpectedEof => "the connection ended".to_owned(),
        kind => kind.to_string(),
    }
}
