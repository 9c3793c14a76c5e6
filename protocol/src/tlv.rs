//! Cuts a byte stream into packets, and writes packets. Knows no message and no socket.
//!
//! ```text
//! | opcode: i8 | data length: u32 big-endian | data: that many bytes |
//! ```

use byteorder::{BigEndian, ByteOrder};

use crate::byte_queue::ByteQueue;
use crate::error::Corrupt;

/// Bytes before a packet's data.
pub const HEADER_SIZE: usize = 5;
/// The longest data of a request that a server takes, unless told otherwise. Deployed clients send 52 kB.
pub const REQUEST_LENGTH_MAX_DEFAULT: u32 = 64 << 10;
/// The highest limit on a request's data that can be configured.
pub const REQUEST_LENGTH_MAX: u32 = 1 << 20;
/// The size which Bolillero's own client keeps a packet within, header included.
pub const CLIENT_PACKET_SIZE_MAX: usize = 8192;

const _: () = assert!(REQUEST_LENGTH_MAX_DEFAULT <= REQUEST_LENGTH_MAX);
const _: () = assert!(CLIENT_PACKET_SIZE_MAX - HEADER_SIZE <= REQUEST_LENGTH_MAX_DEFAULT as usize);

/// A packet, or a piece of one whose opcode is read as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub opcode: i8,
    /// Its data, or this piece of it.
    pub data: &'a [u8],
    /// Bytes of its data that are still to come. Always 0 for opcodes that are read whole.
    pub rest: u32,
}

/// Which packets a decoder takes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether this side may be sent an opcode at all.
    pub accepts: fn(i8) -> bool,
    /// The longest data, in bytes, of a packet that is read whole.
    pub length_max: u32,
    /// The opcode whose data may have any length and is handed out in pieces.
    pub streamed: Option<i8>,
}

/// Finds the packets in bytes that arrive in pieces of any size.
///
/// A packet that lies whole in the caller's bytes is handed out from there, without a copy. One that
/// does not is gathered in a buffer: at most one packet (header and `length_max`), and what
/// [`Decoder::keep`] was given. Memory is not reserved by what a header announces, only taken (at
/// most twice over) by what has come.
///
/// ```
/// use bolillero_protocol::tlv::{Decoder, Rules};
///
/// let rules = Rules { accepts: |opcode| opcode == 2, length_max: 64, streamed: None };
/// let mut decoder = Decoder::new(rules);
/// let mut packets = 0;
/// for piece in [b"\x02\0\0".as_slice(), b"\0\0\x02\0\0\0\0"] {
///     let mut input = piece;
///     loop {
///         let (taken, packet) = decoder.next(input)?;
///         input = &input[taken..];
///         let Some(packet) = packet else { break };
///         assert_eq!((packet.opcode, packet.data), (2, b"".as_slice()));
///         packets += 1;
///     }
/// }
/// assert_eq!(packets, 2);
/// # Ok::<(), bolillero_protocol::error::Corrupt>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    rules: Rules,
    /// What came before `input` and is in no packet handed out yet.
    buffer: ByteQueue,
    /// The streamed packet whose header was read and whose data is being handed out.
    stream: Option<Stream>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    opcode: i8,
    /// Bytes of its data that were not handed out yet.
    rest: u32,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, buffer: ByteQueue::default(), stream: None }
    }

    /// Takes bytes from the front of `input` until a packet is whole. Returns how many were taken, and the packet if
    /// there is one; without one, all of `input` was taken. To be called until there is none.
    ///
    /// Of a streamed packet there is a piece as soon as there is a byte; the last has `rest` 0. One
    /// without data has one piece, which is empty.
    ///
    /// # Errors
    /// [`Corrupt`] as soon as a header shows it; the stream cannot be read any further.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Packet<'a>>), Corrupt> {
        self.buffer.release();
        if let Some(stream) = self.stream {
            return Ok(self.next_piece(stream, input, 0));
        }
        let (taken, header) = self.gather(input)?;
        let Some(header) = header else { return Ok((taken, None)) };
        let size = header.unit_size();
        if header.streamed {
            if !self.buffer.is_empty() {
                self.buffer.take(size);
            }
            let stream = Stream { opcode: header.opcode, rest: header.length };
            return Ok(self.next_piece(stream, input, taken));
        }
        let unit = if self.buffer.is_empty() { &input[..size] } else { self.buffer.take(size) };
        Ok((taken, Some(Packet { opcode: header.opcode, data: &unit[HEADER_SIZE..], rest: 0 })))
    }

    /// Keeps bytes of which no packet is to be made yet: the caller holds. They come before the next `input`.
    pub fn keep(&mut self, input: &[u8]) {
        if !input.is_empty() {
            self.buffer.append(input);
        }
    }

    /// Whether a packet has begun and is not whole. Also true while kept bytes wait.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty() || self.stream.is_some()
    }

    /// Brings the next unit together: at the front of the buffer if anything is in there, else at the front of `input`.
    /// Returns how many bytes of `input` were taken, and the unit's header if the unit is whole.
    fn gather(&mut self, input: &[u8]) -> Result<(usize, Option<Header>), Corrupt> {
        if self.buffer.is_empty() {
            let header = self.rules.read_header(input)?;
            let whole = header.filter(|header| header.unit_size() <= input.len());
            if let Some(header) = whole {
                return Ok((header.unit_size(), Some(header)));
            }
            self.buffer.append(input);
            return Ok((input.len(), None));
        }
        let mut taken = 0;
        loop {
            // First until there is a header, then until there is what it announces.
            let unit = self.buffer.bytes();
            let header = self.rules.read_header(unit)?;
            let missing = header.map_or(HEADER_SIZE, Header::unit_size).saturating_sub(unit.len());
            if missing == 0 {
                return Ok((taken, header));
            }
            if taken == input.len() {
                return Ok((taken, None));
            }
            let end = input.len().min(taken + missing);
            self.buffer.append(&input[taken..end]);
            taken = end;
        }
    }

    /// Hands out what there is of a stream's data: from the buffer if anything is in there, else from `input`, of which
    /// `taken` bytes were taken before.
    fn next_piece<'a>(
        &'a mut self,
        stream: Stream,
        input: &'a [u8],
        taken: usize,
    ) -> (usize, Option<Packet<'a>>) {
        let buffered = !self.buffer.is_empty();
        let there = if buffered { self.buffer.len() } else { input.len() - taken };
        let size = there.min(stream.rest as usize);
        let rest = stream.rest - u32::try_from(size).expect("a piece is no longer than the rest");
        self.stream = (rest > 0).then_some(Stream { rest, ..stream });
        if size == 0 && rest > 0 {
            return (taken, None);
        }
        let (taken, data) = if buffered {
            (taken, self.buffer.take(size))
        } else {
            (taken + size, &input[taken..taken + size])
        };
        (taken, Some(Packet { opcode: stream.opcode, data, rest }))
    }
}

