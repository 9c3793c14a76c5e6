//! `bolillero room` against the room, and against servers that are older, die or lie.

pub(crate) mod hall;
mod terminal;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bolillero_server::room::RoomLimits;
use bolillero_tls::server::Admission;
use rustix::process::Signal;

use crate::secure::Papers;
use crate::setting::{TIME_MAX, finish, stderr, stdout};
use hall::{Guest, Hall, room, serve};

const WELCOME: &[u8] = b"{\"sender_id\": \"Server\", \"status\": 200, \"content\": 7}\n";
const NAMED: &[u8] = b"{\"sender_id\": \"Server\", \"status\": 203, \"content\": \"ana\"}\n";
/// Such that a test that waits for the end of a wait does not wait long.
const IMPATIENT: [&str; 4] = ["--reply-timeout", "300ms", "--connect-timeout", "2s"];

/// Says this and nothing more, and hears what comes until the end.
fn say(mut stream: TcpStream, said: &[u8]) {
    // Who has heard enough goes.
    let _ = stream.write_all(said);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn two_guests_talk() {
    let hall = Hall::new();
    let (mut ana, mut leo) = (hall.guest("ana"), hall.guest("leo"));
    assert_eq!(ana.hears(), "* leo came");
    ana.types("hola\n");
    assert_eq!(leo.hears(), "ana: hola");
    leo.types("¿qué \"tal\"?\r\n\n//who\n");
    assert_eq!(ana.hears(), "leo: ¿qué \"tal\"?");
    assert_eq!(ana.hears(), "leo: /who");
    let left = leo.leaves();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    assert_eq!(ana.hears(), "* leo left");
    ana.types("/exit\n");
    let left = ana.ends();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    assert_eq!(left.lines, [""; 0]);
}

#[test]
fn what_a_script_says_and_asks_before_it_leaves_is_said_and_answered() {
    let hall = Hall::new();
    let mut leo = hall.guest("leo");
    let lines: Vec<String> = (0..40).map(|i| format!("line {i}")).collect();
    let mut ana = Guest::start(&hall.server(), "ana", &[]);
    ana.types(&format!("{}\n/who\n/history 2\n", lines.join("\n")));
    let left = ana.leaves();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    let mut heard = left.lines;
    // It is told when that is asked, whenever the answers come.
    heard.retain(|line| line != "* the last messages, up to 2:");
    assert_eq!(heard, ["* you are ana", "* here: leo, ana", "ana: line 38", "ana: line 39"]);
    assert_eq!(leo.hears(), "* ana came");
    for line in lines {
        assert_eq!(leo.hears(), format!("ana: {line}"));
    }
    assert_eq!(leo.hears(), "* ana left");
}

#[test]
fn a_script_can_wait_for_a_message() {
    let hall = Hall::new();
    let mut leo = hall.guest("leo");
    let ana = Guest::start(&hall.server(), "ana", &["--until", "go on"]);
    assert_eq!(leo.hears(), "* ana came");
    leo.types("wait\ngo on, ana\nthis is for nobody\n");
    let left = ana.leaves();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    assert_eq!(left.lines, ["* you are ana", "leo: wait", "leo: go on, ana"]);
}

#[test]
fn a_name_that_is_taken_or_a_room_that_is_full_ends_it_at_once() {
    let hall = Hall::with(RoomLimits { capacity: 2, ..RoomLimits::default() });
    let _ana = hall.guest("ana");
    let output = finish(room(&hall.server(), "ANA", &[]));
    let said = "bolillero: the room does not take the name ANA: somebody here has this name. Give \
                another with --name\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), said));
    let _leo = hall.guest("leo");
    let output = finish(room(&hall.server(), "eva", &[]));
    let said = "bolillero: the room is full: come again when somebody has left\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), said));
}

#[test]
fn a_name_or_a_server_that_cannot_be_is_refused_before_a_socket_opens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let long = "a".repeat(25);
    for name in ["", "7", "server", "a b", "ñ", "a\u{1b}", &long] {
        let output = finish(room(&server, name, &[]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = format!("bolillero: --name {name:?}: is not 1 to 24 of ");
        assert!(stderr(&output).starts_with(&said), "{output:?}");
    }
    for (server, options, named) in [
        (&*server, &["--until", ""][..], "--until"),
        (&server, &["--reply-timeout", "0s"], "--reply-timeout"),
        (&server, &["--ca", "x"], "--tls"),
        ("room:0", &[], "HOST[:PORT] room:0"),
    ] {
        let output = finish(room(server, "ana", options));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(named), "{output:?}");
    }
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn what_is_not_taken_is_told_and_a_script_fails_by_it() {
    let limits = RoomLimits {
        burst_objects: 3,
        refill_time: Duration::from_secs(3600),
        ..RoomLimits::default()
    };
    let hall = Hall::with(limits);
    // The name is the first object.
    let mut ana = hall.guest("ana");
    ana.types("1\n2\n3\n");
    assert_eq!(ana.hears(), "! too much at once: wait a little, then send again");
    let left = ana.leaves();
    let said = "bolillero: 1 of what was to be said or asked was not taken: see above\n";
    assert_eq!((left.code, left.stderr.as_str()), (Some(1), said), "{left:?}");

    let mut leo = hall.guest("leo");
    leo.types(&format!("{}\n/nothing\n", "a".repeat(100_000)));
    assert!(leo.hears().starts_with("! not said: it has 65536 bytes, and 973 are the most; "));
    assert!(leo.hears().starts_with("! /nothing is no command, and was not said: "));
    leo.types("/help\n");
    assert!(leo.hears().starts_with("* /who"));
    assert_eq!(leo.leaves().code, Some(1));
}

#[test]
fn a_room_that_closes_is_told_and_not_come_back_to() {
    let hall = Hall::new();
    let ana = hall.guest("ana");
    hall.close();
    let left = ana.ends();
    let said = "bolillero: the room is gone: the connection ended. Start again to come back; what \
                was said last may be lost\n";
    assert_eq!((left.code, left.stderr.as_str()), (Some(1), said), "{left:?}");
}

#[test]
fn a_signal_ends_it_with_0() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let hall = Hall::new();
        let ana = hall.guest("ana");
        ana.signal(signal);
        let left = ana.ends();
        assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    }
    // It waits for a server that says nothing.
    let (told, came) = channel();
    let told = Mutex::new(told);
    let server = serve(move |stream| {
        told.lock().unwrap().send(()).unwrap();
        say(stream, b"");
    });
    let ana = Guest::start(&server, "ana", &[]);
    came.recv_timeout(TIME_MAX).unwrap();
    ana.signal(Signal::TERM);
    let left = ana.ends();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
}

