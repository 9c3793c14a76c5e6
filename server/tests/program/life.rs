//! A server's life: it starts or says why not, it ends when it is told to, and what it acknowledged is
//! there whenever it comes back.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use bolillero_server::args::{self, Cli};
use bolillero_server::config::Config;
use bolillero_server::lifecycle::{Lifecycle, Phase};
use bolillero_server::server::{self, Sockets};
use clap::Parser as _;
use rustix::process::Signal;
use tempfile::tempdir;

use crate::for_every_driver;
use crate::office::{Office, assert_healthy_log, count, export, serve, verify};
use crate::process::{Ended, PATIENCE, Process};
use crate::wire::{ACK, BUSY, CLOSE, Wire, batch, batch_rows, packet};

for_every_driver! {
    a_signal_ends_a_server_that_nobody_talks_to
    a_signal_tells_the_silent_and_the_unfinished_to_go
    a_signal_tells_those_who_wait_for_the_draw_to_go
    a_signal_in_the_middle_loses_nothing_that_was_acknowledged
    a_second_signal_ends_a_drain_at_once
}

fn a_signal_ends_a_server_that_nobody_talks_to(driver: &str) {
    for (signal, name) in
        [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")]
    {
        let directory = tempdir().unwrap();
        let office = Office::start(directory.path(), &["--driver", driver]);
        office.process.signal(signal);
        let ended = office.process.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert_healthy_log(&ended.lines);
        let told = format!("action: shutdown | result: in_progress | signal: {name}");
        assert_eq!(count(&ended.lines, &told), 1, "{ended:?}");
        verify(directory.path());
    }
}

/// As under `nohup`.
#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let directory = tempdir().unwrap();
    let serve = serve(directory.path(), &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    command.arg(serve.get_program()).args(serve.get_args());
    let office = Office::listening(Process::start(command));
    let mut wire = office.connect();
    for n in 0..3 {
        office.process.signal(Signal::HUP);
        wire.exchange(&batch(1, 30_000_000 + n, 1), &ACK);
    }
    let ended = office.stop();
    assert_eq!(count(&ended.lines, "action: shutdown"), 1, "{ended:?}");
    assert_eq!(count(&ended.lines, "signal: SIGTERM"), 1, "{ended:?}");
}

fn a_signal_tells_the_silent_and_the_unfinished_to_go(driver: &str) {
    let directory = tempdir().unwrap();
    // Who is owed nothing is not waited for: with this the test would not end in time.
    let office = Office::start(directory.path(), &["--driver", driver, "--drain-timeout", "1h"]);
    let mut silent = office.connect();
    let mut half = office.connect();
    half.send(&batch(1, 30_000_000, 10)[..50]);
    let mut served = office.connect();
    served.exchange(&batch(1, 30_000_000, 10), &ACK);
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    for wire in [&mut silent, &mut half, &mut served] {
        wire.expect_last(&CLOSE);
    }
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 10).into_bytes());
}

fn a_signal_tells_those_who_wait_for_the_draw_to_go(driver: &str) {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--driver", driver, "--drain-timeout", "1h"]);
    let mut session = office.connect();
    session.send(&packet(9, "1#1#"));
    assert_eq!(session.packet().0, 10);
    session.exchange(&packet(5, "1#0#0#"), &ACK);
    session.send(&packet(6, "1#"));
    let mut base = office.connect();
    base.exchange(&packet(6, "2#"), &BUSY);
    assert_healthy_log(&office.stop().lines);
    session.expect_last(&CLOSE);
    base.expect_last(&CLOSE);
    assert!(verify(directory.path()).contains("agencies        5, 1 ready"));
}

fn a_signal_in_the_middle_loses_nothing_that_was_acknowledged(driver: &str) {
    let directory = tempdir().unwrap();
    // Room for all that may be sent until the signal comes through.
    let options = ["--driver", driver, "--segment-size", "64MiB"];
    let mut office = Office::start(directory.path(), &options);
    let mut wire = office.connect();
    let mut writer = Wire::over(wire.0.try_clone().unwrap());
    let sender = thread::spawn(move || {
        // The server ends while this sends.
        let mut batches = (0..).map(|n| batch(1, 30_000_000 + n * 10, 10));
        batches.find(|bytes| std::io::Write::write_all(&mut writer.0, bytes).is_err());
    });
    office.process.wait_for("action: apuesta_recibida");
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    let mut answers = Vec::new();
    // The sender's bytes on their way may turn the end into a reset, once all has been read.
    let _ = std::io::Read::read_to_end(&mut wire.0, &mut answers);
    drop(wire);
    sender.join().unwrap();
    let answers = || answers.chunks_exact(5);
    let acknowledged = answers().filter(|answer| *answer == ACK).count();
    assert!(acknowledged > 0, "nothing was acknowledged");
    assert!(answers().all(|answer| answer == ACK || answer == CLOSE));
    let stored = count(&ended.lines, "action: apuesta_recibida | result: success");
    assert!(stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
    let rows = (0..u32::try_from(stored).unwrap()).map(|n| batch_rows(1, 30_000_000 + n * 10, 10));
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows.collect::<String>());
}

