//! The fields of a bet, each as the grammar of what it may be. Knows no order of fields and no error.
//!
//! A function says how many bytes at the front of `bytes` are such a field, and `None` if none are. It
//! stops at the first byte that cannot belong to the field; whether a `#` stands there is for the
//! caller to see. Checking and looking for the end are one pass: the fields are too short for a
//! search of its own to pay.

use super::{DOCUMENT_LENGTH_MAX, NAME_LENGTH_MAX, NUMBER_MAX};
use crate::list::{NUMBER_LENGTH_MAX, SEPARATOR};

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

/// What [`name`] is for the characters and the lengths that it does not know.
#[cold]
fn unicode_name(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().position(|&byte| byte == SEPARATOR).unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..length]).ok()?;
    let fits = name.chars().count() <= NAME_LENGTH_MAX && !name.chars().any(char::is_control);
    fits.then_some(length)
}

/// 1 to 12 digits. Nearly all documents have eight.
#[inline]
pub(super) fn document(bytes: &[u8]) -> Option<usize> {
    if let Some((eight, [SEPARATOR, ..])) = bytes.split_first_chunk()
        && digits(eight, b"00000000").is_some()
    {
        return Some(eight.len());
    }
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=DOCUMENT_LENGTH_MAX).contains(&length).then_some(length)
}

/// `YYYY-MM-DD`, a day of the proleptic Gregorian calendar.
#[inline]
pub(super) fn birth_date(bytes: &[u8]) -> Option<usize> {
    let date = bytes.first_chunk::<DATE_LENGTH>()?;
    let [y1, y2, y3, y4, _, m1, m2, _] = digits(date.first_chunk()?, b"0000-00-")?;
    let [_, _, _, _, _, _, d1, d2] = digits(date.last_chunk()?, b"00-00-00")?;
    let two = |tens: u8, ones: u8| tens * 10 + ones;
    let (month, day) = (two(m1, m2), two(d1, d2));
    let days = *DAYS_OF_EVERY_YEAR.get(usize::from(month))?;
    let exists = (1..=days).contains(&day) || {
        let year = i32::from(two(y1, y2)) * 100 + i32::from(two(y3, y4));
        chrono::NaiveDate::from_ymd_opt(year, month.into(), day.into()).is_some()
    };
    exists.then_some(DATE_LENGTH)
}

/// How many days each month has at least, from January at 1 on: only 29 February needs a calendar.
const DAYS_OF_EVERY_YEAR: [u8; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The values of the digits that stand where `picture` has `0`; elsewhere must stand what the picture has.
/// All eight bytes are compared at once.
#[inline]
fn digits(bytes: &[u8; 8], picture: &[u8; 8]) -> Option<[u8; 8]> {
    const TOP_BITS: u64 = u64::MAX / 0xff * 0x80;
    // A digit differs from `0` by 9 at most: what is more reaches the byte's top bit, or has it.
    let reach = picture.map(|byte| if byte == b'0' { 0x7f - 9 } else { 0x7f });
    let differences = u64::from_le_bytes(*bytes) ^ u64::from_le_bytes(*picture);
    let over = differences.wrapping_add(u64::from_le_bytes(reach)) | differences;
    (over & TOP_BITS == 0).then_some(differences.to_le_bytes())
}

/// A number that can be bet on, with or without leading zeros, as an office takes it: of at most
/// [`NUMBER_LENGTH_MAX`] digits. Nine in ten have four.
#[inline]
pub(super) fn number(bytes: &[u8]) -> Option<usize> {
    if let Some((four, [SEPARATOR, ..])) = bytes.split_first_chunk::<4>()
        && four.iter().all(u8::is_ascii_digit)
    {
        return Some(four.len());
    }
    short_number_up_to(bytes, u32::from(NUMBER_MAX)).map(|(length, _)| length)
}

/// As [`number_up_to`], of at most [`NUMBER_LENGTH_MAX`] digits.
#[inline]
pub(super) fn short_number_up_to(bytes: &[u8], max: u32) -> Option<(usize, u32)> {
    number_up_to(bytes, max).filter(|(length, _)| *length <= NUMBER_LENGTH_MAX)
}

/// Whether more digits than a list's number may have stand at the front of `bytes`, up to a `#`.
pub(super) fn has_too_many_digits(bytes: &[u8]) -> bool {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    length > NUMBER_LENGTH_MAX && bytes.get(length) == Some(&SEPARATOR)
}

/// Digits of a value up to `max`, with any number of leading zeros: how many there are, and the value.
/// Earlier builds took and stored such numbers.
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
