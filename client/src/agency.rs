//! An agency's session (opcodes 5, 6, 9 to 12 and 17) as a state machine: every batch of the file is
//! stored exactly once, whatever dies in between. Knows no socket, no clock and no file.
//!
//! ```text
//!          open            WELCOME            all stored        ACK            last piece
//!  Away ---------> Hello ----------> Sending ------------> Ready ----> Asking ---------> Done
//!   ^                                |   ^ |                 |           |
//!   |                        STORAGE |   | | resume          |           |
//!   +--------- lost ---------+-------+---+-+-----------------+-----------+
//! ```
//! A client that is started again and one that reconnects take the same way: WELCOME says what the
//! office has, and the file is cut, or what was cut and has no receipt yet is taken, up to there,
//! and compared. Where they differ the office is told by an ALARM, and the work ends, whatever it
//! says to that.

use std::collections::VecDeque;
use std::time::Duration;

use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::log_line;
use bolillero_protocol::message::{
    ChainAlarm, Code, DrawId, Hello, Ready, Receipt, Refusal, Reply, Request, SESSION_VERSION,
    Totals, Welcome,
};

use crate::batches::Batch;
use crate::dialogue::{Dialogue, Mismatch, Next, Progress, Stop};
use crate::source::SourceError;
use crate::winners::WinnerList;

/// How long an office has to answer an ALARM, and all that was sent before it. The work ends anyway.
const ALARM_TIME_MAX: Duration = Duration::from_secs(2);

/// What a session is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The agency's number.
    pub agency: u32,
    /// Batches on their way at once.
    pub window: usize,
    /// The draw expected, if one is.
    pub draw: Option<DrawId>,
}

/// An agency's work with a file, over as many connections as it takes.
#[derive(Debug)]
pub struct Session<F> {
    terms: Terms,
    file: F,
    file_ended: bool,
    /// The row that ended the file, if it was one that is no bet. The work ends when this is taken.
    file_error: Option<SourceError>,
    /// The line of the bad row that decided where the last stored batch ends.
    cut_short_by: Option<u64>,
    /// Batches that were cut and have no receipt yet, at most a window of them.
    waiting: VecDeque<Cut>,
    /// What the office has, and this client has compared.
    stored: Mark,
    /// The office counts the agency as finished.
    finished: bool,
    sent_logged: bool,
    winners: WinnerList,
    phase: Phase,
    /// The office has said WELCOME once: it has sessions.
    welcomed: bool,
    answers: u64,
    /// What file and record differ in, once the office was sent an ALARM about it.
    alarmed: Option<Alarmed>,
}

#[derive(Debug, Clone, Copy)]
struct Alarmed {
    mismatch: Mismatch,
    /// How many answers are due before that to the ALARM.
    answers_before: usize,
}

/// Where in the file, and in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    seq: u64,
    bets: u64,
    head: Head,
    file_bytes: u64,
}

#[derive(Debug)]
struct Cut {
    body: Vec<u8>,
    after: Mark,
    /// Why it must not be sent. It is compared with what is stored all the same.
    problem: Option<SourceError>,
    cut_short_by: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// No connection.
    Away,
    /// HELLO is sent.
    Hello,
    /// The first `in_flight` of the waiting batches are sent. After a STORAGE `refused` is the seq
    /// whose answer is due next, and nothing is sent until all in flight are answered: an answer
    /// that is not due can then not come.
    Sending { in_flight: usize, refused: Option<u64> },
    /// Opcode 5 is sent.
    Ready,
    /// Opcode 6 is sent.
    Asking { begun: bool },
    /// The winners are known.
    Done,
}

impl<F: Iterator<Item = Result<Batch, SourceError>>> Session<F> {
    /// The work of an agency with the batches of `file`.
    pub fn new(terms: Terms, file: F) -> Self {
        Self {
            terms,
            file,
            file_ended: false,
            file_error: None,
            cut_short_by: None,
            waiting: VecDeque::new(),
            stored: Mark { seq: 0, bets: 0, head: Head::EMPTY, file_bytes: 0 },
            finished: false,
            sent_logged: false,
            winners: WinnerList::default(),
            phase: Phase::Away,
            welcomed: false,
            answers: 0,
            alarmed: None,
        }
    }

    /// The winners, once the work is done.
    pub fn into_winners(self) -> WinnerList {
        self.winners
    }

