//! What can be wrong with what a peer sent, by what follows from it.

use thiserror::Error;

use crate::list::NUMBER_LENGTH_MAX;

/// Bytes that are no packet. The peer is told so (opcode -1) and closed: where the next packet
/// would begin cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Corrupt {
    /// An opcode that nobody defines, or that only the other side may send.
    #[error("opcode {0} is unknown or not for this side")]
    Opcode(i8),
    /// More data than the receiver takes.
    #[error("{length} bytes of data, the limit is {length_max}")]
    TooLong {
        /// The announced length of the data, in bytes.
        length: u32,
        /// The receiver's limit, in bytes.
        length_max: u32,
    },
    /// Data that is not UTF-8.
    #[error("the data is not UTF-8")]
    NotUtf8,
    /// Data that should be a list and does not end in `#`.
    #[error("the data is not a list: its last item has no '#' after it")]
    NotAList,
}

/// A packet whose data does not mean anything. The peer is told why; the connection stays usable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The list ends before this item.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// This item is not a number in plain digits, or too large.
    #[error("{0} is not a number")]
    NotANumber(&'static str),
    /// This item has a form it must not have.
    #[error("{item} is not {expected}")]
    Item {
        /// Which item.
        item: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// Items after the last one that is known.
    #[error("there is more after {0}")]
    Leftover(&'static str),
    /// A bet of a batch is not valid.
    #[error("bet {index}: {problem}")]
    Bet {
        /// The bet's place in the batch, from 0, as in its `@` marker.
        index: u32,
        /// Which field, and why.
        problem: BetProblem,
    },
}

/// Why a bet is not valid. Says the field and its rule, never the value: bettors are persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BetProblem {
    /// The batch ends before this field.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Not the marker of this place.
    #[error("marker is not '@' and the bet's index")]
    Marker,
    /// Not an agency of this draw.
    #[error("id is not an agency 1 to {agencies}")]
    Agency {
        /// How many agencies the draw has.
        agencies: u32,
    },
    /// Another agency than the batch's first bet.
    #[error("id is not that of the batch's first bet")]
    OtherAgency,
    /// A name that is empty, too long, or holds a control character.
    #[error("{0} is not 1 to 64 characters without control characters")]
    Name(&'static str),
    /// Not a document number.
    #[error("document is not 1 to 12 digits")]
    Document,
    /// Not a day.
    #[error("birth date is not a calendar day YYYY-MM-DD")]
    BirthDate,
    /// Not a number that can be bet on.
    #[error("number is not 0 to 9999")]
    Number,
    /// A number of more digits than a list allows.
    #[error("{0} has more than {NUMBER_LENGTH_MAX} digits")]
    TooManyDigits(&'static str),
    /// A field of the text dialect that would be two items of a list, or two fields.
    #[error("{0} holds a separator")]
    Separator(&'static str),
    /// More fields than a bet has.
    #[error("there is more after the number")]
    Leftover,
}
