//! Finds the parts of a reply in bytes that arrive in pieces of any size: the client's side. Knows
//! which reply to expect, and keeps no more of it than a line or a piece of base64.

use base64::Engine as _;
use thiserror::Error;

use super::base64::BASE64;
use super::{BASE64_GROUP_SIZE, BASE64_QUAD_SIZE, Continuation, Form, Status};
use crate::list::parse_number;

/// Finds the parts of one reply.
///
/// ```
/// use bolillero_protocol::hftp::{Answers, Command, Part};
///
/// let mut answers = Answers::to(Command::Help.continuation());
/// let (mut input, mut names) = (&b"0 OK\r\nhelp\r\nquit\r\n\r\n"[..], Vec::new());
/// loop {
///     let (taken, part) = answers.next(input)?;
///     input = &input[taken..];
///     match part {
///         Some(Part::Name(name)) => names.push(name.to_owned()),
///         Some(Part::End) | None => break,
///         Some(_) => {}
///     }
/// }
/// assert_eq!(names, ["help", "quit"]);
/// # Ok::<(), bolillero_protocol::hftp::ReplyError>(())
/// ```
#[derive(Debug)]
pub struct Answers {
    continuation: Continuation,
    stage: Stage,
    /// The line, or the characters of base64, that have come so far.
    text: Vec<u8>,
    /// The line was handed out: the next byte begins another.
    ended: bool,
    /// What the last characters of base64 stand for.
    data: Vec<u8>,
}

/// A part of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The first line. Where the code is not 0 nothing but the end follows.
    Status {
        /// Its code, which need be none that this library knows.
        code: u16,
        /// What is behind it.
        text: &'a str,
    },
    /// The name of a file or a command, as the server gives it. It need not be a
    /// [`FileName`](super::FileName).
    Name(&'a str),
    /// How many bytes a file has.
    Size(u64),
    /// Bytes of the slice, at least one.
    Data(&'a [u8]),
    /// The reply is complete; no byte behind it was taken.
    End,
}

/// Why what came is not the reply that was asked for. The connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A line over the limit.
    #[error("a line of more than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// A line that does not end in CR LF, or is not text.
    #[error("a line that does not end in CR LF or is not ASCII")]
    NotALine,
    /// Another line than what has to come here.
    #[error("the line {found:?} is not {expected}")]
    Unexpected {
        /// What came.
        found: String,
        /// What should have.
        expected: &'static str,
    },
    /// Characters that no encoder makes.
    #[error("the slice is not base64")]
    NotBase64,
    /// Not as many bytes as were asked for.
    #[error("the slice has more or fewer bytes than were asked for")]
    OtherSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Status,
    Names,
    Size,
    Base64 {
        left: u64,
        /// Only the end of the line may follow.
        padded: bool,
    },
    RawSize,
    RawGap {
        left: u64,
    },
    Raw {
        left: u64,
    },
    /// Nothing but the end of the line that was begun.
    LineEnd,
    End,
}

impl Answers {
    /// The reply to a command whose success has this continuation.
    #[must_use]
    pub fn to(continuation: Continuation) -> Self {
        let (text, data) = (Vec::new(), Vec::new());
        Self { continuation, stage: Stage::Status, text, ended: false, data }
    }

