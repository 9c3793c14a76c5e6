//! Why the room refuses what a guest has sent, and what the guest is told.

use bolillero_protocol::room::{NAME_LENGTH_MAX, NEW_USER, OBJECT_BYTES_MAX, ReadError, status};
use thiserror::Error;

/// A reason, as the guest is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Unread(#[from] ReadError),
    #[error("too much at once: wait a little, then send again")]
    TooFast,
    #[error("it would be passed on with more than {OBJECT_BYTES_MAX} bytes: say less at once")]
    TooLong,
    #[error("no guest sends this status")]
    UnknownStatus,
    #[error("the content of {} is \"{NEW_USER}\"", status::NEW_USER)]
    NotNewUser,
    #[error(
        "a name is 1 to {NAME_LENGTH_MAX} letters, digits, - or _, not a number, not the server's"
    )]
    BadName,
    #[error("somebody here has this name")]
    NameTaken,
    #[error("a name is given once")]
    HasName,
    #[error("only for guests with a name: give one with status {}", status::NAME)]
    NeedsName,
    #[error("the content of {} is how many messages", status::HISTORY)]
    NoCount,
}

impl Refused {
    pub(super) fn status(&self) -> u64 {
        if *self == Self::TooFast { status::TOO_FAST } else { status::REFUSED }
    }

    /// Whether nothing more can be read of this guest.
    pub(super) fn closes(&self) -> bool {
        matches!(self, Self::Unread(error) if error.closes())
    }
}
