//! Reads a whole ledger, group by group, through all its segments. Changes nothing, takes no lock,
//! and may run beside a server that is writing: a group that is not whole at the end of the last
//! segment is in progress, or torn if nobody writes. Only who holds the lock can tell.

use std::io;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::thread;

use thiserror::Error;

use super::committer::segment_name;
use super::disk::Disk;
use super::last_group::{self, LastGroup};
use super::segment::{BadHeader, End, Group, SegmentHeader, SegmentReader};

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
    #[error("{file} has format {format}, which this version does not read: use a newer binary")]
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
    /// Up to which group the ledger was known to be durable before it was read: no smaller than
    /// this is `next_group - 1`. `None` where nothing says so.
    pub known_durable: Option<u64>,
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
/// [`ReadError`], also that of the visitor. A ledger that ends before a group that was durable is
/// damaged.
pub fn read_ledger(disk: &dyn Disk, visit: Visit<'_>) -> Result<Option<Tail>, ReadError> {
    let mut chain = Chain::new(disk)?;
    while let Some(segment) = chain.next() {
        let reader = open_segment(disk, segment)?;
        chain.check(&reader.header(), segment)?;
        let mut walk = Walk::new(disk, segment, reader, chain.last);
        let Some(walked) = walk.run(visit)? else { return Ok(None) };
        chain.add(walked);
    }
    chain.end()
}

/// Visits the groups of a ledger on up to `readers` threads, each segment with what `begin` makes for
/// it. `take` gets those in the order of their segments; at most one for each reader is held. `None`
/// as in [`read_ledger`].
///
/// With one reader all happens on the calling thread.
///
/// # Errors
/// [`ReadError`], also that of the visitor: the first in the ledger.
pub fn read_segments<V: Send>(
    disk: &dyn Disk,
    readers: usize,
    begin: impl Fn() -> V + Sync,
    visit: impl Fn(&mut V, Place, &Group<'_>) -> Result<Next, ReadError> + Sync,
    take: &mut dyn FnMut(V),
) -> Result<Option<Tail>, ReadError> {
    let mut chain = Chain::new(disk)?;
    while let Some(first) = chain.next() {
        let last = chain.last;
        let read = |segment| {
            let mut seen = begin();
            let reader = open_segment(disk, segment)?;
            let header = reader.header();
            let walked = Walk::new(disk, segment, reader, last)
                .run(&mut |place, group| visit(&mut seen, place, group));
            Ok((seen, header, walked))
        };
        for (segment, result) in (first..=last).zip(in_parallel(first..=last, readers, &read)) {
            let (seen, header, walked) = result?;
            chain.check(&header, segment)?;
            let Some(walked) = walked? else { return Ok(None) };
            chain.add(walked);
            take(seen);
        }
    }
    chain.end()
}

/// Reads the first few of `segments`, as many as there are readers, all at once.
fn in_parallel<T: Send>(
    segments: RangeInclusive<u32>,
    readers: usize,
    read: &(impl Fn(u32) -> T + Sync),
) -> Vec<T> {
    thread::scope(|scope| {
        let mut segments = segments.take(readers.max(1));
        let own = segments.next();
        let others: Vec<_> = segments
            .map(|segment| {
                let name = format!("reader-{segment}");
                let started =
                    thread::Builder::new().name(name).spawn_scoped(scope, move || read(segment));
                (segment, started)
            })
            .collect();
        let own = own.map(read);
        // Where a thread cannot be started, it goes without.
        let others = others.into_iter().map(|(segment, started)| match started {
            Ok(other) => other.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => read(segment),
        });
        own.into_iter().chain(others).collect()
    })
}

/// The number of the last segment; 0 when there is none. None may be missing before it.
///
/// # Errors
/// [`ReadError`]: the directory cannot be read, or a segment is missing.
pub fn segments(disk: &dyn Disk) -> Result<u32, ReadError> {
    let numbers = segment_numbers(disk)?;
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            return Err(damaged(expected, 0, "it is missing, though a later segment is there"));
        }
    }
    Ok(numbers.last().copied().unwrap_or(0))
}

