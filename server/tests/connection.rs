//! What one turn of a connection does, with a real socket, a session that notes what it is given,
//! and a clock of the test's own. No driver and no thread: each turn is the test's.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bolillero_server::conn::{Budget, Causes, Connection, Ending, Means, Scratch, Turn};
use bolillero_server::driver::Limits;
use bolillero_server::session::{Flow, Input, Mail, Peer, Session, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

/// What a session was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Bytes(usize),
    News,
    Stop,
    Drained,
    Deadline,
    Eof,
}

#[derive(Default)]
struct Notes {
    given: Vec<Given>,
    wait: Option<Wait>,
}

struct Noting<F> {
    notes: Arc<Mutex<Notes>>,
    answer: F,
}

impl<F: FnMut(Given, &mut Vec<u8>) -> Flow + Send> Session for Noting<F> {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        let given = match input {
            Input::Bytes(bytes) => Given::Bytes(bytes.len()),
            Input::Mail(Mail::News) => Given::News,
            Input::Mail(Mail::Shutdown) => Given::Stop,
            Input::Drained => Given::Drained,
            Input::Deadline => Given::Deadline,
            Input::Eof => Given::Eof,
        };
        self.notes.lock().unwrap().given.push(given);
        (self.answer)(given, out)
    }

    fn wait(&self) -> Option<Wait> {
        self.notes.lock().unwrap().wait
    }
}

/// A connection, its peer, and what its thread would have.
struct Rig {
    connection: Connection,
    client: TcpStream,
    notes: Arc<Mutex<Notes>>,
    scratch: Scratch,
    limits: Limits,
    now: Instant,
}

impl Rig {
    fn new(answer: impl FnMut(Given, &mut Vec<u8>) -> Flow + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (stream, address) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let session = Box::new(Noting { notes: Arc::clone(&notes), answer });
        let now = Instant::now();
        let connection = Connection::open(stream, Peer::at(address), session, now);
        let (scratch, limits) = (Scratch::default(), Limits::default());
        Self { connection, client, notes, scratch, limits, now }
    }

    fn turn(&mut self, causes: Causes) -> Turn {
        let mut budget = Budget::new(self.limits.turn_bytes_max);
        let means = &mut Means {
            scratch: &mut self.scratch,
            budget: &mut budget,
            limits: &self.limits,
            now: self.now,
        };
        self.connection.turn(causes, means)
    }

    /// Sends, and waits until all has arrived.
    fn send(&mut self, bytes: &[u8]) {
        let had = rustix::io::ioctl_fionread(&self.connection).unwrap();
        self.client.write_all(bytes).unwrap();
        let start = Instant::now();
        while rustix::io::ioctl_fionread(&self.connection).unwrap() < had + bytes.len() as u64 {
            assert!(start.elapsed() < PATIENCE, "nothing arrives");
            std::thread::yield_now();
        }
    }

