//! A file server, asked one thing after another on one way to it. Knows no file of ours.

use bolillero_protocol::hftp::Form;
use sha2::{Digest as _, Sha256};

use super::questions::{Listing, Sink, Sizes, Slices, Span};
use super::requests::Requests;
use super::sums::Sums;
use super::{FilesError, Name, Problem, RESTARTS_MAX, SUMS, SUMS_SIZE_MAX};
use crate::connect::Line;
use crate::dialogue::Stop;

/// How files are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Slices on their way at once, 1 or more.
    pub window: usize,
    /// Bytes of a slice, 1 or more.
    pub slice: u64,
}

/// A file server.
pub(super) struct Server<'a> {
    line: Line<'a>,
    pace: Pace,
    /// How slices are asked for: raw, until the server is seen not to know that.
    form: Form,
}

impl<'a> Server<'a> {
    /// The one at the end of `line`.
    pub(super) fn new(line: Line<'a>, pace: Pace) -> Self {
        Self { line, pace, form: Form::Raw }
    }

    /// The names of all files.
    pub(super) fn names(&mut self) -> Result<Vec<Name>, Stop> {
        let mut requests = Requests::new(Listing::default(), 1);
        self.line.talk(&mut requests, &mut |_| {})?;
        Ok(requests.into_questions().into_names())
    }

    /// The size of each of these files, or why it has none.
    pub(super) fn sizes(&mut self, names: &[Name]) -> Result<Vec<Result<u64, Problem>>, Stop> {
        let mut requests = Requests::new(Sizes::of(names), SIZES_WINDOW);
        self.line.talk(&mut requests, &mut |_| {})?;
        Ok(requests.into_questions().into_sizes())
    }

    /// The size of this file, or why it has none.
    pub(super) fn size(&mut self, name: &Name) -> Result<Result<u64, Problem>, Stop> {
        let mut sizes = self.sizes(std::slice::from_ref(name))?;
        Ok(sizes.pop().expect("each file that is asked for is answered"))
    }

    /// Hands the bytes of a file to `sink`, from the one behind `received` on. `watch` is told how
    /// many are there.
    pub(super) fn slices(
        &mut self,
        name: &Name,
        size: u64,
        received: u64,
        sink: &mut Sink<'_>,
        watch: &mut dyn FnMut(u64),
    ) -> Result<(), Stop> {
        let Pace { window, slice } = self.pace;
        let span = Span { name, size, received, slice };
        let mut requests = Requests::new(Slices::new(span, self.form, sink), window);
        let outcome = self.line.talk(&mut requests, &mut |progress| watch(progress.bytes));
        self.form = requests.into_questions().form();
        outcome
    }

    /// Hands the bytes of a file to `sink`, all of them, in order. It may change until the first of
    /// them has come.
    pub(super) fn read(
        &mut self,
        name: &Name,
        mut size: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), Stop> {
        for _ in 0..=RESTARTS_MAX {
            let mut begun = false;
            let mut noting = |bytes: &[u8]| {
                begun = true;
                sink(bytes)
            };
            match self.slices(name, size, 0, &mut noting, &mut |_| {}) {
                Err(stop) if is_change(&stop) && !begun => {}
                read => return read,
            }
            size = self.size(name)?.map_err(|problem| problem.of(name))?;
        }
        Err(Problem::Changing.of(name).into())
    }

    /// The checksums that the server publishes, and that of the file which holds them; none where it
    /// publishes none.
    pub(super) fn sums(&mut self) -> Result<Sums, Stop> {
        let name = Name::parse(SUMS).expect("is a name");
        let size = match self.size(&name)? {
            Err(problem) if problem.is_absence() => return Ok(Sums::default()),
            size => size.map_err(|problem| problem.of(&name))?,
        };
        if size > SUMS_SIZE_MAX {
            return Err(FilesError::SumsTooLong(size).into());
        }
        let mut bytes = Vec::new();
        self.read(&name, size, &mut |data| {
            bytes.extend_from_slice(data);
            Ok(())
        })?;
        let mut sums = Sums::parse(&bytes).map_err(FilesError::NotASum)?;
        sums.add(&name, Sha256::digest(&bytes).into());
        Ok(sums)
    }
}

/// Whether the file is another than when it was asked for.
pub(super) fn is_change(stop: &Stop) -> bool {
    matches!(stop, Stop::Files(FilesError::File { problem: Problem::Changed, .. }))
}

/// Questions for sizes on their way at once: they and their answers are short.
const SIZES_WINDOW: usize = 64;
