//! The client's end of TLS over a blocking socket, for several threads: nobody waits for the socket
//! with the lock that another needs.

use std::io::{self, Cursor, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use bolillero_tls::rustls::pki_types::ServerName;
use bolillero_tls::rustls::{ClientConfig, ClientConnection};

/// One connection's TLS.
pub(crate) struct Tls {
    connection: Mutex<ClientConnection>,
    /// What came and was not looked at yet. Who reads has it, also while it waits for more.
    came: Mutex<Cursor<Vec<u8>>>,
    /// Who sends has it until all has left, so that records leave in their order.
    sending: Mutex<()>,
}

impl Tls {
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut connection = ClientConnection::new(config, name).unwrap();
        connection.set_buffer_limit(None);
        Self {
            connection: Mutex::new(connection),
            came: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    /// Waits until the handshake is done, as far as a client knows.
    pub(crate) fn shake_hands(&self, socket: &TcpStream) -> io::Result<()> {
        let mut came = self.came.lock().unwrap();
        while self.with(|connection| connection.is_handshaking()) {
            if !self.take(socket, &mut came)? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// As that of a socket: 0 is the end that the other side has said, and one that it has not said
    /// is an error.
    pub(crate) fn read(&self, socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        let mut came = self.came.lock().unwrap();
        loop {
            match self.with(|connection| connection.reader().read(bytes)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.take(socket, &mut came)?;
        }
    }

    /// Sends what `change` has the connection say. Within the handshake it leaves behind it.
    pub(crate) fn say(
        &self,
        mut socket: &TcpStream,
        change: impl FnOnce(&mut ClientConnection),
    ) -> io::Result<()> {
        let _sending = self.sending.lock().unwrap();
        socket.write_all(&self.records(change))
    }

    /// What `change` has the connection say, which is left to be sent.
    pub(crate) fn records(&self, change: impl FnOnce(&mut ClientConnection)) -> Vec<u8> {
        let mut records = Vec::new();
        self.with(|connection| {
            change(connection);
            while connection.wants_write() {
                connection.write_tls(&mut records).unwrap();
            }
        });
        records
    }

    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut ClientConnection) -> T) -> T {
        what(&mut self.connection.lock().unwrap())
    }

    /// Has the connection look at some of what came, or of what comes. False at the end.
    fn take(&self, mut socket: &TcpStream, came: &mut Cursor<Vec<u8>>) -> io::Result<bool> {
        if came.position() == came.get_ref().len() as u64 {
            let mut bytes = vec![0; 64 << 10];
            let count = socket.read(&mut bytes)?;
            bytes.truncate(count);
            *came = Cursor::new(bytes);
        }
        let taken = self.with(|connection| {
            let count = connection.read_tls(came)?;
            let processed = connection.process_new_packets();
            io::Result::Ok((count, processed.map_err(io::Error::other), connection.wants_write()))
        });
        let (count, processed, answers) = taken?;
        if answers {
            self.say(socket, |_| {})?;
        }
        processed.map(|_| count > 0)
    }
}
