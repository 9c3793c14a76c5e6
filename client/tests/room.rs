//! A guest's side of the room without sockets: what lines ask, what objects are to it, however they
//! are cut.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

use bolillero::room::RoomError;
use bolillero::room::arrivals::{Arrivals, OBJECT_LENGTH_MAX};
use bolillero::room::guest::{Arrival, Guest};
use bolillero_protocol::room::{Name, OBJECT_BYTES_MAX, ReadError};

const WELCOME: &str = r#"{"sender_id": "Server", "status": 200, "content": 3}"#;
const NAMED: &str = r#"{"sender_id": "Server", "status": 203, "content": "Ana"}"#;

/// A guest by the name Ana, to whom these have come, and the last thing that came of them.
fn guest(objects: &[&str]) -> (Guest, Arrival) {
    let mut guest = Guest::new(Name::parse("Ana").unwrap());
    let mut last = Arrival::default();
    for object in objects {
        last = arrives(&mut guest, object).unwrap();
    }
    (guest, last)
}

fn arrives(guest: &mut Guest, bytes: &str) -> Result<Arrival, RoomError> {
    let mut arrival = Arrival::default();
    Arrivals::default().take(bytes.as_bytes(), |object| {
        arrival = guest.arrives(object)?;
        Ok::<_, RoomError>(())
    })?;
    Ok(arrival)
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

fn server(status: u64, content: &str) -> String {
    format!("{{\"sender_id\": \"Server\", \"status\": {status}, \"content\": {content}}}")
}

#[test]
fn a_guest_is_let_in_gives_its_name_and_is_in_once_it_has_it() {
    let (guest_let_in, arrival) = guest(&[WELCOME]);
    let name = "{\"sender_id\": null, \"status\": 210, \"content\": \"Ana\"}\n";
    assert_eq!(text(arrival.send).as_deref(), Some(name));
    assert!(arrival.show.is_none() && guest_let_in.is_naming() && !guest_let_in.is_in());
    let (named, arrival) = guest(&[WELCOME, NAMED]);
    assert!(named.is_in() && arrival.send.is_none());
    assert_eq!(arrival.show.as_deref(), Some("* you are Ana"));
}

#[test]
fn what_comes_is_shown_as_a_line() {
    let rows = [
        (r#"{"sender_id": "leo", "status": 200, "content": "hola"}"#, Some("leo: hola")),
        (r#"{"sender_id": 3, "status": 200, "content": "hola"}"#, Some("guest 3: hola")),
        (
            r#"{"sender_id": "leo", "status": 200, "content": {"a": [1]}}"#,
            Some(r#"leo: {"a": [1]}"#),
        ),
        (r#"{"sender_id": "leo", "status": 200}"#, Some("leo: null")),
        (
            r#"{"sender_id": "\u001b[1m", "status": 200, "content": "\u0007"}"#,
            Some(r"\u001b[1m: \u0007"),
        ),
        (r#"{"sender_id": "Server", "status": 200, "content": 4}"#, Some("Server: 4")),
        (r#"{"sender_id": "Server", "status": 202, "content": "leo"}"#, Some("* leo left")),
        (r#"{"sender_id": "Server", "status": 202, "content": 3}"#, Some("* guest 3 left")),
        (r#"{"sender_id": "Server", "status": 203, "content": "leo"}"#, Some("* leo came")),
        (r#"{"sender_id": "Server", "status": 203, "content": 3}"#, Some("* guest 3 came")),
        // 203 has told of it.
        (r#"{"sender_id": null, "status": 201, "content": "new_user"}"#, None),
        (
            r#"{"sender_id": "Server", "status": 211, "content": ["Ana", "leo", 7]}"#,
            Some("* here: Ana, leo, guest 7"),
        ),
        (
            r#"{"sender_id": "Server", "status": 429, "content": "too much at once"}"#,
            Some("! too much at once"),
        ),
        (r#"{"sender_id": "Server", "status": 400, "content": "no"}"#, Some("! no")),
        (
            r#"{"sender_id": "Server", "status": 777, "content": "x"}"#,
            Some("* Server, status 777: x"),
        ),
        ("{}", Some("* somebody, status null: null")),
    ];
    for (object, shown) in rows {
        let (_, arrival) = guest(&[WELCOME, NAMED, object]);
        assert_eq!(arrival, Arrival { show: shown.map(str::to_owned), send: None }, "{object}");
    }
    let (mut named, _) = guest(&[WELCOME, NAMED]);
    let long = server(200, &format!("\"{}\"", "a".repeat(OBJECT_BYTES_MAX)));
    let shown = arrives(&mut named, &long).unwrap().show.unwrap();
    assert_eq!(shown, "! what came is not shown: an object has at most 1024 bytes");
}

#[test]
fn why_a_stay_cannot_begin_or_go_on_is_told() {
    type IsRight = fn(&RoomError) -> bool;
    let rows: [(&[&str], String, IsRight); 5] = [
        (&[], server(500, "\"server_full\""), |error| matches!(error, RoomError::Full)),
        (&[WELCOME], server(400, "\"somebody here has this name\""), |error| {
            error.to_string().contains("the name Ana: somebody here has this name. Give another")
        }),
        (&[WELCOME], "HTTP/1.1 400".to_owned(), |error| {
            matches!(error, RoomError::Unreadable(ReadError::NoObject))
        }),
        (&[WELCOME, NAMED], "{\"a\" 1}".to_owned(), |error| {
            matches!(error, RoomError::Unreadable(ReadError::Malformed(_)))
        }),
        (
            &[WELCOME, NAMED],
            format!("{{\"content\": \"{}", "a".repeat(OBJECT_LENGTH_MAX)),
            |error| matches!(error, RoomError::Endless),
        ),
    ];
    for (before, object, is_right) in rows {
        let error = arrives(&mut guest(before).0, &object).unwrap_err();
        assert!(is_right(&error), "{error}");
    }
}

#[test]
fn objects_are_the_same_however_they_are_cut_or_joined() {
    let lines = |cut: usize| {
        let stream = [WELCOME, NAMED, &server(202, "\"leo\""), &server(203, "3")].join("\n \r");
        let (mut guest, mut arrivals, mut shown) = (guest(&[]).0, Arrivals::default(), Vec::new());
        for piece in stream.as_bytes().chunks(cut) {
            arrivals
                .take(piece, |object| {
                    shown.extend(guest.arrives(object)?.show);
                    Ok::<_, RoomError>(())
                })
                .unwrap();
        }
        shown
    };
    for cut in 1..200 {
        assert_eq!(lines(cut), ["* you are Ana", "* leo left", "* guest 3 came"], "{cut}");
    }
}

#[test]
fn lines_become_objects() {
    for (line, sent) in [
        ("hola", r#"{"sender_id": null, "status": 200, "content": "hola"}"#),
        ("//who \"ñ\"", r#"{"sender_id": null, "status": 200, "content": "/who \"\u00f1\""}"#),
        ("/who", r#"{"sender_id": null, "status": 211, "content": null}"#),
        ("/history", r#"{"sender_id": null, "status": 212, "content": 10}"#),
        ("/history 3", r#"{"sender_id": null, "status": 212, "content": 3}"#),
    ] {
        let mut guest = guest(&[WELCOME, NAMED]).0;
        let deed = guest.typed(line);
        assert_eq!(text(deed.send), Some(format!("{sent}\n")), "{line}");
        assert!(!deed.leave);
        assert_eq!(guest.is_owed(), line == "/who");
        assert_eq!(guest.refused(), 0);
    }
    for (line, refused, leaves) in [("", 0, false), ("/exit", 0, true), ("/no\u{1b}", 1, false)] {
        let mut guest = guest(&[WELCOME, NAMED]).0;
        let deed = guest.typed(line);
        assert_eq!((deed.send, deed.leave, guest.refused()), (None, leaves, refused), "{line}");
        assert!(!deed.tell.concat().contains('\u{1b}'));
    }
    assert!(guest(&[WELCOME, NAMED]).0.typed("/help").tell.len() > 3);
}

#[test]
fn what_is_too_long_is_refused_with_how_long_it_may_be() {
    // As it is passed on, with the name and a line feed.
    let frame = "{\"sender_id\": \"Ana\", \"status\": 200, \"content\": \"\"}\n".len();
    let most = OBJECT_BYTES_MAX - frame;
    let rows = [
        ("a".repeat(most), true),
        ("a".repeat(most + 1), false),
        ("ñ".repeat(most / 6), true),
        ("ñ".repeat(most / 6 + 1), false),
        ("\u{1f3b1}".repeat(most / 12), true),
        ("\u{1f3b1}".repeat(most / 12 + 1), false),
    ];
    for (line, fits) in rows {
        let mut guest = guest(&[WELCOME, NAMED]).0;
        let deed = guest.typed(&line);
        assert_eq!(deed.send.is_some(), fits, "{}", line.len());
        let told = deed.tell.concat();
        assert_eq!(told.contains(&format!("and {most} are the most")), !fits, "{told}");
    }
}

#[test]
fn a_server_without_names_is_talked_to_as_deployed_clients_do() {
    let mut guest = guest(&[WELCOME]).0;
    let unnamed = guest.go_unnamed();
    let new_user = "{\"sender_id\": null, \"status\": 201, \"content\": \"new_user\"}\n";
    assert_eq!(text(unnamed.send).as_deref(), Some(new_user));
    assert_eq!(unnamed.show.unwrap(), "* this room knows no names: here you are guest 3");
    assert!(guest.is_in());
    for line in ["/who", "/history"] {
        let deed = guest.typed(line);
        assert_eq!(
            (deed.send, deed.tell.concat()),
            (None, "! this room cannot be asked that".to_owned())
        );
    }
    assert!(guest.typed("hola").send.is_some());
    let came = arrives(&mut guest, r#"{"sender_id": null, "status": 201, "content": "new_user"}"#);
    assert_eq!(came.unwrap().show.as_deref(), Some("* somebody came"));
    // An answer that was only late.
    assert_eq!(arrives(&mut guest, NAMED).unwrap().show.as_deref(), Some("* you are Ana"));
    assert!(guest.typed("/who").send.is_some());
}
