//! Who appends, who waits and the committer, over a disk in memory: everybody is told, and of nothing too early.

use std::sync::Arc;
use std::time::Duration;

use bolillero_protocol::message::DrawId;
use loom::sync::Notify;
use loom::thread;

use crate::ledger::committer::Pace;
use crate::ledger::disk::Disk;
use crate::ledger::memory::MemoryDisk;
use crate::ledger::reader::{Next, read_ledger};
use crate::ledger::record::{Kind, Record};
use crate::ledger::recovery::{Opened, Settings, open_ledger};
use crate::ledger::{Ledger, Position, Sizes, Waiter};
use crate::session::{Mailbox, Wake};
use crate::{Model, explore};

pub(crate) const MODELS: [Model; 6] = [
    ("who_appends_is_told_once_it_is_durable", who_appends_is_told),
    ("a_lingering_committer_is_woken_by_who_it_waits_for", a_lingering_committer_is_woken),
    ("who_finds_no_pending_group_sees_it_durable", who_asks_for_the_tail_is_told),
    ("who_is_not_admitted_is_told_when_it_may_ask_again", who_is_not_admitted_is_told),
    ("the_filler_never_writes_over_a_group", the_filler_spares_groups),
    ("the_last_mark_is_saved_before_the_end", the_last_mark_is_saved),
];

const SETTINGS: Settings = Settings {
    sizes: Sizes { segment: 4096, batch_body_max: 100, agencies: 2 },
    queue_bytes_max: 1 << 20,
};
const FIRST: Record<'static> =
    Record { kind: Kind::Open, agency: 0, epoch: 0, seq: 0, n: 2, body: b"the draw??" };
const HELLO: Record<'static> =
    Record { kind: Kind::Hello, agency: 1, epoch: 1, seq: 0, n: 0, body: b"" };
/// No time passes in a model: what is waited for comes, or it never ends.
const FOR_EVER: Duration = Duration::MAX;

fn open(disk: &MemoryDisk, settings: Settings) -> Opened {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (draw, log) = (DrawId(*b"the draw"), Box::new(|_: &str| {}));
    open_ledger(disk, &settings, draw, &FIRST, &mut |_| Ok(()), log).unwrap()
}

/// A session that waits for its mail.
#[derive(Clone)]
struct Bell(Arc<Notify>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify();
    }
}

impl Bell {
    fn new() -> (Self, Waiter) {
        let bell = Self(Arc::new(Notify::new()));
        let waiter = Waiter::new(Mailbox::new(Arc::new(bell.clone())));
        (bell, waiter)
    }

    /// What a session does that is owed an answer: it looks, and waits for news if it may not leave.
    fn wait_for(&self, ledger: &Ledger, position: Position) {
        while ledger.durable() < position {
            self.0.wait();
        }
    }
}

fn append_and_wait(ledger: &Ledger, bell: &Bell, waiter: &mut Waiter) {
    let position = ledger.append(&HELLO, Some(waiter), None).unwrap();
    bell.wait_for(ledger, position);
}

/// Two agencies append and wait, while the committer commits; then the ledger is closed, and the committer ends.
fn who_appends_is_told() {
    explore(2, || {
        let Opened { ledger, mut committer, .. } = open(&MemoryDisk::new(), SETTINGS);
        let pace = Pace { mark_delay: FOR_EVER, linger_time_max: Duration::ZERO };
        let committing = thread::spawn(move || committer.run(&pace).unwrap());
        let other = {
            let ledger = ledger.clone();
            thread::spawn(move || {
                let (bell, mut waiter) = Bell::new();
                append_and_wait(&ledger, &bell, &mut waiter);
            })
        };
        let (bell, mut waiter) = Bell::new();
        append_and_wait(&ledger, &bell, &mut waiter);
        other.join().unwrap();
        assert_eq!(ledger.durable(), Position(3));
        ledger.close();
        committing.join().unwrap();
    });
}

