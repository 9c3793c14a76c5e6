//! A ledger on a disk in memory, driven step by step by one thread, and what it went through.

use std::sync::Arc;

use bolillero_protocol::message::DrawId;
use bolillero_server::failure::Failure;
use bolillero_server::ledger::committer::{CommitError, Committer, Step};
use bolillero_server::ledger::last_group::LAST_GROUP_FILE;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::prepare::Preparer;
use bolillero_server::ledger::reader::{Next, ReadError, Tail, read_ledger};
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::ledger::recovery::{Found, OpenError, Opened, Settings, open_ledger};
use bolillero_server::ledger::{Ledger, NoRoom, Position, Sizes};

pub(crate) const DRAW: DrawId = DrawId(*b"the draw");

/// Segments so small that a few records change them.
pub(crate) const SETTINGS: Settings = Settings {
    sizes: Sizes { segment: 512, batch_body_max: 100, agencies: 2 },
    queue_bytes_max: 1 << 20,
};

/// A record that owns its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) agency: u32,
    pub(crate) epoch: u32,
    pub(crate) seq: u64,
    pub(crate) n: u32,
    pub(crate) body: Vec<u8>,
}

impl Event {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let Record { kind, agency, epoch, seq, n, body } = *record;
        Self { kind, agency, epoch, seq, n, body: body.to_vec() }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        let &Self { kind, agency, epoch, seq, n, ref body } = self;
        Record { kind, agency, epoch, seq, n, body }
    }
}

/// The first record of every ledger here.
pub(crate) fn open() -> Event {
    Event { kind: Kind::Open, agency: 0, epoch: 0, seq: 0, n: 2, body: b"the draw??".to_vec() }
}

pub(crate) fn hello(agency: u32, epoch: u32) -> Event {
    Event { kind: Kind::Hello, agency, epoch, seq: 0, n: 0, body: Vec::new() }
}

/// A batch whose bytes are told from those of any other.
pub(crate) fn batch(agency: u32, seq: u64, size: usize) -> Event {
    let body = format!("{agency}/{seq}#").bytes().cycle().take(size).collect();
    Event { kind: Kind::Batch, agency, epoch: 1, seq, n: 1, body }
}

pub(crate) fn finish(agency: u32, seq: u64) -> Event {
    Event { kind: Kind::Finish, agency, epoch: 1, seq, n: 0, body: Vec::new() }
}

pub(crate) fn draw(agencies: u32) -> Event {
    let body = vec![0xD5; 2 + 40 * agencies as usize];
    Event { kind: Kind::Draw, agency: 0, epoch: 0, seq: 0, n: agencies, body }
}

/// What was appended and how much of it was durable at last, whatever happened then.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) appended: Vec<Event>,
    pub(crate) durable: usize,
}

impl Default for Past {
    fn default() -> Self {
        Self { appended: vec![open()], durable: 0 }
    }
}

/// An open ledger.
pub(crate) struct Life {
    pub(crate) disk: MemoryDisk,
    pub(crate) ledger: Ledger,
    pub(crate) committer: Committer,
    pub(crate) preparer: Preparer,
    pub(crate) found: Found,
    pub(crate) past: Past,
}

impl Life {
    pub(crate) fn open(disk: &MemoryDisk) -> Result<Self, OpenError> {
        Self::open_with(disk, &SETTINGS)
    }