impl Rules {
    /// The header that `bytes` begin with, if they hold all of it. What is wrong shows as early as it can.
    fn read_header(&self, bytes: &[u8]) -> Result<Option<Header>, Corrupt> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = i8::from_be_bytes([first]);
        if !(self.accepts)(opcode) {
            return Err(Corrupt::Opcode(opcode));
        }
        if bytes.len() < HEADER_SIZE {
            return Ok(None);
        }
        let length = BigEndian::read_u32(&bytes[1..HEADER_SIZE]);
        let streamed = self.streamed == Some(opcode);
        let length_max = self.length_max;
        if length > length_max && !streamed {
            return Err(Corrupt::TooLong { length, length_max });
        }
        Ok(Some(Header { opcode, length, streamed }))
    }
}

#[derive(Clone, Copy)]
struct Header {
    opcode: i8,
    length: u32,
    streamed: bool,
}

impl Header {
    /// How many bytes have to lie together before anything of the packet can be handed out.
    fn unit_size(self) -> usize {
        if self.streamed { HEADER_SIZE } else { HEADER_SIZE + self.length as usize }
    }
}

/// Appends a packet: its opcode, the length of its data, its data.
///
/// ```
/// let mut out = Vec::new();
/// bolillero_protocol::tlv::encode(5, b"1#", &mut out);
/// assert_eq!(out, b"\x05\0\0\0\x021#");
/// ```
pub fn encode(opcode: i8, data: &[u8], out: &mut Vec<u8>) {
    encode_with(opcode, out, |out| out.extend_from_slice(data));
}

/// Appends a packet up to the end of `data`, the first piece of its data. `rest` more bytes are to
/// follow.
///
/// # Panics
/// When its data is 4 GiB or longer.
pub fn encode_first(opcode: i8, data: &[u8], rest: u32, out: &mut Vec<u8>) {
    let length = u32::try_from(data.len()).ok().and_then(|size| size.checked_add(rest));
    out.push(opcode.to_be_bytes()[0]);
    out.extend_from_slice(&length.expect("data is under 4 GiB").to_be_bytes());
    out.extend_from_slice(data);
}

