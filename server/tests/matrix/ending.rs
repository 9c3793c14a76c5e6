//! How connections end, and the server.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use bolillero_server::driver::Limits;
use bolillero_server::lifecycle::Phase;
use bolillero_server::session::{Flow, Input, Mail, Mailbox};

use crate::harness::{Cell, PATIENCE, Server};
use crate::limits;
use crate::sessions::{On, Script, life};

pub(crate) fn the_last_answer_survives_a_peer_that_keeps_sending(cell: Cell) {
    const LAST: &[u8] = &[b'x'; 100_000];
    let open = |_| {
        On(|_: Input<'_>, out: &mut Vec<u8>| {
            out.extend_from_slice(LAST);
            Flow::Close
        })
    };
    let limits = Limits { linger_time_max: PATIENCE, ..limits() };
    let server = Server::start(cell, Script(open), limits);
    let mut client = server.connect();
    client.send(b"x");
    client.expect(&LAST[..1]);
    // All of the answer has left the server; only what it does not read now could make it reset.
    client.send(&vec![0; 3_000_000]);
    assert_eq!(client.rest(), LAST[1..]);
}

pub(crate) fn output_that_is_not_read_ends_the_connection(cell: Cell) {
    let (life, gone) = life();
    let life = Mutex::new(Some(life));
    let open = move |_| {
        let its_life = life.lock().unwrap().take();
        On(move |_: Input<'_>, out: &mut Vec<u8>| {
            let _ = &its_life;
            // More than the kernel takes on both sides together.
            out.resize(32 * 1024 * 1024, 0);
            Flow::Continue
        })
    };
    let limits = Limits { output_time_max: Duration::from_millis(100), ..limits() };
    let server = Server::start(cell, Script(open), limits);
    let mut client = server.connect();
    client.send(b"x");
    assert_eq!(gone.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    client.expect_cut();
}

pub(crate) fn a_panicking_session_closes_only_itself(cell: Cell) {
    let open = |_| {
        On(|input: Input<'_>, out: &mut Vec<u8>| match input {
            Input::Bytes(b"panic\n") => panic!("as the peer wished"),
            Input::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Flow::Continue
            }
            _ => Flow::Close,
        })
    };
    let server = Server::start(cell, Script(open), Limits { connections_max: 2, ..limits() });
    let mut witness = server.connect();
    // More often than there are workers, and than there is room.
    for _ in 0..5 {
        let mut client = server.connect();
        client.exchange(b"calm\n");
        client.send(b"panic\n");
        client.expect_cut();
        witness.exchange(b"still here\n");
    }
}

/// Answers a byte. One that was sent an `o` is owed an answer which another thread has to allow.
pub(crate) fn owing(
    mailboxes: mpsc::Sender<Mailbox>,
    allowed: Arc<AtomicBool>,
) -> Script<impl Fn(Mailbox) -> On<Owing>> {
    Script(move |mailbox: Mailbox| {
        let (mailboxes, allowed) = (mailboxes.clone(), Arc::clone(&allowed));
        let mut owes = false;
        On(Box::new(move |input: Input<'_>, out: &mut Vec<u8>| match input {
            Input::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                if bytes == b"o" {
                    owes = true;
                    mailboxes.send(mailbox.clone()).unwrap();
                }
                Flow::Continue
            }
            Input::Mail(Mail::News) if owes && allowed.load(Ordering::Acquire) => {
                out.extend_from_slice(b"done");
                Flow::Close
            }
            Input::Mail(Mail::Shutdown) if !owes => {
                out.extend_from_slice(b"bye");
                Flow::Close
            }
            Input::Eof if !owes => Flow::Close,
            _ => Flow::Continue,
        }) as Owing)
    })
}

pub(crate) type Owing = Box<dyn FnMut(Input<'_>, &mut Vec<u8>) -> Flow + Send>;

pub(crate) fn a_stop_closes_the_silent_and_finishes_what_is_owed(cell: Cell) {
    let (mailboxes, owed) = mpsc::channel();
    let allowed = Arc::new(AtomicBool::new(false));
    let limits = Limits { drain_time_max: 10 * PATIENCE, ..limits() };
    let mut server = Server::start(cell, owing(mailboxes, Arc::clone(&allowed)), limits);
    let (mut silent, mut waiting) = (server.connect(), server.connect());
    silent.exchange(b"x");
    waiting.exchange(b"o");
    let mailbox = owed.recv_timeout(PATIENCE).unwrap();

    server.life.stop();
    assert_eq!(silent.rest(), b"bye");
    assert_eq!(server.life.phase(), Phase::Draining);
    assert!(TcpStream::connect(server.address).is_err(), "accepts while it drains");
    drop(silent);
    let waker = thread::spawn(move || {
        allowed.store(true, Ordering::Release);
        mailbox.news();
    });
    assert_eq!(waiting.rest(), b"done");
    drop(waiting);
    waker.join().unwrap();
    server.join();
}

pub(crate) fn a_stop_does_not_wait_for_ever(cell: Cell) {
    let (life, gone) = life();
    let open = move |_| {
        let its_life = life.share();
        On(move |input: Input<'_>, out: &mut Vec<u8>| {
            let _ = &its_life;
            if let Input::Bytes(bytes) = input {
                out.extend_from_slice(bytes);
            }
            Flow::Continue
        })
    };
    let limits = Limits { drain_time_max: Duration::from_millis(100), ..limits() };
    let mut server = Server::start(cell, Script(open), limits);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.exchange(b"x");
    }
    server.life.stop();
    server.join();
    assert_eq!(gone.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    for client in &mut clients {
        client.expect_cut();
    }
}
