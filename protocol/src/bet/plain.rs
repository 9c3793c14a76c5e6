//! Knows a bet that is like nearly all bets, many bytes at a time. Says nothing of any other: that one is the grammar's.
//!
//! ```text
//! @i#id#    first name#last name#    document#birth date#number#
//! opening   the two names            the rest
//! ```
//! The opening is known before it is read: `i` is one more than in the bet before, and the id has the
//! bytes that it had in the batch's first bet, which the grammar has judged.
//!
//! How long names are, and where they have accents, a processor does not foresee. So the names are looked
//! at without a branch on either: all their bytes are judged at once, and where they end is counted in
//! a mask. What follows is nearly always equally long.

use std::io::Write as _;

use super::grammar::{birth_date, document, number};
use crate::list::SEPARATOR;

/// The longest opening: `@` and `#`, an index below 10^8 and an id of five digits, or the like.
const OPENING_SIZE_MAX: usize = 16;
/// The most bytes of both names, each with its `#`. Of 78,697 real bets 29 have more.
const NAMES_SIZE_MAX: usize = 32;
/// The names and what stands before them: the `#` of the opening.
const WINDOW_SIZE: usize = 1 + NAMES_SIZE_MAX;

/// What a bet begins with, `@i#id#`, as little-endian numbers.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    index: u32,
    id: &'a [u8],
    text: u128,
    /// All ones where `text` has a byte.
    mask: u128,
    size: usize,
    /// By how many bits the index's last digit is shifted.
    ones: usize,
}

impl<'a> Opening<'a> {
    /// The opening of the second bet of `body`, whose first is valid.
    pub(super) fn after_first(body: &'a [u8]) -> Option<Self> {
        let id = body.split(|&byte| byte == SEPARATOR).nth(2)?;
        Self::new(1, id)
    }

    /// The opening of bet `index`. None if it is too long for one comparison.
    fn new(index: u32, id: &'a [u8]) -> Option<Self> {
        let mut bytes = [0; OPENING_SIZE_MAX];
        let mut room = bytes.as_mut_slice();
        write!(room, "@{index}").ok()?;
        let ones = 8 * (OPENING_SIZE_MAX - 1 - room.len());
        for item in [b"#", id, b"#"] {
            room.write_all(item).ok()?;
        }
        let left = room.len();
        let mask = u128::MAX >> (8 * left);
        let text = u128::from_le_bytes(bytes);
        Some(Self { index, id, text, mask, size: OPENING_SIZE_MAX - left, ones })
    }

    /// The opening of the bet behind it.
    #[inline]
    pub(super) fn next(mut self) -> Option<Self> {
        let mut digit = self.ones;
        while (self.text >> digit) & 0xff == u128::from(b'9') {
            self.text -= 9 << digit;
            digit -= 8;
        }
        self.index += 1;
        let all_were_nines = digit == 0; // there is the '@'
        if all_were_nines {
            return Self::new(self.index, self.id);
        }
        self.text += 1 << digit;
        Some(self)
    }

    /// What stands behind the bet at the front of `bytes`, if it begins like this and is valid.
    #[inline]
    pub(super) fn bet_end<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let front = bytes.first_chunk::<{ OPENING_SIZE_MAX + NAMES_SIZE_MAX }>()?;
        let text = u128::from_le_bytes(*front.first_chunk()?);
        if (text ^ self.text) & self.mask != 0 {
            return None;
        }
        let names = names(front.get(self.size - 1..)?.first_chunk()?)?;
        let left = bytes.get(self.size + names..)?;
        let left = behind(left, document(left)?)?;
        let left = behind(left, birth_date(left)?)?;
        behind(left, number(left)?)
    }
}

/// What stands behind a field of `length` bytes and its `#`.
#[inline]
fn behind(bytes: &[u8], length: usize) -> Option<&[u8]> {
    match bytes.get(length..) {
        Some([SEPARATOR, left @ ..]) => Some(left),
        _ => None,
    }
}

