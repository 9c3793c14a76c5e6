//! The agency's side in opcodes 1 to 8, for offices without sessions: batches one by one, each
//! acknowledged before the next. It cannot tell a retry from a second bet, so a lost answer ends
//! it. Knows no socket, no clock and no file.
//!
//! A connection brings the batches and the mark, then each question for the winners has one of its
//! own: a server may serve as many connections at a time as it has workers, and a connection that
//! stays open between two questions would keep one from an agency whose bets are missing.

use bolillero_protocol::log_line;
use bolillero_protocol::message::{Ready, Reply, Request};

use crate::batches::Batch;
use crate::dialogue::{Dialogue, Next, Progress, Stop};
use crate::source::SourceError;
use crate::winners::WinnerList;

/// An agency's work with a file, over as many connections as it takes.
#[derive(Debug)]
pub struct Base<F> {
    agency: u32,
    file: F,
    file_name: String,
    batches: u64,
    bets: u64,
    file_bytes: u64,
    winners: WinnerList,
    step: Step,
    /// The step's request was sent on this connection and is not answered.
    owes: bool,
    /// The office has answered on this connection.
    established: bool,
    answers: u64,
}

/// What is to be granted next, whatever connection it takes.
#[derive(Debug)]
enum Step {
    /// The next batch is not cut yet.
    Cut,
    /// This batch.
    Batch(Batch),
    /// The mark, opcode 5: may be sent twice.
    Ready,
    /// The winners, opcode 6: may be asked twice.
    Ask,
    /// The winners are known.
    Done,
}

impl<F: Iterator<Item = Result<Batch, SourceError>>> Base<F> {
    /// The work of `agency` with the batches of `file`, which is called `file_name` in errors.
    pub fn new(agency: u32, file_name: &str, file: F) -> Self {
        Self {
            agency,
            file,
            file_name: file_name.to_owned(),
            batches: 0,
            bets: 0,
            file_bytes: 0,
            winners: WinnerList::default(),
            step: Step::Cut,
            owes: false,
            established: false,
            answers: 0,
        }
    }

    /// The winners, once the work is done.
    pub fn into_winners(self) -> WinnerList {
        self.winners
    }

    /// Sends the request of the step.
    fn send(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let agency = self.agency;
        if matches!(self.step, Step::Cut) {
            self.step = self.cut()?;
        }
        match &self.step {
            Step::Batch(batch) => Request::Batch { body: &batch.body }.encode(out),
            Step::Ready => Request::Ready(Ready { agency, totals: None }).encode(out),
            Step::Ask => Request::AskWinners { agency }.encode(out),
            Step::Cut | Step::Done => {}
        }
        self.owes = true;
        Ok(())
    }

    fn cut(&mut self) -> Result<Step, Stop> {
        if let Some(batch) = self.file.next() {
            return Ok(Step::Batch(batch?.checked()?));
        }
        let bets = self.bets;
        log::info!("action: apuestas_enviadas | result: success | cantidad: {bets}");
        Ok(Step::Ready)
    }

    /// The batch is stored: on to the next, or to the mark.
    fn stored(&mut self, out: &mut Vec<u8>) -> Result<Next, Stop> {
        if let Step::Batch(batch) = &self.step {
            self.batches += 1;
            self.bets += u64::from(batch.bets);
            self.file_bytes = batch.file_bytes;
        }
        self.established = true;
        self.step = Step::Cut;
        self.send(out)?;
        Ok(Next::Read)
    }

    /// The agency is ready, or the winners are not known yet: closes, to ask on another connection.
    fn ask_on_another(&mut self, reason: Option<&'static str>, out: &mut Vec<u8>) -> Next {
        self.step = Step::Ask;
        self.owes = false;
        self.established = true;
        Request::Close.encode(out);
        Next::Another(reason)
    }

    fn add_winners(&mut self, data: &[u8], rest: u32, out: &mut Vec<u8>) -> Result<Next, Stop> {
        self.winners.add(data);
        if rest > 0 {
            return Ok(Next::Read);
        }
        let winners = self.winners.count()?;
        log::info!("action: consulta_ganadores | result: success | cant_ganadores: {winners}");
        self.step = Step::Done;
        self.owes = false;
        Request::Close.encode(out);
        Ok(Next::Done)
    }

    /// What the answer that is due answers, for a person.
    fn request(&self) -> String {
        match &self.step {
            Step::Batch(batch) => {
                let (number, file) = (self.batches + 1, &self.file_name);
                format!(
                    "batch {number} ({file} lines {} to {})",
                    batch.lines.start(),
                    batch.lines.end()
                )
            }
            Step::Cut => "nothing".to_owned(),
            Step::Ready => "being ready for the draw".to_owned(),
            Step::Ask | Step::Done => "the question for winners".to_owned(),
        }
    }
}

impl<F: Iterator<Item = Result<Batch, SourceError>>> Dialogue for Base<F> {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.established = false;
        self.winners = WinnerList::default();
        self.send(out)
    }

    fn answer(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<Next, Stop> {
        self.answers += 1;
        match (&self.step, reply) {
            (_, Reply::Close) => Ok(Next::Reconnect("the office closes")),
            (Step::Batch(_), Reply::Ack) => self.stored(out),
            (Step::Ready, Reply::Ack) => Ok(self.ask_on_another(None, out)),
            // Also from an office that has no room for the connection: it means the same.
            (Step::Ask, Reply::Busy) => {
                Ok(self.ask_on_another(Some("the draw is not done yet"), out))
            }
            (Step::Ask, Reply::Winners { data, rest }) => self.add_winners(data, rest, out),
            (_, Reply::Busy) => {
                // It was not taken, so it can be sent again.
                self.owes = false;
                Ok(Next::Reconnect("the office is busy"))
            }
            (_, Reply::Error(text)) => {
                Err(Stop::Refused { request: self.request(), text: log_line::value(text) })
            }
            (_, Reply::Corrupt) => Err(Stop::Corrupt { request: self.request() }),
            (_, reply) => Err(Stop::unexpected(self.request(), &reply)),
        }
    }

    fn resume(&mut self, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }

    fn lost(&mut self, reason: &str) -> Result<(), Stop> {
        self.established = false;
        let owed = std::mem::take(&mut self.owes);
        match &self.step {
            Step::Batch(batch) if owed => Err(Stop::Uncertain {
                number: self.batches + 1,
                file: self.file_name.clone(),
                first: *batch.lines.start(),
                last: *batch.lines.end(),
                reason: reason.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn owed(&self) -> Option<u64> {
        self.owes.then_some(self.answers)
    }

    fn progress(&self) -> Progress {
        let marked = matches!(self.step, Step::Ask | Step::Done);
        Progress {
            granted: self.batches + u64::from(marked),
            bytes: self.file_bytes,
            waits_for_draw: matches!(self.step, Step::Ask),
        }
    }
}
