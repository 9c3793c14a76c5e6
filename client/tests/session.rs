//! Sessions against an office without a socket: whatever breaks, every batch is stored once, or the
//! client says why not.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

mod office;

use std::collections::VecDeque;

use bolillero::agency::{Session, Terms};
use bolillero::batches::{Batch, Limits};
use bolillero::dialogue::{Conversation, Dialogue as _, Mismatch, Next, Stop};
use bolillero::source::SourceError;
use bolillero::winners::WinnerList;
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{ChainAlarm, Code, DrawId, Receipt, Reply, Welcome, opcode};
use proptest::prelude::*;

use office::{
    DRAW, Fault, Lane, Office, bets_max, bodies, cut, cut_within, drive, drive_once, packet,
    refusal, rows,
};

const NO_BREAKS: VecDeque<office::Breaks> = VecDeque::new();

fn session(
    file: &str,
    bets_max: u32,
    window: usize,
) -> Session<impl Iterator<Item = Result<Batch, SourceError>> + use<'_>> {
    Session::new(Terms { agency: 1, window, draw: None }, cut(file, bets_max))
}

fn lane_of(bodies: &[Vec<u8>]) -> Lane {
    let mut lane = Lane::default();
    bodies.iter().for_each(|body| lane.push(body));
    lane
}

/// An office that has these batches of agency 1.
fn office_with(bodies: &[Vec<u8>]) -> Office {
    let mut office = Office::default();
    office.lanes.insert(1, lane_of(bodies));
    office
}

fn run(file: &str, bets_max: u32, office: &mut Office) -> Result<(), Stop> {
    drive(&mut session(file, bets_max, 4), office, &mut NO_BREAKS.clone())
}

#[test]
fn a_file_is_stored_once_and_in_order_and_the_agency_marked() {
    for (n, bets_max, window) in [(0, 1, 1), (1, 1, 1), (10, 3, 1), (10, 3, 16), (2000, 0, 2)] {
        let file = rows(n);
        let mut office = Office::default();
        drive(&mut session(&file, bets_max, window), &mut office, &mut NO_BREAKS.clone()).unwrap();
        assert_eq!(office.lane(1).bodies, bodies(&file, bets_max));
        assert!(office.lane(1).finished);
        let stored = office.lane(1).bodies.len();
        assert_eq!(office.batches_seen, stored, "nothing was sent twice");
    }
}

#[test]
fn no_more_than_a_window_is_on_its_way() {
    let file = rows(100);
    for window in [1, 2, 16] {
        let mut session = session(&file, 1, window);
        let mut out = Vec::new();
        session.open(&mut out).unwrap();
        out.clear();
        let welcome = office::welcome(&Lane::default(), DRAW);
        session.answer(Reply::Welcome(welcome), &mut out).unwrap();
        let mut office = Office::default();
        office.lane(1).epoch = 0;
        let mut connection = office.accept();
        office.receive(&mut connection, &packet_of_hello(), &mut Vec::new());
        office.receive(&mut connection, &out, &mut Vec::new());
        assert_eq!(office.batches_seen, window);
    }
}

fn packet_of_hello() -> Vec<u8> {
    let mut out = Vec::new();
    let mut opener = session("", 1, 1);
    opener.open(&mut out).unwrap();
    out
}

/// One thing that happens while an agency works.
#[derive(Debug, Clone)]
struct Schedule {
    breaks: Vec<office::Breaks>,
    /// After how many connections the client dies and is started again with nothing remembered.
    deaths: Vec<usize>,
    faults: Vec<(usize, Fault)>,
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let fault = prop_oneof![
        Just(Fault::Drop),
        Just(Fault::DropAfter),
        Just(Fault::NoRoom),
        Just(Fault::Last(packet(&Reply::Close))),
    ];
    let breaks = prop::collection::vec((0_usize..2500, 0_usize..900), 0..12);
    let deaths = prop::collection::vec(1_usize..4, 0..5);
    let faults = prop::collection::vec((0_usize..60, fault), 0..10);
    (breaks, deaths, faults).prop_map(|(breaks, deaths, faults)| Schedule {
        breaks,
        deaths,
        faults,
    })
}

