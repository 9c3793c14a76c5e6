//! One connection of an agency: base opcodes and numbered sessions. Knows no socket and no clock.
//!
//! ```text
//! bytes -> packets -> requests -> Office -> owed answers, in order -> replies -> bytes
//! ```
//! An answer is owed from the moment its request is taken, and leaves when all before it have left
//! and what it rests on is on disk. So answers leave in the order of the requests, and a session
//! that is owed too many takes no more requests. A long list of winners leaves piece by piece: while
//! the session waits for a piece, or for one to be sent, it holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bolillero_protocol::message::{Reply, is_request, opcode};
use bolillero_protocol::tlv::{Decoder, Rules};

use super::Office;
use super::ask::Asker;
use super::live::Standing;
use super::owed::Owed;
use super::pieces::{PieceClaim, PieceLimit};
use crate::ledger::Position;
use crate::session::{Flow, Input, Mail, Mailbox, Peer, Service, Session, Wait};

/// The limits of the lottery's connections.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// The longest data of a request, in bytes.
    pub packet_length_max: u32,
    /// From a packet's first byte to its last.
    pub packet_time_max: Duration,
    /// Without a packet, while nothing is owed.
    pub idle_time_max: Duration,
    /// Requests taken and not answered; one more waits unread.
    pub unanswered_max: usize,
    /// Bytes of answers that the socket has not taken; further answers wait.
    pub output_bytes_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            packet_length_max: bolillero_protocol::tlv::REQUEST_LENGTH_MAX_DEFAULT,
            packet_time_max: Duration::from_secs(60),
            idle_time_max: Duration::from_secs(600),
            unanswered_max: 64,
            output_bytes_max: 1 << 20,
        }
    }
}

/// Opens the sessions of the lottery's listener.
pub struct Lottery {
    office: Arc<Office>,
    limits: SessionLimits,
    pieces: Arc<PieceLimit>,
    busy: Vec<u8>,
}

impl Lottery {
    /// Sessions that ask `office`, and send its winners within `pieces`.
    #[must_use]
    pub fn new(office: Arc<Office>, limits: SessionLimits, pieces: Arc<PieceLimit>) -> Self {
        let mut busy = Vec::new();
        Reply::Busy.encode(&mut busy);
        Self { office, limits, pieces, busy }
    }
}

impl Service for Lottery {
    fn name(&self) -> &'static str {
        "lottery"
    }

    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        let rules = Rules {
            accepts: is_request,
            length_max: self.limits.packet_length_max,
            streamed: None,
        };
        Box::new(LotterySession {
            limits: self.limits,
            decoder: Decoder::new(rules),
            claim: PieceClaim::new(Arc::clone(&self.pieces), mailbox.clone()),
            asker: Asker::new(Arc::clone(&self.office), mailbox, peer),
            owed: VecDeque::new(),
            requests: 0,
            reading: Reading::Open,
            stopping: false,
            has_all: false,
            held: false,
            holds_bytes: false,
        })
    }

    fn busy(&self) -> &[u8] {
        &self.busy
    }
}

/// What becomes of the peer's bytes. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    /// Packets are taken as they come.
    Open,
    /// No more will come: what is here is finished.
    Ended,
    /// Nothing is taken any more; what is owed leaves.
    Closed,
    /// The same, and a newer session works the lane.
    Fenced,
}

struct LotterySession {
    limits: SessionLimits,
    decoder: Decoder,
    asker: Asker,
    owed: VecDeque<Owed>,
    /// To a piece of the winners that it is owed.
    claim: PieceClaim,
    /// Requests taken so far. Names the waits.
    requests: u64,
    reading: Reading,
    /// The server stops: what had arrived is finished, and the peer is told.
    stopping: bool,
    /// Of that, nothing is still to be handed in. One that held when it was told is told again
    /// behind it.
    has_all: bool,
    /// It holds: no bytes come.
    held: bool,
    /// Bytes were kept that may hold whole packets: there was no place for their answers.
    holds_bytes: bool,
}

