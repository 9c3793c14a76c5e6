//! The base operations, as a table of conversations.

use bolillero_server::lottery::draw::DrawStep;

use crate::support::*;
use When::{AtOnce, Drawn, Synced};

/// When an answer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before anything is synced.
    AtOnce,
    /// After the committer's next step, and not before.
    Synced,
    /// After the draw's record is synced and announced.
    Drawn,
}

/// Sends one request, and holds that its only answer comes when it may.
pub(crate) fn converse(
    name: &str,
    central: &mut Central,
    client: &mut Client,
    request: &[u8],
    (when, expected): (When, Reply),
) {
    client.send(request);
    if when != AtOnce {
        assert_eq!(client.replies(), [], "{name}: too early");
        central.commit();
    }
    if when == Drawn {
        assert_eq!(client.replies(), [], "{name}: the draw is not on disk");
        assert_eq!(central.draw(), DrawStep::Waiting, "{name}");
        central.commit();
        assert_eq!(client.replies(), [], "{name}: nobody was told");
        assert_eq!(central.draw(), DrawStep::Done, "{name}");
    }
    let ends = expected.0 == -1 || expected.1.starts_with("FENCED");
    assert_eq!(client.replies(), [expected], "{name}");
    assert_eq!(client.is_closed(), ends, "{name}");
}

/// Agency 1 of two has stored two bets, one of which will win.
fn with_bets() -> Central {
    let mut central = Central::new(2);
    let mut client = central.connect();
    client.send(&batch(1, &[7574, 1]));
    central.settle();
    assert_eq!(client.replies(), [ack()]);
    central
}

fn with_one_finished() -> Central {
    let mut central = with_bets();
    central.finish_all([1]);
    central
}

fn drawn() -> Central {
    let mut central = with_bets();
    central.finish_all([1, 2]);
    central
}

fn with_a_session() -> Central {
    let mut central = with_bets();
    central.session(1);
    central
}

