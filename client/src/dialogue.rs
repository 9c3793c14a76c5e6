//! What a conversation with the office is, whatever the dialect: bytes in, bytes out, what to do
//! next. Knows no socket, no clock and no file.

use std::time::Duration;

use bolillero_protocol::error::Corrupt;
use bolillero_protocol::message::{Reply, RequestError, is_reply};
use bolillero_protocol::tlv::{Decoder, Packet, Rules};
use bolillero_protocol::words::counted;
use bolillero_protocol::{chain::Head, message::opcode};

use crate::connect::{Distrust, Stranger};
use crate::ending::Asked;
use crate::files::FilesError;
use crate::room::RoomError;
use crate::source::SourceError;

/// The longest answer that is read whole, in bytes of data.
const REPLY_LENGTH_MAX: u32 = 64 << 10;

/// One dialect's side of the work, over as many connections as it takes.
pub trait Dialogue {
    /// A connection is open: appends what is said first.
    ///
    /// # Errors
    /// [`Stop`], as from all of these: the work ends here.
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// The office has answered: appends what is said to that.
    ///
    /// # Errors
    /// [`Stop`].
    fn answer(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<Next, Stop>;

    /// The pause that [`Next::Pause`] asked for is over.
    ///
    /// # Errors
    /// [`Stop`].
    fn resume(&mut self, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// The connection has ended, because of `reason`. Another may be opened.
    ///
    /// # Errors
    /// [`Stop`] when another would not help.
    fn lost(&mut self, reason: &str) -> Result<(), Stop>;

    /// The office has closed so many connections in a row, each without a byte.
    ///
    /// # Errors
    /// [`Stop`] when the next would end the same way.
    fn shunned(&mut self, _connections: u32) -> Result<(), Stop> {
        Ok(())
    }

    /// Whether the office has answered on this connection in a way that shows it is serving.
    fn is_established(&self) -> bool;

    /// The wait for an answer, if one is owed that has a deadline. The clock restarts when the
    /// number changes.
    fn owed(&self) -> Option<u64>;

    /// The longest wait for that answer, where it is shorter than that for others.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// How far the work has come.
    fn progress(&self) -> Progress;
}

/// What follows an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Nothing is owed: wait a while, for this reason, then call [`Dialogue::resume`].
    Pause(&'static str),
    /// This connection has done its part: write what is to be said, close it, wait a while where
    /// there is a reason to, and open the next.
    Another(Option<&'static str>),
    /// This connection is of no more use, for this reason.
    Reconnect(&'static str),
    /// The work is done.
    Done,
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Requests that were granted. Pauses begin small again when it grows.
    pub granted: u64,
    /// Bytes of the file that are stored.
    pub bytes: u64,
    /// All of the file is stored, and nothing but the draw is waited for.
    pub waits_for_draw: bool,
}

/// One connection's bytes, made into answers.
#[derive(Debug)]
pub struct Conversation {
    decoder: Decoder,
}

impl Conversation {
    /// A connection without a byte read.
    #[must_use]
    pub fn new() -> Self {
        let rules = Rules {
            accepts: is_reply,
            length_max: REPLY_LENGTH_MAX,
            streamed: Some(opcode::WINNERS),
        };
        Self { decoder: Decoder::new(rules) }
    }

    /// Hands the answers in `bytes`, however they are cut, to `dialogue`.
    ///
    /// # Errors
    /// [`Stop`] from the dialogue, or because the bytes are no answers.
    pub fn receive(
        &mut self,
        dialogue: &mut impl Dialogue,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Next, Stop> {
        let mut next = Next::Read;
        loop {
            let (taken, packet) = self.decoder.next(bytes)?;
            bytes = &bytes[taken..];
            let Some(packet) = packet else { return Ok(next) };
            match dialogue.answer(read(packet)?, out)? {
                Next::Read => {}
                Next::Pause(reason) => next = Next::Pause(reason),
                last => return Ok(last),
            }
        }
    }
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

fn read(packet: Packet<'_>) -> Result<Reply<'_>, Stop> {
    let opcode = packet.opcode;
    Reply::parse(packet).map_err(|error| match error {
        RequestError::Corrupt(corrupt) => corrupt.into(),
        RequestError::Malformed(malformed) => {
            Stop::Unreadable(format!("opcode {opcode}: {malformed}"))
        }
    })
}

/// Why the work ends without being done.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The file cannot be read on.
    #[error(transparent)]
    File(#[from] SourceError),
    /// A row is no bet. The whole batches before it are stored.
    #[error("{error}. Mend the row and start again with the same options{}", not_again(*bets))]
    Row {
        /// The row and why.
        error: SourceError,
        /// Bets that are stored.
        bets: u64,
    },
    /// A row is no bet, and the batch before it, which an earlier version sent, ends because of it.
    #[error(
        "{error}. An earlier version stored the bets before this line in a batch that ends there: \
         mend the row, then start again with --cut-before {line} added to the other options"
    )]
    RowAfterCut {
        /// The row and why.
        error: SourceError,
        /// Its line.
        line: u64,
    },
    /// What this client counts and what the office counts differ.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A newer session works the lane.
    #[error(
        "another client works for agency {agency} at this office now; this one has stopped \
         (office: {text}). Only one may run at a time: nothing is lost or stored twice, start one \
         of them again"
    )]
    Fenced {
        /// The agency.
        agency: u32,
        /// What the office said.
        text: String,
    },
    /// The office does not take a request.
    #[error("the office refused {request}: {text}")]
    Refused {
        /// What was asked.
        request: String,
        /// What the office said, with its code where there is one.
        text: String,
    },
    /// The office found a packet of ours corrupt.
    #[error("the office found the packet of {request} corrupt")]
    Corrupt {
        /// What was asked.
        request: String,
    },
    /// The office answers the hello of a session as one without sessions does.
    #[error(
        "the office answers the hello of a session with {answer}: if it is an office without \
         sessions, use --base, which speaks opcodes 1 to 8"
    )]
    NoSessions {
        /// What it did.
        answer: String,
    },
    /// The office's bytes are no answer.
    #[error("the answer cannot be read: {0}. Is what listens there a central office?")]
    Unreadable(String),
    /// The office answered what was not asked.
    #[error("the office answered {answer} where the answer to {request} was due")]
    Unexpected {
        /// What was asked.
        request: String,
        /// What came.
        answer: String,
    },
    /// The office holds another draw than the one this run is for.
    #[error("the office holds draw {held}, this run is for draw {expected}")]
    OtherDraw {
        /// The draw of the office.
        held: String,
        /// The draw of this run.
        expected: String,
    },
    /// A batch was sent without a number, and its answer is lost.
    #[error(
        "batch {number} ({file} lines {first} to {last}) may be stored or not: the connection \
         ended before its answer ({reason}). What precedes it is stored; opcodes 1 to 8 cannot tell more"
    )]
    Uncertain {
        /// The batch's place in the file, from 1.
        number: u64,
        /// The file.
        file: String,
        /// The line of its first bet.
        first: u64,
        /// The line of its last bet.
        last: u64,
        /// How the connection ended.
        reason: String,
    },
    /// Bets were sent in the text dialect, and their count is lost, or there is none.
    #[error(
        "the bets of {file} are stored or not, or some of them: {} sent, and not counted \
         ({reason}). They are not sent again, since they could count twice: start again \
         with the same options but without --text, at the office's other address; a session finds \
         out what is stored and goes on behind it",
        counted(*bets, "bet")
    )]
    Uncounted {
        /// The file.
        file: String,
        /// How many bets were sent.
        bets: u64,
        /// Why there is no count.
        reason: String,
    },
    /// A single bet was sent, and its answer is lost.
    #[error(
        "the bet may be stored or not: the connection ended before its answer ({reason}). It is \
         not sent again, since it could count twice: have the office look for it in its export"
    )]
    UncertainBet {
        /// How the connection ended.
        reason: String,
    },
    /// An echo server sent back something else.
    #[error("{sent:?} was sent, {came:?} came back. Is what listens there an echo server?")]
    OtherEcho {
        /// The line that was sent.
        sent: String,
        /// What came.
        came: String,
    },
    /// An echo server sent nothing back.
    #[error("{sent:?} was sent, and nothing came back: {reason}")]
    NoEcho {
        /// The line that was sent.
        sent: String,
        /// How the wait ended.
        reason: String,
    },
    /// Files cannot be told of, read or fetched.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The stay in a room ends, or cannot begin.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Certificates have to be mended first, or options.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// Another kind of server listens there.
    #[error(transparent)]
    Stranger(#[from] Stranger),
    /// The work ends because that was asked for.
    #[error("{Asked}")]
    Asked,
    /// The server could not be reached for too long.
    #[error("no server answers at {server} for {waited}: {reason}{hint}")]
    Away {
        /// Its address.
        server: String,
        /// How long it was tried.
        waited: String,
        /// How the last try ended.
        reason: String,
        /// Where the address comes from, if it was not typed.
        hint: String,
    },
}

