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
//!  17 alarm               seq#bets#head#
//! ```

use std::fmt;

use crate::chain::{Hex, parse_hex};
use crate::error::{Corrupt, Malformed};

mod refusal;
mod reply;
mod request;

pub use refusal::{Code, Refusal};
pub use reply::{Receipt, Reply, Welcome};
pub use request::{ChainAlarm, Hello, Ready, Request, Totals};

/// The opcodes of the lottery, one byte each.
pub mod opcode {
    /// What was received is no packet; the office closes.
    pub const CORRUPT: i8 = -1;
    /// The sender is leaving.
    pub const CLOSE: i8 = 0;
    /// Register one bet.
    pub const BET: i8 = 1;
    /// Done, and on disk.
    pub const ACK: i8 = 2;
    /// Register a batch of bets.
    pub const BATCH: i8 = 3;
    /// Not done, and why.
    pub const ERROR: i8 = 4;
    /// The agency is ready for the draw.
    pub const READY: i8 = 5;
    /// The agency asks for its winners.
    pub const ASK_WINNERS: i8 = 6;
    /// The documents of an agency's winners.
    pub const WINNERS: i8 = 7;
    /// Not yet: the draw is not done, or there is no room for a connection.
    pub const BUSY: i8 = 8;
    /// Open the next epoch of the agency's lane.
    pub const HELLO: i8 = 9;
    /// The epoch is open, and this is where the lane stands.
    pub const WELCOME: i8 = 10;
    /// Register a batch under its number in the lane.
    pub const NUMBERED_BATCH: i8 = 11;
    /// The numbered batch is on disk, and this is where the lane stands.
    pub const RECEIPT: i8 = 12;
    // 13 to 16 are reserved: until they are defined they are no packet.
    /// The agency counts other bets, or another head, than the office.
    pub const ALARM: i8 = 17;
}

/// The version of sessions that this library speaks.
pub const SESSION_VERSION: u32 = 1;

/// Whether an agency may send an opcode.
#[must_use]
pub fn is_request(code: i8) -> bool {
    use opcode::{ALARM, ASK_WINNERS, BATCH, BET, CLOSE, HELLO, NUMBERED_BATCH, READY};
    matches!(code, CLOSE | BET | BATCH | READY | ASK_WINNERS | HELLO | NUMBERED_BATCH | ALARM)
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
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for DrawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrawId({self})")
    }
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

/// What data that failed validation is: corrupt when it is not even UTF-8, else malformed as `problem` says.
#[must_use]
pub fn blame(data: &[u8], problem: Malformed) -> RequestError {
    match std::str::from_utf8(data) {
        Ok(_) => problem.into(),
        Err(_) => Corrupt::NotUtf8.into(),
    }
}
