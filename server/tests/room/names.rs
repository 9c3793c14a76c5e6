//! Guests with names, and what only they are told.

use crate::rig::{Guest, from, room_for, room_with, says};

fn naming(name: &str) -> String {
    from("null", 210, &format!("\"{name}\""))
}

#[test]
fn a_name_is_borne_from_then_on_and_told_to_guests_with_names() {
    let (_room, [mut ana, mut leo, mut old]) = room_with();
    assert_eq!(ana.exchange(naming("Ana")), [says(203, r#""Ana""#)]);
    assert_eq!(leo.exchange(naming("leo-2")), [says(203, r#""leo-2""#)]);
    assert_eq!(ana.read(), [says(203, r#""leo-2""#)]);
    ana.say("1");
    assert_eq!(leo.read(), [from(r#""Ana""#, 200, "1")]);
    assert_eq!(old.read(), [from(r#""Ana""#, 200, "1")], "a deployed client is told no more");
}

#[test]
fn a_name_that_is_taken_or_bad_is_refused() {
    let (_room, [mut ana, mut leo]) = room_with();
    ana.name("Ana");
    let bad = "a name is 1 to 24 letters, digits, - or _, not a number, not the server's";
    let long = naming(&"x".repeat(25));
    let none = from("null", 210, "null");
    let taken = "somebody here has this name";
    for (sent, reason) in [
        (naming("Ana"), taken),
        (naming("aNA"), taken),
        (naming(""), bad),
        (naming("a b"), bad),
        (naming("7"), bad),
        (naming("server"), bad),
        (long, bad),
        (none, bad),
    ] {
        assert_eq!(leo.exchange(&sent), [says(400, &format!("\"{reason}\""))], "{sent}");
    }
    assert_eq!(ana.read(), [""; 0], "nobody came");
    assert_eq!(leo.exchange(naming(&"x".repeat(24))).len(), 1);
    assert_eq!(leo.exchange(naming("Leo")), [says(400, r#""a name is given once""#)]);
}

#[test]
fn a_name_is_free_when_its_guest_has_left() {
    let (room, [mut ana, mut leo]) = room_with();
    ana.name("Ana");
    ana.vanish();
    assert_eq!(leo.exchange(naming("Ana")), [says(203, r#""Ana""#)]);
    drop(room);
}

#[test]
fn guests_with_names_are_told_who_came_and_who_left() {
    let room = room_for(4);
    let mut ana = Guest::entered(&room);
    ana.name("Ana");
    let mut eva = Guest::entered(&room);
    let (mut old, mut silent) = (Guest::entered(&room), Guest::entered(&room));
    assert_eq!(ana.read(), [""; 0], "nobody has said who they are");
    eva.name("Eva");
    assert_eq!(ana.read(), [says(203, r#""Eva""#)]);
    let new_user = from("null", 201, r#""new_user""#);
    old.send(&new_user);
    assert_eq!(ana.read(), [says(203, "3"), new_user]);
    old.say("1");
    assert_eq!(ana.read(), [from("3", 200, "1")], "it came once");
    for (guest, left) in [(&mut old, Some("3")), (&mut silent, None), (&mut eva, Some("\"Eva\""))] {
        guest.vanish();
        assert_eq!(ana.read(), left.map(|left| says(202, left)).as_slice());
    }
}

#[test]
fn a_guest_with_a_name_is_told_who_is_there() {
    let (_room, [mut ana, _old, mut eva]) = room_with();
    let question = from("null", 211, "null");
    let refused = [says(400, r#""only for guests with a name: give one with status 210""#)];
    assert_eq!(ana.exchange(&question), refused);
    ana.name("Ana");
    eva.name("Eva");
    ana.read();
    assert_eq!(ana.exchange(&question), [says(211, r#"["Ana", 2, "Eva"]"#)]);
}

#[test]
fn a_crowd_is_told_in_as_many_objects_as_it_takes() {
    let room = room_for(70);
    let mut guests: Vec<Guest> = (0..70).map(|_| Guest::entered(&room)).collect();
    for (index, guest) in guests.iter_mut().enumerate() {
        guest.name(&format!("{}{index:02}", "x".repeat(22)));
    }
    let told = guests[0].exchange(from("null", 211, "null"));
    let lists: Vec<_> = told.iter().filter(|object| object.contains(r#""status": 211"#)).collect();
    let listed: Vec<usize> = lists.iter().map(|list| list.matches("xx\"").count()).collect();
    assert_eq!(listed, [0, 0, 0]);
    let listed: Vec<usize> = lists.iter().map(|list| list.matches("\"xxx").count()).collect();
    assert_eq!(listed, [32, 32, 6]);
}

#[test]
fn the_last_messages_are_told_each_as_its_own_object() {
    let (_room, [mut ana, mut leo]) = room_with();
    for content in ["1", "2", "3"] {
        ana.say(content);
    }
    leo.read();
    let ask = |n: &str| from("null", 212, n);
    let unnamed = leo.exchange(ask("2"));
    assert_eq!(unnamed, [says(400, r#""only for guests with a name: give one with status 210""#)]);
    leo.name("Leo");
    let said = ["1", "2", "3"].map(|content| from("1", 200, content));
    for (n, expected) in [("0", &said[3..]), ("2", &said[1..]), ("99", &said[..])] {
        assert_eq!(leo.exchange(ask(n)), expected, "{n}");
    }
    for n in ["null", "-1", "1.5", "\"2\""] {
        let reason = r#""the content of 212 is how many messages""#;
        assert_eq!(leo.exchange(ask(n)), [says(400, reason)], "{n}");
    }
}
