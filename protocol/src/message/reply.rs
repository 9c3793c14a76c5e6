//! What an office answers. Reads and writes the data of its packets; the text of a session's error is
//! in [`super::refusal`].

use super::{DrawId, RequestError, opcode};
use crate::chain::Head;
use crate::error::{Corrupt, Malformed};
use crate::list::{Items, push_item};
use crate::tlv;

/// What the office answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The packet received was none; the office closes.
    Corrupt,
    /// The office is closing.
    Close,
    /// Stored, and on disk.
    Ack,
    /// Not stored, and why. In a session the text is a [`Refusal`](super::Refusal).
    Error(&'a str),
    /// The documents of the winners, each followed by `#`; or `#` alone. A client reads it in pieces.
    Winners {
        /// The list, or this piece of it.
        data: &'a [u8],
        /// Bytes of it that are still to come.
        rest: u32,
    },
    /// The draw is not done yet, or there is no room for one more connection.
    Busy,
    /// A session is open.
    Welcome(Welcome),
    /// A numbered batch is stored, and on disk.
    Receipt(Receipt),
}

/// Opcode 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The lane's epoch, that of this session.
    pub epoch: u32,
    /// The number the lane's next batch has to have.
    pub next_seq: u64,
    /// Bets the lane has stored.
    pub bets: u64,
    /// Where the lane's chain stands.
    pub head: Head,
    /// Whether the agency is marked as ready.
    pub finished: bool,
    /// The draw this office holds.
    pub draw: DrawId,
}

/// Opcode 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The stored batch's number.
    pub seq: u64,
    /// Bets the lane had stored with it.
    pub bets: u64,
    /// Where the lane's chain stood with it.
    pub head: Head,
}

impl<'a> Reply<'a> {
    /// Reads a packet, or a piece of opcode 7.
    ///
    /// # Errors
    /// [`RequestError`] when it is none, or means nothing.
    pub fn parse(packet: tlv::Packet<'a>) -> Result<Self, RequestError> {
        let data = packet.data;
        match packet.opcode {
            opcode::CORRUPT => Ok(Self::Corrupt),
            opcode::CLOSE => Ok(Self::Close),
            opcode::ACK => Ok(Self::Ack),
            opcode::ERROR => {
                let text = std::str::from_utf8(data).map_err(|_| Corrupt::NotUtf8)?;
                Ok(Self::Error(text))
            }
            opcode::WINNERS => Ok(Self::Winners { data, rest: packet.rest }),
            opcode::BUSY => Ok(Self::Busy),
            opcode::WELCOME => Welcome::parse(Items::parse(data)?).map(Self::Welcome),
            opcode::RECEIPT => Receipt::parse(Items::parse(data)?).map(Self::Receipt),
            code => Err(Corrupt::Opcode(code).into()),
        }
    }

    /// Appends the packet; of opcode 7 with a `rest`, its header and first piece. The rest follows
    /// as it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Corrupt => tlv::encode(opcode::CORRUPT, b"", out),
            Self::Close => tlv::encode(opcode::CLOSE, b"", out),
            Self::Ack => tlv::encode(opcode::ACK, b"", out),
            Self::Error(text) => tlv::encode(opcode::ERROR, text.as_bytes(), out),
            Self::Winners { data, rest } => tlv::encode_first(opcode::WINNERS, data, *rest, out),
            Self::Busy => tlv::encode(opcode::BUSY, b"", out),
            Self::Welcome(welcome) => {
                tlv::encode_with(opcode::WELCOME, out, |out| welcome.push(out));
            }
            Self::Receipt(receipt) => {
                tlv::encode_with(opcode::RECEIPT, out, |out| receipt.push(out));
            }
        }
    }
}

impl Welcome {
    fn parse(mut items: Items<'_>) -> Result<Self, RequestError> {
        let welcome = Self {
            epoch: items.number("epoch")?,
            next_seq: items.number("next seq")?,
            bets: items.number("bets")?,
            head: parse_head(&mut items)?,
            finished: parse_flag(&mut items)?,
            draw: DrawId::parse(items.next("draw id")?)
                .ok_or(Malformed::Item { item: "draw id", expected: "16 hex digits" })?,
        };
        items.finish("draw id")?;
        Ok(welcome)
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_item(out, self.epoch);
        push_item(out, self.next_seq);
        push_item(out, self.bets);
        push_item(out, self.head);
        push_item(out, u8::from(self.finished));
        push_item(out, self.draw);
    }
}

impl Receipt {
    fn parse(mut items: Items<'_>) -> Result<Self, RequestError> {
        let receipt = Self {
            seq: items.number("seq")?,
            bets: items.number("bets")?,
            head: parse_head(&mut items)?,
        };
        items.finish("head")?;
        Ok(receipt)
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_item(out, self.seq);
        push_item(out, self.bets);
        push_item(out, self.head);
    }
}

fn parse_flag(items: &mut Items<'_>) -> Result<bool, Malformed> {
    match items.next("finished")? {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Malformed::Item { item: "finished", expected: "0 or 1" }),
    }
}

/// Takes a head, of which `head` is the name in an error.
pub(super) fn parse_head(items: &mut Items<'_>) -> Result<Head, Malformed> {
    let expected = Malformed::Item { item: "head", expected: "64 hex digits" };
    Head::parse(items.next("head")?).ok_or(expected)
}