    /// Waits until the kernel says one of these of the connection.
    fn wait_for(&self, events: PollFlags) {
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.connection, events)];
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "no {events:?}");
    }

    fn given(&self) -> Vec<Given> {
        std::mem::take(&mut self.notes.lock().unwrap().given)
    }

    fn set_wait(&self, id: u64, seconds: u64) {
        self.notes.lock().unwrap().wait = Some(Wait { id, time_max: Duration::from_secs(seconds) });
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn unread_output_stops_the_reading_but_not_the_mail() {
    const ANSWER_BYTES: usize = 1_000_000;
    let mut rig = Rig::new(|given, out| {
        if let Given::Bytes(count) = given {
            out.resize(out.len() + count * ANSWER_BYTES, b'x');
        }
        Flow::Continue
    });
    for _ in 0..100 {
        rig.send(b"1");
        assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    }
    let taken = rig.given().len();
    assert!(taken < 50, "took {taken} requests though no answer is read");
    assert!(!rig.connection.waits_to_read(&rig.limits) && rig.connection.waits_to_write());
    assert_eq!(rig.turn(Causes::MAIL), Turn::Idle);
    assert_eq!(rig.given(), [Given::News]);

    let mut answers = 0;
    let mut buffer = vec![0; 1 << 20];
    while answers < 100 * ANSWER_BYTES {
        let _ = rig.turn(Causes::WRITABLE);
        answers += rig.client.read(&mut buffer).unwrap();
    }
    assert_eq!(answers, 100 * ANSWER_BYTES);
}

#[test]
fn a_session_that_holds_gets_no_bytes_until_mail_or_drained_releases_it() {
    let mut released = false;
    let mut rig = Rig::new(move |given, _| match given {
        Given::Bytes(_) if !released => Flow::Hold,
        Given::News if !std::mem::replace(&mut released, true) => Flow::Hold,
        _ => Flow::Continue,
    });
    rig.set_wait(1, 5);
    rig.send(b"first");
    let _ = rig.turn(Causes::READABLE);
    rig.send(b"second");
    rig.pass(6);
    let _ = rig.turn(Causes::READABLE.and(Causes::DEADLINE));
    assert_eq!(rig.given(), [Given::Bytes(5), Given::Deadline], "a deadline does not release it");
    let _ = rig.turn(Causes::MAIL);
    assert_eq!(rig.given(), [Given::News], "it goes on holding");
    let _ = rig.turn(Causes::MAIL);
    assert_eq!(rig.given(), [Given::News, Given::Bytes(6)]);
}

#[test]
fn drained_is_told_when_output_became_empty_and_not_when_it_is() {
    let mut rig = Rig::new(|given, out| {
        if let Given::Bytes(2) = given {
            out.extend_from_slice(b"answer");
        }
        Flow::Hold
    });
    rig.send(b"1");
    let _ = rig.turn(Causes::READABLE);
    assert_eq!(rig.given(), [Given::Bytes(1)], "there was no output");
    let _ = rig.turn(Causes::WRITABLE);
    assert_eq!(rig.given(), []);

    let mut rig = Rig::new(|given, out| match given {
        Given::Bytes(_) => {
            out.extend_from_slice(b"answer");
            Flow::Hold
        }
        _ => Flow::Continue,
    });
    rig.send(b"1");
    let _ = rig.turn(Causes::READABLE);
    assert_eq!(rig.given(), [Given::Bytes(1), Given::Drained]);
    rig.send(b"12");
    let _ = rig.turn(Causes::READABLE);
    assert_eq!(rig.given(), [Given::Bytes(2), Given::Drained], "it was released");
}

#[test]
fn the_end_is_told_once_and_ends_nothing_while_an_answer_is_owed() {
    let mut rig = Rig::new(|given, out| match given {
        Given::News => {
            out.extend_from_slice(b"owed");
            Flow::Close
        }
        _ => Flow::Continue,
    });
    rig.send(b"request");
    rig.client.shutdown(Shutdown::Write).unwrap();
    rig.wait_for(PollFlags::RDHUP);
    for _ in 0..3 {
        assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    }
    assert_eq!(rig.given(), [Given::Bytes(7), Given::Eof]);
    assert_eq!(rig.turn(Causes::MAIL), Turn::Closed(Ending::Complete));
    drop(rig.connection);
    let mut answer = String::new();
    rig.client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "owed");
}

#[test]
fn a_turn_ends_when_its_budget_is_spent() {
    // What it writes always leaves at once, and then it has more.
    let mut rig = Rig::new(|_, out| {
        out.resize(out.len() + 10_000, b'x');
        Flow::Hold
    });
    rig.limits.turn_bytes_max = 100_000;
    rig.send(b"1");
    assert_eq!(rig.turn(Causes::READABLE), Turn::Again);
    let given = rig.given().len();
    assert!((8..=10).contains(&given), "{given} answers of 10,000 bytes");
    assert_eq!(rig.turn(Causes::NONE), Turn::Again, "it goes on where it was");
    assert!(rig.given().len() >= 8);
}

#[test]
fn what_had_arrived_is_handed_in_before_the_stop_and_nothing_after_it() {
    let mut rig = Rig::new(|_, _| Flow::Continue);
    rig.send(&[0; 10]);
    let _ = rig.turn(Causes::SHUTDOWN);
    assert_eq!(rig.given(), [Given::Bytes(10), Given::Stop]);
    rig.send(&[0; 20]);
    let _ = rig.turn(Causes::READABLE.and(Causes::SHUTDOWN));
    assert_eq!(rig.given(), [], "it keeps sending, and is not read for ever");
}

#[test]
fn a_session_that_holds_is_told_of_the_stop_at_once_and_again_behind_what_had_arrived() {
    let mut rig = Rig::new(|given, _| match given {
        Given::Bytes(1) | Given::Stop => Flow::Hold,
        _ => Flow::Continue,
    });
    rig.send(&[0; 1]);
    let _ = rig.turn(Causes::READABLE);
    rig.send(&[0; 20]);
    let _ = rig.turn(Causes::SHUTDOWN);
    let _ = rig.turn(Causes::MAIL);
    let told = [Given::Bytes(1), Given::Stop, Given::News, Given::Bytes(20), Given::Stop];
    assert_eq!(rig.given(), told);
    let _ = rig.turn(Causes::MAIL);
    assert_eq!(rig.given(), [Given::News], "nothing is left to be told");
}

