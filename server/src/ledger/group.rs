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

/// A group of this many bytes is worth a sync of its own: it is not kept waiting for more.
const GATHERED_ENOUGH: usize = 64 << 10;
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
    records: u64,
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
    /// How many records were taken by the committer, those of the past included.
    taken: Position,
    /// With how many records the next group has what can be expected of it.
    expected: u64,
    /// The committer waits for that many, and is not to be woken for fewer.
    pub(super) lingers: bool,
    /// The last try to prepare a spare segment found no room for it.
    room_is_missing: bool,
    last_is_mark: bool,
    awaiting_admission: Vec<Mailbox>,
    /// The number of times that those were told: nobody is listed twice in between.
    admissions: u64,
    prepared: VecDeque<Prepared>,
    /// The preparer has to look at how far segments are filled.
    pub(super) filling_is_due: bool,
    /// The preparer has to save which group is durable.
    pub(super) saving_is_due: bool,
    closed: bool,
    /// The committer has gone: no group becomes durable any more.
    pub(super) committer_ended: bool,
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
            taken: position,
            expected: 0,
            lingers: false,
            room_is_missing: false,
            last_is_mark: tail.ends_with_mark,
            awaiting_admission: Vec::new(),
            admissions: 0,
            prepared: VecDeque::new(),
            filling_is_due: false,
            saving_is_due: false,
            closed: false,
            committer_ended: false,
            spare_buffer: Vec::new(),
        }
    }

    /// Appends a record; says whether the committer is to be woken for it.
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
        pending.records += 1;
        pending.bytes += record.size();
        if let Some(waiter) = waiter {
            pending.list(waiter);
        }
        Ok(if self.lingers { self.is_gathered() } else { was_idle })
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

    /// Takes the group that is to be written next.
    pub(super) fn take_group(&mut self) -> Option<Group> {
        let group = self.groups.pop_front()?;
        let behind = self.pending.len() - 1 - self.groups.len();
        self.taken = self.pending[behind].end;
        Some(group)
    }

    /// Whether there is nothing to be gained by waiting for more to write at once.
    pub(super) fn is_gathered(&self) -> bool {
        let bytes = self.groups.front().map_or(0, |group| group.buffer.len());
        self.tail.0 - self.taken.0 >= self.expected || bytes >= GATHERED_ENOUGH || self.closed
    }

    /// The group taken last is durable: how far the ledger is now, and who is to be told.
    pub(super) fn finish_group(&mut self, mut buffer: Vec<u8>) -> (Position, Vec<Mailbox>) {
        let pending = self.pending.pop_front().expect("a group was taken");
        self.bytes -= pending.bytes;
        self.saving_is_due |= pending.records == 0;
        // Who is told now may be back with the next record soon, beside those who came meanwhile.
        self.expected = pending.records + (self.tail.0 - self.taken.0);
        if buffer.capacity() <= BUFFER_KEPT_MAX {
            buffer.clear();
            self.spare_buffer = buffer;
        }
        (pending.end, pending.waiters)
    }

    pub(super) fn tail(&self) -> Position {
        self.tail
    }

    /// The number of the last durable group.
    pub(super) fn durable_group(&self) -> u64 {
        self.pending.front().map_or(self.next_number, |pending| pending.number) - 1
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

    /// The segment to go on in. All groups of the one before it are durable.
    pub(super) fn take_prepared(&mut self) -> Option<Prepared> {
        self.saving_is_due = true;
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
        let waiters = Vec::new();
        self.pending.push_back(Pending { number, end: self.tail, records: 0, bytes: 0, waiters });
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

#[cfg(test)]
mod tests {
    use bolillero_protocol::message::DrawId;

    use super::*;
    use crate::ledger::record::Kind;
    use crate::ledger::segment::{End, SegmentHeader};
    use crate::ledger::space::Sizes;

    fn queue() -> Queue {
        let sizes = Sizes { segment: 1 << 20, batch_body_max: 1 << 16, agencies: 1 };
        let mut space = Space::new(sizes, 1, sizes.segment);
        space.spares = 2;
        let header = SegmentHeader { segment: 1, first_group: 1, draw: DrawId([1; 8]) };
        let tail = Tail {
            header,
            offset: 36,
            next_group: 1,
            ends_with_mark: true,
            end: End::Clean,
            known_durable: None,
        };
        Queue::new(space, &tail, Position(7), 1 << 20)
    }

    /// Appends a batch; says whether the committer is woken.
    fn append(queue: &mut Queue, size: usize) -> bool {
        let body = &vec![b'1'; size];
        let record = Record { kind: Kind::Batch, agency: 1, epoch: 1, seq: 1, n: 1, body };
        queue.append(&record, None, None).expect("there is room")
    }

    fn commit(queue: &mut Queue, meanwhile: usize) {
        let group = queue.take_group().expect("a group was appended to");
        for _ in 0..meanwhile {
            append(queue, 10);
        }
        queue.finish_group(group.buffer);
    }

    #[test]
    fn a_group_is_durable_once_it_is_finished_and_a_mark_has_that_saved() {
        let mut queue = queue();
        assert_eq!(queue.durable_group(), 0);
        append(&mut queue, 10);
        commit(&mut queue, 1);
        assert_eq!((queue.durable_group(), queue.saving_is_due), (1, false));
        let group = queue.take_group().expect("it came meanwhile");
        assert!(queue.mark());
        assert_eq!(queue.durable_group(), 1, "taken is not durable");
        queue.finish_group(group.buffer);
        assert_eq!((queue.durable_group(), queue.saving_is_due), (2, false));
        commit(&mut queue, 0);
        assert_eq!((queue.durable_group(), queue.saving_is_due), (3, true));
    }

    #[test]
    fn a_committer_lingers_for_those_it_told_and_those_who_came_meanwhile() {
        let mut queue = queue();
        assert!(queue.is_gathered(), "nothing is expected of a new ledger");
        assert!(append(&mut queue, 10), "who rests is woken by the first");
        append(&mut queue, 10);
        commit(&mut queue, 1);
        // Two were told and one came: three are expected.
        assert!(!queue.is_gathered());
        queue.lingers = true;
        assert_eq!([append(&mut queue, 10), append(&mut queue, 10)], [false, true]);
        queue.lingers = false;
        commit(&mut queue, 0);
        assert_eq!(queue.expected, 3);
    }

    #[test]
    fn a_committer_lingers_for_no_more_than_is_worth_a_sync() {
        let mut queue = queue();
        for _ in 0..9 {
            append(&mut queue, 10);
        }
        commit(&mut queue, 0);
        queue.lingers = true;
        assert!(!append(&mut queue, 10));
        assert!(append(&mut queue, GATHERED_ENOUGH), "one large record is enough");
        commit(&mut queue, 0);
        assert!(!queue.is_gathered());
        queue.close();
        assert!(queue.is_gathered(), "nothing is waited for at the end");
    }
}
