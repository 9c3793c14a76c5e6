//! Questions on their way to a file server, and which of them is answered. Knows no socket, no
//! clock and no file.
//!
//! ```text
//! help            every connection begins with it: a server without room answers 199 to whatever
//! question 1      comes first, and closes. Behind an answer to this one, 199 is about the question
//! ...             at most a window of them is open; the answers come in order
//! ```

use std::collections::VecDeque;

use bolillero_protocol::hftp::{Answers, Command, Continuation, Part, Status};

use super::FilesError;
use crate::dialogue::{Next, Progress, Stop};
use crate::talk::Talk;

/// What is asked, in order, and what becomes of the answers.
pub trait Questions {
    /// The next question. `None`: all were asked.
    fn next(&mut self) -> Option<Command<'_>>;

    /// A part of the answer to the first question that is open, whose success has this
    /// continuation.
    ///
    /// # Errors
    /// [`FilesError`]: the work ends here.
    fn take(&mut self, asked: Continuation, part: Part<'_>) -> Result<(), FilesError>;

    /// What was asked and is not answered never will be: it is to be asked anew.
    fn again(&mut self);

    /// How far the work has come. It grows with what is not asked again.
    fn progress(&self) -> u64;
}

/// A conversation that is questions and answers.
#[derive(Debug)]
pub struct Requests<Q> {
    questions: Q,
    window: usize,
    /// What is asked on this connection and not wholly answered, in order.
    open: VecDeque<Continuation>,
    answers: Answers,
    /// The connection's first question was answered.
    greeted: bool,
    /// The code of the answer that is being read.
    code: u16,
    answered: u64,
    data_bytes: u64,
    progress_at_open: u64,
}

impl<Q: Questions> Requests<Q> {
    /// Asks these questions, `window` of them at once; 1 or more.
    pub fn new(questions: Q, window: usize) -> Self {
        Self {
            questions,
            window,
            open: VecDeque::new(),
            answers: Answers::to(Continuation::Nothing),
            greeted: false,
            code: 0,
            answered: 0,
            data_bytes: 0,
            progress_at_open: 0,
        }
    }

    /// What became of the questions.
    pub fn into_questions(self) -> Q {
        self.questions
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        while self.open.len() < self.window {
            let Some(question) = self.questions.next() else { return };
            question.encode(out);
            self.open.push_back(question.continuation());
        }
    }

    /// Takes a part of the first open question's answer, but for its end.
    fn take(
        questions: &mut Q,
        greeted: bool,
        asked: Continuation,
        part: Part<'_>,
    ) -> Result<(), FilesError> {
        match part {
            Part::Status { code, text } if is_of_connection(code) => {
                Err(FilesError::refused("the connection", code, text))
            }
            _ if !greeted => Ok(()),
            part => questions.take(asked, part),
        }
    }

    /// An answer is complete: why the connection is of no more use, if it is so.
    fn end_answer(&mut self, out: &mut Vec<u8>) -> Option<&'static str> {
        self.open.pop_front();
        self.answered += 1;
        let closed = Status::of_code(self.code).is_some_and(Status::closes);
        if closed && !self.greeted {
            return Some(NO_ROOM);
        }
        self.greeted = true;
        if closed && (!self.open.is_empty() || self.questions.next().is_some()) {
            return Some("the server closes behind an error");
        }
        self.ask(out);
        if let Some(asked) = self.open.front() {
            self.answers = Answers::to(*asked);
        }
        None
    }
}

impl<Q: Questions> Talk for Requests<Q> {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.questions.again();
        self.progress_at_open = self.questions.progress();
        self.open.clear();
        self.open.push_back(Command::Help.continuation());
        Command::Help.encode(out);
        self.answers = Answers::to(Command::Help.continuation());
        self.greeted = false;
        self.ask(out);
        Ok(())
    }

    fn receive(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<Next, Stop> {
        while let Some(asked) = self.open.front().copied() {
            let (taken, part) = self.answers.next(bytes).map_err(FilesError::Unreadable)?;
            bytes = &bytes[taken..];
            match part {
                None => return Ok(Next::Read),
                Some(Part::End) => {
                    if let Some(reason) = self.end_answer(out) {
                        return Ok(Next::Reconnect(reason));
                    }
                }
                Some(part) => {
                    match part {
                        Part::Status { code, .. } => self.code = code,
                        Part::Data(data) => self.data_bytes += data.len() as u64,
                        _ => {}
                    }
                    Self::take(&mut self.questions, self.greeted, asked, part)?;
                }
            }
        }
        if bytes.is_empty() { Ok(Next::Done) } else { Err(FilesError::Unasked.into()) }
    }

    fn resume(&mut self, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }

    fn lost(&mut self, _reason: &str) -> Result<(), Stop> {
        Ok(())
    }

    /// A server that ends every connection at the same byte is not serving.
    fn is_established(&self) -> bool {
        self.questions.progress() > self.progress_at_open
    }

    fn owed(&self) -> Option<u64> {
        let pieces = self.data_bytes / PIECE_SIZE;
        (!self.open.is_empty()).then_some(self.answered + pieces)
    }

    fn progress(&self) -> Progress {
        let progress = self.questions.progress();
        Progress { granted: progress, bytes: progress, ..Progress::default() }
    }
}

/// Whether the server means what came on the connection, and no file.
fn is_of_connection(code: u16) -> bool {
    matches!(Status::of_code(code), Some(Status::BadEol | Status::BadRequest))
}

const NO_ROOM: &str = "the server has no room at present";

/// Bytes of a slice that must come within the time for an answer: a slice may be longer than a slow
/// network carries in that time.
const PIECE_SIZE: u64 = 16 << 10;
