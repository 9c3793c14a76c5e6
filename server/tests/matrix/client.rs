//! A client that never waits for ever, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bolillero_tls::rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, SockRef, Socket, Type};

use crate::certificates::client_config;
use crate::harness::PATIENCE;
use crate::secure::Tls;

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    tls: Option<Arc<Tls>>,
}

/// Connects from the address that ends with `last`: all of 127.0.0.0/8 is this machine.
pub(crate) fn socket_from(last: u8, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    // Who binds needs a port that is free towards everybody, of which thousands of connections leave few.
    if last != 1 {
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    }
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// That of clients who show no certificate.
pub(crate) static NAMELESS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client_config(None));

impl Client {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// One that begins a handshake, and goes on with it when it reads. What it sends before leaves
    /// behind it.
    pub(crate) fn secured(socket: TcpStream, config: &Arc<ClientConfig>) -> Self {
        let tls = Tls::new(Arc::clone(config));
        tls.say(&socket, |_| {}).unwrap();
        Self::over(socket, tls)
    }

    /// One that has begun a handshake.
    pub(crate) fn over(socket: TcpStream, tls: Tls) -> Self {
        Self { socket, tls: Some(Arc::new(tls)) }
    }

    /// Waits until it is let in, which without TLS nobody can tell.
    pub(crate) fn shake_hands(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.shake_hands(&self.socket))
    }

    pub(crate) fn tls(&self) -> &Tls {
        self.tls.as_ref().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match &self.tls {
            None => self.socket.write_all(bytes).unwrap(),
            Some(tls) => tls
                .say(&self.socket, |connection| connection.writer().write_all(bytes).unwrap())
                .unwrap(),
        }
    }

    /// The records of these bytes, which are left to be sent.
    pub(crate) fn records(&self, bytes: &[u8]) -> Vec<u8> {
        self.tls().records(|connection| connection.writer().write_all(bytes).unwrap())
    }

    /// Goes on under other keys.
    pub(crate) fn change_keys(&self) {
        let change = |connection: &mut ClientConnection| connection.refresh_traffic_keys().unwrap();
        self.tls().say(&self.socket, change).unwrap();
    }

    /// Has its end be a reset.
    pub(crate) fn reset_when_dropped(&self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends no more, and says so.
    pub(crate) fn end(&self) {
        if let Some(tls) = &self.tls {
            tls.say(&self.socket, |connection| connection.send_close_notify()).unwrap();
        }
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.read_exact(&mut got).unwrap();
        assert!(got == bytes, "got {:?}, not {:?}", head(&got), head(bytes));
    }

    /// Everything up to the orderly end. A reset is a failure, and under TLS an end that was not said.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).unwrap();
        rest
    }

    /// As [`Client::rest`], for a connection that may also be cut.
    pub(crate) fn expect_cut(&mut self) {
        if let Err(error) = self.read_to_end(&mut Vec::new()) {
            let unsaid = self.tls.is_some() && error.kind() == ErrorKind::UnexpectedEof;
            assert!(unsaid || error.kind() == ErrorKind::ConnectionReset, "{error}");
        }
    }

    /// Whoever there is no room for is told so where there is no TLS. Under TLS no byte comes: there
    /// is nothing it would understand.
    pub(crate) fn expect_turned_away(&mut self, told: &[u8]) {
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, if self.tls.is_some() { b"" } else { told });
    }

    /// Eight bytes, big-endian.
    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.read_exact(&mut bytes).unwrap();
        u64::from_be_bytes(bytes)
    }

    /// Up to and with the next line feed.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            self.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line
    }

    pub(crate) fn send_packet(&mut self, opcode: u8, data: &str) {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        self.send(&[&[opcode], &length[..], data.as_bytes()].concat());
    }

    /// The opcode and the data of the next packet.
    pub(crate) fn packet(&mut self) -> (u8, String) {
        let mut header = [0; 5];
        self.read_exact(&mut header).unwrap();
        let [opcode, length @ ..] = header;
        let mut data = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.read_exact(&mut data).unwrap();
        (opcode, String::from_utf8(data).unwrap())
    }

    pub(crate) fn exchange_packet(&mut self, opcode: u8, data: &str, answer: (u8, &str)) {
        self.send_packet(opcode, data);
        let (opcode, data) = self.packet();
        assert_eq!((opcode, data.as_str()), answer);
    }

    /// The same connection for another thread.
    pub(crate) fn share(&self) -> Self {
        Self { socket: self.socket.try_clone().unwrap(), tls: self.tls.clone() }
    }

    pub(crate) fn exchange(&mut self, line: &[u8]) {
        self.send(line);
        self.expect(line);
    }
}

impl Read for Client {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.read(bytes),
            Some(tls) => tls.read(&self.socket, bytes),
        }
    }
}

fn head(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
