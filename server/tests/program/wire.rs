//! A client that writes and expects bytes as they stand in PROTOCOL.md. Uses nothing of the
//! programs' own encoding.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::process::PATIENCE;

/// What the server sends when it closes, and what acknowledges.
pub(crate) const CLOSE: [u8; 5] = [0, 0, 0, 0, 0];
pub(crate) const ACK: [u8; 5] = [2, 0, 0, 0, 0];
pub(crate) const BUSY: [u8; 5] = [8, 0, 0, 0, 0];
pub(crate) const CORRUPT: [u8; 5] = [0xff, 0, 0, 0, 0];
pub(crate) const NO_WINNERS: [u8; 6] = [7, 0, 0, 0, 1, b'#'];

/// Over a socket, or over TLS.
pub(crate) struct Wire<S = TcpStream>(pub(crate) S);

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends no more; still reads.
    pub(crate) fn half_close(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        self.0.read_exact(&mut read).unwrap();
        assert!(read == bytes, "{} instead of {}", read.escape_ascii(), bytes.escape_ascii());
    }

    pub(crate) fn exchange(&mut self, request: &[u8], reply: &[u8]) {
        self.send(request);
        self.expect(reply);
    }

    /// The opcode and the data of the next packet.
    pub(crate) fn packet(&mut self) -> (u8, String) {
        self.try_packet().unwrap()
    }

    /// The same, from a server that may die.
    pub(crate) fn try_packet(&mut self) -> io::Result<(u8, String)> {
        let mut header = [0; 5];
        self.0.read_exact(&mut header)?;
        let length = u32::from_be_bytes(header[1..].try_into().unwrap());
        let mut data = vec![0; length as usize];
        self.0.read_exact(&mut data)?;
        Ok((header[0], String::from_utf8(data).unwrap()))
    }

    /// Expects these bytes, then the orderly end.
    pub(crate) fn expect_last(&mut self, bytes: &[u8]) {
        let mut read = Vec::new();
        self.0.read_to_end(&mut read).unwrap();
        assert!(read == bytes, "{} instead of {}", read.escape_ascii(), bytes.escape_ascii());
    }

    /// Expects no byte more. The connection may have been cut.
    pub(crate) fn expect_end(&mut self) {
        let mut read = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut read) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert!(read.is_empty(), "{}", read.escape_ascii());
    }
}

pub(crate) fn packet(opcode: u8, data: &str) -> Vec<u8> {
    let mut packet = vec![opcode];
    packet.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(data.as_bytes());
    packet
}

/// Opcode 3 with `bets` bets of an agency. Documents count up from `first`.
pub(crate) fn batch(agency: u32, first: u32, bets: u32) -> Vec<u8> {
    packet(3, &batch_body(agency, first, bets))
}

pub(crate) fn batch_body(agency: u32, first: u32, bets: u32) -> String {
    let mut body = format!("{bets}#");
    for index in 0..bets {
        let document = first + index;
        body.push_str(&format!("@{index}#{agency}#Ana#Paz#{document}#1990-01-01#{}#", index % 10));
    }
    body
}

/// The rows that `export` gives for such a batch.
pub(crate) fn batch_rows(agency: u32, first: u32, bets: u32) -> String {
    let row = |index| format!("{agency},Ana,Paz,{},1990-01-01,{}\r\n", first + index, index % 10);
    (0..bets).map(row).collect()
}
