//! Reads a damaged ledger: every group that is still whole, in order, and what is missing between
//! them. Changes nothing. Knows no record: what may be kept of a group is for others to say.
//!
//! Groups that are missing at the end are known from the file that says how far the ledger was durable.
//!
//! Groups are looked for behind damage at every byte, in segments whose header is lost, and in files
//! that have each other's names: it is the numbers of the groups that tell their order.

use bolillero_protocol::message::DrawId;

use super::committer::segment_name;
use super::disk::Disk;
use super::last_group::{self, LAST_GROUP_FILE};
use super::reader::{ReadError, io_error, segment_numbers};
use super::segment::{BadHeader, End, GROUP_OVERHEAD, Group, SegmentReader};

/// Something found on the way.
#[derive(Debug)]
pub enum Find<'a> {
    /// A whole group. Those before it were found, or told as missing.
    Group(&'a Group<'a>),
    /// Groups that are not there.
    Missing(Missing),
    /// Bytes that are no group. Told before the groups they may have been.
    Unreadable(Unreadable),
}

/// Groups that are not there, though a later one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub first: u64,
    /// The one behind the last; `None` when nobody can tell.
    pub next: Option<u64>,
    /// From what is left of them it is certain that they were marks.
    pub only_marks: bool,
}

/// A stretch of a file that is no group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The segment's file.
    pub file: String,
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// What is wrong there.
    pub what: String,
}

/// What a ledger's files are, before their groups are read.
#[derive(Debug)]
pub struct Survey {
    /// The draw they are of; `None` when no header can be read.
    pub draw: Option<DrawId>,
    /// Bytes of the largest file.
    pub size_max: u64,
    /// In the order of their groups.
    parts: Vec<Part>,
    unreadable: Vec<Unreadable>,
    /// Of the last file nothing is known, not even which groups it had.
    end_is_unknown: bool,
    durable: Durable,
}

/// What is known of how far a ledger was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Nothing ever said so.
    Unknown,
    /// Something said so, and cannot be read.
    Lost,
    /// Up to this group.
    UpTo(u64),
}

impl Durable {
    /// Whether a ledger may end before this group, without a loss.
    fn allows_end_before(self, group: u64) -> bool {
        match self {
            Self::Unknown => true,
            Self::Lost => false,
            Self::UpTo(last) => last < group,
        }
    }
}

/// A file from which something can be read.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// As its name says.
    segment: u32,
    first_group: u64,
    /// Where that stands, in a file whose header is lost.
    headless_from: Option<u64>,
}

/// Looks at all segments of a ledger.
///
/// # Errors
/// [`ReadError`]: the disk failed, or a segment is of a later version.
pub fn survey(disk: &dyn Disk) -> Result<Survey, ReadError> {
    let mut survey = Survey {
        draw: None,
        size_max: 0,
        parts: Vec::new(),
        unreadable: Vec::new(),
        end_is_unknown: false,
        durable: Durable::Unknown,
    };
    let mut expected = 1;
    for segment in segment_numbers(disk)? {
        if segment > expected {
            let last = segment_name(segment - 1);
            let what = if segment - expected > 1 {
                format!("missing, up to {last}")
            } else {
                "missing".to_owned()
            };
            survey.note(expected, 0, 0, &what);
        }
        expected = segment + 1;
        let part = survey.look_at(disk, segment)?;
        survey.end_is_unknown = part.is_none();
        survey.parts.extend(part);
    }
    survey.parts.sort_by_key(|part| part.first_group);
    survey.look_at_last_group(disk)?;
    Ok(survey)
}

