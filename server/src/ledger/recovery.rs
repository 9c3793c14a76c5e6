//! Opens a ledger: makes a new one, or reads the one that is there, cuts its torn tail, and writes
//! anew, in the newest format, what a dead process may have left in the page cache only.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bolillero_protocol::message::DrawId;
use thiserror::Error;

use super::committer::{CommitError, Committer, Current, LogLines, segment_name};
use super::disk::{Disk, File, TEMPORARY, is_no_room, read_full_at};
use super::group::Queue;
use super::last_group;
use super::prepare::{Filling, Preparation, Preparer};
use super::reader::{self, Next, ReadError, Tail};
use super::record::Record;
use super::segment::{End, GROUP_OVERHEAD, SegmentHeader, SegmentReader, begin_group, seal_group};
use super::space::{Sizes, Space};
use super::{Ledger, Position};
use crate::hint::hint_for_file;

/// How a ledger is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What decides about room.
    pub sizes: Sizes,
    /// How many bytes of records may be queued before nobody is admitted any more.
    pub queue_bytes_max: usize,
}

/// Why a record does not fit what was read before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The record cannot follow: the ledger is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The ledger is sound, and not the one that was meant.
    #[error("{0}")]
    Refused(String),
}

/// What takes the records of the past, in order.
pub type Replay<'r> = &'r mut dyn FnMut(&Record<'_>) -> Result<(), ReplayError>;

/// Why a ledger was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It could not be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is another ledger than was meant.
    #[error("{0}")]
    Refused(String),
    /// The disk failed, has no room, or is not to be reached.
    #[error("{what}: {source}: {}", hint_for_file(source))]
    Disk {
        /// What was being done.
        what: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Its first group could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A ledger that is ready.
pub struct Opened {
    /// To append to.
    pub ledger: Ledger,
    /// To be stepped by one thread.
    pub committer: Committer,
    /// To be stepped by another.
    pub preparer: Preparer,
    /// What was found.
    pub found: Found,
}

/// What was found on opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which draw the ledger is of.
    pub draw: DrawId,
    /// How many records it holds.
    pub records: u64,
    /// What was cut from its end, and where that is kept.
    pub torn: Option<Torn>,
}

/// A torn tail that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment's file.
    pub file: String,
    /// Where it was cut.
    pub offset: u64,
    /// The file in which what was cut is kept.
    pub kept_in: String,
}

/// Opens the ledger on `disk`; where there is none, makes one that begins with `first`.
///
/// # Errors
/// [`OpenError`]. A ledger that was there is as it was, or sound and complete.
pub fn open_ledger(
    disk: Arc<dyn Disk>,
    settings: &Settings,
    new_draw: DrawId,
    first: &Record<'_>,
    replay: Replay<'_>,
    log_lines: LogLines,
) -> Result<Opened, OpenError> {
    remove_temporary(&*disk)?;
    if reader::segments(&*disk)? == 0 {
        // Where it was durable once, a new one would hide that it is gone.
        if let Some(last) = last_group::read(&*disk)? {
            return Err(last.without_segments().into());
        }
        create(&*disk, settings, new_draw, first)?;
    }
    let mut records = 0;
    let tail = read_records(&*disk, &mut records, replay)?;
    let tail = tail.ok_or(OpenError::Refused("the ledger's segments were removed".to_owned()))?;
    let torn = if tail.end == End::Torn { Some(keep_torn(&*disk, &tail)?) } else { None };
    let (current, left) = rewrite_last(&*disk, &settings.sizes, &tail)?;
    let space = Space::new(settings.sizes, tail.header.segment, left);
    let queue = Queue::new(space, &tail, Position(records), settings.queue_bytes_max);
    let ledger = Ledger::new(queue, Position(records));
    let (draw, filling) = (tail.header.draw, Arc::clone(&current.filling));
    let preparer =
        Preparer::new(ledger.clone(), Arc::clone(&disk), draw, settings.sizes.segment, filling);
    let committer = Committer::new(ledger.clone(), disk, draw, current, log_lines);
    let found = Found { draw, records, torn };
    let mut opened = Opened { ledger, committer, preparer, found };
    opened.make_ready()?;
    Ok(opened)
}