/// Appends a packet whose data is what `fill` appends.
pub fn encode_with(opcode: i8, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(opcode.to_be_bytes()[0]);
    out.extend_from_slice(&[0; HEADER_SIZE - 1]);
    fill(out);
    let length = u32::try_from(out.len() - start - HEADER_SIZE).expect("data is under 4 GiB");
    BigEndian::write_u32(&mut out[start + 1..start + HEADER_SIZE], length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_queue::KEPT_BYTES_MAX;

    const LENGTH_MAX: u32 = 3000;
    const RULES: Rules = Rules {
        accepts: |opcode| opcode == 3 || opcode == 7,
        length_max: LENGTH_MAX,
        streamed: Some(7),
    };

    #[test]
    fn what_is_wrong_shows_at_its_first_byte() {
        let too_long = Corrupt::TooLong { length: LENGTH_MAX + 1, length_max: LENGTH_MAX };
        let check = |bytes: &[u8], expected: Result<usize, Corrupt>| {
            let found = Decoder::new(RULES).next(bytes).map(|(taken, _)| taken);
            assert_eq!(found, expected, "{bytes:?}");
            let mut decoder = Decoder::new(RULES);
            let one_by_one = bytes.chunks(1).map(|byte| decoder.next(byte).map(|(taken, _)| taken));
            let one_by_one: Result<usize, Corrupt> = one_by_one.sum();
            assert_eq!(one_by_one, expected, "{bytes:?}, byte by byte");
        };
        check(b"\x04", Err(Corrupt::Opcode(4)));
        check(b"\xff", Err(Corrupt::Opcode(-1)));
        check(b"\x03\x00\x00\x0b", Ok(4));
        check(b"\x03\x00\x00\x0b\xb8", Ok(5)); // 3000
        check(b"\x03\x00\x00\x0b\xb9", Err(too_long));
        check(b"\x07\xff\xff\xff\xff", Ok(5));
    }

    #[test]
    fn memory_follows_what_came_and_not_what_was_announced() {
        let mut stream = Vec::new();
        for length in [0, 1, 700, LENGTH_MAX as usize] {
            encode(3, &vec![b'x'; length], &mut stream);
            encode(7, &vec![b'y'; 10 * length], &mut stream);
        }
        for size in [1, 2, 7, 512, 2999] {
            let mut decoder = Decoder::new(RULES);
            for mut input in stream.chunks(size) {
                let mut packet = true;
                while packet {
                    let (taken, found) = decoder.next(input).unwrap();
                    (input, packet) = (&input[taken..], found.is_some());
                    let held = decoder.buffer.len();
                    assert!(held <= HEADER_SIZE + LENGTH_MAX as usize);
                    assert!(
                        decoder.buffer.capacity()
                            <= (2 * decoder.buffer.occupied()).max(KEPT_BYTES_MAX)
                    );
                }
            }
            assert!(!decoder.is_partial());
            decoder.next(b"").unwrap();
            assert!(decoder.buffer.capacity() <= KEPT_BYTES_MAX, "given back when it is empty");
        }
    }

    #[test]
    fn what_was_handed_out_is_not_kept_even_if_the_buffer_never_gets_empty() {
        let mut decoder = Decoder::new(RULES);
        decoder.keep(b"\x03\0\0");
        for round in 0..1000 {
            decoder.keep(b"\0\x01a\x03\0\0");
            let (_, packet) = decoder.next(b"").unwrap();
            assert_eq!(packet.unwrap().data, b"a");
            assert!(decoder.buffer.occupied() < 10, "{} in round {round}", decoder.buffer.len());
        }
    }

    #[test]
    fn what_is_kept_waits_before_what_comes() {
        let mut decoder = Decoder::new(RULES);
        decoder.keep(b"");
        assert!(!decoder.is_partial());
        decoder.keep(b"\x03\0\0\0\x02a");
        decoder.keep(b"b\x03\0\0");
        assert!(decoder.is_partial());
        let (taken, packet) = decoder.next(b"\0\x01c").unwrap();
        assert_eq!((taken, packet.unwrap().data), (0, b"ab".as_slice()));
        let (taken, packet) = decoder.next(b"\0\x01c").unwrap();
        assert_eq!((taken, packet.unwrap().data), (3, b"c".as_slice()));
        assert!(!decoder.is_partial());
    }
}
