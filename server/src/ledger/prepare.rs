//! Prepares segments ahead of use: allocates them, and fills them with zeros piece by piece.
//!
//! A sync into filled space has no metadata to write, which makes it faster. But filling competes
//! with the syncs that bets wait for, most of all in the file that they sync, whose metadata it
//! changes. So the next segment is filled while the current one is used, a small piece for each as
//! much that is stored; in the current one it is done only when it is quiet. A segment that is not
//! filled serves as well.
//!
//! The same thread saves which group is durable, see [`super::last_group`]: bets never wait for that.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bolillero_protocol::message::DrawId;

use super::Ledger;
use super::disk::{Disk, File, GiveName, Spare, is_no_room};
use super::last_group::LastGroupFile;
use crate::hint::hint_for_file;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// How many spare segments are kept: one as the reserve, one to go on in.
pub const SPARES: u32 = 2;
/// How much is filled at once when it is quiet.
pub const FILL_PIECE: usize = 1 << 20;
/// How much is filled at once while bets are stored, for each as much of them.
const FILL_PIECE_BESIDE: usize = 128 << 10;
/// How long the filler leaves the disk alone after each piece.
const FILL_PAUSE: Duration = Duration::from_micros(500);
/// It is quiet when nothing was stored for so long.
const QUIET_TIME: Duration = Duration::from_millis(1);
/// How long until room is looked for again.
const ROOM_RETRY: Duration = Duration::from_secs(1);
/// How old the saved number of the last durable group may be while groups are written.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// How far ahead of the committer a filler goes on that it has caught up with.
const SKIP_SIZE: u64 = 2 * FILL_PIECE as u64;

/// A segment without a name, a number or a header.
pub(super) struct Prepared {
    pub(super) file: Arc<dyn File>,
    pub(super) filling: Arc<Filling>,
    pub(super) give_name: GiveName,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared")
    }
}

/// How far a file is filled. Keeps the filler from ever writing where a group may stand.
///
/// Invariant: below `level` only the committer writes, from `level` on only the filler does.
pub(super) struct Filling {
    /// The filler's own handle: were it the committer's, a sync of the filler could be told of the
    /// failed write of a group, and the committer's sync would then return without an error.
    file: Arc<dyn File>,
    size: u64,
    level: AtomicU64,
    /// Where the committer's last write ends; 0 before the first.
    used: AtomicU64,
    /// Held while a piece is written, and while the level is raised over the filler's head.
    writing: Mutex<()>,
}

impl Filling {
    pub(super) fn new(file: Arc<dyn File>, level: u64, size: u64) -> Arc<Self> {
        let (level, used) = (AtomicU64::new(level), AtomicU64::new(level));
        Arc::new(Self { file, size, level, used, writing: Mutex::new(()) })
    }

    /// Makes sure that the committer may write up to `end`. A filler that is not that far goes on
    /// some way ahead of it; what lies between stays unfilled. Says whether another piece of the next
    /// segment is due.
    pub(super) fn claim(&self, end: u64) -> bool {
        if end > self.level.load(Ordering::Acquire) {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            self.level.fetch_max(end + SKIP_SIZE, Ordering::AcqRel);
        }
        let before = self.used.swap(end, Ordering::Relaxed);
        let pieces = |size: u64| size / FILL_PIECE_BESIDE as u64;
        pieces(before) != pieces(end)
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn level(&self) -> u64 {
        self.level.load(Ordering::Acquire)
    }

    /// Fills one more piece. False when there is nothing left to do.
    fn fill_piece(&self, zeros: &[u8]) -> io::Result<bool> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let level = self.level();
        if level >= self.size {
            return Ok(false);
        }
        let left = usize::try_from(self.size - level).unwrap_or(usize::MAX);
        let piece = &zeros[..zeros.len().min(left)];
        self.file.write_at(level, piece)?;
        self.level.store(level + piece.len() as u64, Ordering::Release);
        drop(writing);
        self.file.sync()?;
        Ok(true)
    }
}

/// What a step of the preparer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Allocated a segment or filled a piece: there may be more to do.
    Progress,
    /// The disk has no room for a segment at present.
    NoRoom,
    /// Nothing to do.
    Idle,
}

/// Prepares segments, one small step at a time.
pub struct Preparer {
    ledger: Ledger,
    disk: Arc<dyn Disk>,
    segment_size: u64,
    /// The segment in use, and the spare ones in the order in which they will be.
    fillings: VecDeque<Arc<Filling>>,
    zeros: Vec<u8>,
    last_group: LastGroupFile,
    /// When a save was last looked for.
    saved_at: Instant,
}

impl Preparer {
    pub(super) fn new(
        ledger: Ledger,
        disk: Arc<dyn Disk>,
        draw: DrawId,
        segment_size: u64,
        current: Arc<Filling>,
    ) -> Self {
        Self {
            ledger,
            segment_size,
            fillings: VecDeque::from([current]),
            zeros: vec![0; FILL_PIECE],
            last_group: LastGroupFile::new(Arc::clone(&disk), draw),
            disk,
            saved_at: Instant::now(),
        }
    }

    /// Saves which group is durable if that is due. Then allocates a spare segment if one is missing,
    /// else fills a piece of the next segment if one is due, else of the current one.
    ///
    /// # Errors
    /// None that matters to what is stored: a spare segment could not be made. It is tried again.
    pub fn step(&mut self) -> io::Result<Preparation> {
        // First, because a disk without room for a segment has room for this.
        if self.ledger.take_saving_due() {
            self.save_last_group();
        }
        if self.ledger.spares() < SPARES {
            return self.add_spare();
        }
        self.forget_used();
        // A file that cannot be filled serves unfilled. What a failed sync was about may have been a
        // group: the committer's handle is told of it too.
        let filled = match self.due() {
            Some(next) => next.fill_piece(&self.zeros[..FILL_PIECE_BESIDE]),
            None => self.fillings[0].fill_piece(&self.zeros),
        };
        Ok(if filled.unwrap_or(false) { Preparation::Progress } else { Preparation::Idle })
    }

