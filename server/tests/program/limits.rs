//! Peers that go over a limit of the server's: each is held to it, told where there is something to
//! tell, and nobody else notices.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tempfile::{TempDir, tempdir};

use crate::certificates::{client_config, of_agency};
use crate::for_every_driver;
use crate::inputs::Inputs;
use crate::life::fill;
use crate::main_job::{MEMORY_MAX, run};
use crate::office::{Office, assert_healthy_log, count, export};
use crate::process::PATIENCE;
use crate::secured;
use crate::wire::{
    ACK, BUSY, CLOSE, CORRUPT, NO_WINNERS, Wire, batch, batch_body, batch_rows, packet,
};

for_every_driver! {
    a_packet_may_be_as_long_as_the_limit_and_no_longer
    a_packet_that_trickles_in_has_until_its_deadline_and_no_longer
    a_connection_may_be_idle_for_its_time_but_not_while_it_is_owed_an_answer
    a_peer_that_asks_without_end_is_not_read_and_then_gets_every_answer
    peers_that_never_read_are_given_up
    peers_that_never_read_are_given_up_by_the_kernel
    who_comes_over_the_limit_of_connections_is_told_that_the_office_is_busy
    an_agency_over_its_limit_of_connections_is_told_that_the_office_is_busy
    an_agency_that_says_hello_without_end_keeps_few_connections_and_others_are_served
}

fn start(driver: &str, options: &[&str]) -> (TempDir, Office) {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[&["--driver", driver], options].concat());
    (directory, office)
}

fn a_packet_may_be_as_long_as_the_limit_and_no_longer(driver: &str) {
    let body = batch_body(1, 30_000_000, 3);
    let (directory, office) = start(driver, &["--max-packet", &body.len().to_string()]);
    office.connect().exchange(&packet(3, &body), &ACK);
    // One byte more is found in the header: no byte of the data is waited for.
    let longer = packet(3, &(body + "#"));
    let mut wire = office.connect();
    wire.send(&longer[..5]);
    wire.expect_last(&CORRUPT);
    drop(wire);
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 3).into_bytes());
    office.stop();
}

fn a_packet_that_trickles_in_has_until_its_deadline_and_no_longer(driver: &str) {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let (_directory, office) = start(driver, &["--packet-timeout", "1s"]);
    let (mut slow, mut witness) = (office.connect(), office.connect());
    slow.0.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let begun = Instant::now();
    slow.send(b"\x03\0\0\xff\xff");
    let told = loop {
        // Each byte is a turn of its own: behind it somebody else is answered.
        slow.send(b"1");
        witness.exchange(&packet(6, "1#"), &BUSY);
        let mut told = [0; 6];
        match slow.0.read(&mut told) {
            Ok(length) => break told[..length].to_vec(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(begun.elapsed() < PATIENCE, "its deadline is postponed");
    };
    assert_eq!(told, CLOSE);
    assert!(begun.elapsed() >= TIMEOUT, "{:?}", begun.elapsed());
    drop(slow);
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(count(&ended.lines, "reason: unfinished packet for too long"), 1);
}

fn a_connection_may_be_idle_for_its_time_but_not_while_it_is_owed_an_answer(driver: &str) {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let (_directory, office) = start(driver, &["--agencies", "2", "--idle-timeout", "500ms"]);
    let mut owed = office.connect();
    owed.send(&[packet(9, "1#1#"), packet(5, "1#0#0#"), packet(6, "1#")].concat());
    assert_eq!(owed.packet().0, 10);
    owed.expect(&ACK);
    for _ in 0..3 {
        let begun = Instant::now();
        office.connect().expect_last(&CLOSE);
        assert!(begun.elapsed() >= TIMEOUT, "{:?}", begun.elapsed());
    }
    let mut last = office.connect();
    last.send(&[packet(5, "2#"), packet(6, "2#")].concat());
    let begun = Instant::now();
    owed.expect(&NO_WINNERS);
    // Now that it has its answer its time runs as everybody's.
    owed.expect_last(&CLOSE);
    last.expect_last(&[&ACK[..], &NO_WINNERS, &CLOSE].concat());
    assert!(begun.elapsed() >= TIMEOUT, "{:?}", begun.elapsed());
    drop((owed, last));
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(count(&ended.lines, "reason: idle for too long"), 5);
}

/// The first question waits for the draw, so all behind it do: the window fills, then the sockets.
fn a_peer_that_asks_without_end_is_not_read_and_then_gets_every_answer(driver: &str) {
    let (_directory, office) = start(driver, &["--agencies", "2", "--max-unanswered", "3"]);
    let mut asking = office.connect();
    asking.send(&[packet(9, "1#1#"), packet(5, "1#0#0#")].concat());
    assert_eq!(asking.packet().0, 10);
    asking.expect(&ACK);
    let question = packet(6, "1#");
    asking.0.set_nonblocking(true).unwrap();
    let sent = fill(&mut asking, &question.repeat(1000));
    asking.0.set_nonblocking(false).unwrap();
    // What was cut off by the full sockets is completed while the answers are read.
    let n_questions = sent.div_ceil(question.len());
    let rest = question[question.len() - (n_questions * question.len() - sent)..].to_vec();
    office.connect().exchange(&packet(5, "2#"), &ACK);
    let mut sender = Wire::over(asking.0.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            sender.send(&rest);
            sender.half_close();
        });
        asking.expect_last(&NO_WINNERS.repeat(n_questions));
    });
    let memory_max = office.process.memory_max();
    assert!(memory_max < MEMORY_MAX, "{memory_max} bytes were resident");
    assert_healthy_log(&office.stop().lines);
}

