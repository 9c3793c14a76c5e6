//! What the opcodes mean: requests of an agency, replies of the office. Knows no connection and no state.
//!
//! ```text
//!  agency -> office                          office -> agency
//!   0 close                                  -1 corrupt      0 close        8 busy
//!   1 one bet             id#…#number#        2 ack
//!   3 batch               n#@0#…              4 error        text, in a session code#seq#text#
//!   5 ready               id#                 7 winners      document#…
//!     in a session        id#last seq#bets#
//!   6 winners?            id#  or  id        10 welcome      epoch#next#bets#head#finished#draw#
//!   9 hello               1#id#[draw#]       12 receipt      seq#bets#head#
//!  11 numbered batch      seq#n#@0#…
//! ```

use std::fmt;

use crate::chain::{Head, parse_hex};
use crate::error::{Corrupt, Malformed};
use crate::list::{Items, SEPARATOR, parse_number, push_item};
use crate::tlv;

/// The opcodes of the lottery, one byte each.
pub mod opcode {
    #![allow(missing_docs)] // The table in the module's head says what they are.
    pub const CORRUPT: i8 = -1;
    pub const CLOSE: i8 = 0;
    pub const BET: i8 = 1;
    pub const ACK: i8 = 2;
    pub const BATCH: i8 = 3;
    pub const ERROR: i8 = 4;
    pub const READY: i8 = 5;
    pub const ASK_WINNERS: i8 = 6;
    pub const WINNERS: i8 = 7;
    pub const BUSY: i8 = 8;
    pub const HELLO: i8 = 9;
    pub const WELCOME: i8 = 10;
    pub const NUMBERED_BATCH: i8 = 11;
    pub const RECEIPT: i8 = 12;
}

/// The version of sessions that this library speaks.
pub const SESSION_VERSION: u32 = 1;

/// Whether an agency may send an opcode.
#[must_use]
pub fn is_request(code: i8) -> bool {
    use opcode::{ASK_WINNERS, BATCH, BET, CLOSE, HELLO, NUMBERED_BATCH, READY};
    matches!(code, CLOSE | BET | BATCH | READY | ASK_WINNERS | HELLO | NUMBERED_BATCH)
}

/// Whether an office may send an opcode.
#[must_use]
pub fn is_reply(code: i8) -> bool {
    use opcode::{ACK, BUSY, CLOSE, CORRUPT, ERROR, RECEIPT, WELCOME, WINNERS};
    matches!(code, CORRUPT | CLOSE | ACK | ERROR | WINNERS | BUSY | WELCOME | RECEIPT)
}

/// The id of a draw: 8 random bytes, shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DrawId(pub [u8; 8]);

impl DrawId {
    /// Reads 16 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for DrawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DrawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrawId({self})")
    }
}

/// What an agency asks. Batches are not validated yet: see [`crate::bet::Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The agency is leaving.
    Close,
    /// Register one bet: its six items, not validated.
    Bet {
        /// The data, a list.
        items: &'a [u8],
    },
    /// Register a batch.
    Batch {
        /// The data, ending in `#`, not validated.
        body: &'a [u8],
    },
    /// The agency is ready for the draw.
    Ready(Ready),
    /// The agency asks for its winners.
    AskWinners {
        /// The agency's id.
        agency: u32,
    },
    /// Open the lane's next epoch.
    Hello(Hello),
    /// Register a numbered batch.
    NumberedBatch {
        /// Its number in the lane.
        seq: u64,
        /// The data after the number, ending in `#`, not validated.
        body: &'a [u8],
    },
}

/// Opcode 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The agency's id.
    pub agency: u32,
    /// In a session: the last seq and the number of bets that the agency has receipts for.
    pub totals: Option<Totals>,
}

/// What a lane has stored, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// The last batch's number; 0 when there is none.
    pub last_seq: u64,
    /// Bets in all batches.
    pub bets: u64,
}

/// Opcode 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The version of sessions the agency speaks. Of another than [`SESSION_VERSION`] nothing else is known.
    pub version: u32,
    /// The agency's id.
    pub agency: u32,
    /// The draw the agency means to take part in, if it says so.
    pub draw: Option<DrawId>,
}

