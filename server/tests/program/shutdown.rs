//! How a server ends that is in the middle of something: a draw, a batch, hundreds of peers who say
//! nothing, a log that nobody takes. What a signal does to one at rest stands in `life`.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use bolillero_protocol::bet::Number;
use bolillero_protocol::message::DrawId;
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::ledger::segment::{SegmentHeader, begin_group, seal_group};
use bolillero_server::lifecycle::{Lifecycle, Phase};
use bolillero_server::lottery::event::{open_body, open_record};
use bolillero_server::lottery::state::Terms;
use bolillero_server::server::{self, Sockets};
use rustix::process::Signal;
use tempfile::tempdir;

use crate::for_every_driver;
use crate::life::{config, run_in_thread};
use crate::office::{
    Office, Port, WINNING_NUMBER, assert_healthy_log, count, export, serve, verify,
};
use crate::process::{Ended, PATIENCE, Process};
use crate::stdout::connect_when_it_listens;
use crate::wire::{ACK, BUSY, CLOSE, NO_WINNERS, Wire, batch, batch_body, batch_rows, packet};

for_every_driver! {
    a_draw_that_is_under_way_is_told_before_the_end
    a_draw_that_outlasts_the_drain_is_told_after_the_next_start
    a_second_signal_in_the_middle_of_a_draw_ends_it_at_once
    a_search_for_the_winners_is_finished_or_done_at_the_next_start
    hundreds_of_silent_peers_do_not_hold_the_end
    a_batch_cut_by_the_end_is_stored_once_when_it_is_sent_again
}

pub(crate) const DRAWN: &str = "action: sorteo | result: success";
/// The winner of agency 1, told.
pub(crate) const WINNER: &str = "30000001#";

/// Two agencies of which one has a winner and waits for it in a session, the other has just said 5
/// and 6 behind it. The draw is on disk and is not told before `announce_delay` is over.
struct Drawing {
    office: Office,
    session: Wire,
    base: Wire,
    /// Has been answered once, so the server has it, and says nothing more.
    silent: Wire,
}

impl Drawing {
    fn start(data_dir: &Path, driver: &str, announce_delay: &str, drain: &str) -> Self {
        let options = ["--agencies", "2", "--driver", driver, "--announce-delay", announce_delay];
        let options = [&options[..], &["--drain-timeout", drain]].concat();
        let mut office = Office::start(data_dir, &options);
        let mut silent = office.connect();
        silent.exchange(&packet(6, "1#"), &BUSY);
        let mut session = open_session(&office);
        let winner = format!("1#@0#1#Ana#Paz#{WINNER}1990-01-01#{WINNING_NUMBER}#");
        session.send(&packet(11, &format!("1#{winner}")));
        assert_eq!(session.packet().0, 12);
        session.exchange(&packet(5, "1#1#1#"), &ACK);
        session.send(&packet(6, "1#"));
        let mut base = office.connect();
        base.send(&[packet(5, "2#"), packet(6, "2#")].concat());
        office.process.wait_for(DRAWN);
        Self { office, session, base, silent }
    }
}

fn open_session(office: &Office) -> Wire {
    let mut session = office.connect();
    session.send(&packet(9, "1#1#"));
    assert_eq!(session.packet().0, 10);
    session
}

fn a_draw_that_is_under_way_is_told_before_the_end(driver: &str) {
    let directory = tempdir().unwrap();
    let Drawing { office, mut session, mut base, mut silent } =
        Drawing::start(directory.path(), driver, "300ms", "1h");
    let ended = office.stop();
    session.expect_last(&[packet(7, WINNER), CLOSE.to_vec()].concat());
    base.expect_last(&[&ACK[..], &NO_WINNERS, &CLOSE].concat());
    silent.expect_last(&CLOSE);
    assert_healthy_log(&ended.lines);
    assert_order(&ended.lines, &["listen", "sorteo", "shutdown", "publish", "exit"]);
    assert_drawn_before(directory.path(), driver);
}

fn a_draw_that_outlasts_the_drain_is_told_after_the_next_start(driver: &str) {
    let directory = tempdir().unwrap();
    let Drawing { office, mut session, mut base, .. } =
        Drawing::start(directory.path(), driver, "1h", "50ms");
    let ended = office.stop();
    assert_order(&ended.lines, &["sorteo", "shutdown", "drain | result: fail", "exit"]);
    session.expect_end();
    base.expect_end();
    assert_drawn_before(directory.path(), driver);
}

