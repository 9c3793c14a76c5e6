//! What gathers while the committer syncs: the groups to come, and who waits for them. Knows no file
//! and no lock; [`super::Ledger`] has it behind one.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::prepare::Prepared;
use super::reader::Tail;
use super::record::Record;
use super::segment::begin_group;
use super::space::{NoRoom, Place, Space};
use super::{Position, Waiter};
use crate::session::Mailbox;

/// A buffer larger than this is not kept for the next group.
const BUFFER_KEPT_MAX: usize = 1 << 20;

/// A group on its way to the disk.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) segment: u32,
    /// Its bytes, unsealed.
    pub(super) buffer: Vec<u8>,
    /// Lines to be logged once it is synced.
    pub(super) log_lines: String,
}

/// A group's part that stays behind when the committer takes it: its waiters may still come.
#[derive(Debug)]
struct Pending {
    number: u64,
    end: Position,
    bytes: usize,
    waiters: Vec<Mailbox>,
}

/// The groups that are not durable yet.
#[derive(Debug)]
pub(super) struct Queue {
    space: Space,
    /// Not taken yet; the last is open for appending.
    groups: VecDeque<Group>,
    /// One for each group not durable, the one being written included.
    pending: VecDeque<Pending>,
    next_number: u64,
    tail: Position,
    bytes: usize,
    bytes_max: usize,
    /// The last try to prepare a spare segment found no room for it.
    room_is_missing: bool,
    last_is_mark: bool,
    awaiting_admission: Vec<Mailbox>,
    /// The number of times that those were told: nobody is listed twice in between.
    admissions: u64,
    prepared: VecDeque<Prepared>,
    /// The preparer has to look at how far segments are filled.
    pub(super) filling_is_due: bool,
    closed: bool,
    spare_buffer: Vec<u8>,
}

impl Queue {
    /// A queue that goes on after `tail`, and admits up to `bytes_max`.
    pub(super) fn new(space: Space, tail: &Tail, position: Position, bytes_max: usize) -> Self {
        Self {
            space,
            groups: VecDeque::new(),
            pending: VecDeque::new(),
            next_number: tail.next_group,
            tail: position,
            bytes: 0,
            bytes_max,
            room_is_missing: false,
            last_is_mark: tail.ends_with_mark,
            awaiting_admission: Vec::new(),
            admissions: 0,
            prepared: VecDeque::new(),
            filling_is_due: false,
            closed: false,
            spare_buffer: Vec::new(),
        }
    }

    /// Appends a record; says whether there was nothing to write before.
    pub(super) fn append(
        &mut self,
        record: &Record<'_>,
        waiter: Option<&mut Waiter>,
        log_line: Option<std::fmt::Arguments<'_>>,
    ) -> Result<bool, NoRoom> {
        let was_idle = self.groups.is_empty();
        // A mark that was not written yet may become a group.
        let open = self.groups.back().map(|group| group.buffer.len());
        match self.space.place(record, open)? {
            Place::OpenGroup => {}
            Place::NewGroup => self.begin(),
        }
        self.last_is_mark = false;
        self.tail.0 += 1;
        self.bytes += record.size();
        let group = self.groups.back_mut().expect("a group is open");
        record.encode(&mut group.buffer);
        if let Some(line) = log_line {
            // Writing to a string does not fail.
            let _ = writeln!(group.log_lines, "{line}");
        }
        let pending = self.pending.back_mut().expect("each group has its pending part");
        pending.end = self.tail;
        pending.bytes += record.size();
        if let Some(waiter) = waiter {
            pending.list(waiter);
        }
        Ok(was_idle)
    }

    pub(super) fn mark(&mut self) -> bool {
        let placed = !self.last_is_mark && self.space.place_mark();
        if placed {
            self.begin();
            self.last_is_mark = true;
        }
        placed
    }

    pub(super) fn await_tail(&mut self, waiter: &mut Waiter) -> Position {
        if let Some(pending) = self.pending.back_mut() {
            pending.list(waiter);
        }
        self.tail
    }

    pub(super) fn take_group(&mut self) -> Option<Group> {
        self.groups.pop_front()
    }

    /// The group taken last is durable: how far the ledger is now, and who is to be told.
    pub(super) fn finish_group(&mut self, mut buffer: Vec<u8>) -> (Position, Vec<Mailbox>) {
        let pending = self.pending.pop_front().expect("a group was taken");
        self.bytes -= pending.bytes;
        if buffer.capacity() <= BUFFER_KEPT_MAX {
            buffer.clear();
            self.spare_buffer = buffer;
        }
        (pending.end, pending.waiters)
    }

    pub(super) fn tail(&self) -> Position {
        self.tail
    }

    pub(super) fn await_admission(&mut self, waiter: &mut Waiter) {
        if waiter.awaits_admission != Some(self.admissions) {
            waiter.awaits_admission = Some(self.admissions);
            self.awaiting_admission.push(waiter.mailbox.clone());
        }
    }

    /// Whether more may be asked: there is place in the queue, and no spare segment is awaited. Where
    /// the disk has no room for one, what is asked is to be refused, not to wait.
    pub(super) fn admits(&self) -> bool {
        let awaits_spare = self.space.awaits_spare() && !self.room_is_missing;
        self.bytes < self.bytes_max && !awaits_spare
    }

    /// Those who may try again, once anybody may.
    pub(super) fn take_admitted(&mut self) -> Vec<Mailbox> {
        if !self.admits() {
            return Vec::new();
        }
        self.admissions += 1;
        std::mem::take(&mut self.awaiting_admission)
    }

    pub(super) fn add_prepared(&mut self, prepared: Prepared) {
        self.prepared.push_back(prepared);
        self.space.spares += 1;
        self.room_is_missing = false;
    }

    /// There is no room for another spare segment at present.
    pub(super) fn miss_room(&mut self) {
        self.room_is_missing = true;
    }

    pub(super) fn take_prepared(&mut self) -> Option<Prepared> {
        self.prepared.pop_front()
    }

    /// Spare segments that nothing is placed in yet.
    pub(super) fn spares(&self) -> u32 {
        self.space.spares
    }

    pub(super) fn ends_with_mark(&self) -> bool {
        self.last_is_mark
    }

    pub(super) fn has_group(&self) -> bool {
        !self.groups.is_empty()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn begin(&mut self) {
        let number = self.next_number;
        self.next_number += 1;
        let mut buffer = std::mem::take(&mut self.spare_buffer);
        begin_group(&mut buffer);
        let segment = self.space.segment;
        self.groups.push_back(Group { number, segment, buffer, log_lines: String::new() });
        self.pending.push_back(Pending { number, end: self.tail, bytes: 0, waiters: Vec::new() });
    }
}

impl Pending {
    fn list(&mut self, waiter: &mut Waiter) {
        if waiter.listed_in != self.number {
            waiter.listed_in = self.number;
            self.waiters.push(waiter.mailbox.clone());
        }
    }
}
