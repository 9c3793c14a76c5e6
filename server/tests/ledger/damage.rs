//! Damage is found and named; only what a loss of power can leave behind is cut.

use bolillero_server::failure::Failure;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::reader::{Next, ReadError, read_ledger};
use bolillero_server::ledger::recovery::OpenError;

use crate::life::{Event, Life, left_behind, without_last_group};

/// A group of a ledger: where it begins and ends, and how many records stand before it.
pub(crate) struct Stands {
    pub(crate) file: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    records_before: usize,
}

/// All groups, each with the number of its segment.
pub(crate) fn groups(files: &Files) -> Vec<(u32, Stands)> {
    let mut groups = Vec::new();
    let mut records_before = 0;
    read_ledger(&MemoryDisk::with_files(files), &mut |place, group| {
        let start = usize::try_from(place.offset).unwrap();
        let (file, end) = (format!("{:08}.log", place.segment), start + 20 + group.bytes.len());
        groups.push((place.segment, Stands { file, start, end, records_before }));
        records_before += group.records().count();
        Ok(Next::Continue)
    })
    .unwrap();
    groups
}

/// A ledger that ends with a mark, which is known to be durable.
pub(crate) fn marked() -> (Files, Vec<Event>) {
    let disk = MemoryDisk::with_files(&left_behind().0);
    let appended = Life::open(&disk).unwrap().past.appended;
    (disk.durable_files(), appended)
}

/// The file and the offset that a refused start names.
#[track_caller]
pub(crate) fn refused(error: OpenError) -> (String, usize) {
    let OpenError::Read(ReadError::Damaged { file, offset, .. }) = &error else {
        panic!("not refused as damage: {error}");
    };
    let named = (file.clone(), usize::try_from(*offset).unwrap());
    assert_eq!(Failure::from(error).exit_code(), 4);
    named
}

/// As a server leaves it that died before it had saved how far the ledger is durable.
#[test]
fn a_cut_of_the_last_segment_at_any_byte_keeps_every_whole_group() {
    let (files, past) = left_behind();
    let files = without_last_group(files);
    let groups = groups(&files);
    let (last, _) = groups[groups.len() - 1];
    let name = format!("{last:08}.log");
    for length in 0..files[&name].len() {
        let mut cut = files.clone();
        cut.get_mut(&name).unwrap().truncate(length);
        let disk = MemoryDisk::with_files(&cut);
        if length < 36 {
            assert_eq!(refused(Life::open(&disk).err().unwrap()), (name.clone(), 0));
            continue;
        }
        let life = Life::open(&disk).unwrap();
        let torn = groups.iter().find(|(segment, group)| *segment == last && group.end > length);
        let records = torn.map_or(past.appended.len(), |(_, group)| group.records_before);
        assert_eq!(life.past.appended, past.appended[..records], "cut at {length}");
        let rest = torn.map_or(&[][..], |(_, group)| &cut[&name][group.start..]);
        check_kept(&disk, &life, rest, length);
    }
}

/// Holds that what was cut off is kept in a synced file, but for the zeros at its end.
fn check_kept(disk: &MemoryDisk, life: &Life, rest: &[u8], length: usize) {
    let end = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let kept = life.found.torn.as_ref().map(|torn| disk.durable_files()[&torn.kept_in].clone());
    assert_eq!(kept, (end > 0).then(|| rest[..end].to_vec()), "cut at {length}");
}

#[test]
fn a_cut_of_an_earlier_segment_is_damage_of_that_file() {
    let (files, past) = left_behind();
    let groups = groups(&files);
    let last_of_first = groups.iter().rfind(|(segment, _)| *segment == 1).unwrap();
    for length in 0..files["00000001.log"].len() {
        let mut cut = files.clone();
        cut.get_mut("00000001.log").unwrap().truncate(length);
        match Life::open(&MemoryDisk::with_files(&cut)) {
            Ok(life) => {
                assert!(length >= last_of_first.1.end, "cut at {length}");
                assert_eq!(life.past.appended, past.appended);
            }
            Err(error) => {
                assert!(length < last_of_first.1.end, "cut at {length}");
                let (file, offset) = refused(error);
                assert_eq!(file, "00000001.log");
                assert!(offset <= length, "cut at {length}, not {offset}");
            }
        }
    }
}

#[test]
fn a_flip_of_any_byte_is_found_and_nothing_acknowledged_is_dropped_behind_a_mark() {
    let (files, appended) = marked();
    for_each_flip(&files, |file, at, opened| match opened {
        Err(error) => check_named(error, file, at),
        Ok(life) => {
            assert_eq!(life.past.appended, appended, "{file} at {at}");
            assert!(life.found.torn.is_some(), "{file} at {at} was not found");
        }
    });
}

#[test]
fn a_flip_of_any_byte_costs_at_most_the_last_unmarked_group() {
    let (files, past) = left_behind();
    let mut groups = groups(&files);
    let (_, last) = groups.pop().unwrap();
    for_each_flip(&files, |file, at, opened| match opened {
        Err(error) => check_named(error, file, at),
        Ok(life) => {
            assert!(file == last.file && at >= last.start, "{file} at {at} was served");
            assert!(life.found.torn.is_some(), "{file} at {at} was not found");
            let records = if at < last.end { last.records_before } else { past.appended.len() };
            assert_eq!(life.past.appended, past.appended[..records], "{file} at {at}");
        }
    });
}

fn check_named(error: OpenError, file: &str, at: usize) {
    let (named, offset) = refused(error);
    assert_eq!(named, file);
    assert!(offset <= at, "{file} at {at} was named {offset}");
}

/// Opens the ledger with each byte of its segments changed, in several ways.
fn for_each_flip(files: &Files, check: impl Fn(&str, usize, Result<Life, OpenError>)) {
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let mut flipped = files.clone();
        for at in 0..bytes.len() {
            for pattern in [0x01, 0x80, 0xFF] {
                flipped.get_mut(name).unwrap()[at] ^= pattern;
                check(name, at, Life::open(&MemoryDisk::with_files(&flipped)));
                flipped.get_mut(name).unwrap()[at] ^= pattern;
            }
        }
    }
}

#[test]
fn a_refused_start_changes_no_file_of_the_ledger() {
    let (mut files, _) = left_behind();
    files.retain(|name, _| name.ends_with(".log"));
    files.get_mut("00000001.log").unwrap()[60] ^= 1;
    let disk = MemoryDisk::with_files(&files);
    refused(Life::open(&disk).err().unwrap());
    assert_eq!(disk.files(), files);
    assert_eq!(disk.durable_files(), files);
}

#[test]
fn a_tear_that_comes_again_is_kept_once_and_another_beside_it() {
    let (mut files, _) = left_behind();
    let (_, last) = groups(&files).pop().unwrap();
    let whole = files[&last.file].clone();
    let disk = MemoryDisk::with_files(&files);
    for damaged_at in [last.start, last.start, last.start + 5] {
        let mut torn = whole.clone();
        torn[damaged_at] ^= 1;
        files = disk.durable_files();
        files.insert(last.file.clone(), torn);
        let next = MemoryDisk::with_files(&files);
        Life::open(&next).unwrap();
        for (name, bytes) in next.durable_files() {
            if name.starts_with("torn-") {
                disk_put(&disk, &name, &bytes);
            }
        }
    }
    let kept = disk.files().into_keys().filter(|name| name.starts_with("torn-"));
    assert_eq!(kept.count(), 2);
}

fn disk_put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    use bolillero_server::ledger::disk::Disk as _;
    let file = disk.create(name).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
}