fn a_second_signal_in_the_middle_of_a_draw_ends_it_at_once(driver: &str) {
    let directory = tempdir().unwrap();
    let mut drawing = Drawing::start(directory.path(), driver, "1h", "1h");
    let process = &mut drawing.office.process;
    process.signal(Signal::TERM);
    process.wait_for("action: shutdown | result: in_progress | signal: SIGTERM");
    process.signal(Signal::TERM);
    let ended = drawing.office.process.end();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{ended:?}");
    assert!(ended.lines.last().unwrap().contains("error: a second signal"), "{ended:?}");
    drawing.session.expect_end();
    drawing.base.expect_end();
    assert_drawn_before(directory.path(), driver);
}

/// The next server tells the winners, and draws no second time.
fn assert_drawn_before(data_dir: &Path, driver: &str) {
    let office = Office::start(data_dir, &["--agencies", "2", "--driver", driver]);
    office.connect().exchange(&packet(6, "1#"), &packet(7, WINNER));
    office.connect().exchange(&packet(6, "2#"), &NO_WINNERS);
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(count(&ended.lines, DRAWN), 0, "{ended:?}");
    assert!(verify(data_dir).contains("drawn           1 winner"));
}

#[track_caller]
fn assert_order(lines: &[String], actions: &[&str]) {
    let places = actions.iter().map(|action| {
        let action = format!("action: {action}");
        let place = lines.iter().position(|line| line.contains(&action));
        place.unwrap_or_else(|| panic!("no {action:?}: {lines:?}"))
    });
    assert!(places.is_sorted(), "not in the order {actions:?}: {lines:?}");
}

/// The signal comes when the last agency has finished and its bets are searched, or soon after.
fn a_search_for_the_winners_is_finished_or_done_at_the_next_start(driver: &str) {
    const BATCHES: u32 = 100;
    const BETS: u32 = 1000;
    for drain in ["1h", "10ms"] {
        let directory = tempdir().unwrap();
        // The number of every tenth bet.
        let terms = ["--agencies", "2", "--winning-number", "7", "--driver", driver];
        let options = ["--segment-size", "16MiB", "--readers", "1", "--drain-timeout", drain];
        let mut office = Office::start(directory.path(), &[&terms[..], &options].concat());
        let mut wire = office.connect();
        for n in 0..BATCHES {
            wire.exchange(&batch(1, 30_000_000 + n * BETS, BETS), &ACK);
        }
        wire.exchange(&packet(5, "2#"), &ACK);
        office.process.wait_for("action: agencia_lista");
        wire.send(&[packet(5, "1#"), packet(6, "1#")].concat());
        office.process.wait_for("action: agencia_lista");
        let ended = office.stop();
        let mut told = Vec::new();
        // Told in time, or not at all: with little time the connection may be cut.
        let _ = std::io::Read::read_to_end(&mut wire.0, &mut told);
        let winners = (0..BATCHES * BETS).filter(|n| n % 10 == 7);
        let winners: String = winners.map(|n| format!("{}#", 30_000_000 + n)).collect();
        let winners = packet(7, &winners);
        let all = [&ACK[..], &winners, &CLOSE].concat();
        assert!(told == all || (drain != "1h" && all.starts_with(&told)), "{}", told.len());

        let office = Office::start(directory.path(), &terms);
        office.connect().exchange(&packet(6, "1#"), &winners);
        let draws = count(&ended.lines, DRAWN) + count(&office.stop().lines, DRAWN);
        assert_eq!(draws, 1, "{drain}");
    }
}

fn hundreds_of_silent_peers_do_not_hold_the_end(driver: &str) {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--driver", driver, "--drain-timeout", "1h"]);
    let half = &batch(1, 30_000_000, 10)[..50];
    let begin = |n| {
        let mut wire = office.connect();
        let said: &[u8] = if n % 2 == 0 { &[] } else { half };
        wire.send(said);
        wire
    };
    let silent: Vec<Wire> = (0..300).map(begin).collect();
    let mut served = office.connect();
    served.exchange(&batch(1, 30_000_000, 10), &ACK);
    assert_healthy_log(&office.stop().lines);
    for mut wire in silent.into_iter().chain([served]) {
        wire.expect_last(&CLOSE);
    }
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 10).into_bytes());
}

