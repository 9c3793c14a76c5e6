//! The end of a ledger: whatever of it is lost that was known to be durable, nobody takes the rest for
//! the whole.

use std::io::ErrorKind;

use bolillero_server::audit::verify_ledger;
use bolillero_server::failure::Failure;
use bolillero_server::ledger::last_group::{self, LAST_GROUP_FILE};
use bolillero_server::ledger::memory::{Done, Files, MemoryDisk};
use bolillero_server::ledger::reader::read_segments;
use bolillero_server::ledger::reader::{Next, ReadError};

use crate::chance::Chance;
use crate::damage::{groups, marked, refused};
use crate::life::{Life, Past, check_sound, left_behind, read, script, without_last_group};

/// Checks that a start, a reader and several readers at once refuse these files, name the last
/// segment, say what to do, and change nothing.
#[track_caller]
fn check_refused(files: &Files, what: &str) {
    let disk = MemoryDisk::with_files(files);
    let readers = read_segments(&disk, 3, || (), |(), _, _| Ok(Next::Continue), &mut |()| {});
    let errors = [
        readers.err().unwrap_or_else(|| panic!("{what}: readers saw a whole ledger")),
        read(&disk).err().unwrap_or_else(|| panic!("{what}: a reader saw a whole ledger")),
    ];
    for error in errors {
        let failure = Failure::from(error);
        assert_eq!(failure.exit_code(), 4, "{what}: {failure}");
        for said in ["stop that server and copy again", "`bolillero-server repair`"] {
            assert!(failure.to_string().contains(said), "{what}: {failure}");
        }
    }
    let opened = Life::open(&disk).err().unwrap_or_else(|| panic!("{what}: it was opened"));
    refused(opened);
    let kept = |name: &String| name.ends_with(".log") || name == LAST_GROUP_FILE;
    let now: Files = disk.files().into_iter().filter(|(name, _)| kept(name)).collect();
    assert!(now == *files, "{what}: a refused start has changed something");
}

fn last_segment(files: &Files) -> String {
    files.keys().rfind(|name| name.ends_with(".log")).unwrap().clone()
}

fn of_ledger(files: Files) -> Files {
    files.into_iter().filter(|(name, _)| !name.ends_with(".tmp")).collect()
}

#[test]
fn a_last_segment_cut_or_zeroed_from_any_byte_on_is_damage() {
    let files = of_ledger(marked().0);
    let (name, end) = (last_segment(&files), groups(&files).pop().unwrap().1.end);
    // The last four bytes of a mark are zeros: without them it is the same once the file is.
    for from in 0..end - 4 {
        let mut changed = files.clone();
        changed.get_mut(&name).unwrap().truncate(from);
        check_refused(&changed, &format!("cut at {from}"));
        changed.get_mut(&name).unwrap().resize(files[&name].len(), 0);
        check_refused(&changed, &format!("zeroed from {from} on"));
    }
}

/// A disk loses a sector whole. The last group and its mark often stand in one.
#[test]
fn a_lost_sector_at_the_end_is_damage() {
    let files = of_ledger(marked().0);
    let (name, end) = (last_segment(&files), groups(&files).pop().unwrap().1.end);
    for size in [32, 64, 128, 256, 512] {
        let mut changed = files.clone();
        let from = (end - 5) / size * size;
        let bytes = changed.get_mut(&name).unwrap();
        let to = bytes.len().min(from + size);
        bytes[from..to].fill(0);
        check_refused(&changed, &format!("{size} bytes from {from} on"));
    }
}

#[test]
fn segments_that_are_gone_from_the_end_are_damage_and_with_all_of_them_no_new_ledger_begins() {
    let mut files = of_ledger(marked().0);
    while files.len() > 1 {
        let name = last_segment(&files);
        files.remove(&name);
        if files.len() > 1 {
            check_refused(&files, &name);
        }
    }
    let disk = MemoryDisk::with_files(&files);
    for error in
        [Life::open(&disk).err().unwrap().to_string(), read(&disk).err().unwrap().to_string()]
    {
        assert!(error.contains("00000001.log") && error.contains("all other segments"), "{error}");
    }
    assert_eq!(disk.files(), files);
    assert_eq!(verify_ledger(&disk).err().unwrap().exit_code(), 4);
}

#[test]
fn a_ledger_of_an_earlier_version_is_opened_and_its_end_is_known_from_then_on() {
    let (files, past) = left_behind();
    let disk = MemoryDisk::with_files(&without_last_group(files));
    assert_eq!(read(&disk).unwrap().1.unwrap().known_durable, None);
    let life = Life::open(&disk).unwrap();
    assert_eq!(life.past.appended, past.appended);
    let tail = read(&MemoryDisk::with_files(&disk.durable_files())).unwrap().1.unwrap();
    assert_eq!(tail.known_durable, Some(tail.next_group - 1));
}