/// Works through a schedule, beginning anew where it says so.
fn work(file: &str, bets_max: u32, window: usize, schedule: &Schedule, office: &mut Office) {
    let mut breaks = schedule.breaks.iter().copied();
    for &connections in &schedule.deaths {
        let mut session = session(file, bets_max, window);
        for _ in 0..connections {
            let (up, down) = breaks.next().unwrap_or((usize::MAX, usize::MAX));
            if drive_once(&mut session, office, up, down).unwrap() {
                break;
            }
            session.lost("the test ended it").unwrap();
        }
    }
    let mut rest = breaks.collect();
    drive(&mut session(file, bets_max, window), office, &mut rest).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_schedule_of_breaks_deaths_and_full_disks_stores_the_file_once(
        n in 0_usize..60,
        bets_max in 1_u32..5,
        window in 1_usize..6,
        schedule in schedules(),
    ) {
        let file = rows(n);
        let mut office = Office::with_faults(schedule.faults.clone());
        work(&file, bets_max, window, &schedule, &mut office);
        prop_assert_eq!(&office.lane(1).bodies, &bodies(&file, bets_max));
        prop_assert!(office.lane(1).finished);
    }
}

#[test]
fn a_client_started_again_goes_on_from_wherever_the_record_ends() {
    let file = rows(20);
    let all = bodies(&file, 3);
    for stored in 0..=all.len() {
        let mut office = office_with(&all[..stored]);
        run(&file, 3, &mut office).unwrap();
        assert_eq!(office.lane(1).bodies, all);
        assert_eq!(office.batches_seen, all.len() - stored, "what is stored is not sent");
    }
}

#[test]
fn a_lane_that_is_finished_is_compared_and_only_asked_for_winners() {
    let file = rows(20);
    let mut office = office_with(&bodies(&file, 3));
    office.lane(1).finished = true;
    run(&file, 3, &mut office).unwrap();
    assert_eq!(office.requests, 2, "hello, and the question");
}

#[test]
fn a_file_that_differs_from_the_record_is_an_alarm_and_nothing_is_sent() {
    let file = rows(20);
    let changed = file.replacen("Ana", "Eva", 1);
    let begun = bodies(&file, 3)[..5].to_vec();
    let cases: [(&str, u32, bool, &[Vec<u8>]); 6] = [
        (&changed, 3, false, &begun),
        (&file, 4, false, &begun),
        (&rows(14), 3, false, &begun),
        (&rows(12), 3, false, &begun),
        (&file, 3, true, &begun),
        (&rows(15), 3, true, &begun[..4]),
    ];
    for (index, (file, bets_max, finished, stored)) in cases.into_iter().enumerate() {
        let mut office = office_with(stored);
        office.lane(1).finished = finished;
        let stop = run(file, bets_max, &mut office).unwrap_err();
        assert_eq!(stop.exit_code(), 3, "case {index}: {stop}");
        let text = stop.to_string();
        assert!(text.contains("file") && text.contains("--batch-bets-max"), "case {index}: {text}");
        assert_eq!((office.batches_seen, office.lane(1).bodies.len()), (0, stored.len()));
        let raised: Vec<_> = office.alarms.iter().map(|alarm| alarm.seq).collect();
        let compared = bodies(file, bets_max).len().min(stored.len()) as u64;
        assert_eq!(raised, [compared], "case {index}");
    }
}

