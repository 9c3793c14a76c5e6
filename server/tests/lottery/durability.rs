//! What an answer rests on is on disk before it leaves: also a repeat, a second 5, and a refusal.

use bolillero_server::ledger::memory::{Call, Done};

use crate::support::*;

/// Holds that what `act` asks, in a session of agency 1 or on a new connection, is answered after a sync that comes
/// after the write of its record.
fn check(name: &str, act: fn(&mut Client, &mut Client)) {
    let mut central = Central::new(2);
    let mut session = central.session(1);
    let mut other = central.connect();
    let before = central.disk.calls().len();
    act(&mut session, &mut other);
    assert_eq!((session.replies(), other.replies()), (vec![], vec![]), "{name}: too early");
    assert_eq!(central.disk.calls().len(), before, "{name}: a session touched the disk");
    central.commit();
    let calls = central.disk.calls();
    let calls = &calls[before..];
    assert!(matches!(calls, [Call::Write(..), Call::Sync(_)]), "{name}: {calls:?}");
    assert_eq!(session.replies().len() + other.replies().len(), 1, "{name}");
    central.check_replay();
}

#[test]
fn between_a_request_and_its_answer_lies_a_sync() {
    check("a batch", |session, _| session.send(&numbered(1, 1, &[1])));
    check("a base batch", |_, other| other.send(&batch(2, &[1])));
    check("one bet", |_, other| other.send(&packet(1, bet(2, 1))));
    check("hello", |_, other| other.send(&hello(2)));
    check("ready", |_, other| other.send(&ready(2)));
    check("an alarm", |session, _| session.send(&alarm(0, 0, &head(&[]))));
    check("ready in a session", |session, _| session.send(&session_ready(1, 0, 0)));
}

#[test]
fn an_answer_without_a_record_waits_for_what_it_follows_from() {
    let mut central = Central::new(3);
    let mut session = central.session(1);
    let mut other = central.connect();
    let mut third = central.connect();
    let mut check = |name: &str, client: &mut Client, code: &str| {
        assert_eq!(client.replies(), [], "{name}: too early");
        let before = central.disk.calls().len();
        central.commit();
        let synced =
            central.disk.calls()[before..].iter().any(|call| matches!(call, Call::Sync(_)));
        assert!(synced, "{name}");
        let replies = client.replies();
        assert_eq!(replies.len(), 1, "{name}: {replies:?}");
        assert!(replies[0].1.starts_with(code), "{name}: {replies:?}");
    };

    other.send(&batch(2, &[1]));
    other.send(&ready(2));
    third.send(&batch(2, &[1]));
    check("refused because another connection's 5 came first", &mut third, "agency 2 has finished");
    assert_eq!(other.replies(), [ack(), ack()]);

    other.send(&ready(3));
    third.send(&ready(3));
    check("a second 5", &mut third, "");
    assert_eq!(other.replies(), [ack()]);

    session.send(&numbered(1, 1, &[1]));
    third.send(&batch(1, &[1]));
    check("a base batch in a lane of sessions", &mut third, "agency 1 works in sessions");
    assert_eq!(session.replies().len(), 1);

    other.send(&hello(1));
    session.send(&numbered(2, 1, &[2]));
    check("fenced by a HELLO that is not on disk", &mut session, "FENCED");
    assert_eq!(other.replies().len(), 1);

    other.send(&numbered(2, 1, &[2]));
    third.send(&hello(1));
    check("WELCOME tells of a batch that is not on disk", &mut third, "3#3#2#");
    let replies = other.replies();
    assert_eq!([replies[0].0, replies[1].0], [12, 4], "the receipt, then FENCED: {replies:?}");
}

#[test]
fn a_repeat_waits_for_the_batch_that_it_repeats() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    let once = numbered(1, 1, &[1]);
    client.send(&[once.clone(), once.clone(), numbered(3, 1, &[3])].concat());
    assert_eq!(client.replies(), []);
    central.commit();
    let first = receipt(&[body(1, &[1])]);
    let gap = (4, "GAP#3#the lane's next batch is 2#".to_owned());
    assert_eq!(client.replies(), [first.clone(), first, gap]);
    assert_eq!(central.stored().0[0].len(), 1);
}

#[test]
fn who_is_owed_an_answer_is_told_once_for_each_group_and_after_its_log_line() {
    let mut central = Central::new(2);
    let mut busy_one = central.session(1);
    let mut other = central.connect();
    let before = central.happened().len();
    for seq in 1..=5 {
        busy_one.send(&numbered(seq, 1, &[1]));
        other.send(&batch(2, &[2]));
    }
    central.commit();
    let happened = central.happened();
    let (lines, wakes) = happened[before..].split_at(10);
    assert!(lines.iter().all(|happened| matches!(happened, Happened::Logged(_))), "{happened:?}");
    let told = [&busy_one, &other].map(|client| Happened::Woken(client.number()));
    assert_eq!(wakes, told);
    assert_eq!((busy_one.replies().len(), other.replies().len()), (5, 5));
}

#[test]
fn what_was_not_synced_when_the_office_died_was_not_answered() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    client.send(&numbered(1, 1, &[1]));
    central.commit();
    client.send(&numbered(2, 1, &[2]));
    assert_eq!(client.replies(), [receipt(&[body(1, &[1])])]);
    let mut central = central.restart();
    let mut client = central.connect();
    client.send(&hello(1));
    central.commit();
    assert_eq!(client.replies(), [welcome(2, &[body(1, &[1])], false)]);
}

#[test]
fn nobody_is_answered_by_a_ledger_that_failed() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    for call in 0..2 {
        let files = central.disk.durable_files();
        client.send(&numbered(1, 1, &[1]));
        central.disk.fail_call(call, std::io::ErrorKind::Other, Done::Nothing);
        central.commit_fails();
        assert_eq!(client.replies(), [], "call {call}");
        let disk = bolillero_server::ledger::memory::MemoryDisk::with_files(&files);
        central = Central::open(central.setup, disk).unwrap();
        client = central.session(1);
    }
}