/// The numbers of all segments that are there, in order.
pub(super) fn segment_numbers(disk: &dyn Disk) -> Result<Vec<u32>, ReadError> {
    let names = disk.names().map_err(|source| io_error("the ledger's directory", source))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (number > 0 && segment_name(number) == name).then_some(number)
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

/// The segments as they follow each other.
struct Chain {
    previous: Option<Tail>,
    /// The last segment known of.
    last: u32,
    /// Which group is durable.
    durable: Option<LastGroup>,
}

impl Chain {
    fn new(disk: &dyn Disk) -> Result<Self, ReadError> {
        // Read before the segments: a server that runs beside only adds to them.
        let durable = last_group::read(disk)?;
        Ok(Self { previous: None, last: segments(disk)?, durable })
    }

    /// How the ledger ends, once all of it was read.
    fn end(self) -> Result<Option<Tail>, ReadError> {
        let Some(durable) = self.durable else { return Ok(self.previous) };
        let tail = self.previous.ok_or_else(|| durable.without_segments())?;
        durable.check(&tail)?;
        Ok(Some(Tail { known_durable: Some(durable.number), ..tail }))
    }

    /// The segment that comes next.
    fn next(&self) -> Option<u32> {
        let next = self.previous.map_or(1, |tail| tail.header.segment + 1);
        (next <= self.last).then_some(next)
    }

    fn check(&self, header: &SegmentHeader, segment: u32) -> Result<(), ReadError> {
        check_follows(header, self.previous.as_ref(), segment)
    }

    fn add(&mut self, Walked { mut tail, last }: Walked) {
        // One without a group ends as the one before it.
        tail.ends_with_mark |= tail.next_group == tail.header.first_group
            && self.previous.is_some_and(|tail| tail.ends_with_mark);
        self.previous = Some(tail);
        self.last = self.last.max(last);
    }
}

fn check_follows(
    header: &SegmentHeader,
    previous: Option<&Tail>,
    segment: u32,
) -> Result<(), ReadError> {
    let draw = previous.map_or(header.draw, |tail| tail.header.draw);
    if header.segment != segment {
        let what = format!("it says it is segment {}", header.segment);
        return Err(damaged(segment, 0, &what));
    }
    if header.draw != draw {
        let what = format!("it is of draw {}, the segment before of draw {draw}", header.draw);
        return Err(damaged(segment, 0, &what));
    }
    let (expected, begins) = (previous.map_or(1, |tail| tail.next_group), header.first_group);
    match previous {
        _ if begins == expected => Ok(()),
        // The header is sound: what is missing was in the segment before.
        Some(tail) if begins > expected => {
            let what =
                format!("group {expected} is missing, the next segment begins with {begins}");
            Err(damaged(segment - 1, tail.offset, &what))
        }
        _ => {
            let what = format!("it begins with group {begins}, expected {expected}");
            Err(damaged(segment, 0, &what))
        }
    }
}

/// The way through one segment.
struct Walk<'a> {
    disk: &'a dyn Disk,
    segment: u32,
    reader: SegmentReader,
    ends_with_mark: bool,
    /// The last segment known of. What stands in one before it is complete.
    last: u32,
}

/// A segment that was walked through.
struct Walked {
    tail: Tail,
    /// The last segment known of by then.
    last: u32,
}

impl<'a> Walk<'a> {
    fn new(disk: &'a dyn Disk, segment: u32, reader: SegmentReader, last: u32) -> Self {
        Self { disk, segment, reader, ends_with_mark: false, last }
    }

    /// Visits the segment's groups. `None` when the visitor stopped.
    ///
    /// A server that runs beside may complete a group while it is looked at, go on to the next
    /// segment, or be started again and write this one anew. So in the last segment a group counts
    /// as missing only if it is missing in a file that was opened after the segments were listed.
    fn run(&mut self, visit: Visit<'_>) -> Result<Option<Walked>, ReadError> {
        let name = segment_name(self.segment);
        let failed = |source| io_error(&name, source);
        loop {
            while let Some(group) = self.reader.read_group().map_err(failed)? {
                self.ends_with_mark = group.is_mark();
                let place = Place { segment: self.segment, offset: group.offset };
                if visit(place, &group)? == Next::Stop {
                    return Ok(None);
                }
            }
            let end = self.reader.end().map_err(failed)?;
            if self.last == self.segment {
                self.last = segments(self.disk)?;
                let file = self.disk.open(&name).map_err(failed)?;
                if self.reader.resume_in(file).map_err(failed)? {
                    continue;
                }
            }
            let tail = self.judge(end)?;
            return Ok(Some(Walked { tail, last: self.last }));
        }
    }

    /// Whether the segment may end like this.
    fn judge(&self, end: End) -> Result<Tail, ReadError> {
        let (header, offset) = (self.reader.header(), self.reader.offset());
        let what = match end {
            End::Followed(next) => format!("a bad group, with a valid one at offset {next}"),
            End::Torn if self.segment < self.last => {
                "a bad group, with another segment behind it".to_owned()
            }
            End::Clean | End::Torn => {
                let next_group = self.reader.next_group();
                let ends_with_mark = self.ends_with_mark;
                let known_durable = None;
                return Ok(Tail { header, offset, next_group, ends_with_mark, end, known_durable });
            }
        };
        Err(damaged(self.segment, offset, &what))
    }
}

fn damaged(segment: u32, offset: u64, what: &str) -> ReadError {
    ReadError::Damaged { file: segment_name(segment), offset, what: what.to_owned() }
}

pub(super) fn io_error(file: &str, source: io::Error) -> ReadError {
    ReadError::Io { file: file.to_owned(), source }
}