/// A peer that does not read what it is owed makes the drain last.
fn a_second_signal_ends_a_drain_at_once(driver: &str) {
    let directory = tempdir().unwrap();
    let options = ["--driver", driver, "--drain-timeout", "1h", "--output-timeout", "1h"];
    let mut office = Office::start(directory.path(), &options);
    let mut wire = office.connect();
    wire.exchange(&batch(1, 30_000_000, 10), &ACK);
    let error = packet(3, &format!("1#@0#{}#", "1".repeat(40)));
    let flood = error.repeat(1000);
    wire.0.set_nonblocking(true).unwrap();
    fill(&mut wire, &flood);
    office.process.signal(Signal::TERM);
    office.process.wait_for("action: shutdown | result: in_progress");
    // A terminal that closes sends this, and a shell that ends with it may do so again.
    office.process.signal(Signal::HUP);
    office.process.signal(Signal::INT);
    let ended = office.process.end();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{ended:?}");
    let last = ended.lines.last().unwrap();
    assert!(last.contains("signal: SIGINT | error: a second signal"), "{ended:?}");
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 10).into_bytes());
}

/// Sends these bytes over and over until neither side takes more; how many those were.
pub(crate) fn fill(wire: &mut Wire, bytes: &[u8]) -> usize {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let quiet = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut sent = 0;
    while poll(&mut [PollFd::new(&wire.0, PollFlags::OUT)], Some(&quiet)).unwrap() > 0 {
        match std::io::Write::write(&mut wire.0, &bytes[sent % bytes.len()..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(sent < FILL_MAX, "it takes bytes without end");
    }
    sent
}

/// More than the kernel keeps on both sides, and a server of one connection.
const FILL_MAX: usize = 64 << 20;

#[test]
fn the_phases_follow_one_another() {
    for driver in ["pool", "events", "threads"] {
        let directory = tempdir().unwrap();
        let config = config(directory.path(), &["--driver", driver]);
        let sockets = Sockets::bind(&config).unwrap();
        let address = sockets.lottery.local_addr().unwrap();
        let life = Lifecycle::new();
        assert_eq!(life.phase(), Phase::Recovering);
        let ended = run_in_thread(&config, sockets, &life);
        assert!(life.wait_for(Phase::Serving, PATIENCE));
        let mut wire = Wire::connect(address);
        wire.exchange(&batch(1, 30_000_000, 1), &ACK);
        assert_eq!(life.phase(), Phase::Serving);
        life.stop();
        assert!(life.wait_for(Phase::Draining, PATIENCE));
        wire.expect_last(&CLOSE);
        assert!(life.wait_for(Phase::Stopped, PATIENCE));
        ended.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(life.phase(), Phase::Stopped);
    }
}

#[test]
fn a_server_that_is_stopped_before_it_serves_ends_at_once() {
    let directory = tempdir().unwrap();
    let config = config(directory.path(), &[]);
    let life = Lifecycle::new();
    life.stop();
    server::run(&config, Sockets::bind(&config).unwrap(), &life).unwrap();
    assert_eq!(life.phase(), Phase::Stopped);
    verify(directory.path());
}

#[test]
fn a_server_that_cannot_start_leaves_nothing_behind() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("ledger"), "a file").unwrap();
    let config = config(directory.path(), &[]);
    let life = Lifecycle::new();
    for _attempt in ["first", "again"] {
        let failure = server::run(&config, Sockets::bind(&config).unwrap(), &life).unwrap_err();
        assert_eq!(failure.exit_code(), 1, "{failure}");
        assert!(failure.to_string().contains("ledger"), "{failure}");
        assert_eq!(life.phase(), Phase::Stopped);
    }
}

