//! The client's end of TLS over a blocking socket. It looks at one record at a time, and may be used
//! by several threads: nobody waits for the socket with the lock that another needs.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use bolillero_tls::rustls::pki_types::ServerName;
use bolillero_tls::rustls::{ClientConfig, ClientConnection};

/// Bytes of the socket, of which some are done with.
#[derive(Default)]
struct Came {
    bytes: Vec<u8>,
    taken: usize,
}

/// One connection's TLS.
pub(crate) struct Tls {
    connection: Mutex<ClientConnection>,
    /// What came and was not looked at yet. Who reads has it, also while it waits for more.
    came: Mutex<Came>,
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
            self.take(socket, &mut came)?.ok_or(ErrorKind::UnexpectedEof)?;
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

    /// What the next record carries, as far as it is not read yet: nothing, where it is none of the
    /// service's. `None` at the end.
    pub(crate) fn record(&self, socket: &TcpStream) -> io::Result<Option<Vec<u8>>> {
        let mut came = self.came.lock().unwrap();
        let Some(count) = self.take(socket, &mut came)? else { return Ok(None) };
        let mut carried = vec![0; count];
        self.with(|connection| connection.reader().read_exact(&mut carried))?;
        Ok(Some(carried))
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

    /// Has the connection look at the next record; says how many bytes there are to read then. `None`
    /// at the end.
    fn take(&self, socket: &TcpStream, came: &mut Came) -> io::Result<Option<usize>> {
        let mut record = came.next(socket)?;
        let is_end = record.is_empty();
        let (processed, answers) = self.with(|connection| {
            // Once also at the end, which is empty.
            while connection.read_tls(&mut record)? > 0 && !record.is_empty() {}
            let processed = connection.process_new_packets().map_err(io::Error::other);
            io::Result::Ok((processed, connection.wants_write()))
        })?;
        if answers {
            self.say(socket, |_| {})?;
        }
        processed.map(|state| (!is_end).then_some(state.plaintext_bytes_to_read()))
    }
}

impl Came {
    /// The next record; at the end of the socket what there is of one.
    fn next(&mut self, mut socket: &TcpStream) -> io::Result<&[u8]> {
        let mut bytes = vec![0; 64 << 10];
        let count = loop {
            let left = &self.bytes[self.taken..];
            if let [_, _, _, high, low, ..] = *left {
                let count = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
                if left.len() >= count {
                    break count;
                }
            }
            let count = socket.read(&mut bytes)?;
            if count == 0 {
                break left.len();
            }
            self.bytes.drain(..self.taken);
            self.taken = 0;
            self.bytes.extend_from_slice(&bytes[..count]);
        };
        let start = self.taken;
        self.taken += count;
        Ok(&self.bytes[start..self.taken])
    }
}

const HEADER_BYTES: usize = 5;
