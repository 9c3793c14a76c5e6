//! Deadlines, ends, the server's stop, and what is logged.

use bolillero_server::room::RoomLimits;

use crate::log_lines::take_log_lines;
use crate::rig::{Guest, from, room_for, room_with, says};

#[test]
fn a_guest_may_be_silent_for_ever_but_not_within_an_object() {
    let (_room, [mut ana, mut leo]) = room_with();
    assert_eq!(ana.wait(), None);
    ana.send("{");
    let within = ana.wait().unwrap();
    assert_eq!(within.time_max, RoomLimits::default().object_time_max);
    ana.send("\"status\"");
    assert_eq!(ana.wait(), Some(within), "a byte more does not postpone it");
    ana.send(": 200}");
    ana.time_out();
    assert_eq!(ana.wait(), None, "the burst is whole again");
    ana.send("{");
    assert_ne!(ana.wait(), Some(within), "another object, another wait");
    ana.time_out();
    assert!(ana.is_closed());
    assert_eq!(leo.read(), [from("1", 200, "null")]);
    assert_eq!(leo.wait(), None);
}

#[test]
fn who_sends_no_more_is_heard_and_leaves() {
    let (room, [mut ana, mut leo]) = room_with();
    ana.say("1");
    ana.send("{\"status\"");
    ana.half_close();
    assert!(ana.is_closed());
    assert_eq!(leo.read(), [from("1", 200, "1")]);
    assert_eq!(Guest::new(&room).read(), [says(200, "3")]);
}

#[test]
fn a_stop_closes_at_once() {
    let (_room, [mut ana, mut leo]) = room_with();
    ana.say("1");
    for guest in [&mut ana, &mut leo] {
        guest.stop();
        assert!(guest.is_closed());
    }
}

#[test]
fn joins_and_leaves_are_logged_and_never_what_is_said() {
    let room = room_for(1);
    let mut ana = Guest::entered(&room);
    ana.say(r#""nobody else's business""#);
    ana.exchange("nor this");
    drop(Guest::entered(&room));
    let line = |action: &str, guest: u32, rest: &str| {
        format!("action: {action} | result: success | ip: 127.0.0.1 | guest: {guest}{rest}")
    };
    let closed = " | reason: closed";
    let expected = [
        line("join", 1, ""),
        line("leave", 1, closed),
        line("join", 2, ""),
        line("leave", 2, closed),
    ];
    assert_eq!(take_log_lines(), expected);
    let _only = Guest::entered(&room);
    take_log_lines();
    Guest::new(&room).read();
    let full = "action: join | result: in_progress | ip: 127.0.0.1 | reason: the room is full";
    assert_eq!(take_log_lines(), [full]);
}
