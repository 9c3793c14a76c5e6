//! Handshakes that are done, that are not, and that are none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bolillero_server::driver::Limits;
use bolillero_server::echo::Echo;
use bolillero_tls::rustls::HandshakeKind;
use bolillero_tls::server::Admission;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{VERSIONS, of_version};
use crate::client::{Client, NAMELESS, socket_from};
use crate::ending::owing;
use crate::harness::{Cell, PATIENCE, Server, secure};
use crate::limits;
use crate::secure::Tls;
use crate::text::Office;

pub(crate) fn silent_handshakes_stop_nobody_and_end_at_their_deadline(cell: Cell) {
    let time_max = Duration::from_secs(2);
    let service = secure(Arc::new(Echo::default()), Admission::Anyone, time_max);
    let server = Server::serve(cell, service, limits());
    // Once somebody is served the limit on descriptors, which the clients need too, is raised.
    server.connect().exchange(b"ready\n");
    let hello = hello();
    let silent = |number: usize| {
        let start = Instant::now();
        let mut socket = socket_from(1, server.address);
        socket.write_all(&hello[..number % 2 * hello.len() / 2]).unwrap();
        (start, socket)
    };
    let mut silent: Vec<_> = (0..300).map(silent).collect();
    for _ in 0..20 {
        server.connect().exchange(b"meanwhile\n");
    }
    while !silent.is_empty() {
        let mut closed = wait_for_some(&silent).into_iter();
        silent.retain_mut(|(start, socket)| {
            let is_closed = closed.next().unwrap();
            if is_closed {
                assert!(start.elapsed() >= time_max, "after {:?}", start.elapsed());
                assert_eq!(socket.read(&mut [0]).unwrap(), 0);
            }
            !is_closed
        });
    }
    server.connect().exchange(b"afterwards\n");
}

/// Which of them have something to be read, once some have.
fn wait_for_some(sockets: &[(Instant, TcpStream)]) -> Vec<bool> {
    let sockets = sockets.iter();
    let mut watched: Vec<_> =
        sockets.map(|(_, socket)| PollFd::new(socket, PollFlags::IN)).collect();
    let time_max = Timespec::try_from(PATIENCE).unwrap();
    assert!(poll(&mut watched, Some(&time_max)).unwrap() > 0, "none is closed");
    watched.iter().map(|watched| !watched.revents().is_empty()).collect()
}

/// Nobody waits for the hour that handshakes have here.
pub(crate) fn what_is_no_handshake_is_answered_by_an_alert_at_once(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut witness = server.connect();
    for sent in [&b"a line\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x03", b"\x17\x03\x03", b"\x80\x2e"]
    {
        let mut socket = socket_from(1, server.address);
        socket.write_all(sent).unwrap();
        let mut answered = Vec::new();
        socket.read_to_end(&mut answered).unwrap();
        assert_eq!(answered, [21, 3, 3, 0, 2, 2, 10], "{sent:?}");
        witness.exchange(b"still here\n");
    }
    server.connect().exchange(b"afterwards\n");
}

pub(crate) fn a_handshake_with_a_lottery_without_tls_is_a_corrupt_packet(cell: Cell) {
    let office = Office::start(Cell { tls: false, ..cell }, &[]);
    let mut witness = office.packets();
    let mut stranger = socket_from(1, office.packets);
    stranger.write_all(&hello()).unwrap();
    let mut answered = Vec::new();
    stranger.read_to_end(&mut answered).unwrap();
    assert_eq!(answered, b"\xff\0\0\0\0");
    witness.exchange_packet(3, "0#", (2, ""));
}

pub(crate) fn clients_of_either_version_are_served(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    for version in VERSIONS {
        let mut client =
            Client::secured(socket_from(1, server.address), &of_version(version, None));
        client.exchange(b"hello\n");
        let spoken = client.tls().with(|connection| connection.protocol_version());
        assert_eq!(spoken, Some(version.version));
        client.end();
        assert_eq!(client.rest(), b"");
    }
}

pub(crate) fn a_client_that_comes_again_shakes_hands_faster(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    for version in VERSIONS {
        let config = of_version(version, None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = Client::secured(socket_from(1, server.address), &config);
            client.exchange(b"hello\n");
            let shaken = client.tls().with(|connection| connection.handshake_kind());
            assert_eq!(shaken, Some(kind), "{:?}", version.version);
        }
    }
}

pub(crate) fn a_stop_cuts_handshakes_and_says_its_end_to_those_who_are_owed(cell: Cell) {
    let (mailboxes, owed) = mpsc::channel();
    let allowed = Arc::new(AtomicBool::new(false));
    let limits = Limits { drain_time_max: 10 * PATIENCE, ..limits() };
    let mut server = Server::start(cell, owing(mailboxes, Arc::clone(&allowed)), limits);
    let hello = hello();
    let sockets = [0, hello.len() / 2, hello.len()].map(|sent| {
        let mut socket = socket_from(1, server.address);
        socket.write_all(&hello[..sent]).unwrap();
        socket
    });
    // Who came before these is inside.
    let (mut silent, mut waiting) = (server.connect(), server.connect());
    silent.exchange(b"x");
    waiting.exchange(b"o");
    let mailbox = owed.recv_timeout(PATIENCE).unwrap();
    server.life.stop();
    for mut socket in sockets {
        socket.read_to_end(&mut Vec::new()).unwrap();
    }
    assert_eq!(silent.rest(), b"bye");
    drop(silent);
    allowed.store(true, Ordering::Release);
    mailbox.news();
    assert_eq!(waiting.rest(), b"done");
    drop(waiting);
    server.join();
}

/// What a client says first.
fn hello() -> Vec<u8> {
    Tls::new(Arc::clone(&NAMELESS)).records(|_| {})
}
