//! Cuts a byte stream into packets. Knows no batch and no socket.

/// `| opcode: i8 | data length: u32, big-endian | data |`
pub(crate) const HEADER_SIZE: usize = 5;
pub(crate) const PACKET_SIZE_MAX: usize = HEADER_SIZE + 65_536;

pub(crate) const CLOSE: u8 = 0;
pub(crate) const BATCH: u8 = 3;
pub(crate) const READY: u8 = 5;

/// An acknowledgement, whole.
pub(crate) const ACK: [u8; HEADER_SIZE] = [2, 0, 0, 0, 0];
/// A refusal, whole: opcode 4 and the text `no valid request`.
pub(crate) const REFUSAL: &[u8] = b"\x04\0\0\0\x10no valid request";

/// One packet, its data still where it was read.
pub(crate) struct Packet<'a> {
    pub(crate) opcode: u8,
    pub(crate) data: &'a [u8],
}

impl Packet<'_> {
    pub(crate) fn is_request(&self) -> bool {
        matches!(self.opcode, BATCH | READY)
    }
}

/// What [`cut`] found at the beginning of the bytes.
pub(crate) enum Cut<'a> {
    Whole(Packet<'a>),
    Partial,
    TooLong,
}

/// Takes the first packet off `bytes`, which are left alone where it is not whole.
pub(crate) fn cut<'a>(bytes: &mut &'a [u8]) -> Cut<'a> {
    let Some((&[opcode, a, b, c, d], rest)) = bytes.split_first_chunk() else {
        return Cut::Partial;
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > PACKET_SIZE_MAX - HEADER_SIZE {
        return Cut::TooLong;
    }
    let Some((data, rest)) = rest.split_at_checked(length) else { return Cut::Partial };
    *bytes = rest;
    Cut::Whole(Packet { opcode, data })
}
