//! The same under TLS.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bolillero_tls::authority::{Authority, Validity};
use bolillero_tls::client::{self, ClientFiles};
use bolillero_tls::rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use bolillero_tls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::FILE;
use super::support::stream_of;
use super::support::{ACK, N_AGENCIES, N_BATCHES, Reference, assert_stored, body, packet, pieces};

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A reference with a certificate, and a client that trusts it.
pub(crate) struct Secured {
    pub(crate) reference: Reference,
    client: Arc<ClientConfig>,
}

impl Secured {
    pub(crate) fn start(kind: &str) -> Secured {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("batches"), if kind == "stream" { FILE } else { b"" })
            .unwrap();
        let [ca, cert, key] = ["ca", "cert", "key"].map(|name| folder.path().join(name));
        issue(&ca, &cert, &key);
        let client = client::load(&ClientFiles { ca, identity: None }).unwrap();
        let mut all = vec![OsStr::new("--tls-cert"), cert.as_ref()];
        all.extend([OsStr::new("--tls-key"), key.as_ref()]);
        Secured { reference: Reference::start_in(folder, kind, &all), client }
    }

    pub(crate) fn connect(&self) -> Stream {
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([127, 0, 0, 1])));
        let tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        StreamOwned::new(tls, self.reference.connect())
    }
}

fn issue(ca: &Path, cert: &Path, key: &Path) {
    let validity = Validity::of(Duration::from_hours(1));
    let (authority, itself) = Authority::generate(validity).unwrap();
    let server = authority.server(&["127.0.0.1".to_owned()], validity).unwrap();
    for (path, text) in [(ca, itself.cert), (cert, server.cert), (key, server.key)] {
        fs::write(path, text).unwrap();
    }
}

#[test]
fn every_packet_is_acknowledged_once_however_the_stream_is_cut() {
    for kind in ["null", "append", "sync-each", "group", "pipe"] {
        let secured = Secured::start(kind);
        thread::scope(|scope| {
            for agency in 1..=N_AGENCIES {
                let stream = secured.connect();
                scope.spawn(move || send_in_pieces(stream, agency, kind));
            }
        });
        if kind != "null" {
            assert_stored(&secured.reference.file(), kind);
        }
    }
}

#[test]
fn every_connection_of_accept_is_answered_once() {
    for kind in ["accept", "accepts"] {
        let secured = Secured::start(kind);
        for index in 0..N_BATCHES {
            let mut stream = secured.connect();
            stream.write_all(&packet(3, &body(1, index))).unwrap();
            assert_eq!(read_to_end(stream), ACK);
        }
    }
}

#[test]
fn the_file_is_sent_whole_to_whoever_says_anything() {
    let secured = Secured::start("stream");
    for word in ["x", "all\r\n"] {
        let mut stream = secured.connect();
        stream.write_all(word.as_bytes()).unwrap();
        assert!(read_to_end(stream) == FILE);
    }
}

#[test]
fn who_speaks_no_tls_is_not_answered() {
    for kind in ["group", "accept", "stream", "room"] {
        let secured = Secured::start(kind);
        let mut socket = secured.reference.connect();
        socket.write_all(&packet(5, "1#")).unwrap();
        let mut answer = Vec::new();
        // How it ends is up to the kernel.
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(&ACK[..1]), "{kind}: {answer:?}");
    }
}

/// As without TLS. Their end is not said: answers are counted.
fn send_in_pieces(mut stream: Stream, agency: usize, kind: &str) {
    for piece in pieces(&stream_of(agency)) {
        stream.write_all(piece).unwrap();
    }
    let mut answers = [0; ACK.len() * (N_BATCHES + 1)];
    stream.read_exact(&mut answers).unwrap();
    assert_eq!(answers[..], ACK.repeat(N_BATCHES + 1), "{kind}, agency {agency}");
}

/// A stream that is cut off is an error.
fn read_to_end(mut stream: Stream) -> Vec<u8> {
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    answers
}