#[test]
fn a_deployed_server_that_knows_no_names_is_talked_to() {
    // It passes on what comes, says nothing to 210, and knows no half of a connection's end.
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let server = serve(move |mut stream| {
        stream.write_all(WELCOME).unwrap();
        let mut bytes = [0; 1024];
        while let Ok(size @ 1..) = stream.read(&mut bytes) {
            let text = String::from_utf8(bytes[..size].to_vec()).unwrap();
            if text.contains("hola") {
                stream
                    .write_all(b"{\"sender_id\": 2, \"status\": 200, \"content\": \"chau\"}")
                    .unwrap();
            }
            told.lock().unwrap().send(text).unwrap();
        }
    });
    let mut ana = Guest::start(&server, "ana", &IMPATIENT);
    assert_eq!(ana.hears(), "* this room knows no names: here you are guest 7");
    ana.types("hola\n");
    assert_eq!(ana.hears(), "guest 2: chau");
    assert_eq!(ana.leaves().code, Some(0));
    let mut all = String::new();
    while !all.ends_with("\"hola\"}\n") {
        all += &heard.recv_timeout(TIME_MAX).unwrap();
    }
    assert_eq!(
        all,
        "{\"sender_id\": null, \"status\": 210, \"content\": \"ana\"}\n\
         {\"sender_id\": null, \"status\": 201, \"content\": \"new_user\"}\n\
         {\"sender_id\": null, \"status\": 200, \"content\": \"hola\"}\n"
    );
}

#[test]
fn a_server_that_lies_is_told_and_costs_no_more_than_it_must() {
    let endless = [WELCOME, NAMED, b"{\"content\": \"", &[b'a'; 1 << 20]].concat();
    let rows: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n", "is a web server (HTTP), not a room"),
        (b"hola\r\n", "what comes cannot be read: not a JSON object: "),
        (&[b'x'; 1 << 20], "what comes cannot be read: not a JSON object: "),
        (b"{\"status\": 200,, \"content\": 1}", "what comes cannot be read: not a JSON object: "),
        (b"\x15\x03\x03\x00\x02\x02\x28", "speaks TLS: give --tls and --ca FILE"),
        (&endless, "an object of more than 65536 bytes comes, and no end of it. Is what listens"),
    ];
    for (lie, said) in rows {
        let lie = lie.to_vec();
        let server = serve(move |stream| say(stream, &lie));
        let left = Guest::start(&server, "ana", &IMPATIENT).ends();
        assert_eq!(left.code, Some(1), "{left:?}");
        assert!(left.stderr.contains(said), "{left:?}");
    }
}

