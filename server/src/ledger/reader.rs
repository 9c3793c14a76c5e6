//! Reads a whole ledger, group by group, through all its segments. Changes nothing, takes no lock,
//! and may run beside a server that is writing.

use std::io;

use thiserror::Error;

use super::committer::segment_name;
use super::disk::Disk;
use super::segment::{BadHeader, End, FORMAT, Group, SegmentHeader, SegmentReader};

/// Why a ledger was not read to its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The disk failed. Never taken for damage: another try may succeed.
    #[error("reading {file}: {source}")]
    Io {
        /// The file's name, or that of the directory's list.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Bytes are not what was written, or missing.
    #[error("{file} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Written by a later version.
    #[error("{file} has format {format}, this version reads up to {FORMAT}: use a newer binary")]
    Newer {
        /// The segment's file name.
        file: String,
        /// Its format.
        format: u32,
    },
}

/// How a ledger ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The header of the last segment.
    pub header: SegmentHeader,
    /// Where its last valid group ends.
    pub offset: u64,
    /// The number the next group will have.
    pub next_group: u64,
    /// Whether the last group is a mark.
    pub ends_with_mark: bool,
    /// What stands behind the last group: never [`End::Followed`].
    pub end: End,
}

/// Where a visited group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of its segment.
    pub segment: u32,
    /// Its first byte in the segment's file.
    pub offset: u64,
}

/// What a visitor makes of a group.
pub type Visit<'v> = &'v mut dyn FnMut(Place, &Group<'_>) -> Result<Next, ReadError>;

/// Whether to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read the next group.
    Continue,
    /// Enough was read.
    Stop,
}

/// Visits the groups of a ledger in order. `None` when there is no ledger at all, or the visitor stopped.
///
/// # Errors
/// [`ReadError`], also that of the visitor.
pub fn read_ledger(disk: &dyn Disk, visit: Visit<'_>) -> Result<Option<Tail>, ReadError> {
    let mut previous: Option<Tail> = None;
    let mut segment = 1;
    loop {
        let last = segments(disk)?;
        if last < segment {
            return Ok(previous);
        }
        let mut reader = open_segment(disk, segment)?;
        check_follows(&reader, previous.as_ref(), segment)?;
        let walk = Walk { disk, segment, reader: &mut reader };
        let Some(tail) = walk.run(previous.as_ref(), visit)? else { return Ok(None) };
        previous = Some(tail);
        segment += 1;
    }
}

/// The number of the last segment; 0 when there is none. None may be missing before it.
///
/// # Errors
/// [`ReadError`]: the directory cannot be read, or a segment is missing.
pub fn segments(disk: &dyn Disk) -> Result<u32, ReadError> {
    let names = disk.names().map_err(|source| io_error("the ledger's directory", source))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            return Err(damaged(
                expected,
                0,
                "the segment is missing, though a later one is there",
            ));
        }
    }
    Ok(numbers.last().copied().unwrap_or(0))
}

fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

fn open_segment(disk: &dyn Disk, segment: u32) -> Result<SegmentReader, ReadError> {
    let file = segment_name(segment);
    let opened = disk.open(&file).and_then(SegmentReader::open);
    match opened.map_err(|source| io_error(&file, source))? {
        Ok(reader) => Ok(reader),
        Err(BadHeader::Newer(format)) => Err(ReadError::Newer { file, format }),
        Err(BadHeader::Damaged) => Err(damaged(segment, 0, "its header is not that of a segment")),
    }
}

fn check_follows(
    reader: &SegmentReader,
    previous: Option<&Tail>,
    segment: u32,
) -> Result<(), ReadError> {
    let header = reader.header();
    let first_group = previous.map_or(1, |tail| tail.next_group);
    let draw = previous.map_or(header.draw, |tail| tail.header.draw);
    let what = if header.segment != segment {
        format!("it says it is segment {}", header.segment)
    } else if header.draw != draw {
        format!("it is of draw {}, the segment before of draw {draw}", header.draw)
    } else if header.first_group != first_group {
        format!("it begins with group {}, expected {first_group}", header.first_group)
    } else {
        return Ok(());
    };
    Err(damaged(segment, 0, &what))
}

/// The way through one segment.
struct Walk<'a> {
    disk: &'a dyn Disk,
    segment: u32,
    reader: &'a mut SegmentReader,
}

impl Walk<'_> {
    /// Visits the segment's groups. `None` when the visitor stopped.
    fn run(mut self, previous: Option<&Tail>, visit: Visit<'_>) -> Result<Option<Tail>, ReadError> {
        let file = segment_name(self.segment);
        let mut ends_with_mark = previous.is_some_and(|tail| tail.ends_with_mark);
        loop {
            let group = self.reader.read_group().map_err(|source| io_error(&file, source))?;
            if let Some(group) = group {
                ends_with_mark = group.is_mark();
                let place = Place { segment: self.segment, offset: group.offset };
                if visit(place, &group)? == Next::Stop {
                    return Ok(None);
                }
                continue;
            }
            let offset = self.reader.offset();
            let end = self.reader.end().map_err(|source| io_error(&file, source))?;
            if end != End::Clean && self.is_whole_now(&file)? {
                continue;
            }
            self.judge(end, offset)?;
            let header = self.reader.header();
            let next_group = self.reader.next_group();
            return Ok(Some(Tail { header, offset, next_group, ends_with_mark, end }));
        }
    }

    /// A server that runs beside may have completed the group since it was looked at.
    fn is_whole_now(&mut self, file: &str) -> Result<bool, ReadError> {
        self.reader.recheck_group().map_err(|source| io_error(file, source))
    }

    /// Whether the segment may end like this.
    fn judge(&self, end: End, offset: u64) -> Result<(), ReadError> {
        let what = match end {
            End::Clean => return Ok(()),
            End::Followed(next) => format!("a bad group, with a valid one at offset {next}"),
            End::Torn if segments(self.disk)? > self.segment => {
                "a bad group, with another segment behind it".to_owned()
            }
            End::Torn => return Ok(()),
        };
        Err(damaged(self.segment, offset, &what))
    }
}

fn damaged(segment: u32, offset: u64, what: &str) -> ReadError {
    ReadError::Damaged { file: segment_name(segment), offset, what: what.to_owned() }
}

fn io_error(file: &str, source: io::Error) -> ReadError {
    ReadError::Io { file: file.to_owned(), source }
}