    /// Takes bytes from the front of `input` until there is a part. Returns how many were taken,
    /// and the part if there is one; without one, all of `input` was taken. To be called until
    /// there is none, or [`Part::End`].
    ///
    /// # Errors
    /// [`ReplyError`]; nothing more can be read of the stream.
    pub fn next<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Part<'a>>), ReplyError> {
        match self.stage {
            Stage::End | Stage::Raw { left: 0 } => Ok((0, Some(Part::End))),
            Stage::Raw { left } => {
                let piece = &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                self.stage = Stage::Raw { left: left - piece.len() as u64 };
                Ok((piece.len(), (!piece.is_empty()).then_some(Part::Data(piece))))
            }
            Stage::Base64 { left, padded } => self.next_base64(left, padded, input),
            _ => self.next_line(input),
        }
    }

    fn next_line<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Part<'a>>), ReplyError> {
        let mut taken = 0;
        loop {
            let (count, whole) = self.gather_line(&input[taken..])?;
            taken += count;
            if !whole {
                return Ok((taken, None));
            }
            match self.stage {
                Stage::RawSize | Stage::RawGap { .. } => self.pass_header()?,
                _ => return Ok((taken, Some(self.read_line()?))),
            }
            if let Stage::Raw { .. } = self.stage {
                let (count, part) = self.next(&input[taken..])?;
                return Ok((taken + count, part));
            }
        }
    }

    /// Takes bytes up to the end of a line, and says whether it was reached.
    fn gather_line(&mut self, input: &[u8]) -> Result<(usize, bool), ReplyError> {
        if std::mem::take(&mut self.ended) {
            self.text.clear();
        }
        let end = memchr::memchr(b'\n', input).map(|at| at + 1);
        let taken = end.unwrap_or(input.len());
        if self.text.len() + taken > LINE_BYTES_MAX {
            return Err(ReplyError::LineTooLong);
        }
        self.text.extend_from_slice(&input[..taken]);
        self.ended = end.is_some();
        Ok((taken, self.ended))
    }

    /// Reads a line that says something, and moves on.
    fn read_line(&mut self) -> Result<Part<'_>, ReplyError> {
        let line = line_of(&self.text)?;
        match self.stage {
            Stage::Names | Stage::LineEnd if line.is_empty() => {
                self.stage = Stage::End;
                Ok(Part::End)
            }
            Stage::Names => Ok(Part::Name(line)),
            Stage::LineEnd => Err(ReplyError::NotALine),
            Stage::Size => {
                self.stage = Stage::End;
                let size = parse_number(line).ok_or_else(|| unexpected(line, "a size"))?;
                Ok(Part::Size(size))
            }
            _ => {
                let status = parse_status(line);
                let (code, text) = status.ok_or_else(|| unexpected(line, "a status"))?;
                let done = Status::of_code(code) == Some(Status::Ok);
                self.stage = if done { first_stage(self.continuation) } else { Stage::End };
                Ok(Part::Status { code, text })
            }
        }
    }

    /// Takes a line of those between the status and the bytes of a raw slice.
    fn pass_header(&mut self) -> Result<(), ReplyError> {
        let line = line_of(&self.text)?;
        self.stage = match (self.stage, self.continuation) {
            (Stage::RawSize, Continuation::Slice { size, .. }) => {
                let left = line.strip_prefix("Content-Length: ").and_then(parse_number);
                let left = left.ok_or_else(|| unexpected(line, "a Content-Length"))?;
                if left != size {
                    return Err(ReplyError::OtherSize);
                }
                Stage::RawGap { left }
            }
            (Stage::RawGap { left }, _) if line.is_empty() => Stage::Raw { left },
            _ => return Err(unexpected(line, "an empty line")),
        };
        Ok(())
    }

    fn next_base64<'a>(
        &'a mut self,
        left: u64,
        padded: bool,
        input: &'a [u8],
    ) -> Result<(usize, Option<Part<'a>>), ReplyError> {
        if std::mem::take(&mut self.ended) {
            self.text.clear();
        }
        let room = BASE64_PIECE_SIZE - self.text.len();
        let end = memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len()).min(room);
        if padded && end > 0 {
            return Err(ReplyError::NotBase64);
        }
        self.text.extend_from_slice(&input[..end]);
        let whole = self.text.len() / BASE64_QUAD_SIZE * BASE64_QUAD_SIZE;
        if whole > 0 {
            let left = self.decode(whole, left)?;
            let padded = self.data.len() < whole / BASE64_QUAD_SIZE * BASE64_GROUP_SIZE;
            if padded && !self.text.is_empty() {
                return Err(ReplyError::NotBase64);
            }
            self.stage = Stage::Base64 { left, padded };
            return Ok((end, Some(Part::Data(&self.data))));
        }
        if end == input.len() {
            return Ok((end, None));
        }
        if !self.text.is_empty() {
            return Err(ReplyError::NotBase64);
        }
        if left > 0 {
            return Err(ReplyError::OtherSize);
        }
        self.stage = Stage::LineEnd;
        let (taken, part) = self.next_line(&input[end..])?;
        Ok((end + taken, part))
    }

    /// Decodes the first `whole` characters; returns how many bytes of the slice are still to come
    /// behind them.
    fn decode(&mut self, whole: usize, left: u64) -> Result<u64, ReplyError> {
        self.data.clear();
        let decoded = BASE64.decode_vec(&self.text[..whole], &mut self.data);
        decoded.map_err(|_| ReplyError::NotBase64)?;
        self.text.drain(..whole);
        left.checked_sub(self.data.len() as u64).ok_or(ReplyError::OtherSize)
    }
}

/// Where a reply goes on behind `0 OK`.
fn first_stage(continuation: Continuation) -> Stage {
    match continuation {
        Continuation::Nothing => Stage::End,
        Continuation::Names => Stage::Names,
        Continuation::Size => Stage::Size,
        Continuation::Slice { size, form: Form::Base64 } => {
            Stage::Base64 { left: size, padded: false }
        }
        Continuation::Slice { form: Form::Raw, .. } => Stage::RawSize,
    }
}

/// A line without its end.
fn line_of(text: &[u8]) -> Result<&str, ReplyError> {
    let line = text.strip_suffix(b"\r\n").ok_or(ReplyError::NotALine)?;
    std::str::from_utf8(line).ok().filter(|line| line.is_ascii()).ok_or(ReplyError::NotALine)
}

fn parse_status(line: &str) -> Option<(u16, &str)> {
    let (code, text) = line.split_once(' ')?;
    Some((parse_number(code)?, text))
}

fn unexpected(found: &str, expected: &'static str) -> ReplyError {
    ReplyError::Unexpected { found: found.to_owned(), expected }
}

/// The longest line of a reply, its end included, beside one of base64.
const LINE_BYTES_MAX: usize = 1024;
/// Characters that are decoded at once.
const BASE64_PIECE_SIZE: usize = 16 << 10;
