//! The ledger: an append-only record of all that happened, and the only thing the office believes.
//! Knows no rule of the lottery.
//!
//! ```text
//! <data-dir>/LOCK                           held by the one server that writes here
//! <data-dir>/ledger/00000001.log …          the segments, numbered from 1 without a gap, 8 digits or more
//!                  /last-group.bin          the number of the last group known to be durable
//!                  /*.tmp                   what was not finished; spare segments, where they need a name
//!                  /torn-00000001-4096-89abcdef.bin    a torn tail that was cut: segment, offset, CRC-32C
//! ```
//! The bytes of a segment and of a group stand in [`segment`], those of a record in [`record`], those of
//! `last-group.bin` in [`last_group`]. A reader goes through the segments by number and through each
//! from its header to its end, and checks that
//!
//! 1. every segment has its own number in its header, and the draw id of the first;
//! 2. groups are numbered 1, 2, 3 … through all segments, each segment's header naming its first;
//! 3. behind the last group of a segment there are zeros to the end of the file, whose size is not
//!    part of the format;
//! 4. in the last segment only, something else may stand there: a group that was being written. It is
//!    no damage if no valid group stands at any later byte;
//! 5. the last group is no earlier than the one that `last-group.bin` names, which is read before the
//!    segments, and is of the same draw. Without that file nothing is known about the end.
//!
//! Beside a running server the list of segments and the last of them are read again before the end
//! is believed, see [`reader`].
//!
//! What is relied on of the disk:
//! 1. What was written before a sync that returned without error is there after a crash.
//! 2. A write that was not synced may be there whole, in parts, in any order, or not at all; it
//!    changes no byte outside of its range.
//! 3. A rename, or a name for a file that had none, is durable once its directory was synced, and
//!    happens whole or not at all.
//! 4. A byte that was synced reads back as it was, or the read fails, or it was damaged, which the
//!    checksums show.
//! 5. Allocated space reads as zeros, and a write into it does not fail for want of room. (Where a
//!    file system copies on write it may: that is a failed write like any other.)
//! 6. A failed write-back is told to each open file once, by a sync. What it was about may still be
//!    read until it is dropped from memory, and no later sync makes it durable.
//!
//! What follows:
//! 1. The group is the unit of a tear: the next is written only after the last is synced. A bad
//!    group is a torn tail only in the last segment, with no valid group behind it. A mark, which
//!    is an empty group, follows when it is quiet, at the end and at every start: damage to an
//!    acknowledged group is taken for a tear only if it is the very last and unmarked.
//! 2. A segment gets its name only after the last group of its predecessor is synced.
//! 3. Room is decided when a record is appended; a record that was taken has its place. Batches
//!    leave a whole spare segment alone, for hello, finish, the draw, and the next start.
//! 4. A failed write or sync of a group ends the ledger: no more answers, no second try.
//! 5. What is used of the last segment is written anew at every start, and read back: what a dead
//!    process left in the page cache only is not believed.
//! 6. Whoever syncs a file beside the committer has a handle of its own.
//! 7. `last-group.bin` never names a group that is not durable. The preparer writes it, so no bet waits
//!    for it: at each mark, at each new segment, once a second while groups are written, and at the end
//!    after the committer's last mark. Where that fails it names an earlier group, and nothing else
//!    changes. Every start makes the file anew.
//! 8. While a server serves, no name leaves the directory: a program that copies it finds all that it
//!    has listed. So a spare segment has no name, where the file system can do without.

pub mod committer;
pub mod disk;
pub mod group;
pub mod last_group;
pub mod memory;
pub mod prepare;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod rewrite;
pub mod salvage;
pub mod segment;

mod space;

use std::sync::Arc;
use std::time::Duration;

use crate::session::Mailbox;
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use group::{Group, Queue};
use prepare::{Prepared, SPARES};
use record::Record;
pub use space::{NoRoom, Sizes};

/// How many records there are up to and with a certain one. What rests on that record may be
/// answered once the ledger's durable position is no smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub u64);

/// A connection that waits for the ledger. Keeps a group from listing it twice.
#[derive(Debug)]
pub struct Waiter {
    mailbox: Mailbox,
    /// The number of the last group that lists it.
    listed_in: u64,
    /// How often admission had been told of when it was last listed for that.
    awaits_admission: Option<u64>,
}

