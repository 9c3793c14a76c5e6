//! The text dialect: a file of bets over one connection, and the question for its winners over
//! others. Knows no socket and no clock.
//!
//! ```text
//! bring    BET, every batch, FINISH     the office says how many bets, and ends the connection
//! ask      RESULTS, id                  it says who won, or ends without a line: not yet
//! ```
//! No batch is answered by itself, and none has a number. So a connection that ends before its count
//! leaves open what is stored, and the bets are not sent again. The file is cut as for sessions, and
//! the office keeps each batch as it would keep theirs: a session can go on behind what is stored.

use bolillero_protocol::list::SEPARATOR;
use bolillero_protocol::text::{self, BET, FINISH, RESULTS, Told};

use crate::batches::Batch;
use crate::dialogue::{Mismatch, Progress, Stop};
use crate::source::SourceError;
use crate::winners::WinnerList;

/// An agency's work in the text dialect.
#[derive(Debug)]
pub struct Text<F> {
    agency: u32,
    file: F,
    file_name: String,
    /// Bets that were said.
    bets: u64,
    progress: Progress,
    winners: WinnerList,
    step: Step,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To bring the bets. There is one such connection.
    Bring,
    /// To ask for the winners. There may be many.
    Ask,
}

/// What follows the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The work is done.
    Done,
    /// Another connection.
    Another,
    /// Another connection, after a while, for this reason.
    Pause(&'static str),
}

impl<F: Iterator<Item = Result<Batch, SourceError>>> Text<F> {
    /// The work of `agency` with the batches of `file`, which is called `file_name` in errors.
    pub fn new(agency: u32, file_name: &str, file: F) -> Self {
        Self {
            agency,
            file,
            file_name: file_name.to_owned(),
            bets: 0,
            progress: Progress::default(),
            winners: WinnerList::default(),
            step: Step::Bring,
        }
    }

    /// The winners, once the work is done.
    pub fn into_winners(self) -> WinnerList {
        self.winners
    }

    /// A connection is open: appends what is said first.
    pub fn open(&self, out: &mut Vec<u8>) {
        match self.step {
            Step::Bring => text::encode(BET.as_bytes(), out),
            Step::Ask => text::encode(RESULTS.as_bytes(), out),
        }
    }

    /// Appends what is said next; false when that was the last.
    ///
    /// # Errors
    /// [`Stop`] when the file cannot be read on.
    pub fn go_on(&mut self, out: &mut Vec<u8>) -> Result<bool, Stop> {
        if self.step == Step::Ask {
            text::encode(self.agency.to_string().as_bytes(), out);
            return Ok(false);
        }
        let Some(batch) = self.file.next() else {
            text::encode(FINISH.as_bytes(), out);
            return Ok(false);
        };
        let batch = batch.and_then(Batch::checked);
        let batch = batch.map_err(|error| self.uncounted(&error.to_string()))?;
        let said =
            text::text_of(&batch.body).map_err(|error| self.uncounted(&error.to_string()))?;
        text::encode(said.as_bytes(), out);
        self.bets += u64::from(batch.bets);
        self.progress.bytes = batch.file_bytes;
        Ok(true)
    }

    /// The office has said this, and then ended the connection.
    ///
    /// # Errors
    /// [`Stop`] when it has not done what was asked, or has said what was not.
    pub fn told(&mut self, said: &[u8]) -> Result<After, Stop> {
        match self.step {
            Step::Bring => self.counted(said),
            Step::Ask if said.is_empty() => Ok(After::Pause("the draw is not done yet")),
            Step::Ask if !said.ends_with(b"\n") => Ok(After::Pause("the line broke off")),
            Step::Ask => match Told::of_results(said) {
                Some(Told::Winners(winners)) => {
                    self.keep_winners(said, winners);
                    log::info!(
                        "action: consulta_ganadores | result: success | cant_ganadores: {winners}"
                    );
                    Ok(After::Done)
                }
                Some(_) => Err(Stop::Refused {
                    request: "the question for winners".to_owned(),
                    text: ERROR.to_owned(),
                }),
                None => Err(unreadable()),
            },
        }
    }

    /// The connection has ended, because of `reason`, and what was said on it is not whole.
    ///
    /// # Errors
    /// [`Stop`] when another would not help.
    pub fn lost(&self, reason: &str) -> Result<(), Stop> {
        match self.step {
            Step::Bring => Err(self.uncounted(reason)),
            Step::Ask => Ok(()),
        }
    }

    /// How far the work has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    fn counted(&mut self, said: &[u8]) -> Result<After, Stop> {
        if !said.ends_with(b"\n") {
            return Err(self.uncounted("the office ended the connection without a whole line"));
        }
        match Told::of_finish(said) {
            Some(Told::Stored(stored)) if stored == self.bets => {
                log::info!("action: apuestas_enviadas | result: success | cantidad: {stored}");
                self.step = Step::Ask;
                self.progress.waits_for_draw = true;
                Ok(After::Another)
            }
            Some(Told::Stored(office_bets)) => {
                Err(Mismatch::Count { file_bets: self.bets, office_bets }.into())
            }
            Some(_) => Err(self.uncounted(ERROR)),
            None => Err(unreadable()),
        }
    }

    /// Keeps the documents of a line that has so many.
    fn keep_winners(&mut self, line: &[u8], winners: u64) {
        if winners > 0 {
            let documents = line.trim_ascii_end().split(|&byte| byte == b',');
            documents.for_each(|document| {
                self.winners.add(document);
                self.winners.add(&[SEPARATOR]);
            });
        }
    }

    fn uncounted(&self, reason: &str) -> Stop {
        let (file, bets) = (self.file_name.clone(), self.bets);
        Stop::Uncounted { file, bets, reason: reason.to_owned() }
    }
}

/// All that the dialect has for it.
const ERROR: &str = "the office said ERROR, and only its log says why";

fn unreadable() -> Stop {
    Stop::Unreadable("it is no line of the text dialect".to_owned())
}
