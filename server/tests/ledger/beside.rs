//! A reader beside a server sees a prefix of what was appended, and never damage, whatever the
//! server does between any two of the reader's calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bolillero_server::ledger::disk::{Directory, Disk};
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::reader::{Next, read_ledger};
use bolillero_server::ledger::recovery::open_ledger;
use bolillero_server::ledger::segment::End;

use crate::life::{DRAW, Event, Life, SETTINGS, batch, open, read};

fn begun() -> Life {
    let mut life = Life::open(&MemoryDisk::new()).unwrap();
    life.store((1..=5).map(|seq| batch(1, seq, 80)));
    life
}

/// What the server does while the reader reads.
type Work = fn(&mut Life);

fn one_group(life: &mut Life) {
    life.store([batch(1, 100, 30)]);
}

fn several_segments(life: &mut Life) {
    life.store((100..120).map(|seq| batch(1, seq, 90)));
}

fn start_again(life: &mut Life) {
    *life = Life::open(&life.disk).unwrap();
}

fn start_again_and_go_on(life: &mut Life) {
    start_again(life);
    several_segments(life);
}

#[test]
fn whatever_a_server_does_between_two_calls_a_reader_finds_no_damage() {
    let works: [Work; 4] = [one_group, several_segments, start_again, start_again_and_go_on];
    for (work, n) in works.iter().flat_map(|work| (0..60).map(move |n| (work, n))) {
        let life = begun();
        check_reader(life, *work, n);
    }
}

/// The same with a group that is written by half when the reader comes.
#[test]
fn a_group_that_is_being_written_is_in_progress_and_no_damage() {
    let works: [Work; 2] = [one_group, several_segments];
    for (work, n) in works.iter().flat_map(|work| (0..60).map(move |n| (work, n))) {
        let life = begun();
        let before = life.disk.files();
        let mut other = begun();
        work(&mut other);
        let complete = other.disk.files();
        write_half_of_what_comes(&life, &before, &complete);
        assert_eq!(read(&life.disk).unwrap().1.unwrap().end, End::Torn);
        check_reader(life, *work, n);
    }
}

fn check_reader(life: Life, work: Work, n: usize) {
    let (disk, durable) = (life.disk.clone(), life.past.durable);
    let life = Arc::new(Mutex::new(life));
    let server = Arc::clone(&life);
    disk.forget_calls();
    disk.before_call(n, move || work(&mut server.lock().unwrap()));
    let (events, _) = read(&disk).unwrap_or_else(|error| panic!("before call {n}: {error}"));
    assert!(life.lock().unwrap().past.appended.starts_with(&events), "before call {n}");
    assert!(events.len() >= durable, "before call {n}");
}

fn write_half_of_what_comes(life: &Life, before: &Files, complete: &Files) {
    let offset = read(&life.disk).unwrap().1.unwrap().offset;
    let name = before.keys().rfind(|name| name.ends_with(".log")).unwrap();
    let start = usize::try_from(offset).unwrap();
    let half = &complete[name][start..start + 20];
    life.disk.open_to_write(name).unwrap().write_at(offset, half).unwrap();
}

/// On a real file, whose reads and writes do overlap.
#[test]
fn a_reader_thread_beside_a_writer_on_a_real_disk_sees_a_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::create(directory.path().join("ledger")).unwrap();
    let mut settings = SETTINGS;
    settings.sizes.segment = 256 << 10;
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let first = open();
    let opened =
        open_ledger(shared, &settings, DRAW, &first.record(), &mut |_| Ok(()), Box::new(|_| {}));
    let mut opened = opened.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let reading = std::thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            let mut reads = 0;
            while !ended.load(Ordering::Acquire) || reads == 0 {
                check_prefix(&disk);
                reads += 1;
            }
            check_prefix(&disk)
        }
    });
    for seq in 1..=60 {
        opened.ledger.append(&large(seq).record(), None, None).unwrap();
        opened.committer.step().unwrap();
        opened.preparer.step().unwrap();
    }
    ended.store(true, Ordering::Release);
    assert_eq!(reading.join().unwrap(), 61);
}

/// A batch that takes several pages.
fn large(seq: u64) -> Event {
    batch(1, seq, 30_000)
}

fn check_prefix(disk: &Directory) -> u64 {
    let mut count = 0;
    read_ledger(disk, &mut |_, group| {
        for record in group.records() {
            let expected = if count == 0 { open() } else { large(count) };
            assert_eq!(Event::of(&record.unwrap()), expected);
            count += 1;
        }
        Ok(Next::Continue)
    })
    .unwrap();
    count
}

#[test]
fn a_visitor_that_has_enough_is_not_called_again() {
    let life = begun();
    let mut visits = 0;
    let tail = read_ledger(&life.disk, &mut |_, _| {
        visits += 1;
        Ok(if visits == 3 { Next::Stop } else { Next::Continue })
    });
    assert_eq!((tail.unwrap(), visits), (None, 3));
    assert_eq!(read(&life.disk).unwrap().0.len(), life.past.appended.len());
}