impl Waiter {
    /// A waiter that is told through `mailbox`.
    #[must_use]
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, listed_in: 0, awaits_admission: None }
    }

    /// How it is told.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

/// The end of the ledger that records are appended to. Shared by all who append, and the committer.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// For the committer: there is a group to write, or the ledger ends.
    work: Condvar,
    /// For the preparer: there are too few spare segments, something is to be filled or saved, or the
    /// ledger ends.
    demand: Condvar,
    /// For who found no room: there is a spare segment more.
    room: Condvar,
    /// Invariant: every record up to here is synced, and its log line is written.
    durable: AtomicU64,
    /// Whether more may be asked, for a look without the lock.
    admits: AtomicBool,
}

impl Ledger {
    fn new(queue: Queue, durable: Position) -> Self {
        let shared = Shared {
            work: Condvar::new(),
            demand: Condvar::new(),
            room: Condvar::new(),
            durable: AtomicU64::new(durable.0),
            admits: AtomicBool::new(queue.admits()),
            queue: Mutex::new(queue),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a record. Whoever waits for it is told when it is durable; `log_line` is written after
    /// the sync and before anybody is told.
    ///
    /// # Errors
    /// [`NoRoom`]: there is no place for it on the disk at present. Nothing has changed.
    pub fn append(
        &self,
        record: &Record<'_>,
        waiter: Option<&mut Waiter>,
        log_line: Option<std::fmt::Arguments<'_>>,
    ) -> Result<Position, NoRoom> {
        let mut queue = self.lock();
        let is_awaited = queue.append(record, waiter, log_line)?;
        let (position, spares) = (queue.tail(), queue.spares());
        self.shared.admits.store(queue.admits(), Ordering::Relaxed);
        drop(queue);
        if is_awaited {
            self.shared.work.notify_one();
        }
        if spares < SPARES {
            self.shared.demand.notify_one();
        }
        Ok(position)
    }

    /// The position after all that is queued now. If that is not durable yet, the waiter is told
    /// when it is: listing it and reading the position are one step.
    pub fn await_tail(&self, waiter: &mut Waiter) -> Position {
        self.lock().await_tail(waiter)
    }

    /// Up to where the ledger is durable. It only grows.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.shared.durable.load(Ordering::Acquire))
    }

    /// Whether more may be asked: there is place in the queue, and no spare segment is only being
    /// prepared that is needed soon. If not, the waiter is told when it may.
    #[must_use]
    pub fn admits(&self, waiter: &mut Waiter) -> bool {
        if self.shared.admits.load(Ordering::Relaxed) {
            return true;
        }
        // Looking again and asking to be told are one step: no news is lost between them.
        let mut queue = self.lock();
        let admitted = queue.admits();
        if !admitted {
            queue.await_admission(waiter);
        }
        admitted
    }

    /// Queues a mark, unless the last group is one or there is no place for it.
    pub fn mark(&self) {
        if self.lock().mark() {
            self.shared.work.notify_one();
        }
    }

    /// Blocks until [`Ledger::append`] may find room again, at most for `time_max`; for a thread only.
    pub fn wait_for_room(&self, time_max: Duration) {
        let queue = self.lock();
        // Whether it was woken or the time has passed: the caller tries again.
        drop(self.shared.room.wait_timeout(queue, time_max));
    }

    /// Has the committer return from waiting, finish what is queued, and end.
    pub fn close(&self) {
        self.lock().close();
        for waiting in [&self.shared.work, &self.shared.demand, &self.shared.room] {
            waiting.notify_all();
        }
    }

    /// Spare segments that nothing is placed in yet.
    fn spares(&self) -> u32 {
        self.lock().spares()
    }

    /// Blocks the committer until the next group has what can be expected of it, at most for
    /// `time_max`.
    fn linger(&self, time_max: Duration) {
        let lingers = |queue: &mut Queue| {
            queue.lingers = !queue.is_gathered();
            queue.lingers
        };
        match self.shared.work.wait_timeout_while(self.lock(), time_max, lingers) {
            Ok((mut queue, _)) => queue.lingers = false,
            Err(_) => die("the ledger's queue"),
        }
    }

    fn take_group(&self) -> Option<Group> {
        self.lock().take_group()
    }

    /// Notes that the group taken last is durable; tells everybody who waits for it.
    fn finish_group(&self, buffer: Vec<u8>) {
        let mut queue = self.lock();
        let saving_was_due = queue.saving_is_due;
        let (position, waiters) = queue.finish_group(buffer);
        let admitted = self.admit(&mut queue);
        let saving_is_due = queue.saving_is_due && !saving_was_due;
        // Under the lock: who was not listed because nothing was pending must see it as durable.
        self.shared.durable.store(position.0, Ordering::Release);
        drop(queue);
        // Only for a mark, so no load pays for it group by group.
        if saving_is_due {
            self.shared.demand.notify_one();
        }
        for mailbox in waiters.iter().chain(&admitted) {
            mailbox.news();
        }
    }

    fn add_prepared(&self, prepared: Prepared) {
        self.change_room(|queue| queue.add_prepared(prepared));
        self.shared.room.notify_all();
    }

    /// Notes that there is no room for another spare segment.
    fn miss_room(&self) {
        self.change_room(Queue::miss_room);
    }

    fn change_room(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        change(&mut queue);
        let admitted = self.admit(&mut queue);
        drop(queue);
        for mailbox in &admitted {
            mailbox.news();
        }
    }

    /// Those who are to be told that they may ask again.
    fn admit(&self, queue: &mut Queue) -> Vec<Mailbox> {
        self.shared.admits.store(queue.admits(), Ordering::Relaxed);
        queue.take_admitted()
    }

    fn take_prepared(&self) -> Option<Prepared> {
        let prepared = self.lock().take_prepared();
        self.shared.demand.notify_one();
        prepared
    }

    /// Has the preparer look at how far segments are filled.
    fn demand_filling(&self) {
        self.lock().filling_is_due = true;
        self.shared.demand.notify_one();
    }

    /// Blocks the preparer for `time_max`, or until spare segments are missing, or something is to be
    /// filled or saved. False: the ledger ends.
    fn wait_for_demand(&self, time_max: Duration) -> bool {
        let rests = |queue: &mut Queue| {
            let filling_is_due = std::mem::take(&mut queue.filling_is_due);
            let is_due = filling_is_due || queue.saving_is_due;
            queue.spares() >= SPARES && !is_due && !queue.is_closed()
        };
        self.wait_while(&self.shared.demand, time_max, rests)
    }

    /// Blocks the preparer for `time_max`. False: the ledger ends.
    fn pause(&self, time_max: Duration) -> bool {
        self.wait_while(&self.shared.demand, time_max, |queue| !queue.is_closed())
    }

    /// Whether the number of the last durable group is to be saved. Says so once.
    fn take_saving_due(&self) -> bool {
        std::mem::take(&mut self.lock().saving_is_due)
    }

    fn saving_is_due(&self) -> bool {
        self.lock().saving_is_due
    }

    /// The number of the last durable group.
    fn durable_group(&self) -> u64 {
        self.lock().durable_group()
    }

    /// Notes that no group becomes durable any more.
    fn end_committing(&self) {
        self.lock().committer_ended = true;
        self.shared.demand.notify_all();
    }

    /// Blocks the preparer until the committer has gone.
    fn wait_for_committer_end(&self) {
        self.wait_while(&self.shared.demand, Duration::MAX, |queue| !queue.committer_ended);
    }

    fn wait_while(
        &self,
        condvar: &Condvar,
        time_max: Duration,
        rests: impl FnMut(&mut Queue) -> bool,
    ) -> bool {
        match condvar.wait_timeout_while(self.lock(), time_max, rests) {
            Ok((queue, _)) => !queue.is_closed(),
            Err(_) => die("the ledger's queue"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock_or_die(&self.shared.queue, "the ledger's queue")
    }
}

/// Locks what must be whole. A panic under this lock may have left it half changed: what was
/// acknowledged could be contradicted, so the process ends.
pub(crate) fn lock_or_die<'a, T>(mutex: &'a Mutex<T>, what: &str) -> MutexGuard<'a, T> {
    mutex.lock().unwrap_or_else(|_| die(what))
}

fn die(what: &str) -> ! {
    log::error!("action: abort | result: fail | error: a thread died under the lock of {what}");
    std::process::abort()
}
