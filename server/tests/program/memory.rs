//! What peers that take nothing, or leave in the middle, cost a running server in memory: little,
//! and only while they are there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::certificates::{client_config, of_agency};
use crate::crowd::raise_descriptor_limit;
use crate::for_every_driver;
use crate::office::{Office, assert_healthy_log, listens, serve};
use crate::process::{PATIENCE, Process};
use crate::secured::{self, server_options};
use crate::wire::{ACK, CLOSE, Wire, packet};

for_every_driver! {
    lists_leave_a_piece_at_a_time_and_a_stop_finishes_those_that_are_begun
}

/// What silent readers may cost, and what may be left of a burst, in bytes.
const COST_MAX: u64 = 64 << 20;
const SILENT_READERS: usize = 60;
/// 8 MiB of documents. Each silent reader without a limit would cost that, or twice.
const WINNERS: u64 = 640 << 10;
const FIRST_DOCUMENT: u64 = 100_000_000_000;
const BETS_EACH: u64 = 1400;

#[test]
fn sixty_silent_readers_of_a_long_list_cost_little_in_any_dialect_and_over_tls() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let (packets, text) = questions();

    let (office, text_address) = start(&data_dir, &[]);
    bring_winners(&office);
    let [lottery, dialect] = [office.address, text_address].map(|at| move || Wire::connect(at));
    packets.check_cost(&office, "packets", lottery, |socket| socket);
    text.check_cost(&office, "text", dialect, |socket| socket);
    assert_healthy_log(&office.stop().lines);

    let options = server_options(directory.path());
    let (office, text_address) = start(&data_dir, &options.each_ref().map(String::as_str));
    let config = client_config(Some(&of_agency(1)));
    let [lottery, dialect] = [office.address, text_address]
        .map(|at| (at, &config))
        .map(|(at, config)| move || secured::connect(at, config));
    packets.check_cost(&office, "packets over TLS", lottery, |stream| &stream.sock);
    text.check_cost(&office, "text over TLS", dialect, |stream| &stream.sock);
    assert_healthy_log(&office.stop().lines);
}

/// A server for both dialects that waits for its peers far longer than this takes.
fn start(data_dir: &Path, options: &[&str]) -> (Office, SocketAddr) {
    let draw = ["--agencies", "1", "--winning-number", "7", "--segment-size", "16MiB"];
    let waits = ["--output-timeout", "1h", "--peer-timeout", "1h"];
    let text = ["--listen-text", "127.0.0.1:0"];
    let process = Process::start(serve(data_dir, &[&draw[..], &waits, &text, options].concat()));
    let mut office = Office::listening(process);
    let text = listens(&mut office.process, "lottery-text");
    (office, text)
}

fn bring_winners(office: &Office) {
    let mut wire = office.connect();
    let mut first = 0;
    while first < WINNERS {
        let bets = BETS_EACH.min(WINNERS - first);
        let mut body = format!("{bets}#");
        for n in 0..bets {
            let document = FIRST_DOCUMENT + first + n;
            body.push_str(&format!("@{n}#1#A#B#{document}#1990-01-01#7#"));
        }
        wire.exchange(&packet(3, &body), &ACK);
        first += bets;
    }
    wire.exchange(&packet(5, "1#"), &ACK);
}

/// The question for the long list and its answer, in packets and in the text dialect.
fn questions() -> (Question, Question) {
    let list: String = (0..WINNERS).map(|n| format!("{}#", FIRST_DOCUMENT + n)).collect();
    let line = list.trim_end_matches('#').replace('#', ",") + "\n";
    let packets = Question { asked: packet(6, "1#"), answer: packet(7, &list) };
    let text = Question { asked: b"\0\x07RESULTS\0\x011".to_vec(), answer: line.into_bytes() };
    (packets, text)
}

struct Question {
    asked: Vec<u8>,
    answer: Vec<u8>,
}

