//! One connection of an agency that speaks the text dialect. Knows no socket and no clock.
//!
//! ```text
//! bytes -> frames -> requests -> Office -> one line, when all that it rests on is on disk -> the end
//! ```
//! Batches are not answered. So that one connection does not fill the ledger's queue, no more of them
//! are taken while too many are not on disk. The line is owed from the moment that FINISH or RESULTS is
//! taken, or something is refused; nothing is taken after that. A long line of winners leaves piece by piece:
//! while the session waits for a piece, or for one to be sent, it holds.

use std::collections::VecDeque;
use std::sync::Arc;

use bolillero_protocol::bet::Batch;
use bolillero_protocol::error::Malformed;
use bolillero_protocol::text::{Decoder, Expected, Reply, Request, bets_announced, body_of};

use super::ask::{Asker, BATCH_ACTION, log_refused_bets, other_agency};
use super::owed::too_many_winners;
use super::pieces::{Piece, PieceClaim, PieceLimit, UnsentList};
use super::session::SessionLimits;
use super::state::{By, Refused};
use super::{Ack, Office, Put};
use crate::ledger::Position;
use crate::session::{Flow, Input, Mail, Mailbox, Peer, Service, Session, Wait};

/// Opens the sessions of the text dialect's listener.
pub struct TextLottery {
    office: Arc<Office>,
    limits: SessionLimits,
    pieces: Arc<PieceLimit>,
}

impl TextLottery {
    /// Sessions that ask `office`, and send its winners within `pieces`. How long a frame is has a
    /// limit of its own: of `limits`, those of a packet's data and of the output are not looked at.
    #[must_use]
    pub fn new(office: Arc<Office>, limits: SessionLimits, pieces: Arc<PieceLimit>) -> Self {
        Self { office, limits, pieces }
    }
}

impl Service for TextLottery {
    fn name(&self) -> &'static str {
        "lottery-text"
    }

    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        Box::new(TextSession {
            limits: self.limits,
            decoder: Decoder::default(),
            claim: PieceClaim::new(Arc::clone(&self.pieces), mailbox.clone()),
            intake: Intake {
                asker: Asker::new(Arc::clone(&self.office), mailbox, peer),
                expected: Expected::Opening,
                brought: None,
                unsynced: VecDeque::new(),
            },
            last: None,
            frames: 0,
            ended: false,
            stopping: false,
            holds_bytes: false,
        })
    }

    /// The dialect has no word for it: deployed clients take an end without a line for "not ready".
    fn busy(&self) -> &[u8] {
        b""
    }
}

struct TextSession {
    limits: SessionLimits,
    decoder: Decoder,
    intake: Intake,
    /// How the connection ends, once that is known.
    last: Option<Last>,
    /// To a piece of the line.
    claim: PieceClaim,
    /// Frames taken so far. Names the waits.
    frames: u64,
    /// No more bytes will come: what is here is finished.
    ended: bool,
    /// The server stops: what had arrived is finished.
    stopping: bool,
    /// Bytes were kept that may hold whole frames: there was no place for what they ask.
    holds_bytes: bool,
}

impl Session for TextSession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        if out.is_empty() {
            self.claim.note_drained();
        }
        match input {
            Input::Bytes(bytes) => self.take(bytes),
            Input::Mail(Mail::News) | Input::Drained => self.take(&[]),
            Input::Eof => self.ended = true,
            // One that holds is told again behind what had arrived.
            Input::Mail(Mail::Shutdown) => self.stopping = !self.holds_bytes,
            Input::Deadline => {
                self.intake.asker.log_time_out(self.late());
                return Flow::Close;
            }
        }
        if self.last.is_some() {
            return self.end(out);
        }
        match self.holds_bytes {
            true => Flow::Hold,
            false if self.ended || self.stopping => Flow::Close,
            false => Flow::Continue,
        }
    }

    fn wait(&self) -> Option<Wait> {
        if self.last.is_some() || self.holds_bytes {
            return None;
        }
        let (part, time_max) = if self.decoder.is_partial() {
            (1, self.limits.packet_time_max)
        } else {
            (0, self.limits.idle_time_max)
        };
        Some(Wait { id: self.frames * 2 + part, time_max })
    }
}

