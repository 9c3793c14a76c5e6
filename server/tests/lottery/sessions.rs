//! Sessions, as a table of conversations; fencing and resuming.

use crate::base::When::{AtOnce, Drawn, Synced};
use crate::base::{When, converse, corrupt};
use crate::support::*;

fn bodies(n: u32) -> Vec<String> {
    (1..=n).map(|seq| body(1, &[seq, seq + 100])).collect()
}

fn refusal(code: &str, seq: &str, text: &str) -> Reply {
    (4, format!("{code}#{seq}#{text}#"))
}

/// A session of agency 1 that has stored two batches of two bets.
fn open(central: &mut Central) -> Client {
    let mut client = central.session(1);
    for seq in 1..=2 {
        client.send(&packet(11, format!("{seq}#{}", bodies(2)[seq - 1])));
    }
    central.settle();
    assert_eq!(client.replies(), [receipt(&bodies(1)), receipt(&bodies(2))]);
    client
}

fn fenced(central: &mut Central) -> Client {
    let client = open(central);
    central.session(1);
    client
}

fn finished(central: &mut Central) -> Client {
    let mut client = open(central);
    client.send(&session_ready(1, 2, 4));
    central.settle();
    assert_eq!(client.replies(), [ack()]);
    client
}

fn drawn(central: &mut Central) -> Client {
    let client = finished(central);
    central.finish_all([2]);
    client
}

fn new(central: &mut Central) -> Client {
    central.connect()
}

/// A session of agency 1, and agency 2 has finished.
fn last(central: &mut Central) -> Client {
    central.finish_all([2]);
    open(central)
}

/// A new connection, and agency 1 has two batches from base operations.
fn after_base(central: &mut Central) -> Client {
    let mut client = central.connect();
    for body in bodies(2) {
        client.send(&packet(3, body));
    }
    central.settle();
    assert_eq!(client.replies(), [ack(), ack()]);
    central.connect()
}

type Situation = fn(&mut Central) -> Client;

