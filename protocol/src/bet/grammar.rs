//! The fields of a bet, each as the grammar of what it may be. Knows no order of fields and no error.
//!
//! A function says how many bytes at the front of `bytes` are such a field, and `None` if none are. It
//! stops at the first byte that cannot belong to the field; whether a `#` stands there is for the
//! caller to see. Checking and looking for the end are one pass: the fields are too short for a
//! search of its own to pay.

use super::{DOCUMENT_LENGTH_MAX, NAME_LENGTH_MAX, NUMBER_MAX};
use crate::list::SEPARATOR;

/// The length of `YYYY-MM-DD`.
const DATE_LENGTH: usize = 10;

/// `@` and the bet's index, without leading zeros.
pub(super) fn marker(bytes: &[u8], index: u32) -> Option<usize> {
    let (&first, digits) = bytes.split_first()?;
    let (length, value) = number_up_to(digits, index)?;
    let leading_zero = digits[0] == b'0' && length > 1;
    (first == b'@' && value == index && !leading_zero).then_some(1 + length)
}

/// 1 to 64 characters, none of them a control character.
#[inline]
pub(super) fn name(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        length += plain_characters(&bytes[length..]);
        match bytes[length..] {
            [] | [SEPARATOR, ..] => break,
            [b' '..=b'~', ..] => length += 1,
            // Two bytes from U+00C0 on: the letters with accents of most names. Below are control characters.
            [0xc3..=0xdf, 0x80..=0xbf, ..] => length += 2,
            [0x80..=0xff, ..] => return unicode_name(bytes),
            _ => return None,
        }
    }
    match length {
        0 => None,
        1..=NAME_LENGTH_MAX => Some(length),
        _ => unicode_name(bytes),
    }
}

/// How many bytes at the front are ASCII and neither `#` nor a control character. Looks at sixteen at
/// a time, so it may stop short of the last fifteen.
#[inline]
fn plain_characters(bytes: &[u8]) -> usize {
    const EACH: u128 = u128::MAX / 0xff; // times a byte: sixteen of that byte
    let mut length = 0;
    while let Some(sixteen) = bytes[length..].first_chunk() {
        // A byte's top bit says that it stops here. What a subtraction borrows spoils only bytes after one that does.
        let word = u128::from_le_bytes(*sixteen);
        let below = |limit: u8, word: u128| word.wrapping_sub(EACH * u128::from(limit)) & !word;
        let separator = below(1, word ^ (EACH * u128::from(SEPARATOR)));
        let delete = below(1, word ^ (EACH * 0x7f));
        let stops = (below(b' ', word) | separator | delete | word) & (EACH * 0x80);
        let plain = stops.trailing_zeros() as usize / 8;
        length += plain;
        if plain < sixteen.len() {
            break;
        }
    }
    length
}

/// What [`name`] is for the characters and the lengths that it does not know.
#[cold]
fn unicode_name(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().position(|&byte| byte == SEPARATOR).unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..length]).ok()?;
    let fits = name.chars().count() <= NAME_LENGTH_MAX && !name.chars().any(char::is_control);
    fits.then_some(length)
}

/// 1 to 12 digits.
pub(super) fn document(bytes: &[u8]) -> Option<usize> {
    let whole = if bytes.first_chunk().is_some_and(are_digits) { 8 } else { 0 };
    let length = whole + bytes[whole..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=DOCUMENT_LENGTH_MAX).contains(&length).then_some(length)
}

/// `YYYY-MM-DD`, a day of the proleptic Gregorian calendar.
pub(super) fn birth_date(bytes: &[u8]) -> Option<usize> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes.first_chunk::<DATE_LENGTH>()? else {
        return None;
    };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !are_digits(&digits) {
        return None;
    }
    let two = |tens: u8, ones: u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let (month, day) = (two(m1, m2), two(d1, d2));
    // Every month has these days, so most dates need no calendar.
    let plain = (1..=12).contains(&month) && (1..=28).contains(&day);
    let exists = plain || {
        let year = i32::try_from(two(y1, y2) * 100 + two(y3, y4)).ok()?;
        chrono::NaiveDate::from_ymd_opt(year, month, day).is_some()
    };
    exists.then_some(DATE_LENGTH)
}

/// Whether eight bytes are all digits, in one comparison: a digit is what differs from `0` by 9 at most.
#[inline]
fn are_digits(bytes: &[u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff; // times a byte: eight of that byte
    let differences = u64::from_ne_bytes(*bytes) ^ (EACH * u64::from(b'0'));
    let over_9 = differences.wrapping_add(EACH * (0x7f - 9)) | differences;
    over_9 & (EACH * 0x80) == 0
}

/// A number that can be bet on, with or without leading zeros.
pub(super) fn number(bytes: &[u8]) -> Option<usize> {
    number_up_to(bytes, u32::from(NUMBER_MAX)).map(|(length, _)| length)
}

/// Digits of a value up to `max`, leading zeros or not: how many there are, and the value.
#[inline]
pub(super) fn number_up_to(bytes: &[u8], max: u32) -> Option<(usize, u32)> {
    let mut value = 0;
    let mut length = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(length) {
        value = value * 10 + u64::from(digit - b'0');
        if value > u64::from(max) {
            return None;
        }
        length += 1;
    }
    if length == 0 { None } else { Some((length, u32::try_from(value).ok()?)) }
}