/// Who was told is expected back: the committer, which lingers for that one, is woken by its record, and by the end.
fn a_lingering_committer_is_woken() {
    explore(3, || {
        let Opened { ledger, mut committer, .. } = open(&MemoryDisk::new(), SETTINGS);
        let pace = Pace { mark_delay: FOR_EVER, linger_time_max: FOR_EVER };
        let committing = thread::spawn(move || committer.run(&pace).unwrap());
        let (bell, mut waiter) = Bell::new();
        append_and_wait(&ledger, &bell, &mut waiter);
        append_and_wait(&ledger, &bell, &mut waiter);
        ledger.close();
        committing.join().unwrap();
    });
}

/// A refusal rests on what was queued before it: it is told of that, or sees that it is durable.
fn who_asks_for_the_tail_is_told() {
    explore(3, || {
        let Opened { ledger, mut committer, .. } = open(&MemoryDisk::new(), SETTINGS);
        ledger.append(&HELLO, None, None).unwrap();
        let committing = thread::spawn(move || committer.step().unwrap());
        let (bell, mut waiter) = Bell::new();
        let position = ledger.await_tail(&mut waiter);
        bell.wait_for(&ledger, position);
        committing.join().unwrap();
    });
}

/// A queue that one record fills: who is not admitted waits for news and is, once the record is durable.
fn who_is_not_admitted_is_told() {
    explore(3, || {
        let Opened { ledger, mut committer, .. } =
            open(&MemoryDisk::new(), Settings { queue_bytes_max: 1, ..SETTINGS });
        ledger.append(&HELLO, None, None).unwrap();
        let committing = thread::spawn(move || committer.step().unwrap());
        let (bell, mut waiter) = Bell::new();
        while !ledger.admits(&mut waiter) {
            bell.0.wait();
        }
        committing.join().unwrap();
    });
}

/// The preparer fills the next segment while the committer goes on in it: no zeros where a group stands, whoever was first.
fn the_filler_spares_groups() {
    /// So many groups have room in a first segment.
    const GROUPS: usize = 8;
    const SIZES: Sizes = Sizes { segment: 512, ..SETTINGS.sizes };
    explore(3, || {
        let disk = MemoryDisk::new();
        let settings = Settings { sizes: SIZES, ..SETTINGS };
        let Opened { ledger, mut committer, mut preparer, .. } = open(&disk, settings);
        for _ in 0..GROUPS {
            ledger.append(&HELLO, None, None).unwrap();
            committer.step().unwrap();
        }
        assert!(!disk.files().contains_key("00000002.log"));
        ledger.append(&HELLO, None, None).unwrap();
        let committing = thread::spawn(move || committer.step().unwrap());
        for _ in 0..3 {
            preparer.step().unwrap();
        }
        committing.join().unwrap();
        assert!(disk.files().contains_key("00000002.log"));
        let mut records = 0;
        let durable = MemoryDisk::with_files(&disk.durable_files());
        let read = read_ledger(&durable, &mut |_, group| {
            records += group.records().count();
            Ok(Next::Continue)
        });
        assert!(read.is_ok(), "zeros stand where a header was: {read:?}");
        assert_eq!(records, GROUPS + 2, "zeros stand where a group was");
    });
}

/// The ledger is closed while a group waits: the preparer saves the number of the mark behind it, however both threads end.
fn the_last_mark_is_saved() {
    explore(2, || {
        let disk = MemoryDisk::new();
        let Opened { ledger, mut committer, mut preparer, .. } = open(&disk, SETTINGS);
        ledger.append(&HELLO, None, None).unwrap();
        let pace = Pace { mark_delay: FOR_EVER, linger_time_max: Duration::ZERO };
        let committing = thread::spawn(move || committer.run(&pace).unwrap());
        let preparing = thread::spawn(move || preparer.run());
        ledger.close();
        committing.join().unwrap();
        preparing.join().unwrap();
        let durable = MemoryDisk::with_files(&disk.durable_files());
        let tail = read_ledger(&durable, &mut |_, _| Ok(Next::Continue)).unwrap().unwrap();
        assert!(tail.ends_with_mark);
        assert_eq!(tail.known_durable, Some(tail.next_group - 1));
    });
}
