//! Makes groups durable: writes one, syncs once, logs its lines, tells who waits. A value with a
//! [`Committer::step`]; its thread is a loop around it, so that a test can drive it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bolillero_protocol::message::DrawId;
use thiserror::Error;

use super::Ledger;
use super::disk::{Disk, File};
use super::group::{Group, Queue};
use super::prepare::{Filling, Prepared};
use super::segment::{SEGMENT_HEADER_SIZE, SegmentHeader, seal_group};

/// A write or a sync of the ledger failed. What it was about may be there or not: nobody is told
/// anything any more, and it is not tried again.
#[derive(Debug, Error)]
#[error("{what} of the ledger failed: {source}")]
pub struct CommitError {
    what: String,
    source: io::Error,
}

impl CommitError {
    /// What the disk said.
    pub(crate) fn io(&self) -> &io::Error {
        &self.source
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A group is durable.
    Committed,
    /// Nothing was queued.
    Idle,
}

/// What ended a wait for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// There is a group to write.
    Group,
    /// Nothing came for the whole time.
    Quiet,
    /// The ledger was closed and nothing is queued.
    Closed,
}

/// The segment that groups are written to.
pub(super) struct Current {
    pub(super) segment: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) filling: Arc<Filling>,
    /// Where the next group goes.
    pub(super) offset: u64,
}

/// How long a committer waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Without anything to write, until a mark is written: then damage to the group before it is
    /// not taken for a tear.
    pub mark_delay: Duration,
    /// For more to write at once, and never longer than the last sync took. 0: not at all.
    pub linger_time_max: Duration,
}

/// Writes the lines of a group, each ended by a line feed, to the log.
pub type LogLines = Box<dyn FnMut(&str) + Send>;

/// The one writer of the ledger.
pub struct Committer {
    ledger: Ledger,
    disk: Arc<dyn Disk>,
    draw: DrawId,
    current: Current,
    log_lines: LogLines,
    failed: bool,
}

impl Committer {
    pub(super) fn new(
        ledger: Ledger,
        disk: Arc<dyn Disk>,
        draw: DrawId,
        current: Current,
        log_lines: LogLines,
    ) -> Self {
        Self { ledger, disk, draw, current, log_lines, failed: false }
    }

    /// Makes the next group durable, if there is one.
    ///
    /// # Errors
    /// [`CommitError`] once, and from then on: the ledger has ended.
    ///
    /// # Panics
    /// When it is called again after an error.
    pub fn step(&mut self) -> Result<Step, CommitError> {
        assert!(!self.failed, "a ledger that failed is not written to again");
        let Some(group) = self.ledger.take_group() else { return Ok(Step::Idle) };
        self.failed = true;
        let buffer = self.commit(group)?;
        self.failed = false;
        self.ledger.finish_group(buffer);
        Ok(Step::Committed)
    }

    /// Commits what is queued until the ledger is closed, and ends it with a mark. For a thread.
    ///
    /// # Errors
    /// [`CommitError`] of the first step that failed.
    pub fn run(&mut self, pace: &Pace) -> Result<(), CommitError> {
        loop {
            let work = self.wait_for_work(pace.mark_delay);
            if work != Work::Group {
                self.ledger.mark();
            }
            self.commit_all(pace.linger_time_max)?;
            if work == Work::Closed {
                return Ok(());
            }
        }
    }

    /// Those who are told of a group are often back with their next record before another sync would
    /// be over. Waiting for them spares them that sync, and costs no more than one.
    fn commit_all(&mut self, linger_time_max: Duration) -> Result<(), CommitError> {
        loop {
            let begin = Instant::now();
            if self.step()? == Step::Idle {
                return Ok(());
            }
            self.ledger.linger(begin.elapsed().min(linger_time_max));
        }
    }

    fn wait_for_work(&self, mark_delay: Duration) -> Work {
        let queue = self.ledger.lock();
        let time_max = if queue.ends_with_mark() { Duration::MAX } else { mark_delay };
        let rests = |queue: &mut Queue| !queue.has_group() && !queue.is_closed();
        match self.ledger.shared.work.wait_timeout_while(queue, time_max, rests) {
            Ok((queue, _)) if queue.has_group() => Work::Group,
            Ok((queue, _)) if queue.is_closed() => Work::Closed,
            Ok(_) => Work::Quiet,
            Err(_) => super::die("the ledger's queue"),
        }
    }

    fn commit(&mut self, group: Group) -> Result<Vec<u8>, CommitError> {
        if group.segment != self.current.segment {
            self.next_segment(&group)?;
        }
        let Group { number, mut buffer, log_lines, .. } = group;
        seal_group(&mut buffer, number);
        let end = self.current.offset + buffer.len() as u64;
        let filling_is_due = self.current.filling.claim(end);
        let Current { segment, file, offset, .. } = &mut self.current;
        file.write_at(*offset, &buffer).map_err(failed(|| {
            format!("writing group {number} at offset {offset} of segment {segment}")
        }))?;
        file.sync().map_err(failed(|| format!("syncing group {number}, segment {segment},")))?;
        *offset = end;
        if filling_is_due {
            self.ledger.demand_filling();
        }
        if !log_lines.is_empty() {
            (self.log_lines)(&log_lines);
        }
        Ok(buffer)
    }

    /// Goes on in a prepared segment. The last group of the one before is synced: only now may the
    /// new one get its name.
    fn next_segment(&mut self, group: &Group) -> Result<(), CommitError> {
        let (segment, number) = (group.segment, group.number);
        assert_eq!(segment, self.current.segment + 1, "segments are continuous");
        let prepared = self.ledger.take_prepared().expect("a group is placed in spares only");
        let Prepared { file, filling, give_name } = prepared;
        let header = SegmentHeader { segment, first_group: number, draw: self.draw };
        filling.claim(SEGMENT_HEADER_SIZE as u64);
        let make = || {
            file.write_at(0, &header.encode())?;
            file.sync()?;
            give_name(&segment_name(segment))?;
            self.disk.sync_directory()
        };
        make().map_err(failed(|| format!("beginning segment {segment}")))?;
        self.current = Current { segment, file, filling, offset: SEGMENT_HEADER_SIZE as u64 };
        Ok(())
    }
}

impl Drop for Committer {
    /// However it ends, the preparer waits for it.
    fn drop(&mut self) {
        self.ledger.end_committing();
    }
}

/// The file name of a segment.
#[must_use]
pub fn segment_name(segment: u32) -> String {
    format!("{segment:08}.log")
}

fn failed(what: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> CommitError {
    |source| CommitError { what: what(), source }
}
