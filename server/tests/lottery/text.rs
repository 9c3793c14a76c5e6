//! The text dialect: what a connection is told, when, and what is stored of what it brought.

use std::io::ErrorKind;
use std::time::Duration;

use bolillero_server::ledger::committer::Step;
use bolillero_server::lottery::draw::{DrawSettings, DrawStep};
use bolillero_server::lottery::session::SessionLimits;

use crate::support::*;

const ERROR: &[u8] = b"ERROR\n";

/// What a client says to bring these batches.
fn bring(batches: &[String]) -> Vec<u8> {
    [frame("BET"), frames(batches.iter().map(String::as_str)), frame("FINISH")].concat()
}

fn results(agency: u32) -> Vec<u8> {
    frames(["RESULTS", &agency.to_string()])
}

/// Holds that a connection has just ended with this line, or none.
#[track_caller]
fn assert_ended(client: &mut Client, line: &[u8]) {
    let said = client.read();
    assert_eq!(
        (said.escape_ascii().to_string(), client.is_closed()),
        (line.escape_ascii().to_string(), true)
    );
}

#[track_caller]
fn assert_silent(client: &mut Client) {
    assert_eq!((client.read(), client.is_closed()), (vec![], false));
}

#[test]
fn batches_are_counted_once_they_and_the_mark_are_on_disk() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[1, 2, 3]), text(1, &[7574]).replace(';', "")]));
    assert_silent(&mut client);
    assert_eq!(central.stored().0[0].len(), 0);
    central.commit();
    assert_ended(&mut client, b"4\n");
    let lane = &central.stored().0[0];
    assert_eq!(*lane, [body(1, &[1, 2, 3]), body(1, &[7574])].map(String::into_bytes));
    assert!(central.office.lane(1).unwrap().finished);
    central.check_replay();
}

#[test]
fn a_batch_is_not_answered_and_is_stored_without_its_finish() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&frames(["BET", &text(1, &[1]), &text(1, &[2])]));
    central.settle();
    assert_silent(&mut client);
    client.half_close();
    assert_ended(&mut client, b"");
    assert_eq!(central.stored().0[0].len(), 2);
    assert!(!central.office.lane(1).unwrap().finished);
    // Another connection brings the rest: it counts its own.
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[3])]));
    central.settle();
    assert_ended(&mut client, b"1\n");
    assert_eq!(central.stored().0[0].len(), 3);
}

#[test]
fn the_count_that_completes_the_draw_leaves_after_it() {
    let mut central = Central::new(2);
    central.finish_all([2]);
    let (mut client, mut early) = (central.connect_text(), central.connect_text());
    client.send(&bring(&[text(1, &[7574, 1, 7574])]));
    central.commit();
    assert_silent(&mut client);
    early.send(&results(1));
    assert_ended(&mut early, b"");
    assert_eq!(central.draw(), DrawStep::Waiting);
    central.commit();
    assert_silent(&mut client);
    assert_eq!(central.draw(), DrawStep::Done);
    assert_ended(&mut client, b"3\n");
    for (agency, line) in [(1, &b"30007574,30007574\n"[..]), (2, b"NOWINNERS\n")] {
        let mut asking = central.connect_text();
        asking.send(&results(agency));
        assert_ended(&mut asking, line);
    }
    // A restart knows them, too.
    let central = central.restart();
    let mut asking = central.connect_text();
    asking.send(&results(1));
    assert_ended(&mut asking, b"30007574,30007574\n");
}

#[test]
fn an_end_without_a_line_says_that_the_draw_is_not_done() {
    let mut central = Central::new(2);
    central.finish_all([1]);
    let mut asking = central.connect_text();
    asking.send(&frame("RESULTS"));
    assert_silent(&mut asking);
    asking.send(&frame("1"));
    assert_ended(&mut asking, b"");
}

