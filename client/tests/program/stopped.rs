//! SIGTERM, SIGINT and SIGHUP, wherever the program stands: it ends at once, with 0, and speaks of no
//! failure.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use bolillero_protocol::message::Reply;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::office::{Fault, Office, bodies, packet, rows};
use crate::running::{Ended, Running};
use crate::setting::{BET, Setting, TIME_MAX, agency, program};

/// Less than any wait that is cut short here (a single try to connect takes 5 s), and far more than
/// ending takes on a loaded machine.
const SOON: Duration = Duration::from_secs(4);

/// Stops what runs, and checks that it ends as it should.
fn stop(running: Running, signal: Signal) -> Ended {
    let names = [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")];
    let (_, name) = names.into_iter().find(|(other, _)| *other == signal).unwrap();
    running.signal(signal);
    let ended = running.end_within(SOON);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let heard = format!("INFO     action: shutdown | result: in_progress | signal: {name}");
    let at = ended.log.iter().position(|line| *line == heard);
    let after = &ended.log[at.unwrap_or_else(|| panic!("{ended:?}"))..];
    assert_eq!(after.last().unwrap(), "INFO     action: stop | result: success", "{ended:?}");
    assert!(!ended.log.iter().any(|line| line.contains("fail")), "{ended:?}");
    ended
}

/// An office whose n-th request is never answered, and when that came.
fn holds(n: usize) -> (Office, Receiver<()>) {
    let (told, held) = channel();
    (Office::with_faults([(n, Fault::Hold { serves: false, told })]), held)
}

fn client(command: &str, server: &str, options: &[&str]) -> Command {
    program(&[&[command, "--id", "1", "--server", server], options].concat())
}

/// A server that takes one line and says nothing, and when it has come.
fn silent_server() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, came) = channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        stream.read_line(&mut String::new()).unwrap();
        told.send(()).unwrap();
        // Until the client is gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (address, came)
}

#[test]
fn an_agency_stops_while_any_answer_is_owed_and_goes_on_when_it_is_started_again() {
    let file = rows(9);
    let options = ["--batch-bets-max", "3", "--window", "1"];
    // A hello, three batches, the mark, the question: the wait for the draw.
    let signals = [Signal::TERM, Signal::INT, Signal::HUP];
    for (n, signal) in (0..6).zip(signals.into_iter().cycle()) {
        let (office, held) = holds(n);
        let setting = Setting::new(office, &file);
        let address = setting.served.address.to_string();
        let running = Running::start(agency(&setting.file(), &address, &options));
        held.recv_timeout(TIME_MAX).unwrap();
        stop(running, signal);
        assert!(setting.agency(&options).status.success(), "stopped at request {n}");
        assert_eq!(setting.served.bodies(1), bodies(&file, 3), "stopped at request {n}");
    }
}

#[test]
fn what_may_be_stored_or_not_is_told_without_a_word_of_failure() {
    let (office, held) = holds(0);
    let setting = Setting::new(office, &rows(9));
    let address = setting.served.address.to_string();
    let running = Running::start(agency(&setting.file(), &address, &["--base"]));
    held.recv_timeout(TIME_MAX).unwrap();
    let note = "WARNING  action: shutdown | result: in_progress | note: batch 1 (";
    let ended = stop(running, Signal::TERM);
    assert!(ended.log.iter().any(|line| line.starts_with(note)), "{ended:?}");

    let (office, held) = holds(0);
    let setting = Setting::new(office, "");
    let address = setting.served.address.to_string();
    let running = Running::start(client("bet", &address, &BET));
    held.recv_timeout(TIME_MAX).unwrap();
    let ended = stop(running, Signal::TERM);
    let note =
        "WARNING  action: shutdown | result: in_progress | note: the bet may be stored or not";
    assert!(ended.log.iter().any(|line| line.starts_with(note)), "{ended:?}");
}

#[test]
fn a_pause_is_cut_short() {
    let setting = Setting::new(Office { busy_answers: 1000, ..Office::default() }, &rows(1));
    let address = setting.served.address.to_string();
    let mut running = Running::start(agency(&setting.file(), &address, &["--base"]));
    running.wait_for("action: wait | result: in_progress | reason: the draw is not done yet");
    stop(running, Signal::TERM);

    let echo = crate::echo::server(|line| Some(line.to_owned())).to_string();
    let mut running = Running::start(client("echo", &echo, &["--period", "1h"]));
    running.wait_for("action: receive_message | result: success");
    stop(running, Signal::INT);
}

