//! Packets out of a stream, beside a reader that has all of it.

use bolillero_protocol::error::Corrupt;
use bolillero_protocol::message::{is_reply, is_request, opcode};
use bolillero_protocol::tlv::{Decoder, HEADER_SIZE, Packet, Rules};

use crate::pieces;

/// So short that packets over it are found soon.
const LENGTH_MAX: u32 = 300;

/// What came out of a stream: packets, the last of which may be streamed and not at its end; and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    packets: Vec<(i8, Vec<u8>)>,
    /// Bytes of the last one still to come.
    rest: u32,
    /// Whether a packet has begun, or what was wrong.
    end: Option<Result<bool, Corrupt>>,
}

/// A stream, its cuts in the first byte, as an office and as an agency reads it.
pub fn packet(bytes: &[u8]) {
    let Some((&seed, stream)) = bytes.split_first() else { return };
    let office = Rules { accepts: is_request, length_max: LENGTH_MAX, streamed: None };
    let agency =
        Rules { accepts: is_reply, length_max: LENGTH_MAX, streamed: Some(opcode::WINNERS) };
    for rules in [office, agency] {
        let expected = slow(rules, stream);
        for (seed, holds) in [(0, false), (1, false), (seed, false), (seed, true)] {
            assert_eq!(decoded(rules, stream, seed, holds), expected, "cut by {seed}, {holds}");
        }
    }
}

fn decoded(rules: Rules, stream: &[u8], seed: u8, holds: bool) -> Received {
    let mut decoder = Decoder::new(rules);
    let mut received = Received::default();
    for piece in pieces(stream, seed) {
        let mut input = piece;
        if holds {
            decoder.keep(piece);
            input = &[];
        }
        loop {
            match decoder.next(input) {
                Ok((taken, Some(packet))) => {
                    received.add(packet);
                    input = &input[taken..];
                }
                Ok((taken, None)) => {
                    assert_eq!(taken, input.len(), "without a packet, all was taken");
                    break;
                }
                Err(corrupt) => {
                    received.end = Some(Err(corrupt));
                    return received;
                }
            }
        }
    }
    received.end = Some(Ok(decoder.is_partial()));
    received
}

impl Received {
    fn add(&mut self, packet: Packet<'_>) {
        match self.packets.last_mut().filter(|_| self.rest > 0) {
            Some((opcode, data)) => {
                assert_eq!(*opcode, packet.opcode);
                data.extend_from_slice(packet.data);
            }
            None => self.packets.push((packet.opcode, packet.data.to_vec())),
        }
        self.rest = packet.rest;
    }
}

fn slow(rules: Rules, mut left: &[u8]) -> Received {
    let mut received = Received::default();
    let end = loop {
        let Some(&first) = left.first() else { break Ok(false) };
        let opcode = i8::from_be_bytes([first]);
        if !(rules.accepts)(opcode) {
            break Err(Corrupt::Opcode(opcode));
        }
        let Some((header, data)) = left.split_first_chunk::<HEADER_SIZE>() else { break Ok(true) };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let is_whole = data.len() >= length as usize;
        if rules.streamed == Some(opcode) {
            if !is_whole {
                if !data.is_empty() {
                    let rest = length - u32::try_from(data.len()).expect("shorter than a u32");
                    received.add(Packet { opcode, data, rest });
                }
                break Ok(true);
            }
        } else if length > LENGTH_MAX {
            break Err(Corrupt::TooLong { length, length_max: LENGTH_MAX });
        } else if !is_whole {
            break Ok(true);
        }
        let (data, later) = data.split_at(length as usize);
        received.add(Packet { opcode, data, rest: 0 });
        left = later;
    };
    received.end = Some(end);
    received
}