/// What is told at once, whatever else the office has; nothing of it is stored, and nobody is marked.
#[test]
fn what_cannot_be_done_is_an_error_and_the_end() {
    let good = text(1, &[1]);
    let bad = |from: &str, to: &str| frames(["BET", &good.replace(from, to)]);
    for (name, sent) in [
        ("another opening", frame("HELLO")),
        ("an empty opening", frame("")),
        ("winners of nobody", frames(["RESULTS", "x"])),
        ("winners of no agency", results(3)),
        ("winners of agency 0", results(0)),
        ("a day that does not exist", bad("1990-01-01", "1990-02-30")),
        ("an agency that is none", bad("1,Ana", "3,Ana")),
        ("a field less", bad(",Paz", "")),
        ("a field more", bad(",Paz", ",Paz,Sosa")),
        ("a field of two items", bad("Ana,Paz", "Ana#Paz")),
        ("a second bet that is none", bad(";", ";;")),
        ("two agencies in a batch", frames(["BET", &(text(1, &[1]) + &text(2, &[2]))])),
        ("what is not UTF-8", [&frame("BET")[..], &[0, 1, 0xff]].concat()),
    ] {
        let mut central = Central::new(2);
        take_log_lines();
        let mut client = central.connect_text();
        client.send(&[sent, frame(&good), frame("FINISH")].concat());
        assert_ended(&mut client, ERROR);
        let lines = take_log_lines();
        assert!(lines.len() == 1 && lines[0].contains("| result: fail |"), "{name}: {lines:?}");
        assert_eq!(central.commit(), Step::Idle, "{name}");
        assert_eq!(central.office.lane(1), Central::new(2).office.lane(1), "{name}");
    }
}

#[test]
fn what_was_stored_before_an_error_stays_and_is_on_disk_when_the_error_leaves() {
    let other = text(2, &[1]);
    let broken = text(1, &[1]).replace(",Paz", "");
    for bad in [other.as_str(), &broken] {
        let mut central = Central::new(2);
        let mut client = central.connect_text();
        client.send(&frames([
            "BET",
            &text(1, &[1]),
            &text(1, &[2, 3]),
            bad,
            &text(1, &[4]),
            "FINISH",
        ]));
        assert_silent(&mut client);
        central.commit();
        assert_ended(&mut client, ERROR);
        let lanes = central.stored().0;
        assert_eq!(
            lanes,
            [vec![body(1, &[1]).into_bytes(), body(1, &[2, 3]).into_bytes()], vec![]]
        );
        assert!(!central.office.lane(1).unwrap().finished, "{bad}");
        central.check_replay();
    }
}

#[test]
fn a_refusal_by_the_office_waits_for_what_it_follows_from() {
    type Before = (&'static str, Vec<u8>, &'static str);
    let befores: [Before; 2] = [
        ("a lane of sessions", hello(1), "agency 1 works in sessions: base packets are refused"),
        ("a finished agency", ready(1), "agency 1 has finished"),
    ];
    for (name, before, error) in befores {
        let mut central = Central::new(2);
        let (mut other, mut client) = (central.connect(), central.connect_text());
        other.send(&before);
        take_log_lines();
        client.send(&bring(&[text(1, &[1, 2])]));
        assert_silent(&mut client);
        let line =
            format!("action: apuesta_recibida | result: fail | cantidad: 2 | error: {error}");
        assert_eq!(take_log_lines(), [line], "{name}");
        central.commit();
        assert_ended(&mut client, ERROR);
        assert_eq!(central.stored().0[0].len(), 0, "{name}");
    }
}

#[test]
fn a_lane_that_a_session_takes_over_before_finish_is_not_marked() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&frames(["BET", &text(1, &[1])]));
    central.commit();
    central.session(1);
    client.send(&frame("FINISH"));
    assert_ended(&mut client, ERROR);
    assert!(!central.office.lane(1).unwrap().finished);
}

#[test]
fn a_mark_is_made_once_and_one_without_a_batch_is_none() {
    let mut central = Central::new(2);
    for sent in [frames(["BET", "FINISH"]), frames(["BET", "", "", "FINISH"])] {
        let mut client = central.connect_text();
        client.send(&sent);
        assert_ended(&mut client, b"0\n");
        assert_eq!(central.commit(), Step::Idle);
    }
    let mut clients = [central.connect_text(), central.connect_text()];
    for client in &mut clients {
        client.send(&frames(["BET", &text(1, &[1])]));
    }
    for client in &mut clients {
        client.send(&frame("FINISH"));
        central.settle();
        assert_ended(client, b"1\n");
    }
    let marks = central.logged().iter().filter(|line| line.contains("agencia_lista")).count();
    assert_eq!(marks, 1);
    central.check_replay();
}