fn peers_that_never_read_are_given_up(driver: &str) {
    give_up(driver, ["--output-timeout", "300ms", "--peer-timeout", "1h"], "ending: Unread");
}

fn peers_that_never_read_are_given_up_by_the_kernel(driver: &str) {
    give_up(driver, ["--output-timeout", "1h", "--peer-timeout", "1s"], "ending: Reset");
}

fn give_up(driver: &str, timeouts: [&str; 4], ending: &str) {
    let options = ["--max-output", "64KiB", "--log-level", "debug"];
    let draw = ["--agencies", "1", "--winning-number", "7"];
    let (_directory, office) = start(driver, &[&options[..], &timeouts, &draw].concat());
    let mut witness = office.connect();
    for first in 0..5 {
        witness.exchange(&batch(1, 10_000_000 * (1 + first), 1000), &ACK);
    }
    witness.exchange(&packet(5, "1#"), &ACK);
    // 7 bytes, of which each is answered by hundreds.
    let question = packet(6, "1#");
    let questions = question.repeat(1000);
    let mut ask = || {
        witness.send(&question);
        assert_eq!(witness.packet().1.len(), 500 * 9);
    };
    let flood = |mut wire: Wire| {
        let error = std::iter::repeat_with(|| wire.0.write_all(&questions)).find_map(Result::err);
        let kind = error.unwrap().kind();
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind), "{kind:?}");
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            let wire = office.connect();
            scope.spawn(|| flood(wire));
        }
        (0..100).for_each(|_| ask());
    });
    ask();
    let memory_max = office.process.memory_max();
    assert!(memory_max < MEMORY_MAX, "{memory_max} bytes were resident");
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(count(&ended.lines, ending), 8);
}

fn who_comes_over_the_limit_of_connections_is_told_that_the_office_is_busy(driver: &str) {
    // One address of this machine may have all of them: its own do not count for the other limit.
    let options = ["--max-connections", "2", "--max-connections-per-address", "1"];
    let (_directory, office) = start(driver, &[&options[..], &["--busy-delay", "50ms"]].concat());
    let ask = |wire: &mut Wire| wire.exchange(&packet(6, "1#"), &BUSY);
    let mut inside = [2, 2].map(|from| connect_from(from, office.address));
    inside.iter_mut().for_each(ask);
    for from in [2, 3] {
        connect_from(from, office.address).expect_last(&BUSY);
    }
    inside.iter_mut().for_each(ask);
    let [leaves, stays] = inside;
    drop(leaves);
    // Its end and the next one's coming are told by two sockets, in any order.
    let begun = Instant::now();
    while !gets_in(connect_from(2, office.address)) {
        assert!(begun.elapsed() < PATIENCE, "there is no place again");
    }
    drop(stays);
    assert_healthy_log(&office.stop().lines);
}

/// An agency over its limit shakes hands, and is told then what it understands.
fn an_agency_over_its_limit_of_connections_is_told_that_the_office_is_busy(driver: &str) {
    let certificates = tempdir().unwrap();
    let tls = secured::server_options(certificates.path());
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let limits = ["--max-connections-per-address", "2"];
    let (_directory, office) = start(driver, &[&tls[..], &limits].concat());
    let configs = [1, 2].map(|agency| client_config(Some(&of_agency(agency))));
    let mut inside = [0, 0, 1, 1].map(|agency| {
        let mut wire = secured::connect(office.address, &configs[agency]);
        wire.exchange(&packet(6, &format!("{}#", agency + 1)), &BUSY);
        wire
    });
    secured::connect(office.address, &configs[0]).expect_last(&BUSY);
    for (wire, agency) in inside.iter_mut().zip([1, 1, 2, 2]) {
        wire.exchange(&packet(6, &format!("{agency}#")), &BUSY);
    }
    drop(inside);
    assert_healthy_log(&office.stop().lines);
}

