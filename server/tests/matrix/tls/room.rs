//! The room over TLS: who takes a record for an object is right, as deployed clients do.

use std::net::Shutdown;
use std::sync::Barrier;
use std::thread;

use bolillero_server::room::RoomLimits;

use crate::client::Client;
use crate::harness::{Cell, Server, knock};
use crate::room_service::{object, start};

/// What the next record carries that carries something.
fn hears(client: &Client) -> Vec<u8> {
    loop {
        let record = client.tls().record(&client.socket).unwrap().unwrap();
        if !record.is_empty() {
            return record;
        }
    }
}

fn enter(server: &Server, id: u32) -> Client {
    let client = server.connect();
    assert_eq!(hears(&client), object("\"Server\"", 200, &id.to_string()));
    client
}

pub(crate) fn each_object_is_a_record_of_its_own(cell: Cell) {
    let server = start(cell, RoomLimits { burst_objects: 200, ..RoomLimits::default() });
    let (mut ana, leo, eva) = (enter(&server, 1), enter(&server, 2), enter(&server, 3));
    // Many in one record, one over many, and two of which the second is cut.
    let content = |number: usize| format!("\"{number} {}\"", "ñ".repeat(number % 30));
    let said: Vec<_> = (0..100).map(|number| object("1", 200, &content(number))).collect();
    ana.send(&said.concat());
    for byte in &said[1] {
        ana.send(&[*byte]);
    }
    let both = said[2..4].concat();
    let (first, second) = both.split_at(both.len() - 7);
    ana.send(first);
    ana.send(second);
    let escaped = |object: &Vec<u8>| {
        let object = String::from_utf8(object.clone()).unwrap();
        object.replace('ñ', "\\u00f1").into_bytes()
    };
    let expect: Vec<_> = said.iter().chain(&said[1..4]).map(escaped).collect();
    for guest in [&leo, &eva] {
        for object in &expect {
            assert_eq!(&hears(guest), object);
        }
    }
}

pub(crate) fn an_object_of_1024_bytes_is_passed_on_in_one_record_and_one_more_is_refused(
    cell: Cell,
) {
    let server = start(cell, RoomLimits::default());
    let (mut ana, leo) = (enter(&server, 1), enter(&server, 2));
    let frame = object("1", 200, "\"\"").len();
    let of_bytes = |size: usize| object("1", 200, &format!("\"{}\"", "a".repeat(size - frame)));
    ana.send(&of_bytes(1024));
    assert_eq!(hears(&leo), of_bytes(1024));
    let refused = |reason: &str| object("\"Server\"", 400, &format!("\"{reason}\""));
    ana.send(&of_bytes(1025));
    let too_long = "it would be passed on with more than 1024 bytes: say less at once";
    assert_eq!(hears(&ana), refused(too_long));
    ana.send(&of_bytes(1026));
    assert_eq!(hears(&ana), refused("an object has at most 1024 bytes"));
    // She stays.
    ana.send(&of_bytes(1024));
    assert_eq!(hears(&leo), of_bytes(1024));
}

pub(crate) fn each_refusal_is_a_record_of_its_own(cell: Cell) {
    let server = start(cell, RoomLimits::default());
    let (mut ana, leo) = (enter(&server, 1), enter(&server, 2));
    ana.send(&object("1", 200, "0").repeat(15));
    for _ in 0..10 {
        assert_eq!(hears(&leo), object("1", 200, "0"));
    }
    let too_fast = "\"too much at once: wait a little, then send again\"";
    for _ in 0..3 {
        assert_eq!(hears(&ana), object("\"Server\"", 429, too_fast));
    }
}

pub(crate) fn a_place_is_free_at_once_however_its_guest_left(cell: Cell) {
    let server = start(cell, RoomLimits { capacity: 2, ..RoomLimits::default() });
    let mut ana = server.connect();
    ana.line();
    ana.send(&object("1", 210, "\"ana\""));
    assert_eq!(hears(&ana), object("\"Server\"", 203, "\"ana\""));
    let ways: [fn(&Client); 4] = [
        Client::end,
        |eva| eva.tls().say(&eva.socket, |connection| connection.send_close_notify()).unwrap(),
        |eva| eva.socket.shutdown(Shutdown::Both).unwrap(),
        Client::reset_when_dropped,
    ];
    for leave in ways.into_iter().cycle().take(12) {
        let mut eva = server.connect();
        assert!(eva.line().starts_with(br#"{"sender_id": "Server", "status": 200"#));
        eva.send(&object("null", 210, "\"eva\""));
        assert_eq!(hears(&ana), object("\"Server\"", 203, "\"eva\""));
        leave(&eva);
        drop(eva);
        assert_eq!(hears(&ana), object("\"Server\"", 202, "\"eva\""));
    }
}

pub(crate) fn of_a_crowd_at_once_as_many_enter_as_there_are_places(cell: Cell) {
    let server = start(cell, RoomLimits::default());
    let together = Barrier::new(20);
    let address = server.address;
    let come = || {
        together.wait();
        let mut client = knock(cell, address, 1);
        let line = client.line();
        (client, line)
    };
    let told: Vec<_> = thread::scope(|scope| {
        let crowd: Vec<_> = (0..20).map(|_| scope.spawn(come)).collect();
        crowd.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let full = object("\"Server\"", 500, "\"server_full\"");
    let (outside, inside): (Vec<_>, Vec<_>) = told.into_iter().partition(|(_, line)| *line == full);
    assert_eq!((inside.len(), outside.len()), (3, 17));
    for (mut client, _) in outside {
        assert_eq!(client.rest(), b"");
    }
    let mut given: Vec<_> = inside.into_iter().map(|(_, line)| line).collect();
    given.sort();
    let numbers = ["1", "2", "3"].map(|number| object("\"Server\"", 200, number));
    assert_eq!(given, numbers);
}
