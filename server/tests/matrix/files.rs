//! The file service over the wire: what it promises holds under each driver.

use std::fs;
use std::io;
use std::sync::Arc;

use bolillero_server::driver::Limits;
use bolillero_server::files::directory::{Content, Directory, Folder, Reach};
use bolillero_server::files::{Files, FilesLimits};
use tempfile::TempDir;

use crate::client::Client;
use crate::gate::Gate;
use crate::harness::{Cell, PATIENCE, Server};
use crate::limits;
use crate::vectors::{blocks, bytes};

const HELP: &[u8] =
    b"0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n";

/// A server of the golden vectors' files and `data`, which has [`data`].
fn start(cell: Cell) -> (Server, TempDir) {
    let place = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("hello.txt", b"hello, world!".as_slice()),
        ("empty.bin", b""),
        ("Z_9-a.tar.gz", b"\xff\xfe\x00\r\n"),
    ] {
        fs::write(place.path().join(name), content).unwrap();
    }
    let directory = Directory::create(place.path()).unwrap();
    (Server::start(cell, service(directory), limits()), place)
}

fn service(folder: impl Folder + 'static) -> Files {
    Files::new(Arc::new(folder), FilesLimits::default()).unwrap()
}

/// Bytes of which no two pieces are the same.
fn data() -> Vec<u8> {
    (0_u32..).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).take(6 << 20).collect()
}

fn header(size: usize) -> Vec<u8> {
    format!("0 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes()
}

pub(crate) fn every_file_command_is_answered_as_its_vector_says(cell: Cell) {
    let (server, _place) = start(cell);
    for block in blocks("hftp.txt") {
        let mut client = server.connect();
        client.send(&bytes(&block["command"]));
        client.expect(&bytes(&block["reply"]));
        if !block.contains_key("closes") {
            // It goes on.
            client.send(b"help\r\n");
            client.expect(HELP);
            client.end();
        }
        assert_eq!(client.rest(), b"", "{}", block["name"]);
    }
}

pub(crate) fn file_commands_in_single_bytes_or_in_one_go_are_answered_in_order(cell: Cell) {
    let (server, _place) = start(cell);
    let open = blocks("hftp.txt").into_iter().filter(|block| !block.contains_key("closes"));
    let open: Vec<_> = open.collect();
    let all = |key: &str| open.iter().flat_map(|block| bytes(&block[key])).collect::<Vec<u8>>();
    let (commands, replies) = (all("command"), all("reply"));
    let mut client = server.connect();
    client.send(&commands);
    client.expect(&replies);
    for byte in &commands {
        client.send(&[*byte]);
    }
    client.expect(&replies);
    client.send(&[&commands[..], b"quit\nhelp\r\n"].concat());
    client.expect(&replies);
    assert_eq!(client.rest(), b"100 BAD EOL\r\n");
}

pub(crate) fn slices_stream_to_a_reader_that_is_slow(cell: Cell) {
    let (server, place) = start(cell);
    let data = data();
    fs::write(place.path().join("data"), &data).unwrap();
    let mut client = server.connect();
    let size = data.len();
    // Several, so that the kernel's buffers do not hold them.
    let command = format!("get_slice data 0 {size} raw\r\n").repeat(3);
    client.send(command.as_bytes());
    client.send(b"get_slice hello.txt 0 5\r\n");
    for _ in 0..3 {
        client.expect(&header(size));
        for piece in data.chunks(10_000) {
            client.expect(piece);
        }
    }
    client.expect(b"0 OK\r\naGVsbG8=\r\n");
}

pub(crate) fn a_file_that_is_cut_short_while_it_is_sent_ends_the_connection(cell: Cell) {
    let (server, place) = start(cell);
    let (path, size) = (place.path().join("sparse"), 1_usize << 30);
    let file = fs::File::create(path).unwrap();
    file.set_len(size as u64).unwrap();
    let mut client = server.connect();
    client.send(format!("get_slice sparse 0 {size} raw\r\n").as_bytes());
    client.expect(&header(size));
    file.set_len(0).unwrap();
    let rest = client.rest();
    assert!(rest.len() < size && rest.iter().all(|byte| *byte == 0), "{} bytes", rest.len());
}

pub(crate) fn a_command_of_megabytes_is_answered_as_a_short_one(cell: Cell) {
    let (server, _place) = start(cell);
    let mut client = server.connect();
    let line = format!("get_metadata {}\r\nhelp\r\n", "A".repeat(5 << 20));
    client.send(line.as_bytes());
    client.expect(b"202 FILE NOT FOUND\r\n");
    client.expect(HELP);
    client.send(&vec![b'A'; (8 << 20) + 1]);
    assert_eq!(client.rest(), b"101 BAD REQUEST\r\n");
}

pub(crate) fn those_who_wait_for_a_blocked_disk_stop_nobody_else(cell: Cell) {
    let gate = Gate::default();
    let server = Server::start(cell, service(Blocked(gate.clone())), limits());
    let mut waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(b"help\r\nget_metadata a\r\n");
        client.expect(HELP);
    }
    gate.await_waiting(FilesLimits::default().readers);
    let mut other = server.connect();
    for _ in 0..20 {
        other.send(b"help\r\n");
        other.expect(HELP);
    }
    gate.open();
    for client in &mut waiting {
        client.expect(b"0 OK\r\n7\r\n");
    }
}

pub(crate) fn a_stop_answers_the_file_commands_that_had_arrived(cell: Cell) {
    let gate = Gate::default();
    let limits = Limits { drain_time_max: 10 * PATIENCE, ..limits() };
    let mut server = Server::start(cell, service(Blocked(gate.clone())), limits);
    let (mut silent, mut waiting) = (server.connect(), server.connect());
    silent.send(b"help\r\nhel");
    silent.expect(HELP);
    waiting.send(b"get_metadata a\r\n");
    gate.await_waiting(1);
    // It is not read: the session holds.
    waiting.send(b"help\r\nget_metadata a\r\n");
    server.life.stop();
    assert_eq!(silent.rest(), b"");
    drop(silent);
    gate.open();
    let replies = [b"0 OK\r\n7\r\n", HELP, b"0 OK\r\n7\r\n"].concat();
    assert_eq!(waiting.rest(), replies);
    drop(waiting);
    server.join();
}

/// A folder on a disk that answers nobody before its gate is opened.
struct Blocked(Gate);

impl Folder for Blocked {
    fn names(&self, _: usize) -> io::Result<Vec<String>> {
        self.0.pass();
        Ok(Vec::new())
    }

    fn size_of(&self, _: &str, reach: Reach) -> io::Result<u64> {
        if reach == Reach::Memory {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.pass();
        Ok(7)
    }

    fn open(&self, _: &str, _: Reach) -> io::Result<Box<dyn Content>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