#[test]
fn a_receipt_that_differs_raises_an_alarm_behind_what_is_on_its_way() {
    let file = rows(20);
    let all = bodies(&file, 1);
    let wrong = Receipt { bets: 9, ..receipt(&all[..2]) };
    // Where the connection is lost first the office does not learn of it.
    for (fault, alarms) in [(Fault::NoRoom, 1), (Fault::DropAfter, 0)] {
        let mut office =
            Office::with_faults([(2, Fault::Answer(packet(&Reply::Receipt(wrong)))), (3, fault)]);
        let stop = run(&file, 1, &mut office).unwrap_err();
        assert!(matches!(stop, Stop::Mismatch(Mismatch::Record { seq: 2, office_bets: 9, .. })));
        let (bets, head) = lane_of(&all[..2]).last();
        assert_eq!(office.alarms, vec![ChainAlarm { seq: 2, bets, head }; alarms]);
    }
}

#[test]
fn whatever_an_office_says_to_an_alarm_the_work_ends_as_before() {
    let file = rows(20);
    let stored = bodies(&rows(5).replace("Ana", "Eva"), 1);
    let answers = [
        packet(&Reply::Ack),
        packet(&Reply::Corrupt),
        packet(&Reply::Close),
        refused(Code::Storage, None),
        refused(Code::Fenced, None),
        refused(Code::Malformed, None),
        Vec::new(),
    ];
    for answer in answers {
        for fault in [Fault::Answer(answer.clone()), Fault::Last(answer.clone())] {
            let mut office = office_with(&stored);
            office.faults.insert(1, fault);
            let stop = run(&file, 1, &mut office).unwrap_err();
            assert!(matches!(stop, Stop::Mismatch(Mismatch::Record { seq: 5, .. })), "{stop}");
            assert_eq!((stop.exit_code(), office.requests), (3, 2), "{answer:?}");
        }
    }
}

#[test]
fn the_wait_for_the_answer_to_an_alarm_is_one_and_short() {
    let file = rows(20);
    let mut session = session(&file, 1, 4);
    let mut out = Vec::new();
    session.open(&mut out).unwrap();
    session.answer(welcome(&[]), &mut out).unwrap();
    assert_eq!(session.patience(), None);
    let all = bodies(&file, 1);
    let wrong = Receipt { bets: 9, ..receipt(&all[..1]) };
    assert_eq!(session.answer(Reply::Receipt(wrong), &mut out).unwrap(), Next::Read);
    let (owed, patience) = (session.owed(), session.patience());
    assert!(owed.is_some() && patience.is_some_and(|time| time.as_secs() <= 2));
    let receipt_2 = Reply::Receipt(receipt(&all[..2]));
    assert_eq!(session.answer(receipt_2, &mut out).unwrap(), Next::Read, "it was on its way");
    assert_eq!((session.owed(), session.patience()), (owed, patience), "the clock goes on");
    assert_eq!(session.lost("nothing came").unwrap_err().exit_code(), 3);
}

#[test]
fn an_office_that_lost_what_it_acknowledged_is_an_alarm() {
    let file = rows(20);
    let all = bodies(&file, 1);
    let mut session = session(&file, 1, 4);
    let mut office = Office::with_faults([(6, Fault::Drop)]);
    assert!(!drive_once(&mut session, &mut office, usize::MAX, usize::MAX).unwrap());
    session.lost("the test ended it").unwrap();
    let acknowledged = office.lane(1).bodies.len();
    assert!(acknowledged > 2);
    let mut office = office_with(&all[..acknowledged - 1]);
    let stop = drive(&mut session, &mut office, &mut NO_BREAKS.clone()).unwrap_err();
    assert!(matches!(stop, Stop::Mismatch(Mismatch::RecordLost { .. })), "{stop}");
    assert_eq!(stop.exit_code(), 3);
}

#[test]
fn a_full_disk_is_waited_out_and_what_followed_is_sent_again() {
    let file = rows(20);
    // Requests 0 to 4: hello and a window of four batches. The third finds no room, twice.
    let mut office = Office::with_faults([(3, Fault::NoRoom), (7, Fault::NoRoom)]);
    run(&file, 1, &mut office).unwrap();
    assert_eq!(office.lane(1).bodies, bodies(&file, 1));
}

