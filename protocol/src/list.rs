//! Lists: items, each followed by `#`. There is no escaping. Knows no message.
//!
//! ```text
//! 1#Ana#Paz#      three items        #      one empty item; readers of winners take it as none
//! ```

use std::fmt::Display;
use std::io::Write as _;

use crate::error::{Corrupt, Malformed};

/// The longest number in a list, in digits: as many as the largest `u64` has.
pub const NUMBER_LENGTH_MAX: usize = 20;

/// What follows every item.
pub const SEPARATOR: u8 = b'#';

/// A cursor over a list's items, which cannot run over its end and names what was missing.
///
/// ```
/// use bolillero_protocol::list::Items;
///
/// let mut items = Items::parse(b"1#Ana#").unwrap();
/// assert_eq!(items.number::<u32>("id"), Ok(1));
/// assert_eq!(items.next("first name"), Ok("Ana"));
/// assert_eq!(items.next("last name").unwrap_err().to_string(), "last name is missing");
/// ```
#[derive(Debug, Clone)]
pub struct Items<'a> {
    left: &'a str,
}

impl<'a> Items<'a> {
    /// The items of a packet's data.
    ///
    /// # Errors
    /// [`Corrupt`] when the data is not UTF-8 or does not end in `#`.
    pub fn parse(data: &'a [u8]) -> Result<Self, Corrupt> {
        let left = std::str::from_utf8(data).map_err(|_| Corrupt::NotUtf8)?;
        if !left.ends_with(char::from(SEPARATOR)) {
            return Err(Corrupt::NotAList);
        }
        Ok(Self { left })
    }

    /// The next item, which is called `name` in an error.
    ///
    /// # Errors
    /// [`Malformed::Missing`] at the end of the list.
    pub fn next(&mut self, name: &'static str) -> Result<&'a str, Malformed> {
        let end = memchr::memchr(SEPARATOR, self.left.as_bytes());
        let end = end.ok_or(Malformed::Missing(name))?;
        let item = &self.left[..end];
        self.left = &self.left[end + 1..];
        Ok(item)
    }

    /// The next item as a number in plain digits, without a sign.
    ///
    /// # Errors
    /// [`Malformed`] when it is missing, is no number, or does not fit.
    pub fn number<T: TryFrom<u64>>(&mut self, name: &'static str) -> Result<T, Malformed> {
        parse_number(self.next(name)?).ok_or(Malformed::NotANumber(name))
    }

    /// Whether all items were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Holds that nothing is left after `last`.
    ///
    /// # Errors
    /// [`Malformed::Leftover`] when something is.
    pub fn finish(self, last: &'static str) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Leftover(last)) }
    }

    /// What was not taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a str {
        self.left
    }
}

/// A number of 1 to 20 plain digits, with or without leading zeros. `None` for anything else, and when it does not fit `T`.
#[must_use]
pub fn parse_number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let plain = text.len() <= NUMBER_LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse::<u64>().ok()?.try_into().ok() } else { None }
}

/// Appends one item and its `#`. The item must not hold a `#` itself.
pub fn push_item(out: &mut Vec<u8>, item: impl Display) {
    let start = out.len();
    write!(out, "{item}").expect("writing to a vector does not fail");
    debug_assert!(!out[start..].contains(&SEPARATOR), "an item cannot hold its separator");
    out.push(SEPARATOR);
}

/// Whether a value can travel as an item: no `#` and no control character.
#[must_use]
pub fn can_travel(value: &str) -> bool {
    !value.chars().any(|c| c == char::from(SEPARATOR) || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_plain_digits_that_fit() {
        let check = |text: &str, expected: Option<u16>| {
            assert_eq!(parse_number::<u16>(text), expected, "{text:?}");
        };
        check("0", Some(0));
        check("65535", Some(65535));
        check("00000000000000000007", Some(7));
        check("000000000000000000007", None); // 21 digits
        check("65536", None);
        check("99999999999999999999", None); // over 64 bits
        for text in ["", "+1", "-1", " 1", "1 ", "0x1", "1.0", "one", "١"] {
            check(text, None);
        }
    }

    #[test]
    fn a_cursor_names_what_is_missing_and_what_is_over() {
        let mut items = Items::parse("Ana##7#".as_bytes()).unwrap();
        assert_eq!(items.next("name"), Ok("Ana"));
        assert_eq!(items.next("nothing"), Ok(""));
        assert_eq!(items.clone().finish("nothing"), Err(Malformed::Leftover("nothing")));
        assert_eq!(items.rest(), "7#");
        assert_eq!(items.number("number"), Ok(7));
        assert_eq!(items.next("day"), Err(Malformed::Missing("day")));
        assert_eq!(items.finish("number"), Ok(()));
    }

    #[test]
    fn what_cannot_travel_is_a_separator_or_a_control_character() {
        for value in ["", "Ana", "María José", "a b", "李"] {
            assert!(can_travel(value), "{value:?}");
        }
        for value in ["#", "a#b", "a\nb", "\0", "\u{7f}", "\u{85}"] {
            assert!(!can_travel(value), "{value:?}");
        }
    }
}
