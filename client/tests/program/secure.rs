//! Certificates, and a relay that speaks TLS before a server that does not: what is known of plain
//! servers can be seen under TLS, with whatever manners.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bolillero_tls::Identity;
use bolillero_tls::authority::{Authority, Issued, Validity};
use bolillero_tls::rustls::{HandshakeKind, ServerConfig, ServerConnection};
use bolillero_tls::server::{Admission, ServerFiles, ServerTls};
use tempfile::TempDir;

use crate::setting::TIME_MAX;

const DAY: Duration = Duration::from_hours(24);

/// A directory of certificates, by an authority of its own.
pub(crate) struct Papers {
    directory: TempDir,
    authority: Authority,
}

impl Papers {
    /// Those of a server on the loopback, and of agency 1.
    pub(crate) fn new() -> Self {
        let (authority, ca) = Authority::generate(Validity::of(DAY)).unwrap();
        let papers = Self { directory: tempfile::tempdir().unwrap(), authority };
        papers.keep("ca", &ca);
        papers.serve_as("127.0.0.1", Validity::of(DAY));
        papers.keep("agency-1", &papers.authority.agency(1, Validity::of(DAY)).unwrap());
        papers
    }

    /// Has the server go by another name, or for another time.
    pub(crate) fn serve_as(&self, name: &str, validity: Validity) {
        self.keep("server", &self.authority.server(&[name.to_owned()], validity).unwrap());
    }

    /// A client's certificate that names nobody, or somebody else.
    pub(crate) fn name(&self, whose: &str, uris: &[String]) {
        self.keep(whose, &self.authority.client(whose, uris, Validity::of(DAY)).unwrap());
    }

    fn keep(&self, whose: &str, Issued { cert, key }: &Issued) {
        fs::write(self.path(&format!("{whose}.pem")), cert).unwrap();
        fs::write(self.path(&format!("{whose}-key.pem")), key).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Options of who trusts the authority.
    pub(crate) fn trusting(&self) -> Vec<String> {
        ["--tls", "--ca", &self.path("ca.pem")].map(str::to_owned).to_vec()
    }

    /// Options of who trusts it, and shows this certificate.
    pub(crate) fn showing(&self, whose: &str) -> Vec<String> {
        let [cert, key] = ["", "-key"].map(|part| self.path(&format!("{whose}{part}.pem")));
        let shown = ["--cert", &cert, "--key", &key].map(str::to_owned);
        [self.trusting(), shown.to_vec()].concat()
    }

    /// What a server's handshakes keep to.
    pub(crate) fn config(&self, admission: Admission) -> ServerConfig {
        let [cert, key] = ["server.pem", "server-key.pem"].map(|name| self.path(name).into());
        let files = ServerFiles {
            identity: Identity { cert, key },
            client_ca: Some(self.path("ca.pem").into()),
        };
        ServerConfig::clone(&ServerTls::load(&files).unwrap().config(admission))
    }
}

/// How a relay speaks TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// Whom it lets in.
    pub(crate) admission: Admission,
    /// The most bytes of a record, with its header.
    pub(crate) record_size_max: Option<usize>,
    /// The most bytes that leave in one write.
    pub(crate) write_size_max: usize,
    /// The pause after each write in a handshake, and after each behind it.
    pub(crate) pauses: [Duration; 2],
    /// So many connections are as told; those behind them have good manners.
    pub(crate) connections: usize,
    /// Whether it says that a connection ends.
    pub(crate) says_goodbye: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            admission: Admission::Anyone,
            record_size_max: None,
            write_size_max: usize::MAX,
            pauses: [Duration::ZERO; 2],
            connections: usize::MAX,
            says_goodbye: true,
        }
    }
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// Its handshake is done.
    Shaken(HandshakeKind),
    /// Its handshake came to nothing.
    Refused,
    /// The client said that it says no more.
    Goodbye,
}

/// The relay.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) events: Receiver<Event>,
}