/// The work of an agency with a file that is cut within these limits.
fn run_within(file: &str, limits: Limits, office: &mut Office) -> Result<(), Stop> {
    let terms = Terms { agency: 1, window: 4, draw: None };
    let mut session = Session::new(terms, cut_within(file, limits));
    drive(&mut session, office, &mut NO_BREAKS.clone())
}

/// Rows that are no bets: one by every version's rules, three by this one's.
fn bad_rows() -> [String; 4] {
    let row = |names: &str, document: &str| format!("{names},{document},1990-01-01,1\r\n");
    let long = format!("\"Ana\"x,{}", "ñ".repeat(60));
    [row("Ana,Paz", "x"), row("A\u{feff}na,Paz", "1"), row("Ana,\"P\\\"az\"", "1"), row(&long, "1")]
}

#[test]
fn a_bad_row_ends_the_work_after_the_whole_batches_before_it_and_a_mended_file_goes_on() {
    for row in bad_rows() {
        let file = format!("{}{row}{}", rows(7), rows(3));
        let mut office = Office::with_faults([(2, Fault::DropAfter)]);
        let stop = run(&file, 3, &mut office).unwrap_err();
        let said = stop.to_string();
        assert!(said.starts_with("reading bets.csv: line 8: "), "{said}");
        let how = ". Mend the row and start again with the same options: the 6 bets that are stored \
                   are not sent again";
        assert!(said.ends_with(how), "{said}");
        assert_eq!(stop.exit_code(), 1);
        assert_eq!(office.lane(1).bodies, bodies(&rows(6), 3));
        assert!(!office.lane(1).finished);

        let mended = rows(11);
        run(&mended, 3, &mut office).unwrap();
        assert_eq!(office.lane(1).bodies, bodies(&mended, 3));
        assert!(office.lane(1).finished);
    }
}

#[test]
fn a_bad_row_that_a_full_batch_precedes_holds_nothing_back() {
    for row in bad_rows() {
        let mut office = Office::default();
        let stop = run(&format!("{}{row}", rows(6)), 3, &mut office).unwrap_err();
        assert!(stop.to_string().contains("the 6 bets that are stored"), "{stop}");
        assert_eq!(office.lane(1).bodies, bodies(&rows(6), 3));
        let stop = run(&row, 3, &mut Office::default()).unwrap_err();
        assert!(stop.to_string().ends_with("start again with the same options"), "{stop}");
    }
}

#[test]
fn a_ledger_that_an_earlier_version_began_is_gone_on_with() {
    // It cut a batch short at a row that is no bet, and said --cut-before 8.
    let file = format!("{}Ana,Paz,x,1990-01-01,1\r\n{}", rows(7), rows(3));
    let mut office = office_with(&bodies(&rows(7), 3));
    let stop = run(&file, 3, &mut office).unwrap_err();
    assert!(stop.to_string().ends_with("with --cut-before 8 added to the other options"), "{stop}");
    assert_eq!(office.batches_seen, 0, "all that could be sent is stored");
    let mended = rows(11);
    assert_eq!(run(&mended, 3, &mut office).unwrap_err().exit_code(), 3);
    run_within(&mended, Limits { cut_before: vec![8], ..bets_max(3) }, &mut office).unwrap();
    let sizes: Vec<_> = office.lane(1).bodies.iter().map(|body| body[0] - b'0').collect();
    assert_eq!(sizes, [3, 3, 1, 3, 1]);
    assert!(office.lane(1).finished);
    // And a file that is bad again before it is taken to its end.
    let stop = run(&file, 3, &mut office).unwrap_err();
    assert!(
        stop.to_string().ends_with(
            "start again with the same options: the 7 bets that are stored are not sent again"
        ),
        "{stop}"
    );
}

