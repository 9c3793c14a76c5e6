//! A directory that is copied, piece by piece, while a server writes it. No copy is taken for what it is
//! not: it opens to a prefix that has all that was durable when the copying began, or is refused.

use bolillero_server::failure::Failure;
use bolillero_server::ledger::committer::segment_name;
use bolillero_server::ledger::disk::{Disk as _, read_full_at};
use bolillero_server::ledger::memory::{Files, MemoryDisk};

use crate::chance::Chance;
use crate::life::{Life, batch, read};

/// In which order a program copies the files.
#[derive(Debug, Clone, Copy)]
enum Order {
    ByName,
    Backwards,
    Any,
}

/// Copies all that is listed at the beginning, while the server works between any two pieces.
fn copy(life: &mut Life, order: Order, chance: &mut Chance) -> Files {
    let mut names = life.disk.names().unwrap();
    match order {
        Order::ByName => {}
        Order::Backwards => names.reverse(),
        Order::Any => names.sort_by_cached_key(|_| chance.below(1000)),
    }
    let piece = [16, 100, 512][chance.below(3)];
    let (busy, mut files) = (1 + chance.below(8), Files::new());
    for name in names {
        // No name has gone, however much was stored since it was listed.
        let file = life.disk.open(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            let read = read_full_at(&*file, bytes.len() as u64, &mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..read]);
            if read < piece {
                break;
            }
            if chance.below(busy) == 0 {
                work(life, chance);
            }
        }
        files.insert(name, bytes);
    }
    files
}

fn work(life: &mut Life, chance: &mut Chance) {
    let seq = life.past.appended.len() as u64;
    life.store([batch(1, seq, 20 + chance.below(80))]);
    match chance.below(4) {
        0 => life.mark(),
        1 => life.preparer.save_last_group(),
        _ => {}
    }
}

#[test]
fn a_copy_made_beside_a_server_is_a_whole_prefix_or_is_refused_with_the_right_advice() {
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..600 {
        let mut chance = Chance(seed);
        let order = [Order::ByName, Order::Backwards, Order::Any][chance.below(3)];
        let mut life = Life::open(&MemoryDisk::new()).unwrap();
        for _ in 0..chance.below(30) {
            work(&mut life, &mut chance);
        }
        let durable = life.past.durable;
        let disk = MemoryDisk::with_files(&copy(&mut life, order, &mut chance));
        let what = format!("seed {seed}, {order:?}");
        let is_read = match read(&disk) {
            Ok((events, _)) => {
                assert!(life.past.appended.starts_with(&events), "{what}");
                assert!(events.len() >= durable, "{what}: {} of {durable}", events.len());
                true
            }
            Err(error) => {
                check_advice(&error.into(), &what);
                false
            }
        };
        match Life::open(&disk) {
            Ok(copied) => {
                assert!(is_read, "{what}: a start sees what a reader sees");
                assert!(life.past.appended.starts_with(&copied.past.appended), "{what}");
                assert!(copied.past.durable >= durable, "{what}");
                opened += 1;
            }
            Err(error) => {
                assert!(!is_read, "{what}: {error}");
                check_advice(&error.into(), &what);
                refused += 1;
            }
        }
    }
    assert!(opened > 50 && refused > 50, "both were met: {opened} opened, {refused} refused");
}

#[track_caller]
fn check_advice(failure: &Failure, what: &str) {
    assert_eq!(failure.exit_code(), 4, "{what}: {failure}");
    let said = failure.to_string();
    for part in ["copied while a server wrote it", "stop that server and copy again", "repair"] {
        assert!(said.contains(part), "{what}: {said}");
    }
}

/// The last segment is copied while a group is written, and so is cut in the middle of that group.
#[test]
fn a_copy_that_splits_its_last_group_opens_without_it() {
    let mut life = Life::open(&MemoryDisk::new()).unwrap();
    life.store([batch(1, 1, 60)]);
    life.mark();
    life.preparer.save_last_group();
    let before = life.disk.files();
    life.store([batch(1, 2, 60)]);
    let (name, after) = (segment_name(1), life.disk.files());
    let start = before[&name].iter().zip(&after[&name]).position(|(old, new)| old != new).unwrap();
    for copied in start + 1..start + 60 {
        let mut files = before.clone();
        files.get_mut(&name).unwrap()[start..copied].copy_from_slice(&after[&name][start..copied]);
        let copy = Life::open(&MemoryDisk::with_files(&files)).unwrap();
        assert_eq!(copy.past.appended, life.past.appended[..2]);
        assert!(copy.found.torn.is_some());
    }
}