#[test]
fn a_slot_that_is_lost_leaves_the_other() {
    let files = of_ledger(marked().0);
    for slot in [0..4096, 4096..8192] {
        let mut changed = files.clone();
        changed.get_mut(LAST_GROUP_FILE).unwrap()[slot].fill(0);
        let tail = read(&MemoryDisk::with_files(&changed)).unwrap().1.unwrap();
        assert_eq!(tail.known_durable, Some(tail.next_group - 1));
        changed.get_mut(&last_segment(&files)).unwrap().truncate(40);
        check_refused(&changed, "the other slot still says how far it went");
    }
}

#[test]
fn a_file_that_cannot_be_believed_is_refused_and_says_how_to_go_on() {
    let files = of_ledger(marked().0);
    let mut foreign = files.clone();
    let bytes = foreign.get_mut(LAST_GROUP_FILE).unwrap();
    for slot in [0, 4096] {
        bytes[slot + 12..slot + 20].copy_from_slice(b"an other");
        let crc = crc32c::crc32c(&bytes[slot..slot + 28]).to_be_bytes();
        bytes[slot + 28..slot + 32].copy_from_slice(&crc);
    }
    let mut cases =
        vec![(foreign, "of draw 616e206f74686572"), (files.clone(), "neither of its two")];
    cases[1].0.get_mut(LAST_GROUP_FILE).unwrap().fill(0);
    cases.push((files.clone(), "neither of its two"));
    cases[2].0.get_mut(LAST_GROUP_FILE).unwrap().truncate(0);
    for (changed, why) in cases {
        let disk = MemoryDisk::with_files(&changed);
        let error = Life::open(&disk).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
        assert!(
            error.to_string().contains("this file"),
            "it says that without it one goes on: {error}"
        );
        assert_eq!(refused(error), (LAST_GROUP_FILE.to_owned(), 0));
        assert!(matches!(read(&disk), Err(ReadError::Damaged { .. })));
        let tail = read(&MemoryDisk::with_files(&without_last_group(changed))).unwrap().1;
        assert!(tail.unwrap().known_durable.is_none());
    }
}

/// As under load, when a second has passed after any group.
#[test]
fn power_lost_after_any_call_leaves_a_number_that_was_durable() {
    for n in 0.. {
        let disk = MemoryDisk::new();
        disk.lose_power_at(n);
        let past = save_after_each_group(&disk);
        if disk.calls().len() < n {
            break;
        }
        for seed in 0..6 {
            let mut chance = Chance(seed + 1000 * n as u64);
            let left = disk.files_after_power_loss(&mut |limit| match seed {
                0 => 0,
                1 => 1 % limit,
                _ => chance.below(limit),
            });
            let what = format!("power lost after {n} calls, seed {seed}");
            check_sound(&MemoryDisk::with_files(&left), &past, &what);
        }
    }
}

/// The same, where each call fails once and the ledger goes on.
#[test]
fn a_save_that_fails_costs_no_record_and_no_start() {
    for done in [Done::Nothing, Done::Half, Done::All] {
        for n in 0.. {
            let disk = MemoryDisk::new();
            disk.fail_call(n, ErrorKind::StorageFull, done);
            let past = save_after_each_group(&disk);
            if disk.calls().len() <= n {
                break;
            }
            let what = format!("call {n} {:?} failed, {done:?} of it done", disk.calls()[n]);
            check_sound(&MemoryDisk::with_files(&disk.durable_files()), &past, &what);
        }
    }
}

fn save_after_each_group(disk: &MemoryDisk) -> Past {
    let mut past = Past::default();
    let Ok(mut life) = Life::open(disk) else { return past };
    for group in script() {
        for event in group {
            // What has no room is left out.
            let _ = life.append(event);
        }
        while life
            .step()
            .is_ok_and(|step| step == bolillero_server::ledger::committer::Step::Committed)
        {
            life.preparer.save_last_group();
            check_number(disk, &life);
        }
        past.clone_from(&life.past);
        if life.past.durable < life.past.appended.len() {
            break;
        }
        let _ = life.preparer.step();
    }
    past
}

/// The number that is read now is one that is durable now.
fn check_number(disk: &MemoryDisk, life: &Life) {
    let durable = MemoryDisk::with_files(&disk.durable_files());
    let Some(last) = last_group::read(&MemoryDisk::with_files(&disk.files())).unwrap() else {
        return;
    };
    let files = without_last_group_if_any(durable.files());
    let tail = read(&MemoryDisk::with_files(&files)).unwrap().1.unwrap();
    assert!(last.number < tail.next_group, "{last:?}, durable up to {}", tail.next_group - 1);
    assert!(life.past.durable > 0);
}

fn without_last_group_if_any(mut files: Files) -> Files {
    files.remove(LAST_GROUP_FILE);
    files
}