#[test]
fn a_row_that_an_earlier_version_stored_is_compared_and_a_row_like_it_is_not_sent() {
    let row = "\u{feff}Ana,\"Paz\"x,1,1990-01-01,1\r\n";
    let file = format!("{}{row}{}", rows(4), rows(5));
    let all = bodies(&file, 3);
    for stored in 0..=all.len() {
        let mut office = office_with(&all[..stored]);
        let ended = run(&file, 3, &mut office);
        if stored >= 2 {
            ended.unwrap();
            assert_eq!(office.lane(1).bodies, all, "with {stored} batches stored");
        } else {
            let said = ended.unwrap_err().to_string();
            assert!(said.contains("line 5: last name has text after its closing quote"), "{said}");
            assert_eq!(office.lane(1).bodies, all[..1]);
        }
    }
    // The second of two such rows.
    let file = format!("{row}{}{row}", rows(4));
    let all = bodies(&file, 3);
    let mut office = office_with(&all[..1]);
    let said = run(&file, 3, &mut office).unwrap_err().to_string();
    assert!(said.contains("line 6: last name"), "{said}");
    assert_eq!(office.lane(1).bodies, all[..1]);
}

#[test]
fn a_batch_that_a_refused_row_ended_by_its_length_has_to_stay_as_it_is_stored() {
    let row = format!("\u{feff}{},Paz,1,1990-01-01,1\r\n", "ñ".repeat(63));
    let mut good = rows(1);
    let first_of = |file: &str| cut(file, 0).next().unwrap().unwrap();
    while first_of(&format!("{good}{row}")).cut_short_by.is_none() {
        good += &rows(1);
    }
    let file = format!("{good}{row}");
    let line = good.lines().count() + 1;
    let mut office = Office::default();
    let said = run(&file, 0, &mut office).unwrap_err().to_string();
    assert!(said.contains(&format!("line {line}: first name holds a byte order mark")), "{said}");
    assert_eq!(office.batches_seen, 0, "where it ends depends on the row");
    let mut office = office_with(&[first_of(&file).body]);
    let said = run(&file, 0, &mut office).unwrap_err().to_string();
    assert!(
        said.ends_with(&format!("with --cut-before {line} added to the other options")),
        "{said}"
    );
}

#[test]
fn another_draw_than_before_or_than_expected_ends_the_work() {
    let file = rows(20);
    let mut session = session(&file, 1, 4);
    let mut office = Office::with_faults([(4, Fault::Drop)]);
    assert!(!drive_once(&mut session, &mut office, usize::MAX, usize::MAX).unwrap());
    session.lost("the test ended it").unwrap();
    let mut other = Office { draw: DrawId([1; 8]), ..Office::default() };
    let stop = drive(&mut session, &mut other, &mut NO_BREAKS.clone()).unwrap_err();
    let said = "the office refused the session's hello: another draw (REFUSED)";
    assert_eq!(stop.to_string(), said);
    assert_eq!(other.lane(1).epoch, 0, "no epoch was opened at the wrong office");

    let terms = Terms { agency: 1, window: 1, draw: Some(DrawId([2; 8])) };
    let mut session = Session::new(terms, cut(&file, 1));
    session.open(&mut Vec::new()).unwrap();
    let welcome = office::welcome(&Lane::default(), DRAW);
    let stop = session.answer(Reply::Welcome(welcome), &mut Vec::new()).unwrap_err();
    assert!(matches!(stop, Stop::OtherDraw { .. }), "{stop}");
}

/// The states that the table below begins in.
#[derive(Debug, Clone, Copy)]
enum State {
    Hello,
    /// Batches 1 and 2 are on their way.
    Sending,
    /// Batch 1 found no room, the answer to batch 2 is due.
    NoRoom,
    Ready,
    Asking,
}

const STATES: [State; 5] =
    [State::Hello, State::Sending, State::NoRoom, State::Ready, State::Asking];