fn a_batch_cut_by_the_end_is_stored_once_when_it_is_sent_again(driver: &str) {
    let directory = tempdir().unwrap();
    let batch = |seq: u32| packet(11, &format!("{seq}#{}", batch_body(1, 30_000_000 + seq, 1)));
    let options = ["--driver", driver, "--drain-timeout", "1h"];
    let office = Office::start(directory.path(), &options);
    let mut wire = open_session(&office);
    let (second, half) = (batch(2), batch(2).len() / 2);
    wire.send(&[&batch(1), &second[..half]].concat());
    assert_eq!(wire.packet().0, 12);
    assert_healthy_log(&office.stop().lines);
    wire.expect_last(&CLOSE);

    let office = Office::start(directory.path(), &options);
    let mut wire = office.connect();
    wire.send(&packet(9, "1#1#"));
    let (opcode, welcome) = wire.packet();
    assert!(opcode == 10 && welcome.starts_with("2#2#1#"), "{opcode}: {welcome}");
    wire.send(&second);
    assert_eq!(wire.packet().0, 12);
    office.stop();
    let rows = batch_rows(1, 30_000_001, 1) + &batch_rows(1, 30_000_002, 1);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);
}

/// What a draw holds up stays in its phase until it is let go.
#[test]
fn a_life_drains_as_long_as_a_draw_is_owed_and_is_stopped_once_it_is_abandoned() {
    for driver in ["pool", "events", "threads"] {
        let directory = tempdir().unwrap();
        let long = ["--agencies", "1", "--announce-delay", "1h", "--drain-timeout", "1h"];
        let config = config(directory.path(), &[&long[..], &["--driver", driver]].concat());
        let sockets = Sockets::bind(&config).unwrap();
        let address = sockets.lottery.local_addr().unwrap();
        let life = Lifecycle::new();
        let ended = run_in_thread(&config, sockets, &life);
        assert!(life.wait_for(Phase::Serving, PATIENCE));
        // First come, first accepted: who is answered shows that the other one is known, too.
        let (mut silent, mut owed) = (Wire::connect(address), Wire::connect(address));
        // The second of two in one write is there when the first is answered.
        owed.send(&[batch(1, 30_000_000, 1), packet(5, "1#")].concat());
        owed.expect(&ACK);
        life.stop();
        assert!(life.wait_for(Phase::Draining, PATIENCE));
        // Who is owed nothing leaves, and it drains on.
        silent.expect_last(&CLOSE);
        assert_eq!(life.phase(), Phase::Draining);
        assert!(ended.try_recv().is_err(), "it ended though an answer is owed");
        life.abandon();
        assert!(life.wait_for(Phase::Stopped, PATIENCE));
        ended.recv_timeout(PATIENCE).unwrap().unwrap();
        owed.expect_end();
    }
}

#[test]
fn a_signal_ends_a_start_that_has_a_draw_to_do() {
    let directory = tempdir().unwrap();
    write_ledger_of_a_due_draw(directory.path(), 2);
    let options = ["--agencies", "2", "--announce-delay", "1h"];
    let mut process = Process::start(serve(directory.path(), &options));
    process.wait_for(DRAWN);
    process.signal(Signal::TERM);
    let ended = process.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_healthy_log(&ended.lines);
    assert_drawn_before(directory.path(), "pool");
}

#[test]
fn a_search_that_is_stopped_at_the_start_is_done_at_the_next_one() {
    let directory = tempdir().unwrap();
    write_ledger_of_a_due_draw(directory.path(), 2);
    let config = config(directory.path(), &["--agencies", "2"]);
    let life = Lifecycle::new();
    life.stop();
    server::run(&config, Sockets::bind(&config).unwrap(), &life).unwrap();
    assert_eq!(life.phase(), Phase::Stopped);
    assert!(verify(directory.path()).contains("drawn           no (Drawing)"));
    let ended = Office::start(directory.path(), &["--agencies", "2"]).stop();
    assert_eq!(count(&ended.lines, DRAWN), 1, "{ended:?}");
    assert_drawn_before(directory.path(), "pool");
}