#[test]
fn control_characters_are_never_written() {
    let said = [
        WELCOME,
        NAMED,
        b"{\"sender_id\": \"\\u001b[2J\", \"status\": 200, \"content\": \"\\u001b]0;x\\u0007\\u009b\"}",
        b"{\"sender_id\": \"Server\", \"status\": 211, \"content\": [\"\\u001bc\"]}",
    ];
    let said = said.concat();
    let server = serve(move |stream| say(stream, &said));
    let mut ana = Guest::start(&server, "ana", &IMPATIENT);
    let shown = [ana.hears(), ana.hears(), ana.hears()];
    let expected = ["* you are ana", r"\u001b[2J: \u001b]0;x\u0007\u009b", r"* here: \u001bc"];
    assert_eq!(shown, expected);
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_no_longer_than_it_may() {
    // Neither a word nor an end.
    let server = serve(|stream| say(stream, b""));
    let output = finish(room(&server, "ana", &IMPATIENT));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = format!("bolillero: no server answers at {server} for 2s: no answer in time\n");
    assert!(stderr(&output).ends_with(&said) && stdout(&output).is_empty(), "{output:?}");
    // It never closes, nor tells who is there.
    let server = serve(|mut stream| {
        stream.write_all(&[WELCOME, NAMED].concat()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let (_never, waits) = channel::<()>();
        let _ = waits.recv_timeout(TIME_MAX);
    });
    for (lines, code) in [("hola\n", 0), ("/who\n", 1)] {
        let (mut ana, begin) = (Guest::start(&server, "ana", &IMPATIENT), Instant::now());
        ana.types(lines);
        let left = ana.leaves();
        assert_eq!(left.code, Some(code), "{left:?}");
        assert_eq!(left.stderr.contains("did not answer /who"), code == 1, "{left:?}");
        assert!(begin.elapsed() < TIME_MAX);
    }
}

#[test]
fn a_server_that_is_not_ready_yet_is_tried_again() {
    let hall = Hall::new();
    let tries = Mutex::new(0);
    let real = hall.server();
    let server = serve(move |client| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        if *tries < 3 {
            return;
        }
        let server = TcpStream::connect(&real).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let (mut from, mut to) = (server, client);
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut ana = Guest::start(&server, "ana", &[]);
    ana.types("hola\n");
    let left = ana.leaves();
    assert_eq!((left.code, left.lines.concat().as_str()), (Some(0), "* you are ana"), "{left:?}");
}

#[test]
fn guests_talk_under_tls() {
    let papers = Papers::new();
    let hall = Hall::secure(&papers, Admission::Anyone);
    let options = papers.trusting();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let mut leo = Guest::start(&hall.server(), "leo", &options);
    assert_eq!(leo.hears(), "* you are leo");
    // It leaves once the server has taken and answered all, as in plain text.
    let lines: Vec<String> = (0..40).map(|i| format!("line {i}")).collect();
    let mut ana = Guest::start(&hall.server(), "ana", &options);
    ana.types(&format!("{}\n/who\n", lines.join("\n")));
    let left = ana.leaves();
    assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{left:?}");
    assert_eq!(left.lines, ["* you are ana", "* here: leo, ana"]);
    assert_eq!(leo.hears(), "* ana came");
    for line in lines {
        assert_eq!(leo.hears(), format!("ana: {line}"));
    }
    assert_eq!(leo.hears(), "* ana left");
    hall.close();
    let left = leo.ends();
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.stderr.starts_with("bolillero: the room is gone: "), "{left:?}");
}

#[test]
fn certificates_that_are_not_good_end_it_at_once() {
    let (papers, others) = (Papers::new(), Papers::new());
    let hall = Hall::secure(&papers, Admission::Certified);
    for (options, said) in [
        (papers.trusting(), "wants a certificate of this client"),
        (others.trusting(), "the certificate of the server at "),
        (vec![], "speaks TLS: give --tls and --ca FILE"),
    ] {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let output = finish(room(&hall.server(), "ana", &options));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    let options = papers.showing("agency-1");
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let left = Guest::start(&hall.server(), "ana", &options).leaves();
    assert_eq!((left.code, left.lines.concat().as_str()), (Some(0), "* you are ana"), "{left:?}");
}
