//! A server on a free port, and a client that never waits for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use bolillero_server::driver::{self, Driver, Limits, Listener};
use bolillero_server::lifecycle::Lifecycle;
use bolillero_server::session::Service;
use socket2::{Domain, Socket, Type};

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) life: Lifecycle,
    ended: Option<Receiver<io::Result<()>>>,
}

impl Server {
    pub(crate) fn start(driver: Driver, service: impl Service + 'static, limits: Limits) -> Self {
        let socket = listen();
        let address = socket.local_addr().unwrap();
        let listeners = vec![Listener { socket, service: Arc::new(service) }];
        let life = Lifecycle::new();
        let its_life = life.clone();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || end.send(driver::run(driver, listeners, &limits, &its_life)));
        Self { address, life, ended: Some(ended) }
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_from(1)
    }

    /// See [`connect`].
    pub(crate) fn connect_from(&self, last: u8) -> Client {
        connect(self.address, last)
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn join(&mut self) {
        self.ended.take().unwrap().recv_timeout(PATIENCE).unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.life.stop();
        if self.ended.is_some() && !thread::panicking() {
            self.join();
        }
    }
}

/// Connects from the address that ends with `last`: all of 127.0.0.0/8 is this machine.
pub(crate) fn connect(server: SocketAddr, last: u8) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    Client(stream)
}

/// The standard library's backlog of 128 overflows when the test's threads hold the processors, and
/// then the kernel makes a client wait for a second.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    socket.into()
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).unwrap();
        assert!(got == bytes, "got {:?}, not {:?}", head(&got), head(bytes));
    }

    /// Everything up to the orderly end. A reset is a failure.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    /// As [`Client::rest`], for a connection that may also be cut.
    pub(crate) fn expect_cut(&mut self) {
        match self.0.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// Eight bytes, big-endian.
    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes).unwrap();
        u64::from_be_bytes(bytes)
    }

    /// The same connection for another thread.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }

    pub(crate) fn exchange(&mut self, line: &[u8]) {
        self.send(line);
        self.expect(line);
    }
}

fn head(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
