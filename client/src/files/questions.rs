//! What a file server is asked: for all names, for sizes, for the bytes of a file. Knows no socket,
//! no clock and no file.

use bolillero_protocol::hftp::{Command, Continuation, Form, Part, Status};

use super::requests::Questions;
use super::{FilesError, Name, Problem};

/// The names of all files.
#[derive(Debug, Default)]
pub struct Listing {
    asked: bool,
    names: Vec<Name>,
    bytes: usize,
}

impl Listing {
    /// The names, in the order in which they came.
    #[must_use]
    pub fn into_names(self) -> Vec<Name> {
        self.names
    }
}

impl Questions for Listing {
    fn next(&mut self) -> Option<Command<'_>> {
        (!std::mem::replace(&mut self.asked, true)).then_some(Command::GetFileListing)
    }

    fn take(&mut self, _asked: Continuation, part: Part<'_>) -> Result<(), FilesError> {
        match part {
            Part::Status { code, text } if !is_done(code) => {
                Err(FilesError::refused("the listing", code, text))
            }
            Part::Name(name) => {
                self.bytes += name.len() + NAME_COST;
                if self.bytes > LISTING_BYTES_MAX {
                    return Err(FilesError::ListingTooLong);
                }
                let name =
                    Name::parse(name).ok_or_else(|| FilesError::NotAName(name.to_owned()))?;
                self.names.push(name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn again(&mut self) {
        *self = Self::default();
    }

    fn progress(&self) -> u64 {
        0
    }
}

/// The sizes of some files.
#[derive(Debug)]
pub struct Sizes<'a> {
    names: &'a [Name],
    asked: usize,
    sizes: Vec<Result<u64, Problem>>,
}

impl<'a> Sizes<'a> {
    /// Those of the files with these names.
    #[must_use]
    pub fn of(names: &'a [Name]) -> Self {
        Self { names, asked: 0, sizes: Vec::new() }
    }

    /// The size of each, or why there is none.
    #[must_use]
    pub fn into_sizes(self) -> Vec<Result<u64, Problem>> {
        self.sizes
    }
}

impl Questions for Sizes<'_> {
    fn next(&mut self) -> Option<Command<'_>> {
        let name = self.names.get(self.asked)?;
        self.asked += 1;
        Some(Command::GetMetadata { name: name.on_the_wire() })
    }

    fn take(&mut self, _asked: Continuation, part: Part<'_>) -> Result<(), FilesError> {
        match part {
            Part::Status { code, text } if !is_done(code) => {
                self.sizes.push(Err(Problem::refused(code, text)));
            }
            Part::Size(size) => self.sizes.push(Ok(size)),
            _ => {}
        }
        Ok(())
    }

    fn again(&mut self) {
        self.asked = self.sizes.len();
    }

    fn progress(&self) -> u64 {
        self.sizes.len() as u64
    }
}

/// Which bytes of a file are asked for, and how they are cut.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The file.
    pub name: &'a Name,
    /// How many bytes it has. A server that says otherwise, before or behind them, has changed it.
    pub size: u64,
    /// How many of them are here already.
    pub received: u64,
    /// Bytes of a slice, 1 or more.
    pub slice: u64,
}

/// Where the bytes of a file go, in order.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), FilesError> + 'a;

/// The rest of a file, in order.
///
/// ```text
/// get_metadata, get_slice, get_slice, ..., get_metadata      and so again on each connection
/// ```
/// A server without raw slices refuses their form: from there on they are asked for in base64.
pub struct Slices<'a> {
    span: Span<'a>,
    /// The bytes that are here or asked for.
    asked: u64,
    form: Form,
    step: Step,
    sink: &'a mut Sink<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    SizeBefore,
    Slices,
    Done,
}

impl<'a> Slices<'a> {
    /// Asks for what is not received, in this form.
    pub fn new(span: Span<'a>, form: Form, sink: &'a mut Sink<'a>) -> Self {
        Self { span, asked: span.received, form, step: Step::SizeBefore, sink }
    }

    /// The form that the server has.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    fn problem(&self, problem: Problem) -> FilesError {
        FilesError::File { name: self.span.name.clone(), problem }
    }

    /// The answer to a question is not `0 OK`.
    fn refused(&mut self, asked: Continuation, code: u16, text: &str) -> Result<(), FilesError> {
        let raw = matches!(asked, Continuation::Slice { form: Form::Raw, .. });
        match Status::of_code(code) {
            Some(Status::InvalidArguments) if raw => {
                // Behind the first of them, the others that were asked for in this form.
                if self.form == Form::Raw {
                    self.form = Form::Base64;
                    self.asked = self.span.received;
                    self.step = Step::Slices;
                }
                Ok(())
            }
            Some(Status::OffsetExceeds) => Err(self.problem(Problem::Changed)),
            _ => Err(self.problem(Problem::refused(code, text))),
        }
    }
}

impl Questions for Slices<'_> {
    fn next(&mut self) -> Option<Command<'_>> {
        let Span { name, size, slice, .. } = self.span;
        let name = name.on_the_wire();
        match self.step {
            Step::SizeBefore => self.step = Step::Slices,
            Step::Slices if self.asked < size => {
                let offset = self.asked;
                let size = slice.min(size - offset);
                self.asked += size;
                return Some(Command::GetSlice { name, offset, size, form: self.form });
            }
            Step::Slices => self.step = Step::Done,
            Step::Done => return None,
        }
        Some(Command::GetMetadata { name })
    }

    fn take(&mut self, asked: Continuation, part: Part<'_>) -> Result<(), FilesError> {
        let fell_back = matches!(asked, Continuation::Slice { form, .. } if form != self.form);
        match part {
            Part::Status { code, text } if !is_done(code) => self.refused(asked, code, text),
            Part::Size(size) if size != self.span.size => Err(self.problem(Problem::Changed)),
            Part::Data(data) if !fell_back => {
                self.span.received += data.len() as u64;
                (self.sink)(data)
            }
            _ => Ok(()),
        }
    }

    fn again(&mut self) {
        self.asked = self.span.received;
        self.step = Step::SizeBefore;
    }

    fn progress(&self) -> u64 {
        self.span.received
    }
}

fn is_done(code: u16) -> bool {
    Status::of_code(code) == Some(Status::Ok)
}

/// The memory that a listing may take. One of 2 MiB, as long as ours are by default, takes less;
/// that of a draw with 65,535 agencies takes 4 MB.
const LISTING_BYTES_MAX: usize = 16 << 20;
/// What a name takes beside its characters.
const NAME_COST: usize = 32;