impl Opened {
    /// Marks the end, so that damage to the last group is not taken for a tear, saves where it is, and
    /// prepares the spare segments without which no batch is taken, if there is room.
    fn make_ready(&mut self) -> Result<(), OpenError> {
        self.ledger.mark();
        self.committer.step()?;
        self.preparer.save_last_group();
        while self.ledger.spares() < super::prepare::SPARES {
            match self.preparer.step() {
                Ok(Preparation::Progress) => {}
                Ok(Preparation::NoRoom | Preparation::Idle) => break,
                Err(source) => {
                    return Err(open_error("preparing a segment of the ledger", source));
                }
            }
        }
        Ok(())
    }
}

fn remove_temporary(disk: &dyn Disk) -> Result<(), OpenError> {
    let names = disk.names().map_err(|source| open_error("listing the ledger's files", source))?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
        let doing = || format!("removing the unfinished file {name} of the ledger");
        disk.remove(name).map_err(|source| open_error(doing(), source))?;
    }
    Ok(())
}

fn create(
    disk: &dyn Disk,
    settings: &Settings,
    draw: DrawId,
    first: &Record<'_>,
) -> Result<(), OpenError> {
    let temporary = format!("first{TEMPORARY}");
    let mut bytes = Vec::new();
    begin_group(&mut bytes);
    first.encode(&mut bytes);
    seal_group(&mut bytes, 1);
    let header = SegmentHeader { segment: 1, first_group: 1, draw }.encode();
    let make = || {
        let file = disk.create(&temporary)?;
        file.allocate(settings.sizes.segment)?;
        file.write_at(0, &[&header, bytes.as_slice()].concat())?;
        file.sync()?;
        disk.rename(&temporary, &segment_name(1))?;
        disk.sync_directory()
    };
    make().map_err(|source| open_error("creating the ledger", source))
}

fn read_records(
    disk: &dyn Disk,
    records: &mut u64,
    replay: Replay<'_>,
) -> Result<Option<Tail>, OpenError> {
    let mut refused = None;
    let tail = reader::read_ledger(disk, &mut |place, group| {
        for record in group.records() {
            let replayed = record
                .map_err(|bad| ReplayError::Damaged(bad.to_string()))
                .and_then(|record| replay(&record));
            match replayed {
                Ok(()) => *records += 1,
                Err(ReplayError::Refused(why)) => {
                    refused = Some(why);
                    return Ok(Next::Stop);
                }
                Err(ReplayError::Damaged(what)) => {
                    let file = segment_name(place.segment);
                    return Err(ReadError::Damaged { file, offset: place.offset, what });
                }
            }
        }
        Ok(Next::Continue)
    })?;
    refused.map_or(Ok(tail), |why| Err(OpenError::Refused(why)))
}

/// Keeps the bytes of a torn tail aside, durably, before they are cut. The name has their checksum:
/// the same bytes are kept once, however often a start fails, and no others are replaced.
fn keep_torn(disk: &dyn Disk, tail: &Tail) -> Result<Torn, OpenError> {
    let file = segment_name(tail.header.segment);
    let temporary = format!("torn{TEMPORARY}");
    let keep = || {
        let source = disk.open(&file)?;
        let kept = disk.create(&temporary)?;
        let end = end_of_data(&*source, tail.offset)?;
        let crc = copy(&*source, &*kept, tail.offset..end)?;
        kept.sync()?;
        let kept_in = torn_name(tail.header.segment, tail.offset, crc);
        disk.rename(&temporary, &kept_in)?;
        disk.sync_directory()?;
        Ok(kept_in)
    };
    let kept_in =
        keep().map_err(|source| open_error("keeping the torn tail of the ledger aside", source))?;
    Ok(Torn { file, offset: tail.offset, kept_in })
}

fn torn_name(segment: u32, offset: u64, crc: u32) -> String {
    format!("torn-{segment:08}-{offset}-{crc:08x}.bin")
}