impl Relay {
    pub(crate) fn new(papers: &Papers, to: SocketAddr, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = papers.config(manners.admission);
        config.max_fragment_size = manners.record_size_max;
        let (config, (tell, events)) = (Arc::new(config), channel());
        // The threads end with the test's process; each of their reads is bounded in time.
        thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let admission = manners.admission;
                let polite = Manners { admission, ..Manners::default() };
                let manners = if n < manners.connections { manners } else { polite };
                let (stream, config, tell) = (stream.unwrap(), config.clone(), tell.clone());
                thread::spawn(move || carry(&stream, to, config, manners, &tell));
            }
        });
        Self { address, events }
    }

    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// What has happened so far.
    pub(crate) fn seen(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }
}

/// One connection: the client's end, and its session.
struct Carried {
    stream: TcpStream,
    session: Mutex<ServerConnection>,
    manners: Manners,
}

fn carry(
    stream: &TcpStream,
    to: SocketAddr,
    config: Arc<ServerConfig>,
    manners: Manners,
    tell: &Sender<Event>,
) {
    stream.set_read_timeout(Some(TIME_MAX)).unwrap();
    stream.set_nodelay(true).unwrap();
    let session = Mutex::new(ServerConnection::new(config).unwrap());
    let client = Arc::new(Carried { stream: stream.try_clone().unwrap(), session, manners });
    // Whoever listens may have seen enough.
    let say = |event| {
        let _ = tell.send(event);
    };
    let mut said = Vec::new();
    while client.session.lock().unwrap().is_handshaking() {
        if client.receive(&mut said).is_err() {
            say(Event::Refused);
            return client.end();
        }
    }
    say(Event::Shaken(client.session.lock().unwrap().handshake_kind().unwrap()));
    let Ok(mut server) = TcpStream::connect(to) else { return };
    let (its_client, from) = (client.clone(), server.try_clone().unwrap());
    thread::spawn(move || its_client.answer(from));
    // A client may have said something with the last of its handshake.
    while server.write_all(&said).is_ok() {
        said.clear();
        match client.receive(&mut said) {
            Ok(Came::Bytes) => {}
            Ok(Came::Goodbye) => {
                say(Event::Goodbye);
                break;
            }
            Err(_) => break,
        }
    }
    // The thread that answers hears of it.
    let _ = server.shutdown(Shutdown::Both);
}

enum Came {
    Bytes,
    Goodbye,
}

impl Carried {
    /// Reads once, and appends what was said.
    fn receive(&self, said: &mut Vec<u8>) -> io::Result<Came> {
        let mut bytes = [0; 16 << 10];
        let size = (&self.stream).read(&mut bytes)?;
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut session = self.session.lock().unwrap();
        let (mut came, mut state) = (&bytes[..size], None);
        while !came.is_empty() && state.is_none() {
            session.read_tls(&mut came)?;
            let processed = session.process_new_packets();
            self.send(&mut session)?;
            let processed = processed.map_err(io::Error::other)?;
            let mut opened = vec![0; processed.plaintext_bytes_to_read()];
            session.reader().read_exact(&mut opened)?;
            said.extend(opened);
            state = processed.peer_has_closed().then_some(Came::Goodbye);
        }
        Ok(state.unwrap_or(Came::Bytes))
    }

    /// Passes on what a server says, to its end.
    fn answer(&self, mut from: TcpStream) {
        from.set_read_timeout(Some(TIME_MAX)).unwrap();
        let mut bytes = vec![0; 256 << 10];
        while let Ok(size @ 1..) = from.read(&mut bytes) {
            let mut session = self.session.lock().unwrap();
            session.set_buffer_limit(None);
            session.writer().write_all(&bytes[..size]).unwrap();
            if self.send(&mut session).is_err() {
                return;
            }
        }
        if self.manners.says_goodbye {
            let mut session = self.session.lock().unwrap();
            session.send_close_notify();
            let _ = self.send(&mut session);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn send(&self, session: &mut ServerConnection) -> io::Result<()> {
        let mut sealed = Vec::new();
        let pause = self.manners.pauses[usize::from(!session.is_handshaking())];
        while session.wants_write() {
            session.write_tls(&mut sealed)?;
        }
        for piece in sealed.chunks(self.manners.write_size_max) {
            (&self.stream).write_all(piece)?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Ends it so that what was said last arrives.
    fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = (&self.stream).read_to_end(&mut Vec::new());
    }
}