type Row = (&'static str, Situation, Vec<u8>, (When, Reply));

fn check(rows: Vec<Row>) {
    for (name, situation, request, answer) in rows {
        let mut central = Central::new(2);
        let mut client = situation(&mut central);
        converse(name, &mut central, &mut client, &request, answer);
        central.settle();
        central.check_replay();
    }
}

fn fence() -> (When, Reply) {
    (AtOnce, refusal("FENCED", "-", "a newer session works this lane"))
}

fn fenced_and_drawn(central: &mut Central) -> Client {
    let client = drawn(central);
    central.session(1);
    client
}

fn malformed(seq: &str, text: &str) -> (When, Reply) {
    (AtOnce, refusal("MALFORMED", seq, text))
}

fn open_elsewhere(central: &mut Central) -> Client {
    open(central);
    central.connect()
}

fn finished_elsewhere(central: &mut Central) -> Client {
    finished(central);
    central.connect()
}

fn drawn_elsewhere(central: &mut Central) -> Client {
    drawn(central);
    central.connect()
}

#[test]
fn hello_opens_the_next_epoch() {
    let welcome = |epoch, n, finished| (Synced, welcome(epoch, &bodies(n), finished));
    check(vec![
        ("an empty lane", new, hello(1), welcome(1, 0, false)),
        ("this draw", new, packet(9, format!("1#1#{DRAW}#")), welcome(1, 0, false)),
        ("after base bets", after_base, hello(1), welcome(1, 2, false)),
        ("a second connection", open_elsewhere, hello(1), welcome(2, 2, false)),
        ("after 5", finished_elsewhere, hello(1), welcome(2, 2, true)),
        ("after the draw", drawn_elsewhere, hello(1), welcome(2, 2, true)),
    ]);
}

#[test]
fn hello_is_refused_for_what_is_wrong_with_it() {
    let said = |text: &str| packet(9, text);
    let version = || (AtOnce, refusal("VERSION", "-", "this office speaks versions up to 1"));
    let refused = |text: &str| (AtOnce, refusal("REFUSED", "-", text));
    let other = "0123456789abcdee";
    let not_this = refused(&format!("this is draw {DRAW}, not {other}"));
    let one_more = malformed("-", "there is more after draw id");
    let again = malformed("-", "after HELLO only 0, 5, 6, 11 and 17 may follow");
    let no_draw = malformed("-", "draw id is not 16 hex digits");
    check(vec![
        ("another draw", new, said(&format!("1#1#{other}#")), not_this),
        ("no draw id", new, said("1#1#xyz#"), no_draw),
        ("one item more", new, said(&format!("1#1#{DRAW}#x#")), one_more),
        ("one item less", new, said("1#"), malformed("-", "id is missing")),
        ("no version", new, said("x#1#"), malformed("-", "version is not a number")),
        ("another version", new, said("2#1#"), version()),
        ("another version, other items", new, said("2#1#a#b#c#"), version()),
        ("no such agency", new, hello(3), refused("3 is not an agency 1 to 2")),
        ("no list", new, said("1#1"), corrupt()),
        ("again on the same connection", open, hello(1), again),
    ]);
}

const INVALID: &str = "1#@0#1#Ana#Paz#1#1990-02-30#1#";

fn put(seq: u64, body: &str) -> Vec<u8> {
    packet(11, format!("{seq}#{body}"))
}

fn mine() -> String {
    body(1, &[3, 103])
}

fn base_then_session(central: &mut Central) -> Client {
    after_base(central);
    central.session(1)
}

fn gap(seq: u64) -> (When, Reply) {
    (AtOnce, refusal("GAP", &seq.to_string(), "the lane's next batch is 3"))
}

#[test]
fn a_numbered_batch_is_stored_as_the_lanes_next() {
    let third = || (Synced, receipt(&[bodies(2), vec![mine()]].concat()));
    check(vec![
        ("the next", open, put(3, &mine()), third()),
        ("leading zeros", open, packet(11, format!("003#{}", mine())), third()),
        ("after base bets", base_then_session, put(3, &mine()), third()),
    ]);
}

/// The rows begin with the number of the check that decides, and lack something for a later one.
#[test]
fn a_numbered_batch_is_checked_for_its_sender_first() {
    let theirs = body(2, &[3, 103]);
    let other = |seq| (AtOnce, refusal("REFUSED", seq, "the id is another than this session's"));
    let from_one = || malformed("0", "batches are numbered from 1");
    let no_seq = malformed("-", "seq is not a number");
    let no_hello = malformed("1", "a numbered batch comes after HELLO");
    let mixed = format!("2#@0#{}@1#{}", bet(1, 1), bet(2, 1));
    check(vec![
        ("0: not a list", open, packet(11, "3#1"), corrupt()),
        ("0: not UTF-8, of another id", open, packet(11, b"3#1#@0#2#\xff#"), corrupt()),
        ("0: not UTF-8, before HELLO", new, packet(11, b"3#1#\xff#"), corrupt()),
        ("1: no seq", open, packet(11, format!("x#{theirs}")), no_seq),
        ("1: seq 0, of another id", open, put(0, &theirs), from_one()),
        ("1: before HELLO", new, put(1, &mine()), no_hello),
        ("2: another id, a repeat", open, put(1, &theirs), other("1")),
        ("2: another id, not valid", open, put(3, "1#@0#2#Ana#"), other("3")),
        ("2: no agency's id", open, put(3, &body(99, &[1])), other("3")),
        ("2: the first bet's id counts", open, put(4, &mixed), gap(4)),
    ]);
}

#[test]
fn a_fenced_session_is_answered_nothing_but_that_whatever_it_asks() {
    let theirs = body(2, &[3, 103]);
    let other = hello(2);
    check(vec![
        ("nothing", fenced, vec![], fence()),
        ("the next batch", fenced, put(3, &mine()), fence()),
        ("a repeat", fenced, put(1, &bodies(1)[0]), fence()),
        ("a batch of nothing", fenced, put(3, "0#"), fence()),
        ("a batch that is not valid", fenced, put(3, INVALID), fence()),
        ("seq 0", fenced, put(0, &mine()), fence()),
        ("another id", fenced, put(3, &theirs), fence()),
        ("ready", fenced, session_ready(1, 2, 4), fence()),
        ("ready, other bets", fenced, session_ready(1, 2, 5), fence()),
        ("winners", fenced, ask(1), fence()),
        ("winners, drawn", fenced_and_drawn, ask(1), fence()),
        ("an alarm", fenced, alarm(2, 4, &head(&bodies(2))), fence()),
        ("hello", fenced, other, fence()),
        ("what is no packet", fenced, packet(2, ""), fence()),
        ("everything at once", fenced, [ask(1), put(3, &mine()), ask(1)].concat(), fence()),
    ]);
}

#[test]
fn a_numbered_batch_is_then_checked_against_the_lane() {
    let again = |n| (AtOnce, receipt(&bodies(n)));
    let closed = |seq| (AtOnce, refusal("CLOSED", seq, "agency 1 has finished"));
    let conflict = |seq| {
        (AtOnce, refusal("CONFLICT", seq, &format!("batch {seq} is stored with other bytes")))
    };
    let day = malformed("3", "bet 0: birth date is not a calendar day YYYY-MM-DD");
    let nothing = malformed("3", "a batch has at least one bet");
    let no_body = malformed("3", "the number of bets is not a number");
    check(vec![
        ("4: a repeat", open, put(1, &bodies(1)[0]), again(1)),
        ("4: a repeat of the last", open, put(2, &bodies(2)[1]), again(2)),
        ("4: a repeat, finished", finished, put(1, &bodies(1)[0]), again(1)),
        ("4: a repeat, drawn", drawn, put(2, &bodies(2)[1]), again(2)),
        ("4: other bytes", open, put(2, &mine()), conflict("2")),
        ("4: other bytes, finished", finished, put(1, &mine()), conflict("1")),
        ("4: other bytes, not valid", open, put(1, INVALID), conflict("1")),
        ("5: finished", finished, put(3, &mine()), closed("3")),
        ("5: finished, a gap", finished, put(9, &mine()), closed("9")),
        ("5: finished, not valid", finished, put(3, INVALID), closed("3")),
        ("5: drawn", drawn, put(3, &mine()), closed("3")),
        ("6: a gap", open, put(4, &mine()), gap(4)),
        ("6: a gap, not valid", open, put(4, INVALID), gap(4)),
        ("6: the highest number", open, put(u64::MAX, &mine()), gap(u64::MAX)),
        ("7: not valid", open, put(3, INVALID), day),
        ("7: of nothing", open, put(3, "0#"), nothing),
        ("7: no body", open, packet(11, "3#"), no_body),
    ]);
}

#[test]
fn what_else_a_session_may_ask() {
    let out_of_place = || malformed("-", "after HELLO only 0, 5, 6, 11 and 17 may follow");
    let mismatch = || (AtOnce, refusal("MISMATCH", "-", "stored: last seq 2, 4 bets"));
    let other = || (AtOnce, refusal("REFUSED", "-", "the id is another than this session's"));
    check(vec![
        ("one bet", open, packet(1, bet(1, 1)), out_of_place()),
        ("a base batch", open, batch(1, &[1]), out_of_place()),
        ("a base batch of nothing", open, packet(3, "0#"), out_of_place()),
        ("a base batch, not UTF-8", open, packet(3, b"\xff#"), corrupt()),
        ("ready", open, session_ready(1, 2, 4), (Synced, ack())),
        ("ready again", finished, session_ready(1, 2, 4), (AtOnce, ack())),
        ("ready again, drawn", drawn, session_ready(1, 2, 4), (AtOnce, ack())),
        ("the last one is ready", last, session_ready(1, 2, 4), (Drawn, ack())),
        ("ready, another seq", open, session_ready(1, 1, 4), mismatch()),
        ("ready, other bets", open, session_ready(1, 2, 5), mismatch()),
        ("ready again, other bets", finished, session_ready(1, 2, 5), mismatch()),
        ("ready, another id", open, session_ready(2, 2, 4), other()),
        ("ready without totals", open, ready(1), malformed("-", "last seq is missing")),
        ("ready with half of them", open, packet(5, "1#2#"), malformed("-", "bets is missing")),
        (
            "ready with more",
            open,
            packet(5, "1#2#4#x#"),
            malformed("-", "there is more after bets"),
        ),
        ("winners", drawn, ask(1), (AtOnce, winners("#"))),
        ("winners, a bare number", drawn, packet(6, "1"), (AtOnce, winners("#"))),
        ("winners, another id", drawn, ask(2), other()),
        (
            "winners, of no agency",
            open,
            ask(3),
            (AtOnce, refusal("REFUSED", "-", "3 is not an agency 1 to 2")),
        ),
    ]);
}

#[test]
fn an_alarm_is_recorded_once_in_a_session() {
    let mine = || alarm(2, 4, &head(&bodies(2)));
    let once = || malformed("-", "a session raises one alarm");
    check(vec![
        ("what the office counts, too", open, mine(), (Synced, ack())),
        ("other bets", open, alarm(2, 5, &head(&bodies(2))), (Synced, ack())),
        ("of nothing", open, alarm(0, 0, &head(&[])), (Synced, ack())),
        ("more than there is", open, alarm(u64::MAX, u64::MAX, &head(&[])), (Synced, ack())),
        ("after 5", finished, mine(), (Synced, ack())),
        ("after the draw", drawn, mine(), (Synced, ack())),
        ("a second", alarmed, mine(), once()),
        ("one in each session", alarmed_elsewhere, mine(), (Synced, ack())),
        ("before HELLO", new, mine(), malformed("-", "an alarm comes after HELLO")),
        ("no head", open, packet(17, "2#4#"), malformed("-", "head is missing")),
        ("no list", open, packet(17, "2#4"), corrupt()),
        ("reserved: 13", open, packet(13, "2#4#"), corrupt()),
        ("reserved: 16", open, packet(16, "2#4#"), corrupt()),
    ]);
}

fn alarmed(central: &mut Central) -> Client {
    let mut client = open(central);
    client.send(&alarm(1, 2, &head(&bodies(1))));
    central.settle();
    assert_eq!(client.replies(), [ack()]);
    client
}

/// A session of agency 1, in which another has raised an alarm.
fn alarmed_elsewhere(central: &mut Central) -> Client {
    drop(alarmed(central));
    central.session(1)
}
