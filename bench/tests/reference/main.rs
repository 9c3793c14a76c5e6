//! The references answer what they take, no more and no less, and the storing ones store just that.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends there.

mod room;
mod support;
mod tls;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use support::{
    ACK, N_AGENCIES, N_BATCHES, Reference, assert_stored, body, packet, pieces, stream_of,
};

/// More than one read takes.
const N_LINES: usize = 300;
const N_CLIENTS: usize = 100;
/// More than is sent at once, and of no round size.
const FILE: &[u8] = &[b'f'; 700_001];

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
    for kind in ["accept", "accepts"] {
        let reference = Reference::start(kind);
        for index in 0..N_BATCHES {
            let mut socket = reference.connect();
            for piece in packet(3, &body(1, index)).chunks(7 + index) {
                socket.write_all(piece).unwrap();
            }
            assert_eq!(read_to_end(socket), ACK);
        }
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
    for piece in pieces(&stream_of(agency)) {
        socket.write_all(piece).unwrap();
    }
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(socket), ACK.repeat(N_BATCHES + 1), "{kind}, agency {agency}");
}

fn read_to_end(mut socket: TcpStream) -> Vec<u8> {
    let mut answers = Vec::new();
    socket.read_to_end(&mut answers).unwrap();
    answers
}
