//! Cuts a byte stream into the frames of the text dialect, and writes frames. Knows nothing of what they mean.
//!
//! ```text
//! | length: u16 big-endian | text: that many bytes |
//! ```

use byteorder::{BigEndian, ByteOrder};

use crate::byte_queue::ByteQueue;

/// Bytes before a frame's text.
const LENGTH_SIZE: usize = 2;
/// The longest text of a frame, in bytes: more its length cannot say.
pub const FRAME_LENGTH_MAX: usize = u16::MAX as usize;

/// Finds the frames in bytes that arrive in pieces of any size.
///
/// A frame that lies whole in the caller's bytes is handed out from there, without a copy. One that
/// does not is gathered in a buffer: at most one frame, and what [`Decoder::keep`] was given. Memory
/// is taken (at most twice over) by what has come, not by what a length announces.
///
/// ```
/// use bolillero_protocol::text::Decoder;
///
/// let mut decoder = Decoder::default();
/// assert_eq!(decoder.next(b"\0\x03B"), (3, None));
/// assert_eq!(decoder.next(b"ET\0\0"), (2, Some(b"BET".as_slice())));
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    /// What came before `input` and is in no frame handed out yet.
    buffer: ByteQueue,
}

impl Decoder {
    /// Takes bytes from the front of `input` until a frame is whole. Returns how many were taken, and the frame's text
    /// if there is one; without one, all of `input` was taken. To be called until there is none.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> (usize, Option<&'a [u8]>) {
        self.buffer.release();
        if self.buffer.is_empty() {
            if let Some(text) = first_text(input) {
                return (LENGTH_SIZE + text.len(), Some(text));
            }
            self.buffer.append(input);
            return (input.len(), None);
        }
        let mut taken = 0;
        // First until there is a length, then until there is what it announces.
        loop {
            let missing = missing(self.buffer.bytes());
            if missing == 0 {
                break;
            }
            if taken == input.len() {
                return (taken, None);
            }
            let end = input.len().min(taken + missing);
            self.buffer.append(&input[taken..end]);
            taken = end;
        }
        let size = size_announced(self.buffer.bytes()).expect("nothing is missing");
        (taken, Some(&self.buffer.take(size)[LENGTH_SIZE..]))
    }

    /// Keeps bytes of which no frame is to be made yet: the caller holds. They come before the next `input`.
    pub fn keep(&mut self, input: &[u8]) {
        if !input.is_empty() {
            self.buffer.append(input);
        }
    }

    /// Whether a frame has begun and is not whole. Also true while kept bytes wait.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// The text of the frame that `bytes` begin with, if it is whole.
fn first_text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_at_checked(LENGTH_SIZE)?;
    rest.get(..usize::from(BigEndian::read_u16(length)))
}

/// The size of the frame that `bytes` begin with, if they hold its length.
fn size_announced(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..LENGTH_SIZE)?;
    Some(LENGTH_SIZE + usize::from(BigEndian::read_u16(length)))
}

/// How many bytes are to come before more can be known of the frame that `bytes` begin with; 0: it is whole.
fn missing(bytes: &[u8]) -> usize {
    size_announced(bytes).unwrap_or(LENGTH_SIZE).saturating_sub(bytes.len())
}

/// Appends a frame.
///
/// # Panics
/// When the text is longer than [`FRAME_LENGTH_MAX`].
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).expect("the text fits a frame");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_queue::KEPT_BYTES_MAX;

    fn frames(lengths: &[usize]) -> Vec<u8> {
        let mut stream = Vec::new();
        for &length in lengths {
            encode(&vec![b'x'; length], &mut stream);
        }
        stream
    }

    #[test]
    fn memory_follows_what_came_and_not_what_was_announced() {
        let lengths = [0, 1, 700, FRAME_LENGTH_MAX, 3];
        for size in [1, 2, 7, 512, 65_000] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for mut input in frames(&lengths).chunks(size) {
                loop {
                    let (taken, text) = decoder.next(input);
                    input = &input[taken..];
                    let Some(length) = text.map(<[u8]>::len) else { break };
                    found.push(length);
                }
                let held = decoder.buffer.occupied();
                assert!(decoder.buffer.len() <= LENGTH_SIZE + FRAME_LENGTH_MAX);
                assert!(decoder.buffer.capacity() <= (2 * held).max(KEPT_BYTES_MAX));
            }
            assert_eq!(found, lengths, "in pieces of {size}");
            assert!(!decoder.is_partial());
            assert!(decoder.buffer.capacity() <= KEPT_BYTES_MAX, "given back when it is empty");
        }
    }

    #[test]
    fn what_was_handed_out_is_not_kept_even_if_the_buffer_never_gets_empty() {
        let mut decoder = Decoder::default();
        decoder.keep(b"\0");
        for round in 0..1000 {
            decoder.keep(b"\x01a\0");
            assert_eq!(decoder.next(b""), (0, Some(b"a".as_slice())));
            assert!(
                decoder.buffer.occupied() < 10,
                "{} in round {round}",
                decoder.buffer.occupied()
            );
        }
    }

    #[test]
    fn what_is_kept_waits_before_what_comes() {
        let mut decoder = Decoder::default();
        decoder.keep(b"");
        assert!(!decoder.is_partial());
        decoder.keep(b"\0\x02a");
        decoder.keep(b"b\0");
        assert!(decoder.is_partial());
        assert_eq!(decoder.next(b"\x01c"), (0, Some(b"ab".as_slice())));
        assert_eq!(decoder.next(b"\x01c"), (2, Some(b"c".as_slice())));
        assert!(!decoder.is_partial());
    }
}