#[test]
fn a_session_that_held_for_its_output_is_told_again_when_that_has_left() {
    let mut rig = Rig::new(|given, out| match given {
        Given::Bytes(_) => {
            out.resize(32 << 20, b'x');
            Flow::Hold
        }
        Given::Stop => Flow::Hold,
        _ => Flow::Continue,
    });
    rig.send(&[0; 1]);
    let _ = rig.turn(Causes::READABLE);
    let _ = rig.turn(Causes::SHUTDOWN);
    assert_eq!(rig.given(), [Given::Bytes(1), Given::Stop]);
    let mut client = rig.client.try_clone().unwrap();
    let reader = std::thread::spawn(move || client.read_exact(&mut vec![0; 32 << 20]).unwrap());
    let mut turn = rig.turn(Causes::WRITABLE);
    while turn == Turn::Again || rig.connection.waits_to_write() {
        if turn == Turn::Idle {
            rig.wait_for(PollFlags::OUT);
        }
        turn = rig.turn(Causes::WRITABLE);
    }
    assert_eq!(rig.given(), [Given::Drained, Given::Stop]);
    reader.join().unwrap();
}

#[test]
fn a_deadline_is_told_once_for_each_wait_and_a_wait_has_one_clock() {
    let mut rig = Rig::new(|_, _| Flow::Continue);
    rig.set_wait(1, 10);
    let start = rig.now;
    let _ = rig.turn(Causes::NONE);
    rig.pass(9);
    rig.send(b"trickle");
    let _ = rig.turn(Causes::READABLE);
    assert_eq!(rig.connection.deadline(), Some(start + Duration::from_secs(10)));
    rig.pass(1);
    let _ = rig.turn(Causes::DEADLINE);
    let _ = rig.turn(Causes::DEADLINE);
    assert_eq!(rig.given(), [Given::Bytes(7), Given::Deadline]);
    assert_eq!(rig.connection.deadline(), None);
    rig.set_wait(2, 10);
    let _ = rig.turn(Causes::NONE);
    assert_eq!(rig.connection.deadline(), Some(start + Duration::from_secs(20)));
}

#[test]
fn no_clock_of_the_session_runs_while_it_is_us_who_do_not_read() {
    let mut rig = Rig::new(|given, out| {
        if let Given::Bytes(_) = given {
            out.resize(32 * 1024 * 1024, 0);
        }
        Flow::Continue
    });
    rig.limits.turn_bytes_max = usize::MAX;
    rig.set_wait(1, 10);
    rig.send(b"1");
    assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    let output_until = rig.now + rig.limits.output_time_max;
    assert_eq!(rig.connection.deadline(), Some(output_until));
    rig.pass(10);
    assert_eq!(rig.turn(Causes::DEADLINE), Turn::Idle);
    assert_eq!(rig.given(), [Given::Bytes(1)]);
    rig.pass(50);
    assert_eq!(rig.turn(Causes::DEADLINE), Turn::Closed(Ending::Unread));
}

#[test]
fn a_closed_session_s_peer_is_listened_to_for_a_bounded_time_and_amount() {
    let closing = || Rig::new(|_, _| Flow::Close);
    let mut rig = closing();
    rig.send(b"bye");
    assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    assert_eq!(rig.client.read(&mut [0; 1]).unwrap(), 0, "the sending side is shut");
    assert_eq!(rig.connection.deadline(), Some(rig.now + rig.limits.linger_time_max));
    rig.pass(1);
    assert_eq!(rig.turn(Causes::DEADLINE), Turn::Closed(Ending::Complete));

    let mut rig = closing();
    rig.limits.linger_bytes_max = 100_000;
    rig.send(b"bye");
    let _ = rig.turn(Causes::READABLE);
    rig.send(&[0; 50_000]);
    assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    rig.send(&[0; 50_000]);
    assert_eq!(rig.turn(Causes::READABLE), Turn::Closed(Ending::Complete));
    assert_eq!(rig.given(), [Given::Bytes(3)]);
}

#[test]
fn a_reset_ends_a_connection_whose_session_holds() {
    let mut rig = Rig::new(|_, _| Flow::Hold);
    rig.send(b"1");
    assert_eq!(rig.turn(Causes::READABLE), Turn::Idle);
    SockRef::from(&rig.client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(std::mem::replace(&mut rig.client, unconnected()));
    rig.wait_for(PollFlags::HUP);
    let broken = Causes::READABLE.and(Causes::WRITABLE).and(Causes::BROKEN);
    assert_eq!(rig.turn(broken), Turn::Closed(Ending::Reset));
}

fn unconnected() -> TcpStream {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap().into()
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 256, "{} bytes", size_of::<Connection>());
}

const PATIENCE: Duration = Duration::from_secs(30);
