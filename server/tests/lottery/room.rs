//! A disk without room: refused is refused, nothing changes, and it goes on when there is room.

use std::io::ErrorKind;

use bolillero_server::ledger::committer::Step;
use bolillero_server::ledger::memory::{Call, Done, MemoryDisk};
use bolillero_server::lottery::draw::DrawStep;

use crate::support::*;

const STORAGE: &str = "no room on the disk at present";

/// A session of agency 1 on a full disk; how many batches it has stored.
fn full() -> (Central, Client, Vec<String>) {
    let mut central = Central::with(Setup { segment_size: 16 << 10, ..Setup::default() });
    central.prepare();
    central.disk.limit_room(central.disk.used(), ErrorKind::StorageFull);
    let mut client = central.session(1);
    let mut stored = Vec::new();
    loop {
        let next = body(1, &[7; 40]);
        client.send(&packet(11, format!("{}#{next}", stored.len() + 1)));
        central.settle();
        match client.replies().remove(0) {
            (12, _) => stored.push(next),
            (4, text) => {
                assert_eq!(text, format!("STORAGE#{}#{STORAGE}#", stored.len() + 1));
                return (central, client, stored);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_batch_without_room_changes_nothing() {
    let (mut central, mut client, stored) = full();
    let seq = stored.len() + 1;
    let next = body(1, &[7; 40]);
    let lane = central.office.lane(1);
    let before = central.stored();
    // What is asked before room is asked for has its own answer.
    client.send(&packet(11, format!("{}#{next}", seq + 1)));
    client.send(&packet(11, format!("{}#{}", seq - 1, stored[seq - 2])));
    client.send(&packet(11, format!("{seq}#1#@0#1#Ana#")));
    client.send(&packet(11, format!("{seq}#{next}")));
    let codes = ["GAP", "", "MALFORMED", "STORAGE"];
    let replies = client.replies();
    assert_eq!(replies.len(), 4);
    for (reply, code) in replies.iter().zip(codes) {
        assert!(reply.1.starts_with(code), "{reply:?}");
    }
    assert_eq!(replies[1], receipt(&stored));
    let mut base = central.connect();
    base.send(&[batch(2, &[7; 40]), packet(1, bet(2, 1)), packet(3, "0#"), ask(2)].concat());
    let no_room = (4, STORAGE.to_owned());
    assert_eq!(base.replies(), [no_room.clone(), no_room, ack(), busy()]);
    assert_eq!(central.commit(), Step::Idle);
    assert_eq!((central.office.lane(1), central.stored()), (lane, before));
    central.check_replay();
}

#[test]
fn with_room_again_it_goes_on_without_a_restart() {
    let (mut central, mut client, mut stored) = full();
    central.disk.free_room();
    central.prepare();
    for _ in 0..20 {
        stored.push(body(1, &[7; 40]));
        client.send(&packet(11, format!("{}#{}", stored.len(), stored.last().unwrap())));
        central.settle();
        assert_eq!(client.replies(), [receipt(&stored)]);
    }
    let lane = &central.stored().0[0];
    assert!(lane.iter().eq(stored.iter().map(String::as_bytes)));
}

#[test]
fn the_reserve_lets_agencies_come_finish_and_be_drawn() {
    let (mut central, mut client, stored) = full();
    let (seq, bets) = (stored.len() as u64, bets_in(&stored));
    let mut second = central.session(2);
    second.send(&session_ready(2, 0, 0));
    client.send(&[session_ready(1, seq, bets), ask(1)].concat());
    central.settle();
    assert_eq!((second.replies(), client.replies()), (vec![ack()], vec![ack(), winners("#")]));
    let mut central = central.restart();
    let mut client = central.session(1);
    client.send(&ask(1));
    assert_eq!(client.replies(), [winners("#")]);
}

#[test]
fn hellos_leave_room_for_marks_and_draw() {
    let (mut central, _, stored) = full();
    let refused = loop {
        let mut client = central.connect();
        client.send(&hello(2));
        central.settle();
        match client.replies().remove(0) {
            (10, _) => {}
            refused => break refused,
        }
    };
    assert_eq!(refused, (4, format!("STORAGE#-#{STORAGE}#")));
    let mut client = central.connect();
    client.send(&hello(1));
    assert_eq!(client.replies(), [refused]);
    // No session can be opened any more: those that are open finish.
    let lane = central.office.lane(2).unwrap();
    assert!(
        lane.epoch > 10 && central.office.lane(1).unwrap().totals.last_seq == stored.len() as u64
    );
}

#[test]
fn over_the_limit_of_the_queue_requests_wait_unread() {
    let mut central = Central::with(Setup { queue_bytes_max: 100, ..Setup::default() });
    let mut first = central.session(1);
    let mut second = central.session(2);
    first.send(&[numbered(1, 1, &[1]), numbered(2, 1, &[2]), numbered(3, 1, &[3])].concat());
    second.send(&numbered(1, 2, &[1]));
    assert!(first.is_held() && second.is_held());
    assert_eq!((first.wait(), second.wait()), (None, None));
    // Held, and owed nothing: what has arrived is still finished before the stop.
    second.stop();
    assert!(!second.is_closed());
    let mut received = (0, 0);
    while central.commit() == Step::Committed {
        received.0 += first.replies().len();
        received.1 += second.replies().len();
    }
    // The receipt, and op 0.
    assert_eq!(received, (3, 2));
    assert!(!first.is_held() && second.is_closed());
    assert_eq!(central.stored().0[1].len(), 1);
}

/// All agencies have finished, the office died, and when it starts again somebody else has the room for its draw.
fn without_room_for_the_draw() -> Central {
    let setup = Setup { agencies: 300, segment_size: 32 << 10, ..Setup::default() };
    let mut central = Central::with(setup.clone());
    // Behind these and 300 marks there is no place in the segment for a draw of 300 agencies.
    central.connect().send(&batch(1, &[1; 80]).repeat(3));
    for agency in 1..=300 {
        central.connect().send(&ready(agency));
        central.commit();
    }
    let files = central.disk.durable_files();
    let start = |disk| Central::open(setup.clone(), disk).unwrap();
    let calls = start(MemoryDisk::with_files(&files)).disk.calls();
    let is_allocation = |call: &Call| matches!(call, Call::Allocate(..));
    let first_spare = calls.iter().enumerate().filter(|(_, call)| is_allocation(call)).nth(1);
    let disk = MemoryDisk::with_files(&files);
    disk.fail_call(first_spare.unwrap().0, ErrorKind::StorageFull, Done::Nothing);
    let mut central = start(disk);
    assert_eq!((central.draw(), central.stored().1), (DrawStep::NoRoom, 0));
    central
}

#[test]
fn a_draw_that_finds_no_room_is_done_when_there_is() {
    let mut central = without_room_for_the_draw();
    let mut client = central.connect();
    client.send(&[ready(1), ask(1)].concat());
    assert_eq!(central.commit(), Step::Idle);
    assert_eq!(client.replies(), []);
    central.run_drawer();
    assert_eq!(client.replies(), [ack(), winners("#")]);
    assert_eq!(central.stored().1, 1);
}