/// The segment and the offset that the name of a kept torn tail tells; `None` for another file's.
#[must_use]
pub fn torn_name_parts(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix("torn-")?.strip_suffix(".bin")?.split('-');
    let (segment, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
    (torn_name(segment, offset, crc) == name).then_some((segment, offset))
}

/// Where the zeros begin that reach to the end of the file.
fn end_of_data(file: &dyn File, from: u64) -> io::Result<u64> {
    let mut end = from;
    let mut at = from;
    let mut buffer = vec![0; COPY_PIECE];
    loop {
        let read = read_full_at(file, at, &mut buffer)?;
        if read == 0 {
            return Ok(end);
        }
        if let Some(last) = buffer[..read].iter().rposition(|&byte| byte != 0) {
            end = at + last as u64 + 1;
        }
        at += read as u64;
    }
}

/// Writes what is used of the last segment to a new file; returns it, and the bytes left in it.
fn rewrite_last(disk: &dyn Disk, sizes: &Sizes, tail: &Tail) -> Result<(Current, u64), OpenError> {
    let (segment, offset) = (tail.header.segment, tail.offset);
    let name = segment_name(segment);
    let temporary = format!("last{TEMPORARY}");
    let make = || {
        let old = disk.open(&name)?;
        let (file, size) = allocate_last(disk, &temporary, sizes, tail)?;
        copy(&*old, &*file, 0..offset)?;
        // What is appended may be of a kind that the format of the old header does not know.
        file.write_at(0, &tail.header.encode())?;
        file.sync()?;
        check_copy(Arc::clone(&file), tail)?;
        let filler = disk.open_to_write(&temporary)?;
        disk.rename(&temporary, &name)?;
        disk.sync_directory()?;
        let filling = Filling::new(filler, offset, size);
        Ok((Current { segment, file, filling, offset }, size - offset))
    };
    make().map_err(|source| open_error("writing the last segment of the ledger anew", source))
}

/// Makes the file for the last segment; returns its size too. Where a whole segment has no room, as
/// when the reserve was used on a full disk, there is place for what must not be refused.
fn allocate_last(
    disk: &dyn Disk,
    name: &str,
    sizes: &Sizes,
    tail: &Tail,
) -> io::Result<(Arc<dyn File>, u64)> {
    let allocate = |size| {
        let file = disk.create(name)?;
        file.allocate(size)?;
        Ok((file, size))
    };
    // A segment may have been made with a larger size than is configured now.
    let whole = sizes.segment.max(tail.offset + GROUP_OVERHEAD as u64);
    let least = whole.min(tail.offset + sizes.reserve());
    match allocate(whole) {
        Err(error) if is_no_room(&error) => allocate(least),
        allocated => allocated,
    }
}

/// Holds that the copy has all that was replayed. What stood in the page cache only may have been
/// dropped from it between the one reading and the other.
fn check_copy(copy: Arc<dyn File>, tail: &Tail) -> io::Result<()> {
    if let Ok(mut reader) = SegmentReader::open(copy)? {
        while reader.read_group()?.is_some() {}
        if (reader.offset(), reader.next_group()) == (tail.offset, tail.next_group) {
            return Ok(());
        }
    }
    Err(io::Error::other("it did not read the same twice"))
}

const COPY_PIECE: usize = 1 << 20;

/// Copies a range to the front of a file; returns the CRC-32C of its bytes.
fn copy(from: &dyn File, to: &dyn File, range: Range<u64>) -> io::Result<u32> {
    let length_max = range.end - range.start;
    let piece = usize::try_from(length_max).map_or(COPY_PIECE, |length| length.min(COPY_PIECE));
    let mut buffer = vec![0; piece];
    let mut offset = range.start;
    let mut crc = 0;
    while offset < range.end {
        let length = usize::try_from(range.end - offset).map_or(piece, |left| left.min(piece));
        let read = read_full_at(from, offset, &mut buffer[..length])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_at(offset - range.start, &buffer[..read])?;
        crc = crc32c::crc32c_append(crc, &buffer[..read]);
        offset += read as u64;
    }
    Ok(crc)
}

fn open_error(what: impl Into<String>, source: io::Error) -> OpenError {
    OpenError::Disk { what: what.into(), source }
}
