//! What travels in the room. Values are kept as the JSON they came as, so that numbers of any size,
//! the order of keys and escapes leave as they came; only what is not ASCII, and spaces between
//! values, are written anew.

use std::borrow::Cow;
use std::io::Write as _;

use serde_json::value::RawValue;

/// One object.
///
/// ```
/// use bolillero_protocol::room::{Object, Value, status};
///
/// let (sender_id, status) = (Value::number(1), Value::number(status::CHAT));
/// let mut out = Vec::new();
/// Object { sender_id, status, content: Value::text("¡hola!") }.encode(&mut out);
/// assert_eq!(out, b"{\"sender_id\": 1, \"status\": 200, \"content\": \"\\u00a1hola!\"}\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    /// Who says it.
    pub sender_id: Value<'a>,
    /// What it is; see [`status`](super::status).
    pub status: Value<'a>,
    /// What is said.
    pub content: Value<'a>,
}

impl Object<'_> {
    /// Appends the object and a line feed, all of it ASCII.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"sender_id\": ");
        self.sender_id.encode(out);
        out.extend_from_slice(b", \"status\": ");
        self.status.encode(out);
        out.extend_from_slice(b", \"content\": ");
        self.content.encode(out);
        out.extend_from_slice(b"}\n");
    }
}

/// A JSON value, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'a>(Cow<'a, str>);

impl<'a> Value<'a> {
    /// Nothing.
    pub const NULL: Self = Self(Cow::Borrowed("null"));

    /// Of what is known to be one JSON value.
    pub(super) fn of_json(json: &'a str) -> Self {
        Self(Cow::Borrowed(json))
    }

    /// A whole number.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(Cow::Owned(number.to_string()))
    }

    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(Cow::Owned(serde_json::Value::from(text).to_string()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: &[Value<'_>]) -> Self {
        let items: Vec<&str> = items.iter().map(|item| &*item.0).collect();
        Self(Cow::Owned(format!("[{}]", items.join(","))))
    }

    /// The number, if it is a whole one of 64 bits without a sign.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        serde_json::from_str(&self.0).ok()
    }

    /// The JSON, as it was written.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The values, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<Vec<Value<'_>>> {
        let items: Vec<&RawValue> = serde_json::from_str(&self.0).ok()?;
        Some(items.into_iter().map(|item| Value::of_json(item.get())).collect())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut place = Place::default();
        for c in self.0.chars() {
            match c {
                _ if place.is_in_string(c) => push_ascii(c, out),
                ' ' | '\t' | '\r' | '\n' => {}
                ',' => out.extend_from_slice(b", "),
                ':' => out.extend_from_slice(b": "),
                _ => push_ascii(c, out),
            }
        }
    }
}

/// What is not ASCII is escaped: above U+FFFF as the pair of UTF-16.
fn push_ascii(c: char, out: &mut Vec<u8>) {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => out.push(byte),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a vector does not fail");
            }
        }
    }
}

/// Where in JSON one is: in a string or outside of all.
#[derive(Debug, Default)]
pub(super) struct Place {
    in_string: bool,
    after_backslash: bool,
}

impl Place {
    /// Goes on over a character, and says whether it is of a string. Its quotes are.
    pub(super) fn is_in_string(&mut self, c: char) -> bool {
        if !self.in_string {
            self.in_string = c == '"';
            return self.in_string;
        }
        if !std::mem::take(&mut self.after_backslash) {
            self.after_backslash = c == '\\';
            self.in_string = c != '"';
        }
        true
    }
}