/// Visits all that is found, in the order of the ledger.
///
/// # Errors
/// [`ReadError`], and what the visitor fails with.
pub fn salvage<E: From<ReadError>>(
    disk: &dyn Disk,
    survey: &Survey,
    visit: &mut dyn FnMut(Find<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for unreadable in &survey.unreadable {
        visit(Find::Unreadable(unreadable.clone()))?;
    }
    let durable = survey.durable;
    let mut walk = Walk { visit, expected: 1, gap: Vec::new(), durable };
    for (index, part) in survey.parts.iter().enumerate() {
        let is_last = index + 1 == survey.parts.len() && !survey.end_is_unknown;
        walk.through(disk, part, is_last)?;
    }
    let first = walk.expected;
    let next = match durable {
        _ if survey.end_is_unknown => None,
        Durable::UpTo(group) if group >= first => Some(group.saturating_add(1)),
        Durable::UpTo(_) | Durable::Unknown => return Ok(()),
        Durable::Lost => None,
    };
    (walk.visit)(Find::Missing(Missing { first, next, only_marks: false }))
}

impl Survey {
    /// What is known of how far the ledger was durable.
    #[must_use]
    pub fn durable(&self) -> Durable {
        self.durable
    }

    fn look_at_last_group(&mut self, disk: &dyn Disk) -> Result<(), ReadError> {
        let checked = last_group::read(disk).and_then(|last| match (last, self.draw) {
            (Some(last), Some(draw)) => last.check_draw(draw).map(|()| Some(last)),
            (last, _) => Ok(last),
        });
        self.durable = match checked {
            Ok(last) => last.map_or(Durable::Unknown, |last| Durable::UpTo(last.number)),
            Err(ReadError::Damaged { what, .. }) => {
                let file = LAST_GROUP_FILE.to_owned();
                self.unreadable.push(Unreadable { file, from: 0, to: 0, what });
                Durable::Lost
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// What can be read from a file; `None` when that is nothing.
    fn look_at(&mut self, disk: &dyn Disk, segment: u32) -> Result<Option<Part>, ReadError> {
        let file = segment_name(segment);
        let opened = disk.open(&file).and_then(SegmentReader::open);
        match opened.map_err(|source| io_error(&file, source))? {
            Ok(reader) => {
                let header = reader.header();
                self.size_max = self.size_max.max(reader.size());
                let draw = *self.draw.get_or_insert(header.draw);
                if header.draw != draw {
                    let what = format!("it is of draw {}, not of {draw}", header.draw);
                    self.note(segment, 0, reader.size(), &what);
                    return Ok(None);
                }
                let first_group = header.first_group;
                Ok(Some(Part { segment, first_group, headless_from: None }))
            }
            Err(BadHeader::Newer(format)) => Err(ReadError::Newer { file, format }),
            Err(BadHeader::Damaged) => {
                self.look_behind_header(disk, segment).map_err(|source| io_error(&file, source))
            }
        }
    }

    fn look_behind_header(
        &mut self,
        disk: &dyn Disk,
        segment: u32,
    ) -> std::io::Result<Option<Part>> {
        let mut reader = SegmentReader::open_headless(disk.open(&segment_name(segment))?, segment)?;
        self.size_max = self.size_max.max(reader.size());
        let what = "its header is not that of a segment";
        let End::Followed(from) = reader.end()? else {
            self.note(segment, 0, reader.size(), &format!("{what}, and it has no whole group"));
            return Ok(None);
        };
        self.note(segment, 0, from, what);
        reader.go_on_at(from)?;
        let first_group = reader.next_group();
        Ok(Some(Part { segment, first_group, headless_from: Some(from) }))
    }

    fn note(&mut self, segment: u32, from: u64, to: u64, what: &str) {
        let (file, what) = (segment_name(segment), what.to_owned());
        self.unreadable.push(Unreadable { file, from, to, what });
    }
}

/// The way through all parts.
struct Walk<'v, E> {
    visit: &'v mut dyn FnMut(Find<'_>) -> Result<(), E>,
    /// The number of the next group.
    expected: u64,
    /// How many bytes are unreadable since the last group, piece by piece; all in one file.
    gap: Vec<u64>,
    durable: Durable,
}

impl<E: From<ReadError>> Walk<'_, E> {
    fn through(&mut self, disk: &dyn Disk, part: &Part, is_last: bool) -> Result<(), E> {
        let file = segment_name(part.segment);
        let failed = |source| E::from(io_error(&file, source));
        let mut reader = open(disk, part).map_err(failed)?;
        self.gap.clear();
        self.reach(part.first_group)?;
        loop {
            while let Some(group) = reader.read_group().map_err(failed)? {
                self.take(&file, &group)?;
            }
            let from = reader.offset();
            match reader.end().map_err(failed)? {
                End::Clean => return Ok(()),
                End::Torn => {
                    // What it was, the next part's first group tells, or how far it was durable.
                    let is_torn = is_last && self.durable.allows_end_before(self.expected);
                    let what = if is_torn { TORN } else { NO_GROUP };
                    return self.tell(&file, from, reader.size(), what);
                }
                End::Followed(to) => {
                    self.tell(&file, from, to, NO_GROUP)?;
                    self.gap.push(to - from);
                    reader.go_on_at(to).map_err(failed)?;
                }
            }
        }
    }

    fn take(&mut self, file: &str, group: &Group<'_>) -> Result<(), E> {
        if group.number < self.expected {
            let end = group.offset + (group.bytes.len() + GROUP_OVERHEAD) as u64;
            let what = format!("group {} a second time", group.number);
            return self.tell(file, group.offset, end, &what);
        }
        self.reach(group.number)?;
        self.gap.clear();
        self.expected = group.number + 1;
        (self.visit)(Find::Group(group))
    }

    /// Notes that the groups before `number` are missing, if they are.
    fn reach(&mut self, number: u64) -> Result<(), E> {
        if number <= self.expected {
            return Ok(());
        }
        // A group with a record is more than twice as long as a mark.
        let marks = (number - self.expected).checked_mul(GROUP_OVERHEAD as u64);
        let only_marks = self.gap.len() == 1 && self.gap.first().copied() == marks;
        let first = std::mem::replace(&mut self.expected, number);
        (self.visit)(Find::Missing(Missing { first, next: Some(number), only_marks }))
    }

    fn tell(&mut self, file: &str, from: u64, to: u64, what: &str) -> Result<(), E> {
        let (file, what) = (file.to_owned(), what.to_owned());
        (self.visit)(Find::Unreadable(Unreadable { file, from, to, what }))
    }
}

const NO_GROUP: &str = "no whole group";
const TORN: &str = "no whole group, and nothing behind it: as a server that died leaves it";

fn open(disk: &dyn Disk, part: &Part) -> std::io::Result<SegmentReader> {
    let file = disk.open(&segment_name(part.segment))?;
    let Some(from) = part.headless_from else {
        let changed = |_| std::io::Error::other("it did not read the same twice");
        return SegmentReader::open(file)?.map_err(changed);
    };
    let mut reader = SegmentReader::open_headless(file, part.segment)?;
    reader.go_on_at(from)?;
    Ok(reader)
}
