//! The references answer what they take, no more and no less, and the storing ones store just that.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const N_AGENCIES: usize = 4;
const N_BATCHES: usize = 60;
/// More than one read takes.
const N_LINES: usize = 300;
const N_CLIENTS: usize = 100;
const ACK: [u8; 5] = [2, 0, 0, 0, 0];
/// More than is sent at once, and of no round size.
const FILE: &[u8] = &[b'f'; 700_001];
const LIMIT: Duration = Duration::from_secs(30);

struct Reference {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Reference {
    fn start(kind: &str) -> Reference {
        Reference::start_in(tempfile::tempdir().unwrap(), kind)
    }

    /// With a file that is there before.
    fn start_with(kind: &str, file: &[u8]) -> Reference {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("batches"), file).unwrap();
        Reference::start_in(folder, kind)
    }

    fn start_in(folder: TempDir, kind: &str) -> Reference {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reference"))
            .args([kind, "--listen", "127.0.0.1:0", "--file"])
            .arg(folder.path().join("batches"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut reference = Reference { child, address: String::new(), folder };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        reference.address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        reference
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("batches")
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_packet_is_acknowledged_once_however_the_stream_is_cut() {
    for kind in ["null", "append", "sync-each", "group", "pipe"] {
        let reference = Reference::start(kind);
        thread::scope(|scope| {
            for agency in 1..=N_AGENCIES {
                let socket = reference.connect();
                scope.spawn(move || send_in_pieces(socket, agency, kind));
            }
        });
        if kind == "null" {
            assert!(!reference.file().exists());
        } else {
            assert_stored(&reference.file(), kind);
        }
    }
}

#[test]
fn every_connection_of_accept_is_answered_once() {
    let reference = Reference::start("accept");
    for index in 0..N_BATCHES {
        let mut socket = reference.connect();
        for piece in packet(3, &body(1, index)).chunks(7 + index) {
            socket.write_all(piece).unwrap();
        }
        assert_eq!(read_to_end(socket), ACK);
    }
}

#[test]
fn what_came_before_an_invalid_batch_is_answered_and_stored_alone() {
    let bad = body(1, 1).replacen("Paz", "", 1);
    for kind in ["append", "sync-each", "group", "pipe"] {
        let reference = Reference::start(kind);
        let mut socket = reference.connect();
        let good = body(1, 0);
        socket.write_all(&[packet(3, &good), packet(3, &bad)].concat()).unwrap();
        let answers = read_to_end(socket);
        assert_eq!(answers[..5], ACK, "{kind}");
        assert_eq!(answers[5], 4, "{kind}");
        assert_eq!(answers.len(), 10 + usize::from(answers[9]), "{kind}");
        assert_eq!(fs::read_to_string(reference.file()).unwrap(), good, "{kind}");
    }
}

#[test]
fn an_unknown_packet_is_refused_by_all() {
    for kind in ["null", "append", "sync-each", "group", "pipe", "accept"] {
        let reference = Reference::start(kind);
        let mut socket = reference.connect();
        socket.write_all(&packet(9, "1#1#")).unwrap();
        assert_eq!(read_to_end(socket)[0], 4, "{kind}");
    }
}

#[test]
fn the_file_is_sent_whole_to_whoever_says_anything() {
    let reference = Reference::start_with("stream", FILE);
    for word in ["x", "all\r\n"] {
        let mut socket = reference.connect();
        socket.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_to_end(socket), FILE);
    }
}

#[test]
fn every_line_is_answered_with_the_size_of_the_file() {
    let reply = format!("0 OK\r\n{}\r\n", FILE.len());
    for kind in ["reply", "replies"] {
        let reference = Reference::start_with(kind, FILE);
        let lines = "get_metadata results.bin\r\n".repeat(N_LINES);
        for size in [7, 4096, lines.len()] {
            let mut socket = reference.connect();
            for piece in lines.as_bytes().chunks(size) {
                socket.write_all(piece).unwrap();
            }
            socket.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_to_end(socket), reply.repeat(N_LINES).as_bytes(), "{kind} {size}");
        }
    }
}

#[test]
fn many_clients_of_replies_are_answered_at_once() {
    let reference = Reference::start_with("replies", FILE);
    let mut sockets: Vec<TcpStream> = (0..N_CLIENTS).map(|_| reference.connect()).collect();
    for _ in 0..3 {
        for socket in &mut sockets {
            socket.write_all(b"get_metadata f\r\n").unwrap();
        }
        for socket in &mut sockets {
            let mut reply = [0; 14];
            socket.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"0 OK\r\n700001\r\n");
        }
    }
}

/// Sends an agency's batches and its 5, in pieces that are cut anywhere, and reads the answers.
fn send_in_pieces(mut socket: TcpStream, agency: usize, kind: &str) {
    let mut stream = Vec::new();
    for index in 0..N_BATCHES {
        stream.extend(packet(3, &body(agency, index)));
    }
    stream.extend(packet(5, &format!("{agency}#")));
    let mut rest = &stream[..];
    let mut sizes = [1, 3, 97, 5, 1024, 4099].into_iter().cycle();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes.next().unwrap().min(rest.len()));
        socket.write_all(piece).unwrap();
        rest = behind;
    }
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(socket), ACK.repeat(N_BATCHES + 1), "{kind}, agency {agency}");
}

/// The file is all batches, each whole, those of an agency in their order.
fn assert_stored(path: &Path, kind: &str) {
    let stored = fs::read_to_string(path).unwrap();
    let mut rest = &stored[..];
    let mut next = BTreeMap::new();
    while !rest.is_empty() {
        let agency: usize = rest.split('#').nth(2).unwrap().parse().unwrap();
        let index = next.entry(agency).or_insert(0);
        rest = rest.strip_prefix(&body(agency, *index)).unwrap();
        *index += 1;
    }
    let expected = (1..=N_AGENCIES).map(|agency| (agency, N_BATCHES)).collect();
    assert_eq!(next, expected, "{kind}");
}

/// A batch, of another size with each index.
fn body(agency: usize, index: usize) -> String {
    let n_bets = 1 + index;
    let bets = (0..n_bets).map(|bet| {
        format!("@{bet}#{agency}#Ana Íñez#Paz#{}#1990-02-28#{bet}#", 30_000_000 + index)
    });
    format!("{n_bets}#{}", bets.collect::<String>())
}

fn packet(opcode: u8, data: &str) -> Vec<u8> {
    let mut packet = vec![opcode];
    packet.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    packet.extend(data.as_bytes());
    packet
}

fn read_to_end(mut socket: TcpStream) -> Vec<u8> {
    let mut answers = Vec::new();
    socket.read_to_end(&mut answers).unwrap();
    answers
}