impl TextSession {
    /// Appends what may leave of the line. The connection ends only once the last piece of it has
    /// left: until then that counts against the limit.
    fn end(&mut self, out: &mut Vec<u8>) -> Flow {
        let Some(last) = &mut self.last else { return Flow::Continue };
        let is_whole = last.pay(&self.intake.asker, &mut self.claim, out);
        if self.claim.is_held() {
            return Flow::Hold;
        }
        if is_whole {
            return Flow::Close;
        }
        match self.claim.is_queued() {
            // A line that is not begun gives up its turn.
            true if self.stopping && !last.is_begun() => Flow::Close,
            true => Flow::Hold,
            false => Flow::Continue,
        }
    }

    /// Takes frames, as long as there is place for what they ask.
    fn take(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        self.holds_bytes = false;
        while self.last.is_none() {
            if !self.intake.has_place(self.limits.unanswered_max) {
                self.decoder.keep(left);
                self.holds_bytes = self.decoder.is_partial();
                return;
            }
            let (taken, Some(text)) = self.decoder.next(left) else { return };
            self.frames += 1;
            self.last = self.intake.take(text);
            left = &left[taken..];
        }
    }

    fn late(&self) -> &'static str {
        if self.decoder.is_partial() { "unfinished frame" } else { "idle" }
    }
}

/// What the frames of a connection ask, and what of it is done.
struct Intake {
    asker: Asker,
    expected: Expected,
    /// Nothing before the first batch.
    brought: Option<Brought>,
    /// Where in the ledger its batches are that may not be on disk yet.
    unsynced: VecDeque<Position>,
}

/// What a connection has had stored.
#[derive(Clone, Copy)]
struct Brought {
    agency: u32,
    bets: u64,
}

impl Intake {
    /// Whether one more frame may be taken. If not, there will be news.
    fn has_place(&mut self, unsynced_max: usize) -> bool {
        let durable = self.asker.office().ledger().durable();
        while self.unsynced.front().is_some_and(|&position| position <= durable) {
            self.unsynced.pop_front();
        }
        self.unsynced.len() < unsynced_max && self.asker.is_admitted()
    }

    /// Does what a frame asks. Returns how the connection ends if it ends with that.
    fn take(&mut self, text: &[u8]) -> Option<Last> {
        match self.expected.read(text) {
            Ok(None) => None,
            Ok(Some(Request::Batch { text })) => self.put(text).err(),
            Ok(Some(Request::Finish)) => Some(self.finish()),
            Ok(Some(Request::Results { agency })) => Some(self.ask_winners(agency)),
            Err(malformed) => Some(self.refuse(&Refused::from(&malformed))),
        }
    }

    /// Has a batch stored, whole or not at all.
    fn put(&mut self, text: &[u8]) -> Result<(), Last> {
        let refuse = |this: &Self, refused: Refused| {
            log_refused_bets(BATCH_ACTION, bets_announced(text), &refused);
            this.error()
        };
        let body = body_of(text).map_err(|malformed| refuse(self, Refused::from(&malformed)))?;
        let agencies = self.asker.office().terms().agencies;
        let batch = Batch::validate(&body, agencies);
        let batch = batch.map_err(|malformed| refuse(self, Refused::from(&malformed)))?;
        let (agency, bets) = (batch.agency(), batch.bets());
        if bets == 0 {
            return Ok(());
        }
        self.asker.check_claim(agency).map_err(|refused| refuse(self, refused))?;
        let before = self.brought.unwrap_or(Brought { agency, bets: 0 });
        if before.agency != agency {
            return Err(refuse(self, other_agency()));
        }
        let put = Put {
            agency,
            by: By::Base,
            seq: None,
            body: &body,
            batch: &Ok::<_, Malformed>(batch),
            log_line: format_args!("{BATCH_ACTION} | result: success | cantidad: {bets}"),
        };
        let answer = self.asker.store(BATCH_ACTION, &put);
        if answer.result.is_err() {
            return Err(Last { rests_on: answer.rests_on, what: What::Error });
        }
        self.unsynced.push_back(answer.rests_on);
        self.brought = Some(Brought { agency, bets: before.bets + u64::from(bets) });
        Ok(())
    }