    fn welcome(&mut self, welcome: &Welcome, out: &mut Vec<u8>) -> Result<Next, Stop> {
        self.welcomed = true;
        self.check_draw(welcome.draw)?;
        self.catch_up(welcome)?;
        log::info!(
            "action: connect | result: success | epoch: {} | next_seq: {} | stored: {} | draw: {}",
            welcome.epoch,
            welcome.next_seq,
            welcome.bets,
            welcome.draw
        );
        self.finished = welcome.finished;
        if self.finished && (!self.waiting.is_empty() || self.cut()) {
            return Err(Mismatch::FileHasMore { stored: self.stored.seq }.into());
        }
        self.send(0, out)?;
        Ok(Next::Read)
    }

    fn check_draw(&mut self, held: DrawId) -> Result<(), Stop> {
        let expected = *self.terms.draw.get_or_insert(held);
        if held == expected {
            return Ok(());
        }
        Err(Stop::OtherDraw { held: held.to_string(), expected: expected.to_string() })
    }

    /// Takes the file to where the office's record ends, and compares.
    fn catch_up(&mut self, welcome: &Welcome) -> Result<(), Stop> {
        let zero = || Stop::Unreadable("a welcome whose next seq is 0".to_owned());
        let seq = welcome.next_seq.checked_sub(1).ok_or_else(zero)?;
        if seq < self.stored.seq {
            return Err(Mismatch::RecordLost { stored: seq, acknowledged: self.stored.seq }.into());
        }
        while self.stored.seq < seq {
            if self.waiting.is_empty() && !self.cut() {
                // The office has more batches: that the last of these ends there was not compared.
                self.cut_short_by = None;
                self.check_file()?;
                return Err(Mismatch::FileEnds { seq: self.stored.seq, stored: seq }.into());
            }
            self.take_first();
        }
        self.compare(welcome.bets, welcome.head)
    }

    /// Sends the office what this client counts.
    fn raise_alarm(&mut self, mismatch: Mismatch, out: &mut Vec<u8>) {
        let Mark { seq, bets, head, .. } = self.stored;
        Request::Alarm(ChainAlarm { seq, bets, head }).encode(out);
        let answers_before = match self.phase {
            // One of them is the receipt that differs.
            Phase::Sending { in_flight, .. } => in_flight.saturating_sub(1),
            _ => 0,
        };
        self.alarmed = Some(Alarmed { mismatch, answers_before });
    }

    /// Waits for the answer to the ALARM; an office without ALARM answers -1.
    fn answer_alarm(&mut self, alarmed: Alarmed, reply: &Reply<'_>) -> Result<Next, Stop> {
        let is_batch = match reply {
            Reply::Receipt(_) => true,
            Reply::Error(text) => {
                Refusal::parse(text).is_ok_and(|refusal| refusal.code != Some(Code::Fenced))
            }
            _ => false,
        };
        if is_batch && alarmed.answers_before > 0 {
            let answers_before = alarmed.answers_before - 1;
            self.alarmed = Some(Alarmed { answers_before, ..alarmed });
            return Ok(Next::Read);
        }
        if *reply == Reply::Ack {
            log::info!("action: alarm | result: success");
        } else {
            log::warn!("action: alarm | result: fail | error: the office did not record it");
        }
        Err(alarmed.mismatch.into())
    }

