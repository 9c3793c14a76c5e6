//! Why a guest's stay in the room ends, or could not begin.

use std::io;

use bolillero_protocol::room::ReadError;

use super::arrivals::OBJECT_LENGTH_MAX;
use crate::threads::NoThread;

/// Why the stay ends.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// There is no place.
    #[error("the room is full: come again when somebody has left")]
    Full,
    /// The name is not to be had.
    #[error("the room does not take the name {name}: {text}. Give another with --name")]
    Name {
        /// The name.
        name: String,
        /// What the server said.
        text: String,
    },
    /// What came is no object.
    #[error("what comes cannot be read: {0}. Is what listens there a room?")]
    Unreadable(ReadError),
    /// An object comes to no end.
    #[error(
        "an object of more than {OBJECT_LENGTH_MAX} bytes comes, and no end of it. Is what listens \
         there a room?"
    )]
    Endless,
    /// The connection ended without being asked to.
    #[error("the room is gone: {0}. Start again to come back; what was said last may be lost")]
    Gone(String),
    /// What was asked had no answer.
    #[error("the room did not answer /who: it closed, or --reply-timeout was over")]
    Unanswered,
    /// A script's input was not all taken.
    #[error("{0} of what was to be said or asked was not taken: see above")]
    NotTaken(u64),
    /// The terminal or the output cannot be used.
    #[error("writing to stdout: {0}")]
    Stdout(io::Error),
    /// A thread cannot be had.
    #[error(transparent)]
    Thread(#[from] NoThread),
}