/// What a session in `state` does about `reply`.
fn outcome(state: State, reply: &[u8]) -> String {
    let file = rows(3);
    let all = bodies(&file, 1);
    let mut session = session(&file, 1, 2);
    let (mut conversation, mut out) = (Conversation::new(), Vec::new());
    session.open(&mut out).unwrap();
    let mut before = Vec::new();
    match state {
        State::Hello => {}
        State::Sending | State::NoRoom => before.push(packet(&welcome(&[]))),
        State::Ready => before.push(packet(&welcome(&all))),
        State::Asking => before.extend([packet(&welcome(&all)), packet(&Reply::Ack)]),
    }
    if matches!(state, State::NoRoom) {
        before.push(refused(Code::Storage, Some(1)));
    }
    for bytes in before {
        let next = conversation.receive(&mut session, &bytes, &mut out).unwrap();
        assert_eq!(next, Next::Read, "{state:?}");
    }
    out.clear();
    match conversation.receive(&mut session, reply, &mut out) {
        Ok(Next::Read)
            if out.first().is_some_and(|&code| i8::from_be_bytes([code]) == opcode::ALARM) =>
        {
            "alarm".to_owned()
        }
        Ok(Next::Read) => "read".to_owned(),
        Ok(Next::Pause(_)) => "pause".to_owned(),
        Ok(Next::Another(_) | Next::Reconnect(_)) => "again".to_owned(),
        Ok(Next::Done) => "done".to_owned(),
        Err(stop) => format!("{}", stop.exit_code()),
    }
}

fn welcome(bodies: &[Vec<u8>]) -> Reply<'static> {
    Reply::Welcome(office::welcome(&lane_of(bodies), DRAW))
}

fn refused(code: Code, seq: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    refusal(code, seq, "why", &mut out);
    out
}

fn receipt(bodies: &[Vec<u8>]) -> Receipt {
    let (bets, head) = lane_of(bodies).last();
    Receipt { seq: bodies.len() as u64, bets, head }
}

#[test]
fn every_reply_in_every_state_does_what_this_table_says() {
    let all = bodies(&rows(3), 1);
    let lane = lane_of(&all[..1]);
    let other_head = Head::EMPTY.then(BodyHash::of(b"other"));
    let wrong = Welcome { head: other_head, ..office::welcome(&lane, DRAW) };
    let zero = Welcome { next_seq: 0, ..office::welcome(&lane, DRAW) };
    let receipt_1 = receipt(&all[..1]);
    let reply = |reply: Reply<'_>| packet(&reply);
    #[rustfmt::skip]
    let table: [(&str, Vec<u8>, [&str; 5]); 26] = [
        //                                                                  Hello   Sending  NoRoom
        // Ready    Asking
        ("corrupt",        reply(Reply::Corrupt),                          ["1",     "1",     "1",     "1",     "1"]),
        ("close",          reply(Reply::Close),                            ["again", "again", "again", "again", "again"]),
        ("busy",           reply(Reply::Busy),                             ["again", "again", "again", "again", "again"]),
        ("ack",            reply(Reply::Ack),                              ["1",     "1",     "1",     "read",  "1"]),
        ("plain error",    reply(Reply::Error("no")),                      ["1",     "1",     "1",     "1",     "1"]),
        ("unknown code",   reply(Reply::Error("NEW#-#why#")),              ["1",     "1",     "1",     "1",     "1"]),
        ("malformed",      refused(Code::Malformed, Some(1)),              ["1",     "1",     "1",     "1",     "1"]),
        ("refused",        refused(Code::Refused, None),                   ["1",     "1",     "1",     "1",     "1"]),
        ("fenced",         refused(Code::Fenced, None),                    ["6",     "6",     "6",     "6",     "6"]),
        ("conflict",       refused(Code::Conflict, Some(1)),               ["1",     "1",     "1",     "1",     "1"]),
        ("old",            refused(Code::Old, Some(1)),                    ["1",     "1",     "1",     "1",     "1"]),
        ("closed",         refused(Code::Closed, Some(1)),                 ["1",     "1",     "1",     "1",     "1"]),
        ("mismatch",       refused(Code::Mismatch, None),                  ["1",     "1",     "1",     "1",     "1"]),
        ("version",        refused(Code::Version, None),                   ["1",     "1",     "1",     "1",     "1"]),
        ("gap 2",          refused(Code::Gap, Some(2)),                    ["1",     "1",     "pause", "1",     "1"]),
        ("gap 3",          refused(Code::Gap, Some(3)),                    ["1",     "1",     "1",     "1",     "1"]),
        ("storage",        refused(Code::Storage, None),                   ["again", "read",  "pause", "pause", "1"]),
        ("storage 1",      refused(Code::Storage, Some(1)),                ["again", "read",  "1",     "pause", "1"]),
        ("storage 2",      refused(Code::Storage, Some(2)),                ["again", "1",     "pause", "pause", "1"]),
        ("receipt 1",      reply(Reply::Receipt(receipt_1)),               ["1",     "read",  "1",     "1",     "1"]),
        ("receipt 2",      reply(Reply::Receipt(receipt(&all[..2]))),      ["1",     "1",     "1",     "1",     "1"]),
        ("receipt, bets",  reply(Reply::Receipt(Receipt { bets: 9, ..receipt_1 })),
                                                                           ["1",     "alarm", "1",     "1",     "1"]),
        ("welcome",        reply(welcome(&all[..1])),                      ["read",  "1",     "1",     "1",     "1"]),
        ("welcome, head",  reply(Reply::Welcome(wrong)),                   ["alarm", "1",     "1",     "1",     "1"]),
        ("welcome, next 0", reply(Reply::Welcome(zero)),                   ["1",     "1",     "1",     "1",     "1"]),
        ("winners",        reply(Reply::Winners { data: b"1#", rest: 0 }), ["1",     "1",     "1",     "1",     "done"]),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(STATES.map(|state| outcome(state, &bytes)), expected, "{name}");
    }
}

