//! Why files cannot be told of, read or fetched: what and where, what the server said, how to mend
//! it.

use std::io;

use bolillero_protocol::chain::Hex;
use bolillero_protocol::hftp::{ReplyError, Status};
use bolillero_protocol::log_line;

use super::{LISTED, Name, RESTARTS_MAX, SUMS, SUMS_SIZE_MAX};

/// Why the work ends.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The server does not do what was asked, whatever the file.
    #[error("the server refuses {asked}: {refusal}")]
    Refused {
        /// What was asked.
        asked: &'static str,
        /// What it said.
        refusal: Refusal,
    },
    /// What came is no answer.
    #[error("the server's answer cannot be read: {0}. Is what listens there a file server?")]
    Unreadable(ReplyError),
    /// More came than was asked for.
    #[error("the server sends more than it was asked for. Is what listens there a file server?")]
    Unasked,
    /// A listed name can be none.
    #[error(
        "the server lists {0:?}, which is no name of a file: it must be 1 to 255 of A-Z a-z 0-9 . \
         - _, and not . or .."
    )]
    NotAName(String),
    /// A listing over the limit.
    #[error("the server's listing is too long; name the files that you want")]
    ListingTooLong,
    /// The file of checksums is over the limit.
    #[error("{SUMS} has {0} bytes, over {SUMS_SIZE_MAX}; --no-verify goes without it")]
    SumsTooLong(u64),
    /// A line of the file of checksums is none.
    #[error(
        "{SUMS}: line {0} is no checksum and name as sha256sum writes them; --no-verify goes \
         without it"
    )]
    NotASum(usize),
    /// The folder cannot be used.
    #[error("{doing} {path}: {error}")]
    Folder {
        /// What was tried.
        doing: &'static str,
        /// The folder.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Stdout cannot be written.
    #[error("writing to stdout: {0}")]
    Stdout(io::Error),
    /// One file could not be had; others may.
    #[error("{name}: {problem}")]
    File {
        /// The file.
        name: Name,
        /// Why.
        problem: Problem,
    },
    /// Some could not be had. Each was told of.
    #[error("{failed} of {asked} files could not be had: see above")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        asked: usize,
    },
}

/// Why one file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The server refuses it.
    #[error("the server says {0}")]
    Refused(Refusal),
    /// It is not what it was when its bytes began to come.
    #[error("it changed on the server while it was read: start again")]
    Changed,
    /// It was begun anew too often.
    #[error("it changed on the server {RESTARTS_MAX} times while it was fetched: try again later")]
    Changing,
    /// Another file has the name.
    #[error("there is such a file already{0}: --force replaces it")]
    Exists(&'static str),
    /// What has the name of the partial download is none that this program began.
    #[error("{0} is there already, and no download of this program: remove it, or give --force")]
    Foreign(String),
    /// What has the name of the partial download is no regular file.
    #[error("{0} is a link or no regular file, and not written to: remove it")]
    NotRegular(String),
    /// Another process fetches it.
    #[error("{0} is being written by another process: wait for that, or end it")]
    Taken(String),
    /// Not the bytes that were summed.
    #[error(
        "its SHA-256 is {}, {SUMS} says {}: what came was removed. Fetch it again; if that does \
         not help, the file or {SUMS} is damaged on the server (--no-verify takes it as it is)",
        Hex(found),
        Hex(expected)
    )]
    Mismatch {
        /// That of the bytes.
        found: [u8; 32],
        /// That of the file of checksums.
        expected: [u8; 32],
    },
    /// The end was asked for.
    #[error("asked to stop. What has come is in {0}: the same command goes on behind it")]
    Interrupted(String),
    /// A file here cannot be used.
    #[error("{doing} {path}: {error}")]
    Local {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

/// What a server said that is not `0 OK`.
#[derive(Debug, thiserror::Error)]
#[error("{code} {text}{}", hint(*code))]
pub struct Refusal {
    code: u16,
    text: String,
}

impl Refusal {
    fn new(code: u16, text: &str) -> Self {
        Self { code, text: log_line::value(text) }
    }
}

impl FilesError {
    /// Whether other files may be had all the same.
    pub(super) fn leaves_others(&self) -> bool {
        matches!(self, Self::File { problem, .. } if !matches!(problem, Problem::Interrupted(_)))
    }

    pub(super) fn refused(asked: &'static str, code: u16, text: &str) -> Self {
        Self::Refused { asked, refusal: Refusal::new(code, text) }
    }
}

impl Problem {
    pub(super) fn refused(code: u16, text: &str) -> Self {
        Self::Refused(Refusal::new(code, text))
    }

    /// Whether the server has no such file.
    pub(super) fn is_absence(&self) -> bool {
        let absent = Status::FileNotFound.code();
        matches!(self, Self::Refused(Refusal { code, .. }) if *code == absent)
    }
}

/// How to mend it, where that is known.
fn hint(code: u16) -> &'static str {
    match Status::of_code(code) {
        Some(Status::FileNotFound) => LISTED,
        Some(Status::InternalError) => ". The server's log tells why",
        Some(Status::NoSuchCommand) => ". It is no file server, or knows another protocol",
        Some(Status::BadEol | Status::BadRequest) => ". It is no file server of this protocol",
        _ => "",
    }
}