/// Why a request was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no packet: answer -1 and close.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// It means nothing: answer 4 and go on.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl<'a> Request<'a> {
    /// Reads the data of a packet.
    ///
    /// # Errors
    /// [`RequestError`], by what the office does about it.
    pub fn parse(code: i8, data: &'a [u8]) -> Result<Self, RequestError> {
        match code {
            opcode::CLOSE => Ok(Self::Close),
            opcode::BET => {
                Items::parse(data).map(|_| Self::Bet { items: data }).map_err(Into::into)
            }
            // Whether a batch is UTF-8 shows while it is validated: no second pass over it here.
            opcode::BATCH => check_ends_list(data).map(|()| Self::Batch { body: data }),
            opcode::READY => Ready::parse(Items::parse(data)?).map(Self::Ready),
            opcode::ASK_WINNERS => parse_ask_winners(data),
            opcode::HELLO => Hello::parse(Items::parse(data)?).map(Self::Hello),
            opcode::NUMBERED_BATCH => parse_numbered(data),
            _ => Err(Corrupt::Opcode(code).into()),
        }
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Close => tlv::encode(opcode::CLOSE, b"", out),
            Self::Bet { items } => tlv::encode(opcode::BET, items, out),
            Self::Batch { body } => tlv::encode(opcode::BATCH, body, out),
            Self::Ready(ready) => tlv::encode_with(opcode::READY, out, |out| ready.push(out)),
            Self::AskWinners { agency } => {
                tlv::encode_with(opcode::ASK_WINNERS, out, |out| push_item(out, agency));
            }
            Self::Hello(hello) => tlv::encode_with(opcode::HELLO, out, |out| hello.push(out)),
            Self::NumberedBatch { seq, body } => {
                tlv::encode_with(opcode::NUMBERED_BATCH, out, |out| {
                    push_item(out, seq);
                    out.extend_from_slice(body);
                });
            }
        }
    }
}

/// What data that failed validation is: corrupt when it is not even UTF-8, else malformed as `problem` says.
#[must_use]
pub fn blame(data: &[u8], problem: Malformed) -> RequestError {
    match std::str::from_utf8(data) {
        Ok(_) => problem.into(),
        Err(_) => Corrupt::NotUtf8.into(),
    }
}

fn check_ends_list(data: &[u8]) -> Result<(), RequestError> {
    if data.last() == Some(&SEPARATOR) {
        return Ok(());
    }
    let utf8 = std::str::from_utf8(data).is_ok();
    Err(if utf8 { Corrupt::NotAList } else { Corrupt::NotUtf8 }.into())
}

fn parse_ask_winners(data: &[u8]) -> Result<Request<'_>, RequestError> {
    // Deployed clients also send the bare number, without its '#'.
    let bare = std::str::from_utf8(data).ok().and_then(parse_number);
    if let Some(agency) = bare {
        return Ok(Request::AskWinners { agency });
    }
    let mut items = Items::parse(data)?;
    let agency = items.number("id")?;
    items.finish("id")?;
    Ok(Request::AskWinners { agency })
}

fn parse_numbered(data: &[u8]) -> Result<Request<'_>, RequestError> {
    check_ends_list(data)?;
    let end = memchr::memchr(SEPARATOR, data).unwrap_or(data.len());
    let seq = std::str::from_utf8(&data[..end]).ok().and_then(parse_number);
    match seq {
        Some(seq) => Ok(Request::NumberedBatch { seq, body: &data[end + 1..] }),
        None => Err(blame(data, Malformed::NotANumber("seq"))),
    }
}

impl Ready {
    fn parse(mut items: Items<'_>) -> Result<Self, RequestError> {
        let agency = items.number("id")?;
        if items.is_empty() {
            return Ok(Self { agency, totals: None });
        }
        let totals = Totals { last_seq: items.number("last seq")?, bets: items.number("bets")? };
        items.finish("bets")?;
        Ok(Self { agency, totals: Some(totals) })
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_item(out, self.agency);
        if let Some(totals) = self.totals {
            push_item(out, totals.last_seq);
            push_item(out, totals.bets);
        }
    }
}

