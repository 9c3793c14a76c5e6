//! Certificates for one measurement, and clients of this program that speak TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bolillero_tls::authority::{Authority, Validity};
use bolillero_tls::client::{self, ClientFiles};
use bolillero_tls::rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use bolillero_tls::rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::args::Bench;
use super::network::connect;
use super::rows::Channel;

/// No measurement takes longer.
const VALID: Duration = Duration::from_hours(24);
/// What is read off a socket at once.
const SEALED_BYTES: usize = 256 << 10;
/// Where every server of a measurement is.
const ADDRESS: [u8; 4] = [127, 0, 0, 1];

/// Files of an authority, and of a server that it vouches for.
#[derive(Debug)]
pub(crate) struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    /// Makes new ones, in place of what was there.
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let validity = Validity::of(VALID);
        let (authority, own) = Authority::generate(validity).context("making certificates")?;
        let server = authority.server(&[std::net::Ipv4Addr::from(ADDRESS).to_string()], validity);
        let server = server.context("making certificates")?;
        let made = Self { directory: directory.to_owned() };
        for (path, text) in
            [(made.ca(), own.cert), (made.cert(), server.cert), (made.key(), server.key)]
        {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(made)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join("server.key")
    }

    /// What a client keeps to that trusts the authority. It remembers sessions, and resumes them.
    pub(crate) fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        Ok(client::load(&ClientFiles { ca: self.ca(), identity: None })?)
    }
}

/// A connection of a client in blocking calls, whatever is around it.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A client that knows whom it speaks to, and waits for nothing too long.
pub(crate) fn connect_over(
    bench: &Bench,
    channel: Channel,
    address: &str,
) -> anyhow::Result<Box<dyn Stream>> {
    let socket = connect(address)?;
    Ok(match channel {
        Channel::Plain => Box::new(socket),
        Channel::Tls => {
            let mut secure = Secure::new(&bench.certificates.client()?, socket)?;
            secure.shake_hands()?;
            Box::new(secure)
        }
    })
}

/// A client's connection under TLS, that reads much more than a record at once: what it costs the
/// client is to hold the server up as little as can be.
pub(crate) struct Secure {
    tls: ClientConnection,
    socket: TcpStream,
    /// What was read, and how much of it was taken.
    sealed: Box<[u8]>,
    taken: usize,
    end: usize,
}

impl Secure {
    pub(crate) fn new(config: &Arc<ClientConfig>, socket: TcpStream) -> anyhow::Result<Self> {
        let sealed = vec![0; SEALED_BYTES].into_boxed_slice();
        Ok(Self { tls: session(config)?, socket, sealed, taken: 0, end: 0 })
    }

    /// Waits until both sides know each other. What the server says next may have come as well.
    pub(crate) fn shake_hands(&mut self) -> anyhow::Result<()> {
        self.flush().context("shaking hands")?;
        while self.tls.is_handshaking() {
            let more = self.receive().context("shaking hands")?;
            ensure!(more, "the server closed within the handshake");
            self.flush().context("shaking hands")?;
        }
        Ok(())
    }

    /// Whether the session is one from before, gone on with.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether a read that did not fill its buffer may not have been the last.
    pub(crate) fn holds_more(&self) -> bool {
        self.taken < self.end || self.end == self.sealed.len()
    }

    /// Says that nothing more is said.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush()
    }

    /// Takes some records, off the socket where none are left. False where there are no more.
    fn receive(&mut self) -> io::Result<bool> {
        if self.taken == self.end {
            (self.taken, self.end) = (0, self.socket.read(&mut self.sealed)?);
        }
        let mut sealed = &self.sealed[self.taken..self.end];
        if sealed.is_empty() {
            return Ok(false);
        }
        self.tls.read_tls(&mut sealed)?;
        self.taken = self.end - sealed.len();
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(!state.peer_has_closed() || state.plaintext_bytes_to_read() > 0)
    }
}

impl Read for Secure {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if !self.receive()? {
                return Ok(0);
            }
        }
    }
}

impl Write for Secure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.tls.writer().write(bytes)?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

/// The session of a client that connects to a server of this measurement.
pub(crate) fn session(config: &Arc<ClientConfig>) -> anyhow::Result<ClientConnection> {
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from(ADDRESS)));
    let mut session = ClientConnection::new(Arc::clone(config), name).context("beginning TLS")?;
    session.set_buffer_limit(None);
    Ok(session)
}
