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
    let ends = expected.0 == -1;
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

fn error(text: &str) -> Reply {
    (4, text.to_owned())
}

#[test]
fn every_base_request_has_its_answer_when_it_may_leave() {
    type Row = (&'static str, fn() -> Central, Vec<u8>, (When, Reply));
    let corrupt = || (AtOnce, (-1, String::new()));
    let finished = "agency 1 has finished";
    let in_sessions = "agency 1 works in sessions: base packets are refused";
    let unknown = "3 is not an agency 1 to 2";
    let not_a_number = error("id is not a number");
    let bad_bet = |body: &str, text: &str| (packet(3, body), (AtOnce, error(text)));
    let two_bets = |second: &str| format!("2#@0#{}{second}", bet(1, 1));
    let (few, few_reply) = bad_bet(&two_bets(""), "bet 1: marker is missing");
    let (many, many_reply) =
        bad_bet(&format!("1#@0#{}@1#{}", bet(1, 1), bet(1, 2)), "there is more after the last bet");
    let (marker, marker_reply) = bad_bet(
        &two_bets(&format!("@2#{}", bet(1, 2))),
        "bet 1: marker is not '@' and the bet's index",
    );
    let (other, other_reply) = bad_bet(
        &two_bets(&format!("@1#{}", bet(2, 2))),
        "bet 1: id is not that of the batch's first bet",
    );
    let (day, day_reply) = bad_bet(
        "1#@0#1#Ana#Paz#1#1990-02-30#1#",
        "bet 0: birth date is not a calendar day YYYY-MM-DD",
    );
    let rows: Vec<Row> = vec![
        ("one bet", with_bets, packet(1, bet(1, 5)), (Synced, ack())),
        (
            "one bet that is none",
            with_bets,
            packet(1, "1#Ana#"),
            (AtOnce, error("bet 0: last name is missing")),
        ),
        (
            "one bet and more",
            with_bets,
            packet(1, bet(1, 5) + "x#"),
            (AtOnce, error("there is more after the last bet")),
        ),
        (
            "one bet of no agency",
            with_bets,
            packet(1, bet(3, 5)),
            (AtOnce, error("bet 0: id is not an agency 1 to 2")),
        ),
        ("one bet, finished", with_one_finished, packet(1, bet(1, 5)), (AtOnce, error(finished))),
        ("one bet, drawn", drawn, packet(1, bet(1, 5)), (AtOnce, error(finished))),
        (
            "one bet in a lane of sessions",
            with_a_session,
            packet(1, bet(1, 5)),
            (AtOnce, error(in_sessions)),
        ),
        ("one bet, no list", with_bets, packet(1, "1#Ana"), corrupt()),
        ("a batch", with_bets, batch(1, &[1, 2, 3]), (Synced, ack())),
        ("a batch of nothing", with_bets, packet(3, "0#"), (AtOnce, ack())),
        ("a batch of nothing, finished", with_one_finished, packet(3, "0#"), (AtOnce, ack())),
        (
            "a batch of nothing and more",
            with_bets,
            packet(3, "0#x#"),
            (AtOnce, error("there is more after the last bet")),
        ),
        ("too few bets", with_bets, few, few_reply),
        ("too many bets", with_bets, many, many_reply),
        ("a wrong marker", with_bets, marker, marker_reply),
        ("two agencies", with_bets, other, other_reply),
        ("no such day", with_bets, day, day_reply),
        (
            "a batch without a number",
            with_bets,
            packet(3, "x#"),
            (AtOnce, error("the number of bets is not a number")),
        ),
        ("a batch, finished", with_one_finished, batch(1, &[1]), (AtOnce, error(finished))),
        (
            "a batch in a lane of sessions",
            with_a_session,
            batch(1, &[1]),
            (AtOnce, error(in_sessions)),
        ),
        ("a batch that is no list", with_bets, packet(3, "1"), corrupt()),
        ("a batch that is not UTF-8", with_bets, packet(3, b"1#@0#1#\xff#"), corrupt()),
        ("a batch without data", with_bets, packet(3, ""), corrupt()),
        ("ready", with_bets, ready(1), (Synced, ack())),
        ("ready again", with_one_finished, ready(1), (AtOnce, ack())),
        ("the last one is ready", with_one_finished, ready(2), (Drawn, ack())),
        ("ready after the draw", drawn, ready(2), (AtOnce, ack())),
        ("ready, of no agency", with_bets, ready(3), (AtOnce, error(unknown))),
        ("ready, of agency 0", with_bets, ready(0), (AtOnce, error("0 is not an agency 1 to 2"))),
        ("ready in a lane of sessions", with_a_session, ready(1), (AtOnce, error(in_sessions))),
        (
            "ready with totals",
            with_bets,
            session_ready(1, 1, 2),
            (AtOnce, error("there is more after id")),
        ),
        ("ready without an id", with_bets, packet(5, "x#"), (AtOnce, not_a_number.clone())),
        ("ready, no list", with_bets, packet(5, "1"), corrupt()),
        ("winners? too early", with_one_finished, ask(1), (AtOnce, busy())),
        ("winners? a bare number", with_one_finished, packet(6, "1"), (AtOnce, busy())),
        ("winners? of no agency", with_bets, ask(3), (AtOnce, error(unknown))),
        ("winners? of what", with_bets, packet(6, "x#"), (AtOnce, not_a_number)),
        ("winners", drawn, ask(1), (AtOnce, winners("30007574#"))),
        ("winners, a bare number", drawn, packet(6, "1"), (AtOnce, winners("30007574#"))),
        ("no winners", drawn, ask(2), (AtOnce, winners("#"))),
        ("an opcode of the office", with_bets, packet(2, ""), corrupt()),
        ("an unknown opcode", with_bets, packet(13, ""), corrupt()),
        ("an opcode alone, wrong", with_bets, vec![0x7f], corrupt()),
        ("a length over the limit", with_bets, b"\x03\0\0\x10\x01".to_vec(), corrupt()),
    ];
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
