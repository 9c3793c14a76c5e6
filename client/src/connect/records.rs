//! One connection's TLS without its socket: bytes that came are opened, bytes that leave are sealed.
//! Knows no byte's meaning and no clock.

use std::io::{self, ErrorKind, Read as _, Write};

use bolillero_tls::rustls::{ClientConnection, Error, HandshakeKind};

use crate::config::Tls;

/// The most bytes that are sealed and wait to be sent.
const SEALED_SIZE_MAX: usize = 256 << 10;

/// The session of a connection.
pub(crate) struct Records {
    session: ClientConnection,
    /// What ended it. What was said before is opened first.
    fault: Option<Error>,
    /// The server has said that it says no more.
    closed: bool,
    /// Something was opened: the server takes us for who we are.
    heard: bool,
}

impl Records {
    /// A session that has said nothing yet: its first words are there to be flushed.
    ///
    /// # Errors
    /// No randomness can be had.
    pub(crate) fn new(tls: &Tls) -> Result<Self, Error> {
        let mut session = tls.connect()?;
        session.set_buffer_limit(Some(SEALED_SIZE_MAX));
        Ok(Self { session, fault: None, closed: false, heard: false })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the server has ended the session in order, and all it said is opened.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether something was opened on it.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Whether the handshake took up one of an earlier connection.
    pub(crate) fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes `sealed` and puts into `out` what was said in it; returns how much that is. Some of
    /// `sealed` is left only where `out` is full or the session has ended. In a handshake nothing is
    /// said, and there may be something to flush.
    ///
    /// # Errors
    /// What is wrong with what came, once all before it was put out.
    pub(crate) fn open(&mut self, sealed: &mut &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        loop {
            filled += self.take(&mut out[filled..]);
            let full = filled == out.len() && !self.is_handshaking();
            if full || sealed.is_empty() || self.closed || self.fault.is_some() {
                break;
            }
            // It takes what it has room for; a slice does not fail.
            let fed = self.session.read_tls(sealed);
            let opened = self.session.process_new_packets();
            self.fault = opened.err().or_else(|| fed.err().map(|e| Error::General(e.to_string())));
        }
        match &self.fault {
            Some(fault) if filled == 0 => Err(fault.clone()),
            _ => Ok(filled),
        }
    }

    /// Seals as much of `bytes` as may wait to be sent; returns how much that is. Nothing may be
    /// sealed in a handshake.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> usize {
        debug_assert!(!self.is_handshaking(), "nothing is said in a handshake");
        // It writes to memory only.
        self.session.writer().write(bytes).unwrap_or(0)
    }

    /// Writes what is sealed; returns once all is written.
    ///
    /// # Errors
    /// Whatever `to` fails with. What was not written stays.
    pub(crate) fn flush(&mut self, to: &mut impl Write) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(to) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more will be said. It has to be flushed.
    pub(crate) fn close(&mut self) {
        self.session.send_close_notify();
    }

    /// What is opened and not taken yet.
    fn take(&mut self, out: &mut [u8]) -> usize {
        if out.is_empty() {
            return 0;
        }
        match self.session.reader().read(out) {
            Ok(0) => self.closed = true,
            Ok(size) => {
                self.heard = true;
                return size;
            }
            // There is nothing.
            Err(_) => {}
        }
        0
    }
}