#[test]
fn an_office_that_is_not_there_is_waited_for_no_longer() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    let probe = program(&["probe", "--timeout", "1h", "--server", &address]);
    let setting = Setting::new(Office::default(), &rows(1));
    for command in [
        agency(&setting.file(), &address, &[]),
        client("echo", &address, &[]),
        client("bet", &address, &BET),
        probe,
    ] {
        let mut running = Running::start(command);
        // The fourth pause is some 300 ms and more, those behind it up to 3 s.
        for _ in 0..4 {
            running.wait_for("action: connect | result: in_progress");
        }
        stop(running, Signal::TERM);
    }
}

#[test]
fn an_echo_or_a_probe_stops_while_its_answer_is_owed() {
    for command in [&["echo", "--id", "1"][..], &["probe", "--service", "echo", "--timeout", "1h"]]
    {
        let (address, came) = silent_server();
        let running = Running::start(program(&[command, &["--server", &address]].concat()));
        came.recv_timeout(TIME_MAX).unwrap();
        stop(running, Signal::TERM);
    }
    let (office, held) = holds(1);
    let setting = Setting::new(office, "");
    let address = setting.served.address.to_string();
    let running = Running::start(program(&["probe", "--timeout", "1h", "--server", &address]));
    held.recv_timeout(TIME_MAX).unwrap();
    stop(running, Signal::INT);
}

/// Whether this process has a connection to `port` that is being opened (`SYN_SENT`).
fn is_connecting(pid: u32, port: u16) -> bool {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let remote = format!("0100007F:{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next() == Some(&remote) && fields.next() == Some("02")
    })
}

#[test]
fn a_connection_that_is_being_opened_is_not_waited_for() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // One connection waits to be accepted; the kernel drops what further ones send.
    let _first = TcpStream::connect(address).unwrap();
    let setting = Setting::new(Office::default(), &rows(1));
    let mut running = Running::start(agency(&setting.file(), &address.to_string(), &[]));
    running.wait_for("action: config");
    let begin = Instant::now();
    while !is_connecting(running.pid(), address.port()) {
        assert!(begin.elapsed() < TIME_MAX, "it does not connect");
        thread::yield_now();
    }
    stop(running, Signal::TERM);
}

#[test]
fn a_file_that_is_a_pipe_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("bets.csv");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut running = Running::start(agency(&pipe, "127.0.0.1:1", &[]));
    running.wait_for("action: config");
    stop(running, Signal::TERM);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("bets.csv");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let ends_at_once = || {
        let mut running = Running::start(agency(&pipe, "127.0.0.1:1", &[]));
        running.wait_for("action: config");
        running.signal(Signal::TERM);
        running.signal(Signal::INT);
        let ended = running.end_within(SOON);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.log.iter().any(|line| line.contains("fail")), "{ended:?}");
        // Who was given time to notice the first says so.
        !ended.log.iter().any(|line| line.contains("action: stop"))
    };
    // This test may itself have been held up between the signals, but hardly every time.
    assert!((0..10).any(|_| ends_at_once()));
}

/// As under `nohup`.
#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let setting = Setting::new(Office { busy_answers: 1000, ..Office::default() }, &rows(1));
    let agency = agency(&setting.file(), &setting.served.address.to_string(), &["--base"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    command.arg(agency.get_program()).args(agency.get_args());
    let mut running = Running::start(command);
    for _ in 0..3 {
        running.wait_for("action: wait | result: in_progress | reason: the draw is not done yet");
        running.signal(Signal::HUP);
    }
    stop(running, Signal::TERM);
}

/// A terminal that closes sends one, and its shell may send another.
#[test]
fn a_second_hangup_does_not_cut_the_end_short() {
    let (office, held) = holds(0);
    let setting = Setting::new(office, "");
    let address = setting.served.address.to_string();
    let running = Running::start(client("bet", &address, &BET));
    held.recv_timeout(TIME_MAX).unwrap();
    running.signal(Signal::HUP);
    running.signal(Signal::HUP);
    // All that an orderly end says is said.
    stop(running, Signal::HUP);
}

#[test]
fn a_load_stops_and_says_that_it_did_not_measure() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = ["load", "--agencies", "1", "--bets", "10", "--server", &address];
        let running = Running::start(program(&options));
        // Its hello has come, and is not answered.
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut [0; 5]).unwrap();
        running.signal(signal);
        let ended = running.end_within(SOON);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr, format!("bolillero: {name} came before all was measured\n"));
    }
}

#[test]
fn an_office_that_is_busy_is_waited_for_no_longer() {
    let busy = Fault::Last(packet(&Reply::Busy));
    let office = Office::with_faults((0..1000).map(|request| (request, busy.clone())));
    let setting = Setting::new(office, "");
    let address = setting.served.address.to_string();
    let mut running = Running::start(client("bet", &address, &BET));
    running.wait_for("action: connect | result: in_progress | reason: the office is busy");
    stop(running, Signal::TERM);
}
