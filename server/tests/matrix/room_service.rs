//! The room over the wire: what it promises holds under each driver.

use std::net::Shutdown;
use std::thread;

use bolillero_server::room::{Room, RoomLimits};

use crate::client::Client;
use crate::harness::{Cell, Server};
use crate::limits;
use crate::vectors::blocks;

pub(crate) fn start(cell: Cell, limits_of_room: RoomLimits) -> Server {
    Server::start(cell, Room::new(limits_of_room), limits())
}

pub(crate) fn object(sender: &str, status: u32, content: &str) -> Vec<u8> {
    let object = format!(r#"{{"sender_id": {sender}, "status": {status}, "content": {content}}}"#);
    (object + "\n").into_bytes()
}

fn enter(server: &Server, id: u32) -> Client {
    let mut client = server.connect();
    client.expect(&object("\"Server\"", 200, &id.to_string()));
    client
}

pub(crate) fn guests_hear_each_other(cell: Cell) {
    let server = start(cell, RoomLimits::default());
    let (mut ana, mut leo, mut eva) = (enter(&server, 1), enter(&server, 2), enter(&server, 3));
    let mut fourth = server.connect();
    assert_eq!(fourth.rest(), object("\"Server\"", 500, "\"server_full\""));
    // The first is for guests with a name; nobody here has one.
    ana.send(&object("null", 201, "\"new_user\""));
    ana.send(&object("1", 200, "\"hola\""));
    for other in [&mut leo, &mut eva] {
        other.expect(&object("1", 200, "\"hola\""));
    }
    // In single bytes, and two in one.
    for byte in object("2", 200, "\"a\"") {
        leo.send(&[byte]);
    }
    leo.send(&object("2", 200, "\"b\"").repeat(2));
    for other in [&mut ana, &mut eva] {
        for content in ["\"a\"", "\"b\"", "\"b\""] {
            other.expect(&object("2", 200, content));
        }
    }
    // Who leaves gives its place to the next, as soon as the server knows.
    eva.send(b"adios");
    assert!(eva.rest().starts_with(br#"{"sender_id": "Server", "status": 400, "#));
    enter(&server, 4);
    ana.send(&object("1", 200, "\"hola\""));
    leo.expect(&object("1", 200, "\"hola\""));
}

pub(crate) fn messages_are_passed_on_as_their_vectors_say(cell: Cell) {
    let generous = RoomLimits { burst_objects: 1000, ..RoomLimits::default() };
    let server = start(cell, generous);
    let (mut ana, mut leo) = (enter(&server, 1), enter(&server, 2));
    let is_message = |written: &str| {
        written.contains(r#""status": 200,"#) && !written.contains(r#""sender_id": "Server""#)
    };
    let blocks = blocks("room.txt").into_iter().filter(|block| !block.contains_key("refused"));
    let messages = blocks.filter(|block| is_message(&block["written"]));
    let messages: Vec<_> = messages.collect();
    assert!(messages.len() > 5);
    for block in messages {
        ana.send(block["sent"].as_bytes());
        for written in ["written", "second"].iter().filter_map(|key| block.get(*key)) {
            let (_, rest) = written.split_once(r#", "status""#).unwrap();
            leo.expect(format!("{{\"sender_id\": 1, \"status\"{rest}\n").as_bytes());
        }
    }
}

pub(crate) fn time_gives_a_guest_more_to_say(cell: Cell) {
    let server = start(cell, RoomLimits::default());
    let (mut ana, mut leo) = (enter(&server, 1), enter(&server, 2));
    ana.send(&object("1", 200, "0").repeat(12));
    for _ in 0..10 {
        leo.expect(&object("1", 200, "0"));
    }
    let too_fast = "\"too much at once: wait a little, then send again\"";
    let refused = object("\"Server\"", 429, too_fast);
    ana.expect(&refused);
    ana.expect(&refused);
    // She says it until time has brought one more.
    let (mut answers, mut heard) = (ana.share(), leo.share());
    let answers = thread::spawn(move || answers.expect_cut());
    let heard = thread::spawn(move || heard.expect(&object("1", 200, "1")));
    while !heard.is_finished() {
        ana.send(&object("1", 200, "1"));
    }
    heard.join().unwrap();
    ana.socket.shutdown(Shutdown::Both).unwrap();
    answers.join().unwrap();
}

pub(crate) fn a_guest_that_does_not_read_stops_nobody(cell: Cell) {
    let limits_of_room =
        RoomLimits { burst_objects: u32::MAX, queue_objects_max: 16, ..RoomLimits::default() };
    let server = start(cell, limits_of_room);
    let (mut ana, mut leo) = (enter(&server, 1), enter(&server, 2));
    let slow = enter(&server, 3);
    let long = object("1", 200, &format!("\"{}\"", "a".repeat(900)));
    // As many as the kernel keeps for a peer that does not read, and then those of its queue.
    for _ in 0..200 {
        for _ in 0..256 {
            ana.send(&long);
            leo.expect(&long);
        }
        if server.connect().line() != object("\"Server\"", 500, "\"server_full\"") {
            drop(slow);
            return;
        }
    }
    panic!("it is never dropped");
}

pub(crate) fn a_stop_closes_the_room_at_once(cell: Cell) {
    let mut server = start(cell, RoomLimits::default());
    let (mut ana, mut leo) = (enter(&server, 1), enter(&server, 2));
    leo.send(b"{\"status\"");
    server.life.stop();
    assert_eq!(ana.rest(), b"");
    assert_eq!(leo.rest(), b"");
    drop((ana, leo));
    server.join();
}