impl Question {
    /// Has a crowd ask, and read nothing of the answer.
    fn check_cost<S: Read + Write>(
        &self,
        office: &Office,
        name: &str,
        connect: impl Fn() -> Wire<S>,
        socket: impl Fn(&S) -> &TcpStream,
    ) {
        self.ask_and_read(connect());
        let before = office.process.memory_now();
        let ask = || {
            let mut wire = connect();
            wire.send(&self.asked);
            wire.0.flush().unwrap();
            wire
        };
        let mut silent: Vec<Wire<S>> = std::iter::repeat_with(ask).take(SILENT_READERS).collect();
        for wire in &silent {
            // More than a handshake has: the answer is under way.
            wait_for("the answers", || {
                rustix::io::ioctl_fionread(socket(&wire.0)).unwrap() > 16 << 10
            });
        }
        // Whoever reads gets the list all the same.
        self.ask_and_read(connect());
        let cost = office.process.memory_now().saturating_sub(before);
        assert!(cost < COST_MAX, "{name}: {SILENT_READERS} silent readers cost {cost} bytes");
        // And so do the silent, once they read.
        self.read(silent.pop().unwrap());
    }

    fn ask_and_read<S: Read + Write>(&self, mut wire: Wire<S>) {
        wire.send(&self.asked);
        self.read(wire);
    }

    fn read<S: Read + Write>(&self, mut wire: Wire<S>) {
        let mut read = vec![0; self.answer.len()];
        wire.0.read_exact(&mut read).unwrap();
        assert!(read == self.answer);
    }
}

fn lists_leave_a_piece_at_a_time_and_a_stop_finishes_those_that_are_begun(driver: &str) {
    let directory = tempdir().unwrap();
    let (packets, text) = questions();
    let options = ["--driver", driver, "--winners-unsent-max", "64KiB", "--drain-timeout", "60s"];
    let (office, text_address) = start(directory.path(), &options);
    bring_winners(&office);
    // One piece for all: each gets it in turn.
    thread::scope(|scope| {
        for _ in 0..4 {
            let wire = office.connect();
            scope.spawn(|| packets.ask_and_read(wire));
            scope.spawn(|| text.ask_and_read(Wire::connect(text_address)));
        }
    });

    let mut begun = office.connect();
    begun.send(&packets.asked);
    wait_for("the list", || rustix::io::ioctl_fionread(&begun.0).unwrap() > 16 << 10);
    let mut next = office.connect();
    next.send(&[&packet(5, "1#"), &packets.asked[..]].concat());
    next.expect(&ACK);
    office.process.signal(Signal::TERM);
    // Its list may have been begun before the other peer's sockets were full.
    let mut told = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| next.0.read_to_end(&mut told).unwrap());
        begun.expect_last(&[&packets.answer, &CLOSE[..]].concat());
    });
    assert!(told == CLOSE || told == [&packets.answer, &CLOSE[..]].concat());
    let ended = office.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_healthy_log(&ended.lines);
}

const BURST: usize = 400;
/// What each sends of a packet of 1 MiB, in bytes.
const SENT: usize = 512 << 10;

#[test]
fn memory_of_a_burst_of_half_packets_is_given_back() {
    raise_descriptor_limit();
    let directory = tempdir().unwrap();
    let options = ["--max-packet", "1MiB", "--segment-size", "4MiB", "--log-level", "debug"];
    let office = Office::start(&directory.path().join("plain"), &options);
    let address = office.address;
    check_burst(office, || Wire::connect(address), |socket| socket);

    let tls = server_options(directory.path());
    let options = [&options[..], &tls.each_ref().map(String::as_str)].concat();
    let office = Office::start(&directory.path().join("tls"), &options);
    let (address, config) = (office.address, client_config(Some(&of_agency(1))));
    check_burst(office, || secured::connect(address, &config), |stream| &stream.sock);
}

fn check_burst<S: Read + Write>(
    mut office: Office,
    connect: impl Fn() -> Wire<S>,
    socket: impl Fn(&S) -> &TcpStream,
) {
    let before = office.process.memory_now();
    let begun = [&b"\x03\x00\x10\x00\x00"[..], &[b'1'; SENT]].concat();
    let begin = || {
        let mut wire = connect();
        wire.send(&begun);
        wire
    };
    let burst: Vec<Wire<S>> = std::iter::repeat_with(begin).take(BURST).collect();
    let gathered = before + (BURST * SENT / 2) as u64;
    wait_for("the packets", || office.process.memory_now() > gathered);
    for wire in &burst {
        socket(&wire.0).shutdown(Shutdown::Both).unwrap();
    }
    for _ in 0..BURST {
        office.process.wait_for("action: close | result: success");
    }
    wait_for("the memory", || office.process.memory_now() < before + COST_MAX);
    assert_healthy_log(&office.stop().lines);
}

/// Waits until this is so.
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} do not come");
        thread::sleep(Duration::from_millis(5));
    }
}
