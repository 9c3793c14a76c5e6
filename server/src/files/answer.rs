//! The answer to one command: bytes, as many as there is room for, from memory or from the disk.
//! Knows no session and no thread, so that whoever may do a step does it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bolillero_protocol::hftp::{
    BASE64_GROUP_SIZE, BASE64_QUAD_SIZE, COMMAND_NAMES, Command, Form, Reply, Status, push_base64,
    push_line_end,
};

use super::directory::{Content, Folder, Reach};
use super::listing::{Listing, Listings};

/// An answer that is not complete.
pub(super) enum Answer {
    /// Nothing has to be looked up for it.
    Known(Known),
    Listing(Names),
    Metadata {
        name: Box<str>,
    },
    Slice(Slice),
}

pub(super) enum Known {
    Help,
    Quit,
    Refused(Status),
}

/// A listing of which nothing was sent, or not all.
#[derive(Default)]
pub(super) struct Names {
    /// Once they were read, the names of that moment.
    listing: Option<Arc<Listing>>,
    /// Bytes of it that have found a place in the output.
    sent: usize,
}

/// A slice of which nothing was sent, or not all.
pub(super) struct Slice {
    name: Box<str>,
    offset: u64,
    size: u64,
    form: Form,
    /// Bytes of it that have found a place in the output.
    sent: u64,
    /// The status and what else stands before its bytes has.
    begun: bool,
    /// Once it was found, the file. Whatever becomes of its name, this one is read on.
    content: Option<Box<dyn Content>>,
}

/// How far a step came.
pub(super) enum Step {
    /// The answer is complete.
    Done,
    /// It is, and the connection ends with it.
    Last,
    /// There is no room for the rest.
    More(Answer),
    /// Memory does not hold the rest.
    Missing(Answer),
    /// The answer cannot be given: what may still be said was said, and the connection ends with
    /// it.
    Failed(String),
}

/// Where answers are looked up, how far, and how much of them there is room for.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) folder: &'a dyn Folder,
    pub(super) reach: Reach,
    pub(super) listings: &'a Listings,
    /// How long the output may get. What stands around a slice may go over it.
    pub(super) output_bytes_max: usize,
}

impl Answer {
    /// What a command, or a line that is none, is answered.
    pub(super) fn to(command: Result<Command<'_>, Status>) -> Self {
        match command {
            Ok(Command::GetFileListing) => Self::Listing(Names::default()),
            Ok(Command::GetMetadata { name }) => Self::Metadata { name: name.as_str().into() },
            Ok(Command::GetSlice { name, offset, size, form }) => {
                let name = name.as_str().into();
                Self::Slice(Slice {
                    name,
                    offset,
                    size,
                    form,
                    sent: 0,
                    begun: false,
                    content: None,
                })
            }
            Ok(Command::Help) => Self::Known(Known::Help),
            Ok(Command::Quit) => Self::Known(Known::Quit),
            Err(status) => Self::Known(Known::Refused(status)),
        }
    }

    /// Appends what can be given now.
    pub(super) fn step(mut self, means: &Means<'_>, out: &mut Vec<u8>) -> Step {
        let result = match &mut self {
            Self::Known(known) => return known.push(out),
            Self::Listing(names) => names.fill(means, out),
            Self::Metadata { name } => {
                let size = means.folder.size_of(name, means.reach);
                size.map(|size| Reply::Size(size).encode(out)).map(|()| Filled::Whole)
            }
            Self::Slice(slice) => slice.fill(means, out),
        };
        match result {
            Ok(Filled::Whole) => Step::Done,
            Ok(Filled::Partly) => Step::More(self),
            Err(error) if error.kind() == ErrorKind::WouldBlock && means.reach == Reach::Memory => {
                Step::Missing(self)
            }
            Err(error) => self.fail(&error, out),
        }
    }

    /// Says what may still be said: once a slice has begun, whatever came would be taken for its
    /// bytes.
    fn fail(self, error: &io::Error, out: &mut Vec<u8>) -> Step {
        let name = match &self {
            Self::Slice(slice) if slice.begun => {
                return Step::Failed(format!("sending {}: {error}", slice.name));
            }
            Self::Slice(Slice { name, .. }) | Self::Metadata { name } => &**name,
            Self::Listing(_) | Self::Known(_) => "the directory",
        };
        if error.kind() == ErrorKind::NotFound {
            Reply::Status(Status::FileNotFound).encode(out);
            return Step::Done;
        }
        Reply::Status(Status::InternalError).encode(out);
        Step::Failed(format!("reading {name}: {error}"))
    }
}

impl Known {
    fn push(&self, out: &mut Vec<u8>) -> Step {
        let (reply, closes) = match self {
            Self::Help => (Reply::Names(&COMMAND_NAMES), false),
            Self::Quit => (Reply::Status(Status::Ok), true),
            Self::Refused(status) => (Reply::Status(*status), status.closes()),
        };
        reply.encode(out);
        if closes { Step::Last } else { Step::Done }
    }
}

/// How much of an answer found room.
enum Filled {
    Whole,
    Partly,
}

impl Names {
    fn fill(&mut self, means: &Means<'_>, out: &mut Vec<u8>) -> io::Result<Filled> {
        let listing = match self.listing.take() {
            Some(listing) => listing,
            None if means.reach == Reach::Memory => return Err(ErrorKind::WouldBlock.into()),
            None => means.listings.read(means.folder)?,
        };
        let rest = &listing.bytes()[self.sent..];
        let room = means.output_bytes_max.saturating_sub(out.len());
        let piece = rest.len().min(room).min(LISTING_PIECE_SIZE);
        out.extend_from_slice(&rest[..piece]);
        if piece == rest.len() {
            return Ok(Filled::Whole);
        }
        self.sent += piece;
        self.listing = Some(listing);
        Ok(Filled::Partly)
    }
}