#[test]
fn what_comes_behind_the_end_means_nothing() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&[bring(&[text(1, &[1])]), frame(&text(1, &[2])), results(1)].concat());
    client.send(&bring(&[text(2, &[1])]));
    central.settle();
    assert_ended(&mut client, b"1\n");
    assert_eq!(central.stored().0, [vec![body(1, &[1]).into_bytes()], vec![]]);
}

#[test]
fn a_conversation_is_the_same_however_it_is_cut() {
    let batches: Vec<String> = (1..=5).map(|n| text(1, &[n; 8])).collect();
    let sent = bring(&batches);
    for size in [1, 2, 3, 50, sent.len() - 1] {
        let mut central = Central::new(2);
        let mut client = central.connect_text();
        sent.chunks(size).for_each(|piece| client.send(piece));
        central.settle();
        assert_ended(&mut client, b"40\n");
        assert_eq!(central.stored().0[0].len(), 5, "in pieces of {size}");
    }
}

#[test]
fn a_connection_takes_no_more_batches_than_may_be_unsynced() {
    let setup = Setup::default();
    let limits = SessionLimits { unanswered_max: 4, ..setup.limits };
    let mut central = Central::with(Setup { limits, ..setup });
    let mut client = central.connect_text();
    client.send(&bring(&(1..=10).map(|n| text(1, &[n])).collect::<Vec<_>>()));
    for stored in [4, 8] {
        assert!(client.is_held());
        assert_eq!(client.wait(), None, "it is us who do not read");
        central.commit();
        assert_silent(&mut client);
        assert_eq!(central.stored().0[0].len(), stored);
    }
    central.commit();
    assert_ended(&mut client, b"10\n");
    assert_eq!(central.stored().0[0].len(), 10);
}

#[test]
fn a_full_queue_of_the_ledger_holds_who_brings_more_and_an_end_behind_it_is_not_lost() {
    let mut central = Central::with(Setup { queue_bytes_max: 100, ..Setup::default() });
    let (mut first, mut second) = (central.connect_text(), central.connect_text());
    first.send(&bring(&[text(1, &[1; 10]), text(1, &[2])]));
    second.send(&bring(&[text(2, &[3])]));
    second.half_close();
    assert!(first.is_held() && second.is_held());
    for _ in 0..5 {
        central.settle();
        first.send(b"");
        second.send(b"");
    }
    assert_ended(&mut first, b"11\n");
    assert_ended(&mut second, b"1\n");
}

#[test]
fn a_batch_without_room_is_an_error_and_changes_nothing() {
    let mut central = Central::with(Setup { segment_size: 16 << 10, ..Setup::default() });
    central.prepare();
    central.disk.limit_room(central.disk.used(), ErrorKind::StorageFull);
    let mut client = central.connect_text();
    client.send(&frame("BET"));
    let mut stored = 0;
    while !client.is_closed() {
        stored = central.stored().0[0].len();
        client.send(&frame(&text(1, &[7; 40])));
        central.settle();
        client.send(b"");
        assert!(stored < 100, "the disk takes bets without end");
    }
    assert_ended(&mut client, ERROR);
    assert_eq!(central.stored().0[0].len(), stored);
    central.check_replay();
}

#[test]
fn nobody_is_counted_by_a_ledger_that_failed() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[1])]));
    central.disk.fail_call(0, ErrorKind::Other, bolillero_server::ledger::memory::Done::Nothing);
    central.commit_fails();
    assert_silent(&mut client);
}

#[test]
fn winners_that_are_too_many_for_a_line_are_an_error_and_the_log_names_their_file() {
    let draw = DrawSettings { winners_length_max: 20, ..DrawSettings::default() };
    let mut central = Central::with(Setup { draw, ..Setup::default() });
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[7574; 3])]));
    central.settle();
    assert_ended(&mut client, b"3\n");
    central.finish_all([2]);
    take_log_lines();
    let mut asking = central.connect_text();
    asking.send(&results(1));
    assert_ended(&mut asking, ERROR);
    let lines = take_log_lines();
    assert!(lines[0].contains("winners-agency-1.csv"), "{lines:?}");
}

