//! What an agency asks. Reads and writes the data of its packets; validates no bet.

use super::reply::parse_head;
use super::{DrawId, RequestError, SESSION_VERSION, blame, opcode};
use crate::chain::Head;
use crate::error::{Corrupt, Malformed};
use crate::list::{Items, SEPARATOR, parse_number, push_item};
use crate::tlv;

/// What an agency asks. Batches are not validated yet: see [`crate::bet::Batch`].
///
/// ```
/// use bolillero_protocol::message::{Request, opcode};
///
/// let request = Request::AskWinners { agency: 1 };
/// let mut out = Vec::new();
/// request.encode(&mut out);
/// assert_eq!(out, b"\x06\0\0\0\x021#");
/// assert_eq!(Request::parse(opcode::ASK_WINNERS, b"1#"), Ok(request));
/// ```
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
    /// The agency counts something else than the office.
    Alarm(ChainAlarm),
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

/// Opcode 17: what the agency itself counts and computes, where that is not what the office says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainAlarm {
    /// The last batch that the agency has compared; 0 when there is none.
    pub seq: u64,
    /// Bets in its batches up to there.
    pub bets: u64,
    /// The head of its chain there.
    pub head: Head,
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
            opcode::ALARM => ChainAlarm::parse(Items::parse(data)?).map(Self::Alarm),
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
            Self::Alarm(alarm) => tlv::encode_with(opcode::ALARM, out, |out| alarm.push(out)),
        }
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

impl ChainAlarm {
    fn parse(mut items: Items<'_>) -> Result<Self, RequestError> {
        let alarm = Self {
            seq: items.number("seq")?,
            bets: items.number("bets")?,
            head: parse_head(&mut items)?,
        };
        items.finish("head")?;
        Ok(alarm)
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_item(out, self.seq);
        push_item(out, self.bets);
        push_item(out, self.head);
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