    /// Saves the number of the last durable group, so that a loss at the ledger's end is found. That it
    /// fails is logged, and changes nothing else.
    pub fn save_last_group(&mut self) {
        self.last_group.save(self.ledger.durable_group());
        self.saved_at = Instant::now();
    }

    fn is_save_overdue(&self) -> bool {
        self.saved_at.elapsed() >= SAVE_INTERVAL
    }

    /// The segment in use comes first.
    fn forget_used(&mut self) {
        while self.fillings.get(1).is_some_and(|next| next.used() > 0) {
            self.fillings.pop_front();
        }
    }

    /// The next segment, while it is filled less far than the current one is used.
    fn due(&self) -> Option<&Filling> {
        let next = self.fillings.get(1)?;
        let due = next.level() < self.fillings[0].used().min(next.size);
        due.then_some(&**next)
    }

    fn add_spare(&mut self) -> io::Result<Preparation> {
        let prepared = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                self.ledger.miss_room();
                return if is_no_room(&error) { Ok(Preparation::NoRoom) } else { Err(error) };
            }
        };
        self.fillings.push_back(Arc::clone(&prepared.filling));
        self.ledger.add_prepared(prepared);
        Ok(Preparation::Progress)
    }

    /// Steps until the ledger is closed, at a pace that leaves the disk to the committer, and saves its
    /// end once the committer has gone. For a thread.
    pub fn run(&mut self) {
        let mut had_room = true;
        loop {
            if self.is_save_overdue() {
                self.save_last_group();
            }
            let step = self.step();
            let go_on = match &step {
                Ok(Preparation::Idle) => self.ledger.wait_for_demand(SAVE_INTERVAL),
                Ok(Preparation::Progress) => self.ledger.pause(FILL_PAUSE),
                Ok(Preparation::NoRoom) | Err(_) => self.ledger.pause(ROOM_RETRY),
            };
            if !go_on || !self.wait_for_work() {
                break;
            }
            had_room = log_room(&step, had_room);
        }
        // The committer still writes what is queued, and the last mark.
        self.ledger.wait_for_committer_end();
        self.save_last_group();
    }

    /// Blocks until a spare segment is missing, a piece of the next one or a save is due, or it is
    /// quiet. False: the ledger ends.
    fn wait_for_work(&mut self) -> bool {
        loop {
            self.forget_used();
            let used = self.fillings[0].used();
            let saves = self.ledger.saving_is_due() || self.is_save_overdue();
            if saves || self.ledger.spares() < SPARES || self.due().is_some() {
                return true;
            }
            if !self.ledger.wait_for_demand(QUIET_TIME) {
                return false;
            }
            if self.fillings[0].used() == used {
                return true;
            }
        }
    }

    fn prepare(&self) -> io::Result<Prepared> {
        let Spare { file, filler, give_name } = self.disk.create_spare()?;
        file.allocate(self.segment_size)?;
        // The header's sync would do, but bets wait for that one.
        file.sync()?;
        let filling = Filling::new(filler, 0, self.segment_size);
        Ok(Prepared { file, filling, give_name })
    }
}

/// Says once when room is missing, and once when there is room again.
fn log_room(step: &io::Result<Preparation>, had_room: bool) -> bool {
    let has_room = matches!(step, Ok(Preparation::Progress | Preparation::Idle));
    match step {
        Err(error) if had_room => {
            let hint = hint_for_file(error);
            log::error!("action: prepare_segment | result: fail | error: {error} | hint: {hint}");
        }
        Ok(Preparation::NoRoom) if had_room => log::error!(
            "action: prepare_segment | result: fail | error: no room on the disk | hint: bets are refused until there is"
        ),
        Ok(_) if has_room && !had_room => log::info!("action: prepare_segment | result: success"),
        _ => {}
    }
    has_room
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::ledger::memory::MemoryDisk;
    use crate::ledger::record::{Kind, Record};
    use crate::ledger::recovery::{Settings, open_ledger};
    use crate::ledger::space::Sizes;

    /// Longer than any of this takes on a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn who_waits_for_demand_is_woken_when_a_spare_is_used() {
        let sizes = Sizes { segment: 512, batch_body_max: 100, agencies: 1 };
        let settings = Settings { sizes, queue_bytes_max: 1 << 20 };
        let first = Record { kind: Kind::Open, agency: 0, epoch: 0, seq: 0, n: 1, body: b"" };
        let disk = Arc::new(MemoryDisk::new());
        let (draw, log_lines) = (DrawId([1; 8]), Box::new(|_: &str| {}));
        let opened = open_ledger(disk, &settings, draw, &first, &mut |_| Ok(()), log_lines);
        let mut opened = opened.expect("an empty disk opens");
        for round in 0..100 {
            let (sender, told) = channel();
            let ledger = opened.ledger.clone();
            let waiting = thread::spawn(move || {
                sender.send(true).expect("the test listens");
                sender.send(ledger.wait_for_demand(Duration::MAX)).expect("the test listens");
            });
            assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
            // As large as a segment: each takes the next.
            let batch = Record { kind: Kind::Batch, body: &[b'1'; 400], ..first };
            opened.ledger.append(&batch, None, None).expect("a spare stands behind it");
            assert_eq!(told.recv_timeout(PATIENCE), Ok(true), "round {round}");
            waiting.join().expect("it was told");
            assert_eq!(opened.preparer.step().expect("there is room"), Preparation::Progress);
        }
    }
}
