//! Who waits for the ledger is told: by one thread, and by many.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolillero_server::ledger::committer::Pace;
use bolillero_server::ledger::last_group;
use bolillero_server::ledger::memory::{Call, MemoryDisk};
use bolillero_server::ledger::recovery::Settings;
use bolillero_server::ledger::{Ledger, Position, Sizes, Waiter};
use bolillero_server::session::{Mailbox, Wake};

use crate::life::{Event, Life, SETTINGS, batch, hello};

/// Longer than any of this takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A mailbox that does what a test wants.
pub(crate) struct Bell(Box<dyn Fn() + Send + Sync>);

impl Wake for Bell {
    fn wake(&self) {
        (self.0)();
    }
}

impl Bell {
    /// Notes among the disk's calls that it was rung.
    pub(crate) fn noting(disk: &MemoryDisk, name: &str) -> Mailbox {
        let (disk, text) = (disk.clone(), format!("told {name}"));
        Mailbox::new(Arc::new(Self(Box::new(move || disk.note(&text)))))
    }

    fn sending() -> (Mailbox, Receiver<()>) {
        let (sender, receiver) = channel::<()>();
        let sender: Mutex<Sender<()>> = Mutex::new(sender);
        let ring = move || {
            // Whoever listened may have gone.
            let _ = sender.lock().unwrap().send(());
        };
        (Mailbox::new(Arc::new(Self(Box::new(ring)))), receiver)
    }
}

fn times_told(disk: &MemoryDisk, name: &str) -> usize {
    let note = Call::Note(format!("told {name}"));
    disk.calls().into_iter().filter(|call| *call == note).count()
}

#[test]
fn a_connection_is_told_once_per_group_however_many_records_it_has_there() {
    let disk = MemoryDisk::new();
    let Life { ledger, mut committer, .. } = Life::open(&disk).unwrap();
    let mut waiter = Waiter::new(Bell::noting(&disk, "it"));
    for group in 1..=5 {
        for seq in 0..group {
            ledger.append(&batch(1, seq, 5).record(), Some(&mut waiter), None).unwrap();
            ledger.await_tail(&mut waiter);
        }
        committer.step().unwrap();
        assert_eq!(times_told(&disk, "it"), usize::try_from(group).unwrap());
    }
}

#[test]
fn nobody_is_admitted_over_the_limit_and_all_are_told_once_when_it_is_below() {
    let disk = MemoryDisk::new();
    let settings = Settings { queue_bytes_max: 100, ..SETTINGS };
    let Life { ledger, mut committer, .. } = Life::open_with(&disk, &settings).unwrap();
    let mut waiters = ["a", "b"].map(|name| Waiter::new(Bell::noting(&disk, name)));
    for round in 1..=3 {
        for (count, seq) in (1..=4_usize).zip(1..) {
            assert!(waiters.iter_mut().all(|waiter| ledger.admits(waiter)), "{count} queued");
            ledger.append(&hello(1, seq).record(), None, None).unwrap();
        }
        for _ in 0..3 {
            assert!(!waiters.iter_mut().any(|waiter| ledger.admits(waiter)));
        }
        assert_eq!(times_told(&disk, "a"), round - 1);
        committer.step().unwrap();
        assert_eq!((times_told(&disk, "a"), times_told(&disk, "b")), (round, round));
    }
    committer.step().unwrap();
    assert_eq!(times_told(&disk, "a"), 3);
}

#[test]
fn who_is_not_admitted_is_told_by_the_group_that_makes_place() {
    let disk = MemoryDisk::new();
    let settings = Settings { queue_bytes_max: 250, ..SETTINGS };
    let Life { ledger, mut committer, mut preparer, .. } =
        Life::open_with(&disk, &settings).unwrap();
    // Three groups, in three segments: 275 bytes each.
    for seq in 1..=3 {
        ledger.append(&batch(1, seq, 250).record(), None, None).unwrap();
        while preparer.step().unwrap() != bolillero_server::ledger::prepare::Preparation::Idle {}
    }
    let mut waiter = Waiter::new(Bell::noting(&disk, "it"));
    assert!(!ledger.admits(&mut waiter));
    for told in [0, 0, 1] {
        committer.step().unwrap();
        assert_eq!(times_told(&disk, "it"), told);
    }
}

#[test]
fn while_a_spare_is_only_being_prepared_one_waits_and_is_not_refused() {
    let disk = MemoryDisk::new();
    let Life { ledger, mut preparer, .. } = Life::open_with(&disk, &SETTINGS).unwrap();
    let mut waiter = Waiter::new(Bell::noting(&disk, "it"));
    let mut seqs = 1..;
    let mut append_while_admitted = |waiter: &mut Waiter| {
        while ledger.admits(waiter) {
            ledger.append(&batch(1, seqs.next().unwrap(), 60).record(), None, None).unwrap();
        }
    };
    append_while_admitted(&mut waiter);
    assert_eq!(times_told(&disk, "it"), 0);
    preparer.step().unwrap();
    assert_eq!(times_told(&disk, "it"), 1);
    append_while_admitted(&mut waiter);
    disk.limit_room(disk.used(), std::io::ErrorKind::StorageFull);
    preparer.step().unwrap();
    assert_eq!(times_told(&disk, "it"), 2);
    assert!(ledger.admits(&mut waiter), "without room it is to be refused, not to wait");
}

