//! The room's objects: however they are cut, beside a reader of whole JSON, and as they are written again.

use bolillero_protocol::room::{OBJECT_BYTES_MAX, Object, Objects, ReadError};
use serde_json::{Deserializer, Value};

use crate::pieces;

/// Objects, their cuts in the first byte.
pub fn objects(bytes: &[u8]) {
    let Some((&seed, stream)) = bytes.split_first() else { return };
    let whole = read(stream, 0);
    for seed in [1, seed] {
        assert_eq!(read(stream, seed), whole, "cut by {seed}");
    }
    let lines: Vec<u8> = whole.iter().flatten().flatten().copied().collect();
    let mut again = read(&lines, seed).into_iter();
    for line in whole.iter().flatten() {
        assert!(line.is_ascii() && line.ends_with(b"\n"));
        // Escaped it may be longer than any that is read.
        if line.len() <= OBJECT_BYTES_MAX {
            assert_eq!(again.next(), Some(Ok(line.clone())), "written it stays as it is");
        } else {
            again.next();
        }
    }
    compare(stream, &whole);
}

/// What a reader of whole JSON makes an object of is one here, too, and holds the same.
fn compare(stream: &[u8], read: &[Result<Vec<u8>, ReadError>]) {
    let slow = Deserializer::from_slice(stream).into_iter::<Value>();
    for (value, read) in slow.map_while(Result::ok).zip(read) {
        let (Value::Object(value), Ok(line)) = (value, read) else { return };
        let Ok(Value::Object(line)) = serde_json::from_slice(line) else {
            panic!("what is written is an object");
        };
        for key in ["sender_id", "status", "content"] {
            assert_eq!(line[key], *value.get(key).unwrap_or(&Value::Null), "{key}");
        }
    }
}

fn read(stream: &[u8], seed: u8) -> Vec<Result<Vec<u8>, ReadError>> {
    let (mut objects, mut found) = (Objects::default(), Vec::new());
    for mut input in pieces(stream, seed) {
        loop {
            let (taken, object) = objects.next(input);
            input = &input[taken..];
            let Some(object) = object else {
                assert!(input.is_empty(), "without an object, all was taken");
                break;
            };
            let closes = matches!(&object, Err(error) if error.closes());
            found.push(object.map(|object| written(&object)));
            if closes {
                return found;
            }
        }
    }
    found
}

fn written(object: &Object<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    object.encode(&mut line);
    line
}