    fn finish(&mut self) -> Last {
        let Some(Brought { agency, bets }) = self.brought else {
            return Last::at_once(What::Stored { bets: 0, ack: Ack::Now });
        };
        let answer = self.asker.mark(agency, By::Base, None);
        let what = answer.result.map_or(What::Error, |ack| What::Stored { bets, ack });
        Last { rests_on: answer.rests_on, what }
    }

    fn ask_winners(&mut self, agency: u32) -> Last {
        let office = self.asker.office();
        let checked = office.terms().check_agency(agency);
        if let Err(refused) = checked.and_then(|()| self.asker.check_claim(agency)) {
            return self.refuse(&refused);
        }
        let Some(winners) = office.winners() else { return Last::at_once(What::Nothing) };
        match winners.of(agency).and_then(|winners| winners.documents.clone()) {
            Some(documents) if documents.is_empty() => Last::at_once(What::NoWinners),
            Some(documents) => Last::at_once(What::List(UnsentList::new(documents))),
            None => {
                self.asker.await_draw();
                Last::at_once(What::TooMany(agency))
            }
        }
    }

    fn refuse(&self, refused: &Refused) -> Last {
        self.asker.log_refused(refused);
        self.error()
    }

    /// An error that the office was not asked about stands behind the batches before it.
    fn error(&self) -> Last {
        let rests_on = self.unsynced.back().copied().unwrap_or_default();
        Last { rests_on, what: What::Error }
    }
}

/// The end of a connection.
struct Last {
    /// It comes once the ledger is durable up to here.
    rests_on: Position,
    what: What,
}

/// The line that the end of a connection comes with.
enum What {
    /// None: the draw is not done.
    Nothing,
    /// So many bets are stored, and their agency is marked.
    Stored {
        bets: u64,
        ack: Ack,
    },
    /// The documents of the winners.
    List(UnsentList),
    NoWinners,
    /// An error that waits for the published file with this agency's winners; the log names it.
    TooMany(u32),
    Error,
}

impl Last {
    fn at_once(what: What) -> Self {
        Self { rests_on: Position::default(), what }
    }

    /// Whether a part of its line is in the output, or has left.
    fn is_begun(&self) -> bool {
        matches!(&self.what, What::List(list) if list.is_begun())
    }

    /// Appends as much of the line as may leave now; says whether the end may come behind it. Where
    /// it may not, `claim` says whether the line needs a piece.
    fn pay(&mut self, asker: &Asker, claim: &mut PieceClaim, out: &mut Vec<u8>) -> bool {
        let office = asker.office();
        if self.rests_on > office.ledger().durable() {
            return false;
        }
        match &mut self.what {
            What::Nothing => {}
            What::Stored { ack: Ack::AfterDraw, .. } if office.winners().is_none() => return false,
            What::Stored { bets, .. } => Reply::Stored(*bets).encode(out),
            What::NoWinners => Reply::Winners { documents: b"", rest: 0 }.encode(out),
            What::List(list) => {
                if let Some(Piece { documents, rest, .. }) = list.next(claim, out.len()) {
                    Reply::Winners { documents, rest }.encode(out);
                }
                return list.is_whole();
            }
            What::TooMany(_) if !office.may_name_files() => return false,
            What::TooMany(agency) => {
                asker.log_refused(&too_many_winners(*agency));
                Reply::Error.encode(out);
            }
            What::Error => Reply::Error.encode(out),
        }
        true
    }
}
