//! Entering, talking, and what of it deployed clients see.

use crate::rig::{FULL, Guest, from, room_for, room_with, says};

#[test]
fn a_guest_is_told_its_number_and_no_number_comes_again() {
    let room = room_for(2);
    let mut first = Guest::new(&room);
    assert_eq!(first.read(), [says(200, "1")]);
    let mut second = Guest::new(&room);
    assert_eq!(second.read(), [says(200, "2")]);
    second.vanish();
    let mut third = Guest::new(&room);
    assert_eq!(third.read(), [says(200, "3")]);
    assert_eq!(first.read(), [""; 0], "deployed clients are told of nobody's leaving");
}

#[test]
fn a_new_user_is_passed_on_to_guests_with_a_name_and_to_nobody_else() {
    let (_room, [mut ana, mut leo, mut eva]) = room_with();
    eva.name("Eva");
    let new_user = from("null", 201, r#""new_user""#);
    assert_eq!(ana.exchange(&new_user), [""; 0]);
    assert_eq!(eva.read(), [says(203, "1"), new_user.clone()]);
    assert_eq!(leo.read(), [""; 0], "deployed clients are sent messages only");
    // Whatever it says it is.
    ana.send(from("3", 201, r#""new_user""#));
    assert_eq!(eva.read(), [new_user]);
    let refused = ana.exchange(from("null", 201, r#""everybody out""#));
    assert_eq!(refused, [says(400, r#""the content of 201 is \"new_user\"""#)]);
    assert_eq!((leo.read(), eva.read()), (vec![], vec![]));
}

#[test]
fn a_message_goes_to_everyone_else_and_bears_its_senders_number() {
    let (_room, [mut ana, mut leo, mut eva]) = room_with();
    for (sent, content) in [
        (from("1", 200, r#""hola""#), r#""hola""#),
        (from("2", 200, r#""somebody else's""#), r#""somebody else's""#),
        (r#"{"content":"ñ🎲","status":200}"#.into(), r#""\u00f1\ud83c\udfb2""#),
        (r#"{"status":200,"time":7}"#.into(), "null"),
        (r#"{"status":200,"content":{"b":1.10,"a":[]}}"#.into(), r#"{"b": 1.10, "a": []}"#),
    ] {
        assert_eq!(ana.exchange(&sent), [""; 0], "no echo of {sent}");
        for other in [&mut leo, &mut eva] {
            assert_eq!(other.read(), [from("1", 200, content)], "{sent}");
        }
    }
}

#[test]
fn objects_may_come_two_in_one_read_or_one_in_many() {
    let (_room, [mut ana, mut leo]) = room_with();
    let (first, second) = (from("1", 200, "\"a}\""), from("1", 200, "\"b\""));
    ana.send(format!("{first}{second}\n"));
    assert_eq!(leo.read(), [&*first, &*second]);
    for byte in format!(" {first}\r\n{second}").bytes() {
        ana.send([byte]);
    }
    assert_eq!(leo.read(), [first, second]);
}

#[test]
fn each_object_is_a_write_of_its_own_however_many_wait() {
    let (_room, [mut ana, mut leo]) = room_with();
    // The rig holds every write to be one object. The first is on its way when the second comes.
    ana.say("1");
    leo.send("");
    ana.say("2");
    leo.send("");
    leo.send(from("null", 299, "1"));
    ana.say("3");
    let read = leo.read();
    let messages = ["1", "2", "3"].map(|content| from("1", 200, content));
    assert_eq!(read[..3], messages);
    assert_eq!(read[3..], [says(400, r#""no guest sends this status""#)]);
}

#[test]
fn a_full_room_says_so_and_closes_and_a_place_is_free_at_once() {
    let room = room_for(2);
    let (mut first, _second) = (Guest::entered(&room), Guest::entered(&room));
    let mut third = Guest::new(&room);
    assert_eq!(third.exchange(from("1", 200, "1")), [FULL]);
    assert!(third.is_closed());
    assert_eq!(first.read(), [""; 0], "nobody else notices");
    first.vanish();
    assert_eq!(Guest::new(&room).read(), [says(200, "3")]);
}

#[test]
fn the_last_place_is_given_once_however_the_newcomers_turns_interleave() {
    // Both are let in before either has its first turn, in whatever order these come.
    for reversed in [false, true] {
        let room = room_for(1);
        let mut newcomers = [Guest::new(&room), Guest::new(&room)];
        if reversed {
            newcomers.reverse();
        }
        let mut told: Vec<_> = newcomers.iter_mut().flat_map(Guest::read).collect();
        told.sort();
        assert_eq!(told, [says(200, "1"), FULL.into()]);
    }
}

#[test]
fn newcomers_on_many_threads_get_as_many_places_as_there_are() {
    let room = room_for(3);
    let newcomers: Vec<Guest> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(|| Guest::new(&room))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut told: Vec<_> = newcomers.into_iter().flat_map(|mut guest| guest.read()).collect();
    told.sort();
    let places = ["1", "2", "3"].map(|id| says(200, id));
    assert_eq!(told[..3], places);
    assert_eq!(told[3..], [FULL; 9]);
}

#[test]
fn what_is_no_object_is_told_with_a_reason_and_ends_that_guest_alone() {
    for (sent, reason) in [
        ("hola", "not a JSON object: it does not begin with {"),
        ("[]", "not a JSON object: it does not begin with {"),
        ("{hola}", "not a JSON object: key must be a string at line 1 column 2"),
    ] {
        let (room, [mut ana, mut leo]) = room_with();
        let good = from("1", 200, "1");
        let read = ana.exchange(format!("{good}{sent}{good}"));
        assert_eq!(read, [says(400, &format!("\"{reason}\""))], "{sent}");
        assert!(ana.is_closed());
        assert_eq!(leo.read(), [good], "what came before it is heard, and no more");
        assert_eq!(Guest::new(&room).read(), [says(200, "3")]);
    }
}

#[test]
fn what_no_guest_sends_is_refused_and_the_guest_stays() {
    let (_room, [mut ana, mut leo]) = room_with();
    for sent in ["{}", r#"{"status": "200"}"#, r#"{"status": 200.0}"#, r#"{"status": 202}"#] {
        let told = ana.exchange(sent);
        assert_eq!(told, [says(400, r#""no guest sends this status""#)], "{sent}");
    }
    ana.say("1");
    assert_eq!(leo.read(), [from("1", 200, "1")]);
}
