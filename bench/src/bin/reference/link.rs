//! A socket of an event loop, and the TLS around it where it is spoken: rustls as its manual has it,
//! but that one read takes much more than a record. Knows no packet.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use bolillero_tls::rustls::{ServerConfig, ServerConnection};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::client::BUFFER_SIZE;
use crate::packets::PACKET_SIZE_MAX;

/// What all handshakes of a server keep to.
pub(crate) type Tls = Arc<ServerConfig>;

/// What a read under TLS takes at most: with what was left of a packet and of a record before, it
/// has room in a client's buffer.
pub(crate) const SEALED_SIZE: usize = 128 << 10;
const RECORD_SIZE_MAX: usize = 18 << 10;
const _: () = assert!(SEALED_SIZE + RECORD_SIZE_MAX + PACKET_SIZE_MAX <= BUFFER_SIZE);

pub(crate) struct Link {
    socket: TcpStream,
    /// Answers may be written while somebody else waits for it: never for long.
    tls: Option<Mutex<ServerConnection>>,
}

/// What a read has brought; under TLS that may be nothing.
pub(crate) struct Taken {
    pub(crate) length: usize,
    /// There may be more at once.
    pub(crate) filled: bool,
}

impl Link {
    pub(crate) fn new(socket: TcpStream, tls: Option<&Tls>) -> io::Result<Link> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let open = |tls: &Tls| ServerConnection::new(tls.clone()).map_err(io::Error::other);
        Ok(Link { socket, tls: tls.map(open).transpose()?.map(Mutex::new) })
    }

    pub(crate) fn register(
        &self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, interest)
    }

    /// Others may keep the socket open when its token is somebody else's.
    pub(crate) fn deregister(&self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()))
    }

    /// Reads once; nothing is the peer's end. `sealed` is where records are read to.
    pub(crate) fn read(&self, into: &mut [u8], sealed: &mut [u8]) -> io::Result<Option<Taken>> {
        let Some(tls) = &self.tls else {
            let length = (&self.socket).read(into)?;
            return Ok((length > 0).then_some(Taken { length, filled: length == into.len() }));
        };
        let size = (&self.socket).read(sealed)?;
        if size == 0 {
            return Ok(None);
        }
        let tls = &mut tls.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = open(tls, &sealed[..size], into);
        // A handshake goes on, or an alert says why it does not.
        write_records(tls, &self.socket)?;
        Ok(opened?.map(|length| Taken { length, filled: size == sealed.len() }))
    }

    /// Has bytes written as far as the socket takes them: says how many are taken care of. Under TLS
    /// that is all of them, and what the socket did not take waits for [`Link::flush`].
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&self.socket).write(bytes) };
        let tls = &mut tls.lock().unwrap_or_else(PoisonError::into_inner);
        tls.writer().write_all(bytes)?;
        write_records(tls, &self.socket)?;
        Ok(bytes.len())
    }

    /// Writes records that wait.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        write_records(&mut tls.lock().unwrap_or_else(PoisonError::into_inner), &self.socket)
    }

    /// Whether the socket took all of it.
    pub(crate) fn write_at_once(&self, bytes: &[u8]) -> bool {
        let waits = || {
            let lock = |tls: &Mutex<ServerConnection>| {
                tls.lock().unwrap_or_else(PoisonError::into_inner).wants_write()
            };
            self.tls.as_ref().is_some_and(lock)
        };
        matches!(self.write(bytes), Ok(length) if length == bytes.len()) && !waits()
    }

    pub(crate) fn shut_down(&self) {
        // It may have ended by itself.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Opens all whole records among what was read. Nothing where they end with the peer's end.
fn open(
    tls: &mut ServerConnection,
    mut sealed: &[u8],
    into: &mut [u8],
) -> io::Result<Option<usize>> {
    let mut length = 0;
    while !sealed.is_empty() {
        tls.read_tls(&mut sealed)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let opened = state.plaintext_bytes_to_read();
        tls.reader().read_exact(&mut into[length..length + opened])?;
        length += opened;
        if state.peer_has_closed() {
            return Ok((length > 0).then_some(length));
        }
    }
    Ok(Some(length))
}

fn write_records(tls: &mut ServerConnection, mut socket: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => drop(written?),
        }
    }
    Ok(())
}