pub(crate) fn config(data_dir: &Path, options: &[&str]) -> Config {
    let data_dir = data_dir.to_str().unwrap();
    let typed = ["bolillero-server", "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir];
    let typed = [&typed[..], &["--segment-size", "1MiB"], options].concat();
    let args::Command::Serve(args) = Cli::parse_from(typed).command else {
        panic!("serve was typed")
    };
    Config::new(&args, |_| None).unwrap()
}

pub(crate) fn run_in_thread(
    config: &Config,
    sockets: Sockets,
    life: &Lifecycle,
) -> mpsc::Receiver<Result<(), bolillero_server::failure::Failure>> {
    let (config, life) = (config.clone(), life.clone());
    let (send, ended) = mpsc::channel();
    thread::spawn(move || send.send(server::run(&config, sockets, &life)));
    ended
}

/// How a start ends that is not to succeed.
fn failed_start(data_dir: &Path, options: &[&str]) -> Ended {
    let ended = Process::start(serve(data_dir, options)).end();
    assert_eq!(count(&ended.lines, "action: listen"), 0, "{ended:?}");
    ended
}

#[track_caller]
fn assert_failed(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in said {
        assert!(ended.stderr.contains(part), "{:?} does not say {part:?}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_second_server_on_a_data_directory_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let office = Office::start(directory.path(), &[]);
    assert_failed(&failed_start(directory.path(), &[]), 1, &[path, "another server"]);
    office.connect().exchange(&batch(1, 30_000_000, 1), &ACK);
    office.stop();
    Office::start(directory.path(), &[]).stop();
}

#[test]
fn a_start_with_other_terms_is_refused_and_names_both() {
    let directory = tempdir().unwrap();
    Office::start(directory.path(), &["--agencies", "3"]).stop();
    for (options, said) in [
        (&["--agencies", "4"][..], &["--agencies", "3", "4"]),
        (&["--agencies", "3", "--winning-number", "12"], &["--winning-number", "7574", "12"]),
    ] {
        assert_failed(&failed_start(directory.path(), options), 1, said);
    }
    Office::start(directory.path(), &["--agencies", "3"]).stop();
}

#[test]
fn a_damaged_ledger_is_refused_and_named() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    for n in 0..3 {
        office.connect().exchange(&batch(1, 30_000_000 + n, 1), &ACK);
    }
    office.stop();
    let segment = directory.path().join("ledger/00000001.log");
    let sound = fs::read(&segment).unwrap();
    let mut damaged = sound.clone();
    let place = sound.windows(8).position(|bytes| bytes == b"30000001").unwrap();
    damaged[place] = b'9';
    fs::write(&segment, &damaged).unwrap();
    let said = ["00000001.log", "offset", "damaged"];
    assert_failed(&failed_start(directory.path(), &[]), 4, &said);
    assert!(fs::read(&segment).unwrap() == damaged, "a refused start changed the ledger");
    fs::write(&segment, &sound).unwrap();
    Office::start(directory.path(), &[]).stop();
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for data_dir in [&file, &file.join("below")] {
        let ended = failed_start(data_dir, &[]);
        assert_failed(&ended, 1, &[data_dir.to_str().unwrap()]);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let directory = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = failed_start(directory.path(), &["--listen", &address]);
    assert_failed(&ended, 1, &["listening on", &address]);
}

#[test]
fn published_results_are_written_again_when_they_are_missing_or_changed() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--agencies", "2"]);
    let mut wire = office.connect();
    wire.exchange(&packet(1, "1#Ana#Paz#30000001#1990-01-01#7574#"), &ACK);
    wire.exchange(&packet(5, "1#"), &ACK);
    wire.exchange(&packet(5, "2#"), &ACK);
    office.stop();
    let published = directory.path().join("published");
    let first = read_files(&published);
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["SHA256SUMS", "draw.json", "winners-agency-1.csv", "winners-agency-2.csv"];
    assert_eq!(names, expected);
    assert!(first.iter().all(|(_, text)| !text.contains("Ana")), "a bettor's name is public");
    assert_eq!(first[2].1, "30000001\r\n");
    let start = || Office::start(directory.path(), &["--agencies", "2"]).stop();
    fs::remove_dir_all(&published).unwrap();
    start();
    assert_eq!(read_files(&published), first);
    for name in expected {
        fs::remove_file(published.join(name)).unwrap();
        start();
        assert_eq!(read_files(&published), first, "{name} was removed");
        fs::write(published.join(name), "somebody else's").unwrap();
        start();
        assert_eq!(read_files(&published), first, "{name} was changed");
    }
}

fn read_files(directory: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}