impl Hello {
    fn parse(mut items: Items<'_>) -> Result<Self, RequestError> {
        let version = items.number("version")?;
        if version != SESSION_VERSION {
            return Ok(Self { version, agency: 0, draw: None });
        }
        let agency = items.number("id")?;
        let mut draw = None;
        if !items.is_empty() {
            let expected = Malformed::Item { item: "draw id", expected: "16 hex digits" };
            draw = Some(DrawId::parse(items.next("draw id")?).ok_or(expected)?);
        }
        items.finish("draw id")?;
        Ok(Self { version, agency, draw })
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_item(out, self.version);
        push_item(out, self.agency);
        if let Some(draw) = self.draw {
            push_item(out, draw);
        }
    }
}

/// What the office answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The packet received was none; the office closes.
    Corrupt,
    /// The office is closing.
    Close,
    /// Stored, and on disk.
    Ack,
    /// Not stored, and why. In a session the text is a [`Refusal`].
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

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Corrupt => tlv::encode(opcode::CORRUPT, b"", out),
            Self::Close => tlv::encode(opcode::CLOSE, b"", out),
            Self::Ack => tlv::encode(opcode::ACK, b"", out),
            Self::Error(text) => tlv::encode(opcode::ERROR, text.as_bytes(), out),
            Self::Winners { data, .. } => tlv::encode(opcode::WINNERS, data, out),
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
            finished: items.number::<u8>("finished")? == 1,
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

fn parse_head(items: &mut Items<'_>) -> Result<Head, Malformed> {
    let expected = Malformed::Item { item: "head", expected: "64 hex digits" };
    Head::parse(items.next("head")?).ok_or(expected)
}

/// Why a session's request was refused: opcode 4's list `code#seq#text#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What kind of refusal. `None`: a code this library does not know.
    pub code: Option<Code>,
    /// The batch that was refused, if it was a batch.
    pub seq: Option<u64>,
    /// Why, for a person.
    pub text: &'a str,
}

/// The codes of a session's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request means nothing, or may not come now.
    Malformed,
    /// Another agency than this connection's, or another draw than this office's.
    Refused,
    /// A newer session works this lane.
    Fenced,
    /// Another batch is stored under this number.
    Conflict,
    /// Stored long ago: the office does not remember this batch any more.
    Old,
    /// The agency has finished, or the draw is done.
    Closed,
    /// Batches before this one are missing.
    Gap,
    /// There is no room on the disk at present.
    Storage,
    /// The agency's totals are not the office's.
    Mismatch,
    /// A version of sessions that the office does not speak.
    Version,
}

impl Code {
    const NAMES: [(Self, &'static str); 10] = [
        (Self::Malformed, "MALFORMED"),
        (Self::Refused, "REFUSED"),
        (Self::Fenced, "FENCED"),
        (Self::Conflict, "CONFLICT"),
        (Self::Old, "OLD"),
        (Self::Closed, "CLOSED"),
        (Self::Gap, "GAP"),
        (Self::Storage, "STORAGE"),
        (Self::Mismatch, "MISMATCH"),
        (Self::Version, "VERSION"),
    ];

    /// The code as it travels.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(code, _)| *code == self);
        named.expect("every code has a name").1
    }
}

impl<'a> Refusal<'a> {
    /// Reads the text of opcode 4 in a session.
    ///
    /// # Errors
    /// [`RequestError`] when it is not the list `code#seq#text#`.
    pub fn parse(text: &'a str) -> Result<Self, RequestError> {
        let mut items = Items::parse(text.as_bytes())?;
        let name = items.next("code")?;
        let code = Code::NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code);
        let seq = match items.next("seq")? {
            "-" => None,
            digits => Some(parse_number(digits).ok_or(Malformed::NotANumber("seq"))?),
        };
        let text = items.next("text")?;
        items.finish("text")?;
        Ok(Self { code, seq, text })
    }

    /// Appends it as an opcode 4. What of the text cannot travel in a list is replaced by a space.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let cannot_travel = |c: char| c == char::from(SEPARATOR) || c.is_control();
        tlv::encode_with(opcode::ERROR, out, |out| {
            push_item(out, self.code.map_or("UNKNOWN", Code::name));
            match self.seq {
                Some(seq) => push_item(out, seq),
                None => push_item(out, "-"),
            }
            push_item(out, self.text.replace(cannot_travel, " "));
        });
    }
}