#[test]
fn only_the_wait_for_the_draw_has_no_deadline() {
    let file = rows(3);
    let mut session = session(&file, 1, 2);
    let mut out = Vec::new();
    assert_eq!(session.owed(), None, "no connection");
    session.open(&mut out).unwrap();
    let hello = session.owed();
    assert!(hello.is_some());
    session.answer(welcome(&bodies(&file, 1)), &mut out).unwrap();
    let ready = session.owed();
    assert!(ready.is_some() && ready != hello, "the clock of each answer is its own");
    session.answer(Reply::Ack, &mut out).unwrap();
    assert_eq!(session.owed(), None, "the draw may be days away");
    session.answer(Reply::Winners { data: b"1", rest: 9 }, &mut out).unwrap();
    assert!(session.owed().is_some(), "the rest of the winners is on its way");
}

#[test]
fn winners_are_counted_however_the_list_is_cut() {
    let cases: [(&[u8], u64); 4] = [(b"", 0), (b"#", 0), (b"30000001#", 1), (b"1#22#333#", 3)];
    for (list, winners) in cases {
        for cut in 0..=list.len() {
            let mut count = WinnerList::default();
            count.add(&list[..cut]);
            count.add(&list[cut..]);
            assert_eq!(count.count().unwrap(), winners, "{list:?} cut at {cut}");
        }
    }
    let mut broken = WinnerList::default();
    broken.add(b"1#2");
    assert_eq!(broken.count().unwrap_err().exit_code(), 1);
}

#[test]
fn bytes_that_are_no_answer_end_the_work() {
    for bytes in
        [&[1, 0, 0, 0, 0][..], &[13], &[2, 0xff, 0xff, 0xff, 0xff], &[10, 0, 0, 0, 1, b'x']]
    {
        let mut session = session("", 1, 1);
        session.open(&mut Vec::new()).unwrap();
        let stop = Conversation::new().receive(&mut session, bytes, &mut Vec::new()).unwrap_err();
        assert!(matches!(stop, Stop::Unreadable(_)), "{stop}");
    }
}