/// A ledger as a server leaves it that dies when the last agency has finished. Only agency 1 has a bet, which wins.
pub(crate) fn write_ledger_of_a_due_draw(data_dir: &Path, agencies: u32) {
    let draw = DrawId(*b"the draw");
    let winning_number = Number::new(WINNING_NUMBER).unwrap();
    let terms = Terms { agencies, winning_number, draw };
    let winner = format!("1#@0#1#Ana#Paz#{WINNER}1990-01-01#{WINNING_NUMBER}#");
    let body = winner.as_bytes();
    let batch = Record { kind: Kind::Batch, agency: 1, epoch: 0, seq: 1, n: 1, body };
    let finish = Record { kind: Kind::Finish, n: 0, body: b"", ..batch };
    let mut group = Vec::new();
    begin_group(&mut group);
    for record in [open_record(&terms, &open_body(&terms)), batch, finish] {
        record.encode(&mut group);
    }
    for agency in 2..=agencies {
        Record { agency, seq: 0, ..finish }.encode(&mut group);
    }
    seal_group(&mut group, 1);
    let header = SegmentHeader { segment: 1, first_group: 1, draw }.encode();
    let ledger = data_dir.join(server::LEDGER_DIRECTORY);
    fs::create_dir(&ledger).unwrap();
    fs::write(ledger.join("00000001.log"), [&header, group.as_slice()].concat()).unwrap();
}

/// How a log is not taken.
#[derive(Debug, Clone, Copy)]
enum Log {
    /// The pipe is full from the beginning, and stays so.
    Stalled,
    /// Nobody holds the pipe's other end.
    Closed,
}

/// Starts a server whose log is not taken, which cannot tell its address. Returns what keeps the
/// pipe as it is, too.
fn start_unheard(
    log: Log,
    data_dir: &Path,
    options: &[&str],
) -> (Process, Wire, Port, Option<std::io::PipeReader>) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = match log {
        Log::Stalled => {
            rustix::io::ioctl_fionbio(&writer, true).unwrap();
            while writer.write(&[b'\n'; 4096]).is_ok() {}
            rustix::io::ioctl_fionbio(&writer, false).unwrap();
            Some(reader)
        }
        Log::Closed => None,
    };
    let port = Port::reserve();
    let listen = port.address().to_string();
    let mut command = serve(data_dir, &[&["--listen", &listen], options].concat());
    command.stdout(writer);
    let process = Process::start_with_stdout(command);
    let wire = connect_when_it_listens(&port);
    (process, wire, port, reader)
}

#[test]
fn a_log_that_nobody_takes_holds_neither_a_draw_nor_the_end_behind_it() {
    for log in [Log::Stalled, Log::Closed] {
        let directory = tempdir().unwrap();
        let options = ["--agencies", "1", "--announce-delay", "100ms", "--drain-timeout", "1h"];
        let (process, mut wire, _port, _reader) = start_unheard(log, directory.path(), &options);
        wire.send(&[batch(1, 30_000_000, 1), packet(5, "1#"), packet(6, "1#")].concat());
        wire.expect(&ACK);
        process.signal(Signal::TERM);
        wire.expect_last(&[&ACK[..], &NO_WINNERS, &CLOSE].concat());
        let Ended { code, stderr, .. } = process.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{log:?}");
        assert!(verify(directory.path()).contains("drawn           0 winners"));
    }
}

#[test]
fn a_log_that_nobody_takes_does_not_hold_a_second_signal() {
    for log in [Log::Stalled, Log::Closed] {
        let directory = tempdir().unwrap();
        let options = ["--agencies", "1", "--announce-delay", "1h", "--drain-timeout", "1h"];
        let (process, mut wire, port, _reader) = start_unheard(log, directory.path(), &options);
        let mut silent = Wire::connect(port.address());
        wire.send(&[batch(1, 30_000_000, 1), packet(5, "1#")].concat());
        wire.expect(&ACK);
        process.signal(Signal::TERM);
        // With no log to tell, this tells that the first signal was taken.
        silent.expect_last(&CLOSE);
        process.signal(Signal::INT);
        let Ended { code, signal, stderr, .. } = process.end();
        assert_eq!((code, signal, stderr.as_str()), (Some(1), None, ""), "{log:?}");
        assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 1).into_bytes());
    }
}