impl Session for LotterySession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        if out.is_empty() {
            self.claim.note_drained();
        }
        match self.asker.standing() {
            Standing::Working => {}
            Standing::Fenced(position) => self.end_fenced(position),
            Standing::Dismissed => {
                self.asker.log_fenced();
                return Flow::Close;
            }
        }
        match input {
            Input::Bytes(bytes) => self.take(bytes),
            Input::Mail(Mail::News) | Input::Drained => self.take(&[]),
            Input::Mail(Mail::Shutdown) => {
                self.stopping = true;
                self.has_all = !self.held;
            }
            Input::Eof => self.reading = self.reading.max(Reading::Ended),
            // The news that a newer session works its lane is due: it must not leave without that.
            Input::Deadline if self.reading == Reading::Fenced => {}
            Input::Deadline => return self.time_out(out),
        }
        // Answers that leave make place for requests that were held.
        while self.pay(out) && self.holds_bytes {
            self.take(&[]);
        }
        self.flow(out)
    }

    fn wait(&self) -> Option<Wait> {
        if !self.owed.is_empty() || self.holds_bytes || self.claim.is_held() {
            return None;
        }
        let (part, time_max) = if self.decoder.is_partial() {
            (1, self.limits.packet_time_max)
        } else {
            (0, self.limits.idle_time_max)
        };
        Some(Wait { id: self.requests * 2 + part, time_max })
    }
}

impl LotterySession {
    /// Takes requests, as long as there is place for their answers.
    fn take(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        self.holds_bytes = false;
        while self.reading < Reading::Closed {
            if self.owed.len() >= self.limits.unanswered_max || !self.asker.is_admitted() {
                self.decoder.keep(left);
                self.holds_bytes = self.decoder.is_partial();
                return;
            }
            match self.decoder.next(left) {
                Ok((_, None)) => return,
                Ok((taken, Some(packet))) => {
                    self.requests += 1;
                    if packet.opcode == opcode::CLOSE {
                        self.reading = Reading::Closed;
                        return;
                    }
                    let owed = self.asker.ask(packet);
                    if owed.is_last() {
                        self.reading = Reading::Closed;
                    }
                    self.owed.push_back(owed);
                    left = &left[taken..];
                }
                Err(corrupt) => {
                    self.reading = Reading::Closed;
                    self.owed.push_back(self.asker.corrupt(&corrupt));
                }
            }
        }
    }

    /// A newer session works the lane: nothing more is taken. What is pending leaves, up to the first
    /// answer that would wait for the draw; the end is FENCED, once that session's HELLO, at
    /// `position`, is durable.
    fn end_fenced(&mut self, position: Position) {
        if self.reading == Reading::Fenced {
            return;
        }
        self.asker.log_fenced();
        self.reading = Reading::Fenced;
        self.holds_bytes = false;
        if let Some(waits) = self.owed.iter().position(Owed::follows_draw) {
            self.owed.truncate(waits);
        }
        if !self.owed.front().is_some_and(Owed::is_begun) {
            self.claim.leave_queue();
        }
        if !self.owed.back().is_some_and(Owed::is_last) {
            self.owed.push_back(Owed::fenced(position));
        }
    }

    /// Appends the answers that may leave now; says whether any did.
    fn pay(&mut self, out: &mut Vec<u8>) -> bool {
        let before = self.owed.len();
        // The few answers of a fenced session are short: it does not stay for a peer that does not read.
        let is_fenced = self.reading == Reading::Fenced;
        while (is_fenced || out.len() < self.limits.output_bytes_max)
            && let Some(owed) = self.owed.front_mut()
            && owed.pay(self.asker.office(), &mut self.claim, out)
        {
            self.owed.pop_front();
        }
        self.owed.len() < before
    }

    fn flow(&mut self, out: &mut Vec<u8>) -> Flow {
        // It ends only once the last piece has left: until then that counts against the limit.
        let done = self.owed.is_empty() && !self.holds_bytes && !self.claim.is_held();
        if self.stopping && (done && self.has_all || self.awaits_open_draw() || self.awaits_turn())
        {
            if self.reading < Reading::Closed {
                Reply::Close.encode(out);
            }
            return Flow::Close;
        }
        if self.reading > Reading::Open && done {
            return Flow::Close;
        }
        self.held = self.holds_bytes
            || self.claim.is_held()
            || self.claim.is_queued()
            || out.len() >= self.limits.output_bytes_max;
        if self.held { Flow::Hold } else { Flow::Continue }
    }

    /// Whether all that is owed stands behind the news of a draw that is not even due.
    fn awaits_open_draw(&self) -> bool {
        self.owed.front().is_some_and(|owed| owed.awaits_open_draw(self.asker.office()))
    }

    /// Whether all that is owed stands behind a list of winners whose turn has not come.
    fn awaits_turn(&self) -> bool {
        self.claim.is_queued() && self.owed.front().is_some_and(|owed| !owed.is_begun())
    }

    fn time_out(&mut self, out: &mut Vec<u8>) -> Flow {
        let reason = if self.decoder.is_partial() { "unfinished packet" } else { "idle" };
        self.asker.log_time_out(reason);
        Reply::Close.encode(out);
        Flow::Close
    }
}