type Row = (&'static str, fn() -> Central, Vec<u8>, (When, Reply));

/// Holds each answer against its row, and that a connection stays usable unless it was told -1.
fn check(rows: Vec<Row>) {
    for (name, situation, request, answer) in rows {
        let mut central = situation();
        let mut client = central.connect();
        converse(name, &mut central, &mut client, &request, answer);
        if !client.is_closed() {
            converse(name, &mut central, &mut client, &packet(3, "0#"), (AtOnce, ack()));
        }
        central.check_replay();
    }
}

fn refused(text: &str) -> (When, Reply) {
    (AtOnce, (4, text.to_owned()))
}

pub(crate) fn corrupt() -> (When, Reply) {
    (AtOnce, (-1, String::new()))
}

const FINISHED: &str = "agency 1 has finished";
const IN_SESSIONS: &str = "agency 1 works in sessions: base packets are refused";
const UNKNOWN: &str = "3 is not an agency 1 to 2";

#[test]
fn one_bet_is_stored_or_refused() {
    let one = || packet(1, bet(1, 5));
    let short = refused("bet 0: last name is missing");
    let more = refused("there is more after the last bet");
    let stranger = refused("bet 0: id is not an agency 1 to 2");
    check(vec![
        ("one bet", with_bets, one(), (Synced, ack())),
        ("that is none", with_bets, packet(1, "1#Ana#"), short),
        ("and more", with_bets, packet(1, bet(1, 5) + "x#"), more),
        ("of no agency", with_bets, packet(1, bet(3, 5)), stranger),
        ("finished", with_one_finished, one(), refused(FINISHED)),
        ("drawn", drawn, one(), refused(FINISHED)),
        ("in a lane of sessions", with_a_session, one(), refused(IN_SESSIONS)),
        ("no list", with_bets, packet(1, "1#Ana"), corrupt()),
    ]);
}

#[test]
fn a_batch_is_stored_or_refused() {
    check(vec![
        ("a batch", with_bets, batch(1, &[1, 2, 3]), (Synced, ack())),
        ("of nothing", with_bets, packet(3, "0#"), (AtOnce, ack())),
        ("of nothing, finished", with_one_finished, packet(3, "0#"), (AtOnce, ack())),
        ("of nothing, in a lane of sessions", with_a_session, packet(3, "0#"), (AtOnce, ack())),
        ("finished", with_one_finished, batch(1, &[1]), refused(FINISHED)),
        ("drawn", drawn, batch(1, &[1]), refused(FINISHED)),
        ("in a lane of sessions", with_a_session, batch(1, &[1]), refused(IN_SESSIONS)),
        ("no list", with_bets, packet(3, "1"), corrupt()),
        ("not UTF-8", with_bets, packet(3, b"1#@0#1#\xff#"), corrupt()),
        ("without data", with_bets, packet(3, ""), corrupt()),
    ]);
}

#[test]
fn a_batch_that_is_not_valid_is_refused_with_index_and_field() {
    let (one, two) = (bet(1, 1), bet(1, 2));
    let other = bet(2, 2);
    let rows = [
        ("x#".to_owned(), "the number of bets is not a number"),
        ("0#x#".to_owned(), "there is more after the last bet"),
        (format!("2#@0#{one}"), "bet 1: marker is missing"),
        (format!("1#@0#{one}@1#{two}"), "there is more after the last bet"),
        (format!("2#@0#{one}@2#{two}"), "bet 1: marker is not '@' and the bet's index"),
        (format!("2#@0#{one}@1#{other}"), "bet 1: id is not that of the batch's first bet"),
        (
            "1#@0#1#Ana#Paz#1#1990-02-30#1#".to_owned(),
            "bet 0: birth date is not a calendar day YYYY-MM-DD",
        ),
    ];
    check(rows.map(|(body, text)| (text, with_bets as _, packet(3, body), refused(text))).into());
}

#[test]
fn a_mark_is_made_once() {
    let totals = refused("there is more after id");
    check(vec![
        ("ready", with_bets, ready(1), (Synced, ack())),
        ("again", with_one_finished, ready(1), (AtOnce, ack())),
        ("the last one", with_one_finished, ready(2), (Drawn, ack())),
        ("after the draw", drawn, ready(2), (AtOnce, ack())),
        ("of no agency", with_bets, ready(3), refused(UNKNOWN)),
        ("of agency 0", with_bets, ready(0), refused("0 is not an agency 1 to 2")),
        ("in a lane of sessions", with_a_session, ready(1), refused(IN_SESSIONS)),
        ("with totals", with_bets, session_ready(1, 1, 2), totals),
        ("without an id", with_bets, packet(5, "x#"), refused("id is not a number")),
        ("no list", with_bets, packet(5, "1"), corrupt()),
    ]);
}

#[test]
fn winners_are_told_once_there_are_any() {
    let one = || (AtOnce, winners("30007574#"));
    check(vec![
        ("too early", with_one_finished, ask(1), (AtOnce, busy())),
        ("too early, a bare number", with_one_finished, packet(6, "1"), (AtOnce, busy())),
        ("of no agency", with_bets, ask(3), refused(UNKNOWN)),
        ("of what", with_bets, packet(6, "x#"), refused("id is not a number")),
        ("winners", drawn, ask(1), one()),
        ("winners, a bare number", drawn, packet(6, "1"), one()),
        ("none", drawn, ask(2), (AtOnce, winners("#"))),
    ]);
}

#[test]
fn what_is_no_packet_ends_the_connection() {
    check(vec![
        ("an opcode of the office", with_bets, packet(2, ""), corrupt()),
        ("an unknown opcode", with_bets, packet(13, ""), corrupt()),
        ("an opcode alone, wrong", with_bets, vec![0x7f], corrupt()),
        ("a length over the limit", with_bets, b"\x03\0\0\x10\x01".to_vec(), corrupt()),
    ]);
}