    fn take(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<Next, Stop> {
        match (self.phase, reply) {
            (_, Reply::Close) => Ok(Next::Reconnect("the office closes")),
            (_, Reply::Busy) => Ok(Next::Reconnect("the office is busy")),
            (Phase::Hello, Reply::Corrupt) => {
                Err(Stop::NoSessions { answer: "corrupt (-1)".to_owned() })
            }
            (_, Reply::Corrupt) => Err(Stop::Corrupt { request: self.request() }),
            (_, Reply::Error(text)) => self.refused(text),
            (Phase::Hello, Reply::Welcome(welcome)) => self.welcome(&welcome, out),
            (_, Reply::Receipt(receipt)) => self.receipt(&receipt, out),
            (Phase::Ready, Reply::Ack) => {
                self.finished = true;
                self.ask(out);
                Ok(Next::Read)
            }
            (_, Reply::Winners { data, rest }) => self.winners(data, rest),
            (_, reply) => Err(Stop::unexpected(self.request(), &reply)),
        }
    }

    fn receipt(&mut self, receipt: &Receipt, out: &mut Vec<u8>) -> Result<Next, Stop> {
        match self.phase {
            Phase::Sending { in_flight, refused: None }
                if in_flight > 0 && receipt.seq == self.stored.seq + 1 =>
            {
                self.take_first();
                self.compare(receipt.bets, receipt.head)?;
                self.send(in_flight - 1, out)?;
                Ok(Next::Read)
            }
            _ => Err(Stop::unexpected(self.request(), &Reply::Receipt(*receipt))),
        }
    }

    /// Notes that the office has the first of the batches that wait.
    fn take_first(&mut self) {
        let cut = self.waiting.pop_front().expect("a batch that is stored was cut before");
        self.stored = cut.after;
        self.cut_short_by = cut.cut_short_by;
    }

    fn compare(&self, office_bets: u64, office_head: Head) -> Result<(), Stop> {
        let Mark { seq, bets: file_bets, head: file_head, .. } = self.stored;
        if (file_bets, file_head) == (office_bets, office_head) {
            return Ok(());
        }
        Err(Mismatch::Record { seq, file_bets, file_head, office_bets, office_head }.into())
    }

    /// Fills the window, of which `in_flight` are sent. Once everything is stored, says so.
    fn send(&mut self, mut in_flight: usize, out: &mut Vec<u8>) -> Result<(), Stop> {
        while in_flight < self.terms.window && (in_flight < self.waiting.len() || self.cut()) {
            let Cut { body, after, problem, .. } = &self.waiting[in_flight];
            if problem.is_some() {
                break;
            }
            Request::NumberedBatch { seq: after.seq, body }.encode(out);
            in_flight += 1;
        }
        self.phase = Phase::Sending { in_flight, refused: None };
        if in_flight == 0 {
            self.file_is_stored(out)?;
        }
        Ok(())
    }

    /// Cuts the next batch; says whether there is one.
    fn cut(&mut self) -> bool {
        if self.file_ended {
            return false;
        }
        match self.file.next() {
            Some(Ok(batch)) => {
                let before = self.waiting.back().map_or(self.stored, |cut| cut.after);
                let after = before.then(&batch);
                let Batch { body, problem, cut_short_by, .. } = batch;
                self.waiting.push_back(Cut { body, after, problem, cut_short_by });
                return true;
            }
            Some(Err(error)) => self.file_error = Some(error),
            None => {}
        }
        self.file_ended = true;
        false
    }

    /// Nothing of a file that is broken may be marked as ready.
    fn check_file(&mut self) -> Result<(), Stop> {
        let held_back = self.waiting.front_mut().and_then(|cut| cut.problem.take());
        let Some(error) = held_back.or_else(|| self.file_error.take()) else { return Ok(()) };
        let (line, bets) = (error.line(), self.stored.bets);
        Err(match line {
            None => error.into(),
            Some(line) if self.cut_short_by == Some(line) => Stop::RowAfterCut { error, line },
            Some(_) => Stop::Row { error, bets },
        })
    }

    fn file_is_stored(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.check_file()?;
        if !self.sent_logged {
            let bets = self.stored.bets;
            log::info!("action: apuestas_enviadas | result: success | cantidad: {bets}");
            self.sent_logged = true;
        }
        if self.finished {
            self.ask(out);
        } else {
            self.mark_ready(out);
        }
        Ok(())
    }

    fn mark_ready(&mut self, out: &mut Vec<u8>) {
        let totals = Totals { last_seq: self.stored.seq, bets: self.stored.bets };
        Request::Ready(Ready { agency: self.terms.agency, totals: Some(totals) }).encode(out);
        self.phase = Phase::Ready;
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        Request::AskWinners { agency: self.terms.agency }.encode(out);
        self.winners = WinnerList::default();
        self.phase = Phase::Asking { begun: false };
    }

    fn refused(&mut self, text: &str) -> Result<Next, Stop> {
        let Ok(refusal) = Refusal::parse(text) else {
            let text = log_line::value(text);
            if matches!(self.phase, Phase::Hello) {
                return Err(Stop::NoSessions { answer: format!("an error (4): {text}") });
            }
            return Err(Stop::Refused { request: self.request(), text });
        };
        match (refusal.code, self.phase) {
            (Some(Code::Fenced), _) => {
                Err(Stop::Fenced { agency: self.terms.agency, text: log_line::value(refusal.text) })
            }
            (Some(Code::Storage), Phase::Hello) => Ok(Next::Reconnect(NO_ROOM)),
            (Some(Code::Storage), Phase::Ready) => Ok(Next::Pause(NO_ROOM)),
            (Some(Code::Storage), Phase::Sending { in_flight, refused })
            | (Some(Code::Gap), Phase::Sending { in_flight, refused: refused @ Some(_) })
                if in_flight > 0 && refusal.seq.is_none_or(|seq| seq == self.due(refused)) =>
            {
                let refused = Some(self.due(refused) + 1);
                self.phase = Phase::Sending { in_flight: in_flight - 1, refused };
                Ok(if in_flight > 1 { Next::Read } else { Next::Pause(NO_ROOM) })
            }
            (code, _) => {
                let code = code.map_or_else(String::new, |code| format!(" ({})", code.name()));
                let text = log_line::value(&format!("{}{code}", refusal.text));
                Err(Stop::Refused { request: self.request(), text })
            }
        }
    }

    /// The seq whose answer is due.
    fn due(&self, refused: Option<u64>) -> u64 {
        refused.unwrap_or(self.stored.seq + 1)
    }

    /// What the answer that is due answers, for a person.
    fn request(&self) -> String {
        match self.phase {
            Phase::Away => "nothing".to_owned(),
            Phase::Hello => "the session's hello".to_owned(),
            Phase::Sending { in_flight: 0, .. } => "nothing".to_owned(),
            Phase::Sending { refused, .. } => format!("batch {}", self.due(refused)),
            Phase::Ready => "being ready for the draw".to_owned(),
            Phase::Asking { .. } | Phase::Done => "the question for winners".to_owned(),
        }
    }

    fn winners(&mut self, data: &[u8], rest: u32) -> Result<Next, Stop> {
        let Phase::Asking { .. } = self.phase else {
            return Err(Stop::unexpected(self.request(), &Reply::Winners { data, rest }));
        };
        self.winners.add(data);
        self.phase = Phase::Asking { begun: true };
        if rest > 0 {
            return Ok(Next::Read);
        }
        let winners = self.winners.count()?;
        log::info!("action: consulta_ganadores | result: success | cant_ganadores: {winners}");
        self.phase = Phase::Done;
        Ok(Next::Done)
    }
}

/// Connections in a row that an office with sessions may close behind the hello without a byte.
const SHUNNED_MAX: u32 = 6;
/// Why a refused batch is sent again later.
const NO_ROOM: &str = "the office has no room on its disk at present";

impl<F: Iterator<Item = Result<Batch, SourceError>>> Dialogue for Session<F> {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        // From the first WELCOME on the draw is known: another office opens no epoch for it.
        let Terms { agency, draw, .. } = self.terms;
        Request::Hello(Hello { version: SESSION_VERSION, agency, draw }).encode(out);
        self.phase = Phase::Hello;
        Ok(())
    }

