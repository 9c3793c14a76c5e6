//! The text dialect of the lottery: frames out of a stream, and what they mean. Knows no office and no socket.
//!
//! ```text
//! agency -> office    | length: u16 big-endian | that many bytes of UTF-8 text |
//!   one connection      BET   then batches  id,name,surname,document,date,number;id,…;   then   FINISH
//!   another             RESULTS   then      id
//! office -> agency    one line, then the end:   bets    document,document    NOWINNERS    ERROR
//!
//! frame    frames out of bytes, however cut      batch    a batch <-> opcode 3's form      reply    the line
//! ```

use crate::error::Malformed;
use crate::list::parse_number;

mod batch;
mod frame;
mod reply;

pub use batch::{BODY_LENGTH_MAX, bets_announced, body_of, can_travel, text_of};
pub use frame::{Decoder, FRAME_LENGTH_MAX, encode};
pub use reply::{Reply, Told};

/// The frame that begins a connection which brings bets.
pub const BET: &str = "BET";
/// The frame behind the last batch.
pub const FINISH: &str = "FINISH";
/// The frame that begins a connection which asks for winners.
pub const RESULTS: &str = "RESULTS";

/// What an agency asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Store a batch: its text, not validated. See [`body_of`].
    Batch {
        /// `id,name,surname,document,date,number;…`
        text: &'a [u8],
    },
    /// The agency of the batches is ready for the draw.
    Finish,
    /// The agency asks for its winners.
    Results {
        /// The agency's id.
        agency: u32,
    },
}

/// What the next frame of a connection may be: its meaning depends on those before it.
///
/// ```
/// use bolillero_protocol::text::{Expected, Request};
///
/// let mut expected = Expected::Opening;
/// assert_eq!(expected.read(b"BET"), Ok(None));
/// assert_eq!(expected.read(b"FINISH"), Ok(Some(Request::Finish)));
/// assert!(expected.read(b"BET").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// What the connection is for.
    Opening,
    /// A batch, or that there are no more.
    Bets,
    /// Whose winners.
    Agency,
    /// Nothing more.
    Nothing,
}

impl Expected {
    /// Takes the next frame's text. `None`: it asks nothing by itself.
    ///
    /// # Errors
    /// [`Malformed`] when it may not come now, or means nothing.
    pub fn read<'a>(&mut self, text: &'a [u8]) -> Result<Option<Request<'a>>, Malformed> {
        const OPENING: Malformed =
            Malformed::Item { item: "the first frame", expected: "BET or RESULTS" };
        let is = |word: &str| text == word.as_bytes();
        let (request, next) = match *self {
            Self::Opening if is(BET) => (None, Self::Bets),
            Self::Opening if is(RESULTS) => (None, Self::Agency),
            Self::Opening => return Err(OPENING),
            Self::Bets if is(FINISH) => (Some(Request::Finish), Self::Nothing),
            Self::Bets => (Some(Request::Batch { text }), Self::Bets),
            Self::Agency => (Some(parse_agency(text)?), Self::Nothing),
            Self::Nothing => return Err(Malformed::Leftover("the last frame")),
        };
        *self = next;
        Ok(request)
    }
}

fn parse_agency(text: &[u8]) -> Result<Request<'_>, Malformed> {
    let number = std::str::from_utf8(text).ok().and_then(parse_number);
    let agency = number.ok_or(Malformed::NotANumber("id"))?;
    Ok(Request::Results { agency })
}
