//! The hash chain over what a lane has stored: agency and office compute it alike, and compare.
//!
//! ```text
//! head 0 = 32 zero bytes        head k = SHA-256(head k-1 ‖ SHA-256(body k))
//! ```
//! A body is opcode 3's form, `n#@0#…`, whatever packet it came in.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a batch's body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyHash(pub [u8; 32]);

/// Where a lane's chain stands. Shown and read as 64 hex digits.
///
/// ```
/// use bolillero_protocol::chain::{BodyHash, Head};
///
/// let head = Head::EMPTY.then(BodyHash::of(b"1#@0#1#Ana#Paz#30000001#1990-01-01#1#"));
/// assert_eq!(Head::parse(&head.to_string()), Some(head));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head(pub [u8; 32]);

impl BodyHash {
    /// The hash of a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

impl Head {
    /// The head of a lane that has stored nothing.
    pub const EMPTY: Self = Self([0; 32]);

    /// The head after one more batch.
    #[must_use]
    pub fn then(self, body: BodyHash) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(body.0).finalize().into())
    }

    /// Reads 64 hex digits, in lower or upper case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

/// Shows bytes as hex digits, two for each, in lower case.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for bytes in self.0.chunks(32) {
            let mut text = [0; 64];
            for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
                digits.copy_from_slice(&[
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ]);
            }
            f.write_str(std::str::from_utf8(&text[..2 * bytes.len()]).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

/// Reads exactly `2 * N` hex digits.
#[must_use]
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({self})")
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyHash({})", Head(self.0))
    }
}
