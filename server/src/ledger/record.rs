//! One record of the ledger, and the records of a group. Knows no file and no rule of the lottery.
//!
//! ```text
//! 0 kind u8 | 1 agency u32 | 5 epoch u32 | 9 seq u64 | 17 n u32 | 21 length u32 | 25 body: length bytes
//!
//! kind     agency epoch seq            n         body
//! 1 open   -      -     -              agencies  draw id 8 bytes | winning number u16
//! 2 hello  yes    new   -              -         -
//! 3 batch  yes    yes   its number     its bets  n#@0#…, the data of an opcode 3
//! 4 finish yes    yes   the last one   -         -
//! 5 draw   -      -     -              agencies  winning number u16 | per agency: winners u64 | SHA-256 32 bytes
//! 6 alarm  yes    yes   see below      -         bets u64 | head 32 bytes
//! ```
//! Numbers are big-endian; what is marked `-` is 0 or empty. Records follow each other without a gap
//! through the length that their group has. The ledger's first is its one open, in group 1; a draw
//! is there at most once.
//!
//! Epoch 0 is a lane's life before its first session; a hello opens the next one. Batches of an agency
//! are numbered 1, 2, 3 …, and its finish has the number of the last, or 0. A draw lists the agencies
//! from 1 on, and hashes of each the documents that won, each followed by `#`, in the lane's order.
//!
//! An alarm is what an agency itself counts, where that is not what the office told it: the last batch
//! that it compared, its bets up to there, and the head of its chain. There is one in an epoch at most.
//! Alarms came with format 2 of the segments; in a segment of format 1 there is none.

use byteorder::{BigEndian, ByteOrder};
use thiserror::Error;

/// Bytes before a record's body.
pub const RECORD_HEADER_SIZE: usize = 25;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The ledger was created for a draw.
    Open,
    /// A session began in a lane.
    Hello,
    /// A batch was stored.
    Batch,
    /// An agency is ready for the draw.
    Finish,
    /// The winners are known.
    Draw,
    /// An agency counts something else than the office.
    Alarm,
}

/// A record. The body borrows the bytes it was read from, or is to be copied from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What happened.
    pub kind: Kind,
    /// To which agency; 0 for none.
    pub agency: u32,
    /// In which epoch of its lane.
    pub epoch: u32,
    /// The number of the batch, or of the lane's last one.
    pub seq: u64,
    /// A count, as the kind says.
    pub n: u32,
    /// The rest, as the kind says.
    pub body: &'a [u8],
}

/// A record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadRecord {
    /// Bytes end inside it.
    #[error("a record ends too early")]
    Short,
    /// A kind that this version does not know.
    #[error("record kind {0} is unknown")]
    Kind(u8),
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Hello => 2,
            Self::Batch => 3,
            Self::Finish => 4,
            Self::Draw => 5,
            Self::Alarm => 6,
        }
    }

    fn from_code(code: u8) -> Result<Self, BadRecord> {
        match code {
            1 => Ok(Self::Open),
            2 => Ok(Self::Hello),
            3 => Ok(Self::Batch),
            4 => Ok(Self::Finish),
            5 => Ok(Self::Draw),
            6 => Ok(Self::Alarm),
            _ => Err(BadRecord::Kind(code)),
        }
    }
}

impl<'a> Record<'a> {
    /// How many bytes it takes in a group.
    #[must_use]
    pub fn size(&self) -> usize {
        RECORD_HEADER_SIZE + self.body.len()
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.body.len()).expect("a body is smaller than a group");
        let mut header = [0; RECORD_HEADER_SIZE];
        header[0] = self.kind.code();
        BigEndian::write_u32(&mut header[1..5], self.agency);
        BigEndian::write_u32(&mut header[5..9], self.epoch);
        BigEndian::write_u64(&mut header[9..17], self.seq);
        BigEndian::write_u32(&mut header[17..21], self.n);
        BigEndian::write_u32(&mut header[21..25], length);
        out.extend_from_slice(&header);
        out.extend_from_slice(self.body);
    }

    /// Reads the record at the front of `bytes`, and returns what follows it.
    fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BadRecord> {
        let (header, rest) = bytes.split_at_checked(RECORD_HEADER_SIZE).ok_or(BadRecord::Short)?;
        let length = BigEndian::read_u32(&header[21..25]) as usize;
        let (body, rest) = rest.split_at_checked(length).ok_or(BadRecord::Short)?;
        let record = Self {
            kind: Kind::from_code(header[0])?,
            agency: BigEndian::read_u32(&header[1..5]),
            epoch: BigEndian::read_u32(&header[5..9]),
            seq: BigEndian::read_u64(&header[9..17]),
            n: BigEndian::read_u32(&header[17..21]),
            body,
        };
        Ok((record, rest))
    }
}

/// The records of a group, in order.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    left: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records in a group's bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        match Record::decode(self.left) {
            Ok((record, rest)) => {
                self.left = rest;
                Some(Ok(record))
            }
            Err(error) => {
                self.left = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> =
        Record { kind: Kind::Batch, agency: 7, epoch: 2, seq: 300, n: 5, body: b"5#@0#" };

    #[test]
    fn a_record_has_the_documented_bytes() {
        let mut bytes = Vec::new();
        RECORD.encode(&mut bytes);
        let expected = b"\x03\0\0\0\x07\0\0\0\x02\0\0\0\0\0\0\x01\x2c\0\0\0\x05\0\0\0\x055#@0#";
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), RECORD.size());
    }

    #[test]
    fn an_alarm_has_the_documented_bytes() {
        let mut bytes = Vec::new();
        let body = [&9_u64.to_be_bytes()[..], &[7; 32]].concat();
        Record { kind: Kind::Alarm, n: 0, body: &body, ..RECORD }.encode(&mut bytes);
        let header = b"\x06\0\0\0\x07\0\0\0\x02\0\0\0\0\0\0\x01\x2c\0\0\0\0\0\0\0\x28";
        let expected = [&header[..], b"\0\0\0\0\0\0\0\x09", &[7; 32]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn records_come_back_in_order() {
        let mut bytes = Vec::new();
        let hello = Record { kind: Kind::Hello, seq: 0, n: 0, body: b"", ..RECORD };
        for record in [RECORD, hello, RECORD] {
            record.encode(&mut bytes);
        }
        let read: Result<Vec<_>, _> = Records::new(&bytes).collect();
        assert_eq!(read, Ok(vec![RECORD, hello, RECORD]));
    }

    #[test]
    fn every_truncation_and_an_unknown_kind_are_errors() {
        let mut bytes = Vec::new();
        RECORD.encode(&mut bytes);
        for length in 1..bytes.len() {
            let read: Vec<_> = Records::new(&bytes[..length]).collect();
            assert_eq!(read, [Err(BadRecord::Short)], "cut at {length}");
        }
        bytes[0] = 9;
        assert_eq!(Records::new(&bytes).next(), Some(Err(BadRecord::Kind(9))));
    }
}