/// Appends from several threads, each of which waits for every record before the next.
#[test]
fn no_wake_is_lost_among_threads() {
    const THREADS: u32 = 4;
    const RECORDS: u64 = 300;
    let disk = MemoryDisk::new();
    let sizes = Sizes { segment: 16 << 10, ..SETTINGS.sizes };
    let settings = Settings { sizes, queue_bytes_max: 300 };
    let Life { ledger, mut committer, mut preparer, .. } =
        Life::open_with(&disk, &settings).unwrap();
    let committing = thread::spawn(move || {
        committer.run(&Pace { mark_delay: Duration::from_millis(1), linger_time_max: PATIENCE })
    });
    let preparing = thread::spawn(move || preparer.run());
    let appending: Vec<_> = (1..=THREADS)
        .map(|agency| {
            let ledger = ledger.clone();
            thread::spawn(move || append_one_by_one(&ledger, agency, RECORDS))
        })
        .collect();
    for thread in appending {
        thread.join().unwrap();
    }
    ledger.close();
    committing.join().unwrap().unwrap();
    preparing.join().unwrap();
    let stored = Life::open_with(&disk, &settings).unwrap().past.appended;
    assert_eq!(stored.len() as u64, 1 + u64::from(THREADS) * RECORDS);
    for agency in 1..=THREADS {
        let lane: Vec<Event> = stored.iter().filter(|e| e.agency == agency).cloned().collect();
        let expected: Vec<_> = (1..=RECORDS).map(|seq| batch(agency, seq, 80)).collect();
        assert_eq!(lane, expected);
    }
}

fn append_one_by_one(ledger: &Ledger, agency: u32, records: u64) {
    let (mailbox, rung) = Bell::sending();
    let mut waiter = Waiter::new(mailbox);
    for seq in 1..=records {
        while !ledger.admits(&mut waiter) {
            rung.recv_timeout(PATIENCE).expect("told of admission");
        }
        let event = batch(agency, seq, 80);
        let position: Position = loop {
            match ledger.append(&event.record(), Some(&mut waiter), None) {
                Ok(position) => break position,
                Err(_) => ledger.wait_for_room(PATIENCE),
            }
        };
        while ledger.durable() < position {
            rung.recv_timeout(PATIENCE).expect("told of durability");
        }
    }
}

/// The committer's thread marks the end when it is quiet, and when the ledger is closed.
#[test]
fn a_quiet_or_closed_ledger_ends_with_a_mark() {
    for mark_delay in [Duration::from_millis(1), Duration::MAX] {
        let disk = MemoryDisk::new();
        let Life { ledger, mut committer, mut preparer, .. } = Life::open(&disk).unwrap();
        let (mailbox, rung) = Bell::sending();
        let committing =
            thread::spawn(move || committer.run(&Pace { mark_delay, linger_time_max: PATIENCE }));
        let preparing = thread::spawn(move || preparer.run());
        ledger.append(&hello(1, 1).record(), Some(&mut Waiter::new(mailbox)), None).unwrap();
        rung.recv_timeout(PATIENCE).unwrap();
        ledger.close();
        committing.join().unwrap().unwrap();
        preparing.join().unwrap();
        let (events, tail) =
            crate::life::read(&MemoryDisk::with_files(&disk.durable_files())).unwrap();
        let tail = tail.unwrap();
        assert_eq!(events.len(), 2);
        assert!(tail.ends_with_mark);
        assert_eq!(tail.known_durable, Some(tail.next_group - 1), "its end is saved");
    }
}

/// Groups without a pause leave neither a mark nor, for long, a segment.
#[test]
fn under_load_the_number_of_the_last_durable_group_is_saved_before_long() {
    let disk = MemoryDisk::new();
    let sizes = Sizes { segment: 16 << 20, ..SETTINGS.sizes };
    let settings = Settings { sizes, ..SETTINGS };
    let Life { ledger, mut committer, mut preparer, .. } =
        Life::open_with(&disk, &settings).unwrap();
    let pace = Pace { mark_delay: Duration::MAX, linger_time_max: Duration::ZERO };
    let committing = thread::spawn(move || committer.run(&pace));
    let preparing = thread::spawn(move || preparer.run());
    let (begin, saved) = (Instant::now(), || last_group::read(&disk).unwrap().unwrap().number);
    let before = saved();
    let (mailbox, rung) = Bell::sending();
    let mut waiter = Waiter::new(mailbox);
    for seq in 1.. {
        ledger.append(&batch(1, seq, 80).record(), Some(&mut waiter), None).unwrap();
        rung.recv_timeout(PATIENCE).unwrap();
        if saved() > before {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "nothing was saved");
        // Not faster, or the memory's disk would come to the next segment before a second is over.
        thread::park_timeout(Duration::from_millis(1));
    }
    let written = disk.calls();
    ledger.close();
    committing.join().unwrap().unwrap();
    preparing.join().unwrap();
    let is_next = |call: &Call| matches!(call, Call::GiveName(..));
    assert!(!written.iter().any(is_next), "all of it was in the first segment");
}

#[test]
fn a_preparer_ends_though_no_committer_ever_ran() {
    let disk = MemoryDisk::new();
    let Life { ledger, committer, mut preparer, .. } = Life::open(&disk).unwrap();
    let preparing = thread::spawn(move || preparer.run());
    ledger.close();
    drop(committer);
    preparing.join().unwrap();
}