/// What becomes of the bets that are stored, after a mended row.
fn not_again(bets: u64) -> String {
    match bets {
        0 => String::new(),
        1 => ": the bet that is stored is not sent again".to_owned(),
        _ => format!(": the {bets} bets that are stored are not sent again"),
    }
}

impl From<Asked> for Stop {
    fn from(Asked: Asked) -> Self {
        Self::Asked
    }
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Self {
        Self::Unreadable(corrupt.to_string())
    }
}

impl Stop {
    /// The exit code that goes with it: 3 chain mismatch, 6 fenced, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Mismatch(_) => 3,
            Self::Fenced { .. } => 6,
            _ => 1,
        }
    }

    /// `reply` came where the answer to `request` was due.
    pub(crate) fn unexpected(request: String, reply: &Reply<'_>) -> Self {
        let answer = match reply {
            Reply::Corrupt => "corrupt (-1)",
            Reply::Close => "close (0)",
            Reply::Ack => "ack (2)",
            Reply::Error(_) => "error (4)",
            Reply::Winners { .. } => "winners (7)",
            Reply::Busy => "busy (8)",
            Reply::Welcome(_) => "welcome (10)",
            Reply::Receipt(_) => "receipt (12)",
        };
        Self::Unexpected { request, answer: answer.to_owned() }
    }
}