    pub(crate) fn open_with(disk: &MemoryDisk, settings: &Settings) -> Result<Self, OpenError> {
        let mut appended = Vec::new();
        let mut replay = |record: &Record<'_>| {
            appended.push(Event::of(record));
            Ok(())
        };
        let log = disk.clone();
        let log_lines = Box::new(move |lines: &str| log.note(&format!("log {}", lines.trim_end())));
        let (first, shared) = (open(), Arc::new(disk.clone()));
        let opened = open_ledger(shared, settings, DRAW, &first.record(), &mut replay, log_lines)?;
        let Opened { ledger, committer, preparer, found } = opened;
        let past = Past { durable: appended.len(), appended };
        assert_eq!(ledger.durable(), Position(past.durable as u64));
        Ok(Self { disk: disk.clone(), ledger, committer, preparer, found, past })
    }

    pub(crate) fn append(&mut self, event: Event) -> Result<Position, NoRoom> {
        let position = self.ledger.append(&event.record(), None, None)?;
        self.past.appended.push(event);
        assert_eq!(position, Position(self.past.appended.len() as u64));
        Ok(position)
    }

    pub(crate) fn step(&mut self) -> Result<Step, CommitError> {
        let step = self.committer.step();
        self.past.durable = usize::try_from(self.ledger.durable().0).unwrap();
        step
    }

    /// Appends each event and makes it durable, in a group of its own.
    pub(crate) fn store(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.append(event).unwrap();
            assert_eq!(self.step().unwrap(), Step::Committed);
            self.preparer.step().unwrap();
        }
    }

    pub(crate) fn mark(&mut self) {
        self.ledger.mark();
        self.step().unwrap();
    }
}

/// Records of all kinds, over several groups and segments, with marks between.
pub(crate) fn script() -> Vec<Vec<Event>> {
    let mut groups = vec![vec![hello(1, 1), hello(2, 1)]];
    for seq in 1..=9 {
        let sizes = [30 + 7 * usize::try_from(seq).unwrap(), 60];
        groups.push(vec![batch(1, seq, sizes[0]), batch(2, seq, sizes[1])]);
    }
    groups.push(vec![hello(1, 2), finish(1, 9)]);
    groups.push(vec![finish(2, 9)]);
    groups.push(vec![draw(2)]);
    groups
}

/// Lives through the script, or as far as the disk lets it. What has no room is left out.
pub(crate) fn live_through(disk: &MemoryDisk, past: &mut Past) -> Result<(), Failure> {
    let mut life = Life::open(disk)?;
    past.durable = life.past.durable;
    for (count, group) in script().into_iter().enumerate() {
        for event in group {
            if life.append(event).is_ok() {
                past.appended.push(life.past.appended.last().unwrap().clone());
            }
        }
        if count % 4 == 3 {
            life.ledger.mark();
        }
        while life.step()? == Step::Committed {
            past.durable = life.past.durable;
        }
        // A spare segment that could not be prepared is prepared by a later step.
        let _ = life.preparer.step();
    }
    Ok(())
}

/// The files of a ledger that lived through the script and was left without a mark.
pub(crate) fn left_behind() -> (Files, Past) {
    let (disk, mut past) = (MemoryDisk::new(), Past::default());
    live_through(&disk, &mut past).unwrap();
    assert_eq!(past.durable, past.appended.len());
    (disk.durable_files(), past)
}

/// The same files as an earlier version left them: nothing says how far the ledger was durable.
pub(crate) fn without_last_group(mut files: Files) -> Files {
    assert!(files.remove(LAST_GROUP_FILE).is_some());
    files
}

/// What a reader sees, beside a server or not.
pub(crate) fn read(disk: &MemoryDisk) -> Result<(Vec<Event>, Option<Tail>), ReadError> {
    let mut events = Vec::new();
    let tail = read_ledger(disk, &mut |_, group| {
        events.extend(group.records().map(|record| Event::of(&record.unwrap())));
        Ok(Next::Continue)
    })?;
    Ok((events, tail))
}

/// Holds that a ledger opens on these files, with all that was durable and nothing that was not
/// appended, and goes on from there.
#[track_caller]
pub(crate) fn check_sound(disk: &MemoryDisk, past: &Past, what: &str) {
    let mut life = Life::open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let read_back = life.past.appended.clone();
    assert!(past.appended.starts_with(&read_back), "{what}: {read_back:?} was not appended");
    assert!(read_back.len() >= past.durable, "{what}: {} of {}", read_back.len(), past.durable);
    life.store([hello(2, 77)]);
    let expected = life.past.appended.clone();
    let again = Life::open(&MemoryDisk::with_files(&disk.durable_files())).unwrap();
    assert_eq!(again.past.appended, expected, "{what}: after it went on");
}
