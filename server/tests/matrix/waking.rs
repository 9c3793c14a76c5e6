//! Sessions hear of what other threads have for them, and of time.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use bolillero_server::session::{Flow, Input, Mail, Mailbox};

use crate::client::Client;
use crate::harness::{Cell, PATIENCE, Server};
use crate::limits;
use crate::sessions::{Life, On, Script, Timed, life};

/// A server with one client. Its session tells the client the version whenever it is woken and the
/// version moved.
struct Followed {
    client: Client,
    mailbox: Mailbox,
    version: Arc<AtomicU64>,
    gone: Receiver<()>,
    // Last, so that it is dropped when its client is gone.
    _server: Server,
}

fn follow(cell: Cell) -> Followed {
    let version = Arc::new(AtomicU64::new(0));
    let (mailboxes, opened) = mpsc::channel();
    let (life, gone) = life();
    let told = Arc::clone(&version);
    let life = std::sync::Mutex::new(Some(life));
    let open = move |mailbox| {
        mailboxes.send(mailbox).unwrap();
        let its_life: Option<Life> = life.lock().unwrap().take();
        let (version, mut seen) = (Arc::clone(&told), 0);
        On(move |input: Input<'_>, out: &mut Vec<u8>| {
            let _ = &its_life;
            let Input::Mail(Mail::News) = input else { return Flow::Close };
            let now = version.load(Ordering::Acquire);
            if now != seen {
                seen = now;
                out.extend_from_slice(&now.to_be_bytes());
            }
            Flow::Continue
        })
    };
    let server = Server::start(cell, Script(open), limits());
    let client = server.connect();
    let mailbox = opened.recv_timeout(PATIENCE).unwrap();
    Followed { client, mailbox, version, gone, _server: server }
}

pub(crate) fn every_wake_from_another_thread_arrives(cell: Cell) {
    let mut followed = follow(cell);
    for version in 1..=3000u64 {
        followed.version.store(version, Ordering::Release);
        followed.mailbox.news();
        followed.client.expect(&version.to_be_bytes());
    }
}

pub(crate) fn of_many_wakes_at_once_the_last_arrives(cell: Cell) {
    const ROUNDS: u64 = 50;
    const WAKES: u64 = 200;
    let mut followed = follow(cell);
    for round in 1..=ROUNDS {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..WAKES {
                        followed.version.fetch_add(1, Ordering::AcqRel);
                        followed.mailbox.news();
                    }
                });
            }
        });
        let last = round * 2 * WAKES;
        while followed.client.number() != last {}
    }
}

pub(crate) fn a_mailbox_that_is_kept_keeps_no_session(cell: Cell) {
    let followed = follow(cell);
    drop(followed.client);
    let gone = followed.gone.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(RecvTimeoutError::Disconnected));
    followed.mailbox.news();
}

fn timed(idle_time_max: Duration, line_time_max: Duration) -> Script<impl Fn(Mailbox) -> Timed> {
    Script(move |_| Timed { line: Vec::new(), n_lines: 0, idle_time_max, line_time_max })
}

pub(crate) fn a_trickling_byte_does_not_postpone_a_deadline(cell: Cell) {
    let line_time_max = Duration::from_millis(300);
    let server = Server::start(cell, timed(10 * PATIENCE, line_time_max), limits());
    let mut client = server.connect();
    client.exchange(b"a whole line\n");
    client.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let start = Instant::now();
    loop {
        // A byte each time nothing came for a moment.
        client.send(b"x");
        match client.read(&mut [0; 16]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(start.elapsed() < PATIENCE, "still open");
            }
            told => {
                assert_eq!(told.unwrap(), b"late\n".len());
                assert!(start.elapsed() >= line_time_max, "{:?}", start.elapsed());
                return;
            }
        }
    }
}

pub(crate) fn a_silent_peer_is_told_when_its_time_is_over(cell: Cell) {
    let idle_time_max = Duration::from_millis(100);
    let server = Server::start(cell, timed(idle_time_max, 10 * PATIENCE), limits());
    let start = Instant::now();
    assert_eq!(server.connect().rest(), b"late\n", "it never said anything");
    assert!(start.elapsed() >= idle_time_max);
}

pub(crate) fn a_deadline_runs_anew_for_each_wait(cell: Cell) {
    let idle_time_max = Duration::from_secs(2);
    let server = Server::start(cell, timed(idle_time_max, 10 * PATIENCE), limits());
    let mut client = server.connect();
    let mut last = Instant::now();
    let start = last;
    while start.elapsed() < idle_time_max + Duration::from_millis(300) {
        last = Instant::now();
        client.exchange(b"not idle\n");
    }
    assert_eq!(client.rest(), b"late\n");
    assert!(last.elapsed() >= idle_time_max);
}