    fn answer(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<Next, Stop> {
        if let Some(alarmed) = self.alarmed {
            return self.answer_alarm(alarmed, &reply);
        }
        self.answers += 1;
        match self.take(reply, out) {
            Err(Stop::Mismatch(mismatch)) => {
                self.raise_alarm(mismatch, out);
                Ok(Next::Read)
            }
            taken => taken,
        }
    }

    fn resume(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        match self.phase {
            _ if self.alarmed.is_some() => Ok(()),
            Phase::Sending { in_flight: 0, .. } => self.send(0, out),
            Phase::Ready => {
                self.mark_ready(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn lost(&mut self, _reason: &str) -> Result<(), Stop> {
        self.phase = Phase::Away;
        self.alarmed.map_or(Ok(()), |alarmed| Err(alarmed.mismatch.into()))
    }

    /// An office that restarts closes a connection or two, and refuses the next.
    fn shunned(&mut self, connections: u32) -> Result<(), Stop> {
        if self.welcomed || connections < SHUNNED_MAX {
            return Ok(());
        }
        let answer = format!("the end of the connection, {connections} times in a row");
        Err(Stop::NoSessions { answer })
    }

    fn is_established(&self) -> bool {
        !matches!(self.phase, Phase::Away | Phase::Hello)
    }

    fn owed(&self) -> Option<u64> {
        match self.phase {
            // One wait, whatever was sent before it and is answered meanwhile.
            _ if self.alarmed.is_some() => Some(u64::MAX),
            Phase::Away | Phase::Done | Phase::Sending { in_flight: 0, .. } => None,
            // The draw may be days away: that a peer vanished, the keepalive will tell.
            Phase::Asking { begun: false } => None,
            _ => Some(self.answers),
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.alarmed.map(|_| ALARM_TIME_MAX)
    }

    fn progress(&self) -> Progress {
        let granted = self.stored.seq + u64::from(self.finished);
        let waits_for_draw = matches!(self.phase, Phase::Asking { begun: false });
        Progress { granted, bytes: self.stored.file_bytes, waits_for_draw }
    }
}

impl Mark {
    fn then(self, batch: &Batch) -> Self {
        Self {
            seq: self.seq + 1,
            bets: self.bets + u64::from(batch.bets),
            head: self.head.then(BodyHash::of(&batch.body)),
            file_bytes: batch.file_bytes,
        }
    }
}
