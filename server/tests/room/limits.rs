//! What each limit of the room does.

use bolillero_server::room::RoomLimits;

use crate::log_lines::take_log_lines;
use crate::rig::{Guest, from, room, room_with, says};

const TOO_FAST: &str = r#""too much at once: wait a little, then send again""#;

#[test]
fn of_a_flood_the_others_see_the_burst_and_the_sender_is_told() {
    let (_room, [mut ana, mut leo]) = room_with();
    let flood: String = (0..1000).map(|i| from("1", 200, &i.to_string())).collect();
    assert_eq!(ana.exchange(flood), vec![says(429, TOO_FAST); 990]);
    let burst: Vec<_> = (0..10).map(|i| from("1", 200, &i.to_string())).collect();
    assert_eq!(leo.read(), burst);
    assert!(!ana.is_closed());
}

#[test]
fn each_refill_brings_one_more_and_none_beyond_the_burst() {
    let (_room, [mut ana, mut leo]) = room_with();
    assert_eq!(ana.wait(), None, "a burst that is whole waits for nothing");
    ana.say("0");
    let first = ana.wait().unwrap();
    assert_eq!(first.time_max, RoomLimits::default().refill_time);
    ana.say("1");
    assert_eq!(ana.wait(), Some(first), "to say more does not postpone it");
    ana.time_out();
    let second = ana.wait().unwrap();
    assert_ne!(second.id, first.id);
    ana.time_out();
    assert_eq!(ana.wait(), None);
    leo.read();
    let flood = from("1", 200, "2").repeat(12);
    assert_eq!(ana.exchange(&flood).len(), 2, "two refills, and ten at once");
    assert_eq!(leo.read().len(), 10);
    for _ in 0..3 {
        let before = ana.wait().unwrap();
        ana.time_out();
        assert_ne!(ana.wait(), Some(before));
    }
    assert_eq!(ana.exchange(&flood).len(), 9);
    assert_eq!(leo.read().len(), 3);
}

#[test]
fn whatever_is_sent_counts() {
    let (_room, [mut ana]) = room_with();
    let questions = from("null", 211, "null").repeat(6) + &"{}".repeat(4);
    assert_eq!(ana.exchange(questions).len(), 10);
    assert_eq!(ana.exchange("{}"), [says(429, TOO_FAST)]);
    // What ends the connection is told all the same.
    assert!(ana.exchange("x")[0].contains(r#""status": 400"#));
    assert!(ana.is_closed());
}

#[test]
fn an_object_has_1024_bytes_with_its_line_feed_counted_as_it_is_passed_on() {
    let (_room, [mut ana, mut leo]) = room_with();
    let frame = from("1", 200, r#""""#).len() + 1;
    let too_long = "it would be passed on with more than 1024 bytes: say less at once";
    let check = |ana: &mut Guest, leo: &mut Guest, text: String, expected: Option<usize>| {
        let told = ana.exchange(format!(r#"{{"status":200,"content":"{text}"}}"#));
        let got: Vec<usize> = leo.read().iter().map(|object| object.len() + 1).collect();
        assert_eq!(got, Vec::from_iter(expected));
        let refused = expected.is_none().then(|| says(400, &format!("\"{too_long}\"")));
        assert_eq!(told, Vec::from_iter(refused));
    };
    check(&mut ana, &mut leo, "a".repeat(1024 - frame), Some(1024));
    check(&mut ana, &mut leo, "a".repeat(1025 - frame), None);
    // Each is two bytes, and six where it is passed on.
    let escaped = (1024 - frame) / 6;
    check(&mut ana, &mut leo, "ñ".repeat(escaped), Some(frame + 6 * escaped));
    check(&mut ana, &mut leo, "ñ".repeat(escaped + 1), None);
    // With a name in the place of the number there is less room.
    ana.name("Ana");
    check(&mut ana, &mut leo, "a".repeat(1024 - frame - 4), Some(1024));
    check(&mut ana, &mut leo, "a".repeat(1024 - frame - 3), None);
}

#[test]
fn an_object_that_is_sent_with_more_bytes_is_refused_and_the_next_is_heard() {
    let (_room, [mut ana, mut leo]) = room_with();
    let spaces = |n: usize| format!("{{\"status\":200{}}}", " ".repeat(n - 14));
    assert_eq!(ana.exchange(spaces(1024)), [""; 0]);
    let refused = [says(400, r#""an object has at most 1024 bytes""#)];
    assert_eq!(ana.exchange(spaces(1025)), refused);
    assert_eq!(ana.exchange(spaces(50_000) + &spaces(14)), refused);
    assert_eq!(leo.read(), vec![from("1", 200, "null"); 2]);
}

#[test]
fn a_guest_that_does_not_read_is_dropped_and_the_others_miss_nothing() {
    let limits = RoomLimits {
        capacity: 3,
        queue_objects_max: 4,
        burst_objects: 100,
        ..RoomLimits::default()
    };
    let room = room(limits);
    let [mut ana, mut leo, mut slow] = [(); 3].map(|()| Guest::entered(&room));
    leo.name("Leo");
    slow.name("Slow");
    leo.read();
    take_log_lines();
    let mut heard = Vec::new();
    for i in 0..20 {
        ana.say(&i.to_string());
        heard.extend(leo.read());
        slow.send("");
    }
    assert!(slow.is_closed());
    // One is on its way, and the queue holds four.
    assert_eq!(slow.read().len(), 1);
    let mut expected: Vec<_> = (0..20).map(|i| from("1", 200, &i.to_string())).collect();
    expected.insert(0, says(203, "1"));
    let left = says(202, r#""Slow""#);
    let at = heard.iter().position(|object| *object == left).unwrap();
    heard.remove(at);
    assert_eq!(heard, expected);
    let line = "action: leave | result: success | ip: 127.0.0.1 | guest: 3 | reason: does not read";
    assert_eq!(take_log_lines(), [line]);
    assert_eq!(Guest::new(&room).read(), [says(200, "4")], "its place is free");
}

#[test]
fn when_several_do_not_read_all_of_them_are_dropped() {
    let limits = RoomLimits {
        capacity: 4,
        queue_objects_max: 1,
        burst_objects: 100,
        ..RoomLimits::default()
    };
    let room = room(limits);
    let mut guests = [(); 4].map(|()| Guest::entered(&room));
    for index in 0..4 {
        guests[index].name(&format!("guest-{index}"));
        guests.iter_mut().for_each(|guest| drop(guest.read()));
    }
    // None of the others reads. The speaker is told of three who leave, and has place for one.
    guests[0].say("1");
    guests[0].say("2");
    for guest in &mut guests {
        guest.read();
        assert!(guest.is_closed());
    }
    for id in 5..9 {
        assert_eq!(Guest::new(&room).read(), [says(200, &id.to_string())]);
    }
}

#[test]
fn of_many_messages_the_last_fifty_are_kept() {
    let room = room(RoomLimits { burst_objects: 1000, ..RoomLimits::default() });
    let (mut ana, mut leo) = (Guest::entered(&room), Guest::entered(&room));
    for i in 0..70 {
        ana.say(&i.to_string());
        leo.read();
    }
    leo.name("Leo");
    let kept: Vec<_> = (20..70).map(|i| from("1", 200, &i.to_string())).collect();
    assert_eq!(leo.exchange(from("null", 212, "1000")), kept);
    assert_eq!(leo.exchange(from("null", 212, "18446744073709551615")), kept);
}