/// How many bytes behind the first are two names, each with its `#`. None are so long that their characters were to be counted.
#[inline]
fn names(window: &[u8; WINDOW_SIZE]) -> Option<usize> {
    if !is_plain(window) {
        return None;
    }
    let ends = separators(window.last_chunk()?);
    let first = ends.trailing_zeros();
    let last = (ends & ends.wrapping_sub(1)).trailing_zeros(); // without the lowest bit
    let size = last as usize + 1;
    (first > 0 && last > first + 1 && size <= NAMES_SIZE_MAX).then_some(size)
}

/// Whether each byte but the first is ASCII or of a character of two bytes from U+00C0 on (the letters
/// with accents of most names), and none is a control character. The last may lack its second byte.
///
/// Each byte is judged by itself and the one before it, so that a compiler makes it a few comparisons of 16 bytes.
#[inline]
fn is_plain(window: &[u8; WINDOW_SIZE]) -> bool {
    let mut odd = false;
    for at in 1..WINDOW_SIZE {
        let (before, byte) = (window[at - 1], window[at]);
        let control = (byte < b' ') | (byte == 0x7f);
        // Below 0xc3 the first of two bytes has control characters, or is never right; from 0xe0 on more than one follows.
        let other_first = (byte.wrapping_sub(0xc0) < 3) | (byte >= 0xe0);
        let unpaired = (byte & 0xc0 == 0x80) ^ (before >= 0xc0);
        odd |= control | other_first | unpaired;
    }
    !odd
}

/// Bit `i` says whether byte `i` is `#`.
#[inline]
fn separators(bytes: &[u8; NAMES_SIZE_MAX]) -> u32 {
    const EACH: u64 = u64::MAX / 0xff; // times a byte: eight of that byte
    const LOW_BITS: u64 = EACH * 0x7f;
    let mut mask = 0;
    for (at, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let differences = u64::from_le_bytes(*eight) ^ (EACH * u64::from(SEPARATOR));
        // A top bit where a byte is zero: no sum of seven low bits reaches the next byte.
        let equal = !(((differences & LOW_BITS) + LOW_BITS) | differences) & !LOW_BITS;
        // Gathers the top bits of eight bytes in the highest byte: each of the eight ones of the factor puts
        // one of them there, and no two meet.
        let gathered = equal.wrapping_mul(0x0002_0408_1020_4081) >> 56;
        mask |= gathered << (8 * at);
    }
    u32::try_from(mask).expect("a bit for each of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8] = b"05";
    const REST: &[u8] = b"Ana#Paz#30000001#1990-01-01#7574#";

    #[test]
    fn an_opening_is_that_of_its_bet_through_every_carry() {
        let mut opening = Opening::new(0, ID);
        for index in 0..=100_001 {
            let bet = [format!("@{index}#05#").as_bytes(), REST, b"@1#05#Leo#Sosa#3"].concat();
            let end = opening.and_then(|opening| opening.bet_end(&bet));
            assert_eq!(end, Some(b"@1#05#Leo#Sosa#3".as_slice()), "{index}");
            opening = opening.and_then(Opening::next);
        }
    }

    #[test]
    fn an_opening_has_16_bytes_at_most() {
        let opening = Opening::new(99_999_999, b"12345").expect("it has 16");
        assert!(opening.next().is_none(), "it has 17");
        assert!(Opening::new(0, b"000000000000").is_some());
        assert!(Opening::new(0, b"0000000000001").is_none());
    }

    #[test]
    fn a_bit_says_of_every_byte_whether_it_is_a_separator() {
        for byte in 0..=u8::MAX {
            for at in 0..NAMES_SIZE_MAX {
                let mut bytes = [byte; NAMES_SIZE_MAX];
                bytes[at] ^= byte ^ SEPARATOR;
                let expected = if byte == SEPARATOR { u32::MAX } else { 1 << at };
                assert_eq!(separators(&bytes), expected, "{byte:#x} around {at}");
            }
        }
    }
}