#[test]
fn at_a_stop_what_had_arrived_is_finished_and_others_are_closed_without_a_line() {
    type Row = (&'static str, Vec<u8>, &'static [u8]);
    let rows: [Row; 6] = [
        ("silent", vec![], b""),
        ("half a frame", vec![0], b""),
        ("between batches", frames(["BET", &text(1, &[1])]), b""),
        ("about to ask", frame("RESULTS"), b""),
        ("finished", bring(&[text(1, &[1])]), b"1\n"),
        ("more than may be unsynced", bring(&vec![text(1, &[1]); 150]), b"150\n"),
    ];
    for (name, sent, line) in rows {
        let mut central = Central::new(2);
        let mut client = central.connect_text();
        // What comes while it holds stays in the socket.
        sent.chunks(500).for_each(|piece| client.send(piece));
        client.stop();
        let mut said = Vec::new();
        for _ in 0..4 {
            central.settle();
            said.extend(client.read());
        }
        assert_eq!((said.as_slice(), client.is_closed()), (line, true), "{name}");
    }
}

#[test]
fn at_a_stop_a_draw_that_is_due_is_waited_for() {
    let mut central = Central::new(1);
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[1])]));
    client.stop();
    central.commit();
    assert_silent(&mut client);
    central.settle();
    assert_ended(&mut client, b"1\n");
}

#[test]
fn an_idle_connection_and_an_unfinished_frame_have_their_deadlines() {
    const FRAME: Option<Duration> = Some(Duration::from_secs(60));
    const IDLE: Option<Duration> = Some(Duration::from_secs(600));
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    let mut seen = Vec::new();
    let mut check = |name: &str, bytes: &[u8], expected: Option<Duration>, is_new: bool| {
        client.send(bytes);
        let wait = client.wait();
        assert_eq!(wait.map(|wait| wait.time_max), expected, "{name}");
        let id = wait.map(|wait| wait.id);
        assert_eq!(seen.last() != Some(&id), is_new, "{name}");
        seen.push(id);
    };
    check("nothing", b"", IDLE, true);
    check("a first byte", b"\0", FRAME, true);
    check("a length", b"\x03", FRAME, false);
    check("all but one byte", b"BE", FRAME, false);
    check("the frame", b"T", IDLE, true);
    check("a batch and a byte", &[frame(&text(1, &[1])), vec![0]].concat(), FRAME, true);
    check("the rest", b"\x06FINISH", None, true);
    central.settle();
    assert_ended(&mut client, b"1\n");
}

#[test]
fn who_is_too_slow_is_closed_without_a_line() {
    let central = Central::new(2);
    for (sent, reason) in [(b"".as_slice(), "idle"), (b"\0\x03B", "unfinished frame")] {
        let mut client = central.connect_text();
        client.send(sent);
        take_log_lines();
        client.time_out();
        assert_ended(&mut client, b"");
        let line = format!(
            "action: close | result: success | ip: 127.0.0.1 | reason: {reason} for too long"
        );
        assert_eq!(take_log_lines(), [line]);
    }
}

#[test]
fn each_stored_batch_is_logged_by_its_group_before_it_is_counted() {
    let mut central = Central::new(2);
    take_log_lines();
    let mut client = central.connect_text();
    client.send(&bring(&[text(1, &[1, 2, 3]), text(1, &[4])]));
    assert_eq!(central.logged(), [""; 0]);
    central.commit();
    let received = |n| format!("action: apuesta_recibida | result: success | cantidad: {n}");
    let marked = "action: agencia_lista | result: success | agencia: 1".to_owned();
    assert_eq!(central.logged(), [received(3), received(1), marked]);
    assert_eq!(take_log_lines(), [""; 0]);
}

#[test]
fn a_session_goes_on_where_the_text_dialect_has_brought_it() {
    let mut central = Central::new(2);
    let mut client = central.connect_text();
    client.send(&frames(["BET", &text(1, &[1, 2]), &text(1, &[3])]));
    central.settle();
    drop(client);
    let bodies = [body(1, &[1, 2]), body(1, &[3])];
    let mut session = central.connect();
    session.send(&hello(1));
    central.commit();
    assert_eq!(session.replies(), [welcome(1, &bodies, false)]);
}