/// Half of its connections wait for the winners, half say nothing more. It leaves none by itself.
fn an_agency_that_says_hello_without_end_keeps_few_connections_and_others_are_served(driver: &str) {
    const HELLOS: usize = 10_000;
    const CONNECTIONS_MAX: usize = 64;
    const AT_ONCE: usize = 20;
    let connections_max = CONNECTIONS_MAX.to_string();
    let options = ["--agencies", "2", "--max-connections", &connections_max];
    let (_directory, office) = start(driver, &options);
    let descriptors_of = format!("/proc/{}/fd", office.process.id());
    let descriptors = || fs::read_dir(&descriptors_of).unwrap().count();
    let descriptors_before = descriptors();
    let mut other = office.connect();
    other.send(&packet(9, "1#2#"));
    assert_eq!(other.packet().0, 10);
    let mut fenced = 0;
    let mut before = Vec::new();
    for round in 0..HELLOS / AT_ONCE {
        let mut wires: Vec<Wire> = (0..AT_ONCE).map(|_| office.connect()).collect();
        for (n, wire) in wires.iter_mut().enumerate() {
            wire.send(&packet(9, "1#1#"));
            if n % 2 == 0 {
                wire.send(&packet(6, "1#"));
            }
        }
        // Then all of their HELLOs have been taken, in whatever order: all before them have to end.
        let opened = wires.into_iter().filter_map(opened).collect();
        for wire in std::mem::replace(&mut before, opened) {
            fenced += usize::from(is_fenced(wire));
        }
        if round % 20 == 0 {
            other.send(&packet(11, &format!("{}#{}", round / 20 + 1, batch_body(2, 1, 1))));
            assert_eq!(other.packet().0, 12, "round {round}");
            let more = descriptors() - descriptors_before;
            assert!(more <= CONNECTIONS_MAX + NEWCOMERS_MAX, "{round}: {more} descriptors more");
        }
    }
    assert!(fenced > 0, "some are told, whichever is faster");
    drop(before);
    // An agency that is told that it has too many sessions comes again.
    let begun = Instant::now();
    loop {
        let mut wire = office.connect();
        wire.send(&packet(9, "1#1#"));
        if matches!(opened(wire), Some((_, 10))) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the agency is locked out");
    }
    drop(other);
    let mut lines = office.stop().lines;
    lines.retain(|line| !line.contains("action: open_session | result: fail"));
    assert_healthy_log(&lines);
}

/// A connection on which HELLO was answered. `None`: it is over, for it had to make place.
fn opened(mut wire: Wire) -> Option<(Wire, u8)> {
    let mut opcode = [0];
    (wire.0.read(&mut opcode).unwrap() > 0).then_some((wire, opcode[0]))
}

/// Newcomers that wait for a place, and those that are told that there is none.
const NEWCOMERS_MAX: usize = 128;

/// Whether it ends with the news that a newer session works its lane. It may have been told that there are too
/// many, or have had to make place.
fn is_fenced((mut wire, opcode): (Wire, u8)) -> bool {
    let mut told = Vec::new();
    wire.0.read_to_end(&mut told).unwrap();
    assert!(matches!(opcode, 8 | 10), "{opcode}, {}", told.escape_ascii());
    told.windows(7).any(|bytes| bytes == b"FENCED#")
}

/// Whether it is served. Who is not is told the same, and then closed.
fn gets_in(mut wire: Wire) -> bool {
    wire.half_close();
    let mut told = Vec::new();
    wire.0.read_to_end(&mut told).unwrap();
    told.is_empty()
}

/// Connects from the address that ends with `last`: all of 127.0.0.0/8 is this machine.
fn connect_from(last: u8, to: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Wire::over(TcpStream::from(socket))
}

#[test]
fn the_main_job_is_done_under_the_tightest_limits() {
    let tightest = ["--ledger-queue", "1", "--max-unanswered", "1", "--max-output", "1"];
    let connections = ["--max-connections", "5", "--max-connections-per-address", "5"];
    run(&Inputs::find(), &[&tightest[..], &connections].concat(), &["--window", "16"]);
}