/// What to do about a file and a record that differ.
const WHAT_TO_DO: &str = "Either the file, --batch-bets-max (CLI_BATCH_MAXAMOUNT, \
     batch.maxAmount) or --cut-before has changed since these bets were sent, or the office's \
     record has. Start again with the file and the values used then; if they are the same, have \
     the office verify its ledger";

/// What this client counts and what the office counts differ: an alarm, never a reason to try
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The file, cut to where the office's record ends, gives another chain.
    #[error(
        "the file and the office's record differ within batches 1 to {seq}: the file gives {} and \
         head {file_head}, the office has {} and head {office_head}. {WHAT_TO_DO}",
        counted(*file_bets, "bet"),
        counted(*office_bets, "bet")
    )]
    Record {
        /// The last batch of the office's record.
        seq: u64,
        /// Bets in the file up to there.
        file_bets: u64,
        /// The chain of the file.
        file_head: Head,
        /// Bets the office has.
        office_bets: u64,
        /// The chain of the office.
        office_head: Head,
    },
    /// The office counts other bets than were sent to it.
    #[error(
        "this connection has sent {}, and the office has stored {office_bets} of it. Keep this \
         message, and have the office verify its ledger",
        counted(*file_bets, "bet")
    )]
    Count {
        /// Bets that were sent.
        file_bets: u64,
        /// Bets that the office says it has stored.
        office_bets: u64,
    },
    /// The file has fewer batches than the office has stored.
    #[error("the file ends after batch {seq}, the office has stored {stored}. {WHAT_TO_DO}")]
    FileEnds {
        /// The file's last batch.
        seq: u64,
        /// The last batch that is stored.
        stored: u64,
    },
    /// The office counts the agency as finished, and the file has more.
    #[error(
        "the office counts this agency as finished after batch {stored}, the file has more. \
         {WHAT_TO_DO}"
    )]
    FileHasMore {
        /// The last batch that is stored.
        stored: u64,
    },
    /// The office has lost what it gave a receipt for.
    #[error(
        "the office has stored batches up to {stored} only, and had acknowledged batch \
         {acknowledged} in this run: its record has lost bets. Keep this message, and have the \
         office verify its ledger"
    )]
    RecordLost {
        /// The last batch that the office has.
        stored: u64,
        /// The last batch that it acknowledged.
        acknowledged: u64,
    },
}