impl Slice {
    fn fill(&mut self, means: &Means<'_>, out: &mut Vec<u8>) -> io::Result<Filled> {
        let content = match self.content.take() {
            Some(content) => content,
            None => means.folder.open(&self.name, means.reach)?,
        };
        let end = self.offset.checked_add(self.size);
        if end.is_none_or(|end| end > content.size()) {
            Reply::Status(Status::OffsetExceeds).encode(out);
            return Ok(Filled::Whole);
        }
        let filled = self.fill_from(&*content, means, out);
        self.content = Some(content);
        filled
    }

    fn fill_from(
        &mut self,
        content: &dyn Content,
        means: &Means<'_>,
        out: &mut Vec<u8>,
    ) -> io::Result<Filled> {
        self.reserve(means, out);
        let start = out.len();
        if !self.begun {
            Reply::Slice { size: self.size, form: self.form }.encode(out);
        }
        while self.sent < self.size {
            let room = means.output_bytes_max.saturating_sub(out.len());
            let pushed = match self.form {
                Form::Raw => self.push_raw(content, room, means.reach, out),
                Form::Base64 => self.push_base64(content, room, means.reach, out),
            };
            match pushed {
                Ok(0) => break,
                Ok(count) => (self.sent, self.begun) = (self.sent + count as u64, true),
                Err(error) => {
                    // Where nothing of it can be given, something else may still be said.
                    if !self.begun {
                        out.truncate(start);
                    }
                    return Err(error);
                }
            }
        }
        self.begun = true;
        if self.sent < self.size {
            return Ok(Filled::Partly);
        }
        if self.form == Form::Base64 {
            push_line_end(out);
        }
        Ok(Filled::Whole)
    }

    /// Makes room for what will be appended. It grows as any vector does, but not over what a
    /// thread keeps of an output buffer.
    fn reserve(&self, means: &Means<'_>, out: &mut Vec<u8>) {
        let left = usize::try_from(self.size - self.sent).unwrap_or(usize::MAX);
        let left = match self.form {
            Form::Raw => left,
            Form::Base64 => left.div_ceil(BASE64_GROUP_SIZE).saturating_mul(BASE64_QUAD_SIZE),
        };
        let room = means.output_bytes_max.saturating_sub(out.len());
        let wanted = out.len() + left.min(room) + FRAME_BYTES_MAX;
        if wanted > out.capacity() {
            let grown = (2 * out.capacity()).min(means.output_bytes_max + FRAME_BYTES_MAX);
            out.reserve_exact(wanted.max(grown) - out.len());
        }
    }

    /// Appends some bytes; returns how many of the slice they are, 0 where there is no room.
    fn push_raw(
        &self,
        content: &dyn Content,
        room: usize,
        reach: Reach,
        out: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let wanted = self.up_to(room);
        let start = out.len();
        out.resize(start + wanted, 0);
        let read = read_some(content, &mut out[start..], self.offset + self.sent, reach);
        out.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    /// As [`Slice::push_raw`], in base64: by whole groups, as long as it is not the end.
    fn push_base64(
        &self,
        content: &dyn Content,
        room: usize,
        reach: Reach,
        out: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let mut raw = [0; BASE64_PIECE_SIZE];
        let room = room / BASE64_QUAD_SIZE * BASE64_GROUP_SIZE;
        let wanted = self.up_to(room.min(BASE64_PIECE_SIZE));
        let raw = &mut raw[..wanted];
        let mut filled = 0;
        // A read may stop within a group; then it is read on.
        while filled < wanted {
            let offset = self.offset + self.sent + filled as u64;
            match read_some(content, &mut raw[filled..], offset, reach) {
                Ok(count) => filled += count,
                Err(_) if filled >= BASE64_GROUP_SIZE => break,
                Err(error) => return Err(error),
            }
        }
        if self.sent + (filled as u64) < self.size {
            filled -= filled % BASE64_GROUP_SIZE;
        }
        push_base64(&raw[..filled], out);
        Ok(filled)
    }

    /// How many bytes come next, where there is room for so many.
    fn up_to(&self, room: usize) -> usize {
        usize::try_from(self.size - self.sent).unwrap_or(usize::MAX).min(room)
    }
}

/// Reads at least one byte where one is wanted.
fn read_some(
    content: &dyn Content,
    buffer: &mut [u8],
    offset: u64,
    reach: Reach,
) -> io::Result<usize> {
    if buffer.is_empty() {
        return Ok(0);
    }
    match content.read_at(buffer, offset, reach)? {
        0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "it was cut short meanwhile")),
        count => Ok(count),
    }
}

/// Bytes of a listing that a connection has in its output at once. What a reader brings waits for
/// its session, so it is no more than that: the rest is in memory.
const LISTING_PIECE_SIZE: usize = 64 << 10;
/// Bytes that are encoded at once, on the stack.
const BASE64_PIECE_SIZE: usize = 12 << 10;
/// What stands before and behind a slice's bytes.
const FRAME_BYTES_MAX: usize = 64;

const _: () = assert!(BASE64_PIECE_SIZE.is_multiple_of(BASE64_GROUP_SIZE));
