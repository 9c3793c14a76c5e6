//! Holds the room's protocol to `vectors/room.txt`, however the bytes are cut, and to any bytes at all. The bytes of the
//! vectors were not made with this library.

use bolillero_protocol::room::{OBJECT_BYTES_MAX, Object, Objects, ReadError, Value};
use proptest::collection::vec;
use proptest::prelude::*;

use self::pieces::cut;
use self::vectors::{Block, blocks, bytes};

mod pieces;
mod vectors;

const TOO_LONG: &str = "too long";

/// What was read, as it is written again, and why there was no more. It ends at what closes.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut objects, mut read) = (Objects::default(), Vec::new());
    for mut input in pieces {
        loop {
            let (taken, object) = objects.next(input);
            input = &input[taken..];
            match object {
                None => break assert!(input.is_empty(), "without an object all is taken"),
                Some(Ok(object)) => read.push(written(&object)),
                Some(Err(ReadError::TooLong)) => read.push(TOO_LONG.to_owned()),
                Some(Err(error)) => {
                    assert!(error.closes(), "{error}");
                    read.push("no object".to_owned());
                    return read;
                }
            }
        }
    }
    read
}

fn written(object: &Object<'_>) -> String {
    let mut out = Vec::new();
    object.encode(&mut out);
    assert!(out.is_ascii());
    let line = String::from_utf8(out).expect("it is ASCII");
    line.strip_suffix('\n').expect("a line feed behind it").to_owned()
}

fn sent(block: &Block) -> Vec<u8> {
    block.get("sent").map_or_else(|| bytes(&block["hex"]), |text| text.clone().into_bytes())
}

#[test]
fn every_object_is_read_and_written_as_its_vector_says() {
    for block in blocks("room.txt") {
        let (name, sent) = (&block["name"], sent(&block));
        let expected: Vec<&str> = ["written", "second", "refused"]
            .iter()
            .filter_map(|key| block.get(*key).map(String::as_str))
            .collect();
        assert_eq!(read([&sent[..]]), expected, "{name}");
        assert_eq!(read(sent.chunks(1)), expected, "{name}, byte by byte");
        for object in ["written", "second"].iter().filter_map(|key| block.get(*key)) {
            assert_eq!(read([object.as_bytes()]), [&**object], "{name}: written it stays so");
        }
    }
}

#[test]
fn an_object_has_1024_bytes_and_the_next_is_read_where_it_has_more() {
    let object = |length: usize| format!("{{\"content\":\"{}\"}}", "a".repeat(length - 14));
    let check = |length: usize, too_long: bool| {
        let sent = object(length) + "\n{\"status\": 7}";
        assert_eq!(sent.find('\n'), Some(length));
        for size in [1, 700, sent.len()] {
            let read = read(sent.as_bytes().chunks(size));
            let told = read[0] == TOO_LONG;
            assert_eq!(told, too_long, "{length} bytes by {size}");
            assert_eq!(read[1], r#"{"sender_id": null, "status": 7, "content": null}"#);
        }
    };
    check(OBJECT_BYTES_MAX, false);
    check(OBJECT_BYTES_MAX + 1, true);
    check(3 * OBJECT_BYTES_MAX, true);
}

#[test]
fn values_are_numbers_texts_or_neither() {
    let check = |json: &str, number: Option<u64>, text: Option<&str>| {
        let sent = format!("{{\"content\": {json}}}");
        let mut objects = Objects::default();
        let object = objects.next(sent.as_bytes()).1.expect("an object").expect("one that is read");
        assert_eq!(object.content.as_number(), number, "{json}");
        assert_eq!(object.content.as_text().as_deref(), text, "{json}");
    };
    check("212", Some(212), None);
    check("18446744073709551615", Some(u64::MAX), None);
    check("18446744073709551616", None, None);
    check("-1", None, None);
    check("2.0", None, None);
    check("null", None, None);
    check("[1]", None, None);
    check(r#""ana""#, None, Some("ana"));
    check(r#""\u00f1\ud83c\udfb2""#, None, Some("ñ🎲"));
    check(r#""\ud83c""#, None, None);
    let list = Value::list(&[Value::number(1), Value::text("a, \"b\""), Value::NULL]);
    let object = Object { sender_id: list, status: Value::NULL, content: Value::list(&[]) };
    let expected = r#"{"sender_id": [1, "a, \"b\"", null], "status": null, "content": []}"#;
    assert_eq!(written(&object), expected);
}

/// Bytes that are objects, or nearly.
fn nearly_objects() -> impl Strategy<Value = Vec<u8>> {
    let object = r#"(\{("(status|content|sender_id|é)": ?("[aé🎲\\"{}]{0,6}"|[0-9.e-]{1,5}|\[\]|null),?){0,4}\}?[ \n]?)?"#;
    vec(object, 0..6).prop_map(|objects| objects.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_cut_of_any_bytes_is_read_the_same(
        sent in prop_oneof![nearly_objects(), vec(any::<u8>(), 0..300)],
        sizes in vec(1_usize..40, 1..8),
    ) {
        prop_assert_eq!(read(cut(&sent, &sizes)), read([&sent[..]]));
    }

    #[test]
    fn any_text_arrives_as_it_was_and_in_ascii(
        text in any::<String>().prop_filter("short", |text| text.len() < 80),
        number: u64,
        sizes in vec(1_usize..40, 1..8),
    ) {
        let object = Object {
            sender_id: Value::text(&text),
            status: Value::number(number),
            content: Value::list(&[Value::text(&text)]),
        };
        let mut sent = Vec::new();
        object.encode(&mut sent);
        let mut objects = Objects::default();
        for piece in cut(&sent, &sizes) {
            if let (_, Some(object)) = objects.next(piece) {
                let object = object.expect("an object");
                prop_assert_eq!(object.sender_id.as_text(), Some(text));
                prop_assert_eq!(object.status.as_number(), Some(number));
                return Ok(());
            }
        }
        prop_assert!(false, "no object");
    }
}
