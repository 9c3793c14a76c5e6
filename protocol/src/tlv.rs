//! Cuts a byte stream into packets, and writes packets. Knows no message and no socket.
//!
//! ```text
//! | opcode: i8 | data length: u32 big-endian | data: that many bytes |
//! ```

use byteorder::{BigEndian, ByteOrder};

use crate::error::Corrupt;

/// Bytes before a packet's data.
pub const HEADER_SIZE: usize = 5;
/// The longest data of a request that a server takes, unless told otherwise. Deployed clients send 52 kB.
pub const REQUEST_LENGTH_MAX_DEFAULT: u32 = 64 << 10;
/// The highest limit on a request's data that can be configured.
pub const REQUEST_LENGTH_MAX: u32 = 1 << 20;
/// The size which Bolillero's own client keeps a packet within, header included.
pub const CLIENT_PACKET_SIZE_MAX: usize = 8192;
/// A decoder gives back its buffer when it is empty and larger than this.
const BUFFER_KEPT_MAX: usize = 512;

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
/// Packets that lie whole in the caller's bytes are not copied. What is kept is at most one packet
/// (header and `length_max`), and what [`Decoder::keep`] was given.
#[derive(Debug)]
pub struct Decoder {
    rules: Rules,
    /// Bytes that no packet handed out has covered yet, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// The streamed packet whose data is being handed out: its opcode and the bytes still to come.
    stream: Option<(i8, u32)>,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, buffer: Vec::new(), start: 0, stream: None }
    }

    /// Takes bytes from the front of `input` until a packet is whole. Returns how many were taken, and the packet if
    /// there is one; without one, all of `input` was taken. To be called until there is none.
    ///
    /// # Errors
    /// [`Corrupt`] as soon as a header shows it; the stream cannot be read any further.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Packet<'a>>), Corrupt> {
        if self.start == self.buffer.len() {
            self.release();
            self.next_in_input(input)
        } else {
            self.next_in_buffer(input)
        }
    }

    /// Keeps bytes of which no packet is to be made yet: the caller holds.
    pub fn keep(&mut self, input: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(input);
    }

    /// Whether a packet has begun and is not whole. Also true while kept bytes wait.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.start < self.buffer.len() || self.stream.is_some()
    }

    fn next_in_input<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Packet<'a>>), Corrupt> {
        let mut taken = 0;
        if self.stream.is_none() {
            let Some(header) = self.header(input)? else {
                self.buffer.extend_from_slice(input);
                return Ok((input.len(), None));
            };
            if !self.begin_stream(header) {
                let Some(packet) = header.packet(input) else {
                    self.buffer.extend_from_slice(input);
                    return Ok((input.len(), None));
                };
                return Ok((header.packet_size(), Some(packet)));
            }
            taken = HEADER_SIZE;
        }
        let (piece, packet) = self.next_piece(&input[taken..]);
        Ok((taken + piece, packet))
    }

    fn next_in_buffer<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Packet<'a>>), Corrupt> {
        let mut taken = 0;
        if self.stream.is_none() {
            taken = self.top_up(input, HEADER_SIZE);
            let Some(header) = self.header(&self.buffer[self.start..])? else {
                return Ok((taken, None));
            };
            if !self.begin_stream(header) {
                taken += self.top_up(&input[taken..], header.packet_size());
                let packet = header.packet(&self.buffer[self.start..]);
                self.start += packet.map_or(0, |_| header.packet_size());
                return Ok((taken, packet));
            }
            self.start += HEADER_SIZE;
        }
        if self.start == self.buffer.len() {
            let (piece, packet) = self.next_piece(&input[taken..]);
            return Ok((taken + piece, packet));
        }
        let Some((opcode, left)) = self.stream else { return Ok((taken, None)) };
        let size = (self.buffer.len() - self.start).min(left as usize);
        let begin = self.start;
        self.start += size;
        let rest = self.advance_stream(size);
        Ok((taken, Some(Packet { opcode, data: &self.buffer[begin..begin + size], rest })))
    }

    /// The header at the front of `bytes`, if they reach that far.
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, Corrupt> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = i8::from_be_bytes([first]);
        if !(self.rules.accepts)(opcode) {
            return Err(Corrupt::Opcode(opcode));
        }
        if bytes.len() < HEADER_SIZE {
            return Ok(None);
        }
        let length = BigEndian::read_u32(&bytes[1..HEADER_SIZE]);
        let length_max = self.rules.length_max;
        if length > length_max && self.rules.streamed != Some(opcode) {
            return Err(Corrupt::TooLong { length, length_max });
        }
        Ok(Some(Header { opcode, length }))
    }

    /// Moves bytes from `input` to the buffer until it holds `size`; returns how many.
    fn top_up(&mut self, input: &[u8], size: usize) -> usize {
        let missing = size.saturating_sub(self.buffer.len() - self.start).min(input.len());
        if missing > 0 {
            self.compact();
            self.buffer.extend_from_slice(&input[..missing]);
        }
        missing
    }

    fn begin_stream(&mut self, header: Header) -> bool {
        let streamed = self.rules.streamed == Some(header.opcode);
        if streamed {
            self.stream = Some((header.opcode, header.length));
        }
        streamed
    }

    fn next_piece<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Packet<'a>>) {
        let Some((opcode, left)) = self.stream else { return (0, None) };
        let size = input.len().min(left as usize);
        if size == 0 && left > 0 {
            return (0, None);
        }
        let rest = self.advance_stream(size);
        (size, Some(Packet { opcode, data: &input[..size], rest }))
    }

    /// Notes that `size` bytes of the stream were handed out; returns what is still to come.
    fn advance_stream(&mut self, size: usize) -> u32 {
        let (opcode, left) = self.stream.expect("only a begun stream is advanced");
        let rest = left - u32::try_from(size).expect("a piece is no longer than what is left");
        self.stream = (rest > 0).then_some((opcode, rest));
        rest
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    fn release(&mut self) {
        self.start = 0;
        if self.buffer.capacity() > BUFFER_KEPT_MAX {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
    }
}

#[derive(Clone, Copy)]
struct Header {
    opcode: i8,
    length: u32,
}

impl Header {
    fn packet_size(self) -> usize {
        HEADER_SIZE + self.length as usize
    }

    fn packet(self, bytes: &[u8]) -> Option<Packet<'_>> {
        let data = bytes.get(HEADER_SIZE..self.packet_size())?;
        Some(Packet { opcode: self.opcode, data, rest: 0 })
    }
}

/// Appends a packet.
pub fn encode(opcode: i8, data: &[u8], out: &mut Vec<u8>) {
    encode_with(opcode, out, |out| out.extend_from_slice(data));
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
