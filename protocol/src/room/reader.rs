//! Finds the objects in bytes that arrive in pieces of any size: two in one, one in many. Keeps no
//! more of an object than may be of use.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::object::Place;
use super::{OBJECT_BYTES_MAX, Object, Value};

/// Why there is no object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It is longer than any may be. The next begins behind it.
    #[error("an object has at most {OBJECT_BYTES_MAX} bytes")]
    TooLong,
    /// Something else begins where an object should.
    #[error("not a JSON object: it does not begin with {{")]
    NoObject,
    /// It is not UTF-8.
    #[error("not a JSON object: not UTF-8")]
    NotUtf8,
    /// It breaks the grammar of JSON, or names a key twice that may be there once.
    #[error("not a JSON object: {0}")]
    Malformed(String),
}

impl ReadError {
    /// Whether where the next object would begin cannot be known.
    #[must_use]
    pub fn closes(&self) -> bool {
        *self != Self::TooLong
    }
}

/// Finds the objects in a stream.
///
/// ```
/// use bolillero_protocol::room::{Objects, Value};
///
/// let mut objects = Objects::default();
/// assert_eq!(objects.next(b"{\"status\": 20"), (13, None));
/// let (taken, object) = objects.next(b"0}{}");
/// assert_eq!((taken, object.unwrap().unwrap().status), (2, Value::number(200)));
/// ```
#[derive(Debug, Default)]
pub struct Objects {
    /// The object so far, or what of it is kept.
    kept: Vec<u8>,
    /// Its bytes so far.
    length: usize,
    place: Place,
    /// How many braces and brackets are open.
    depth: usize,
}

impl Objects {
    /// Takes bytes from the front of `input` up to the end of an object. Returns how many were
    /// taken, and the object, or why it is none; without either, all of `input` was taken. To be
    /// called until there is none, and no more after an error that [closes](ReadError::closes).
    pub fn next(&mut self, input: &[u8]) -> (usize, Option<Result<Object<'_>, ReadError>>) {
        let blanks = if self.is_partial() { 0 } else { count_blanks(input) };
        let rest = &input[blanks..];
        match rest.first() {
            None => return (input.len(), None),
            Some(b'{') => {}
            Some(_) if self.is_partial() => {}
            Some(_) => return (blanks + 1, Some(Err(ReadError::NoObject))),
        }
        if !self.is_partial() {
            self.kept.clear();
            self.length = 0;
        }
        let end = rest.iter().position(|&byte| self.ends_with(byte));
        let count = end.map_or(rest.len(), |index| index + 1);
        self.length += count;
        let room = OBJECT_BYTES_MAX - self.kept.len();
        self.kept.extend_from_slice(&rest[..count.min(room)]);
        (blanks + count, end.map(|_| self.read()))
    }

    /// Whether an object has begun and is not whole.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.depth > 0
    }

    /// Goes on over a byte, and says whether the object ends with it. Which bracket closes which is
    /// not looked at: that is for whoever reads the whole.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.place.is_in_string(char::from(byte)) {
            return false;
        }
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }

    fn read(&self) -> Result<Object<'_>, ReadError> {
        if self.length > OBJECT_BYTES_MAX {
            return Err(ReadError::TooLong);
        }
        let text = std::str::from_utf8(&self.kept).map_err(|_| ReadError::NotUtf8)?;
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|error| ReadError::Malformed(error.to_string()))?;
        Ok(Object {
            sender_id: value_of(fields.sender_id),
            status: value_of(fields.status),
            content: value_of(fields.content),
        })
    }
}

fn count_blanks(input: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    input.iter().take_while(is_blank).count()
}

/// What is looked at of an object.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    sender_id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// A key that is not there is as one that is null.
fn value_of(field: Option<&RawValue>) -> Value<'_> {
    field.map_or(Value::NULL, |json| Value::of_json(json.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_an_object() {
        let mut objects = Objects::default();
        for piece in [b"{\"content\": \"".as_slice(), &[b'a'; 5 << 20], &[b'{'; 5 << 20]] {
            assert_eq!(objects.next(piece), (piece.len(), None));
        }
        assert!(objects.is_partial());
        assert_eq!(objects.next(b"\"}{}"), (2, Some(Err(ReadError::TooLong))));
        assert!(objects.next(b"{}").1.unwrap().is_ok(), "the next is read");
        assert!(objects.kept.capacity() <= 2 * OBJECT_BYTES_MAX);
    }
}
