//! Files that do not belong together are refused, and named.

use bolillero_server::failure::Failure;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::ledger::recovery::{OpenError, ReplayError, open_ledger};

use crate::life::{DRAW, Event, Life, SETTINGS, hello, left_behind, open};

#[track_caller]
fn check(files: &Files, exit_code: u8, says: &[&str]) {
    let disk = MemoryDisk::with_files(files);
    let failure = Failure::from(Life::open(&disk).err().expect("it was opened"));
    for part in says {
        assert!(failure.to_string().contains(part), "{failure}");
    }
    assert_eq!(failure.exit_code(), exit_code, "{failure}");
    let changed = disk.files().into_iter().filter(|(name, _)| name.ends_with(".log"));
    assert!(changed.eq(files.clone().into_iter().filter(|(name, _)| name.ends_with(".log"))));
}

/// Changes a header and makes its checksum right.
fn with_header(mut files: Files, name: &str, change: impl FnOnce(&mut [u8])) -> Files {
    let bytes = files.get_mut(name).unwrap();
    change(&mut bytes[..32]);
    let crc = crc32c::crc32c(&bytes[..32]);
    bytes[32..36].copy_from_slice(&crc.to_be_bytes());
    files
}

#[test]
fn a_newer_format_is_refused_and_never_guessed() {
    let newer = with_header(left_behind().0, "00000002.log", |header| header[11] = 3);
    check(&newer, 1, &["00000002.log", "format 3", "newer binary"]);
    let none = with_header(left_behind().0, "00000002.log", |header| header[11] = 0);
    check(&none, 4, &["00000002.log"]);
}

#[test]
fn a_ledger_of_the_first_format_is_gone_on_with_and_its_last_segment_is_of_the_newest() {
    let (files, _) = left_behind();
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".log")).cloned().collect();
    let of_first = |files, name: &String| with_header(files, name, |header| header[11] = 1);
    let disk = MemoryDisk::with_files(&names.iter().fold(files.clone(), of_first));
    let mut life = Life::open(&disk).unwrap();
    let past = Life::open(&MemoryDisk::with_files(&files)).unwrap().past.appended;
    assert_eq!(life.past.appended, past);
    // A record of the newest kind follows those of the past, and all are read again.
    let alarm = Event { kind: Kind::Alarm, seq: 1, body: vec![7; 40], ..hello(1, 2) };
    life.store([alarm.clone()]);
    let files = disk.durable_files();
    let formats: Vec<u8> = names.iter().map(|name| files[name][11]).collect();
    assert_eq!(formats, [vec![1; names.len() - 1], vec![2]].concat());
    let again = Life::open(&MemoryDisk::with_files(&files)).unwrap().past.appended;
    assert_eq!(again, [past, vec![alarm]].concat());
}

#[test]
fn a_missing_segment_is_refused() {
    for name in ["00000001.log", "00000002.log"] {
        let (mut files, _) = left_behind();
        files.remove(name);
        check(&files, 4, &[name, "missing"]);
    }
}

#[test]
fn swapped_segments_are_refused() {
    let (mut files, _) = left_behind();
    let first = files.remove("00000001.log").unwrap();
    let second = files.insert("00000002.log".to_owned(), first).unwrap();
    files.insert("00000001.log".to_owned(), second);
    check(&files, 4, &["00000001.log", "segment 2"]);
}

#[test]
fn a_segment_of_another_draw_is_refused() {
    let foreign = with_header(left_behind().0, "00000002.log", |header| header[24] ^= 1);
    check(&foreign, 4, &["00000002.log", "of draw"]);
}

#[test]
fn a_segment_that_does_not_go_on_where_the_last_ended_is_refused() {
    let behind = with_header(left_behind().0, "00000002.log", |header| header[23] += 1);
    check(&behind, 4, &["00000001.log", "is missing"]);
    let before = with_header(left_behind().0, "00000002.log", |header| header[23] -= 1);
    check(&before, 4, &["00000002.log", "expected"]);
    let late = with_header(left_behind().0, "00000001.log", |header| header[23] = 9);
    check(&late, 4, &["00000001.log", "begins with group 9"]);
}

#[test]
fn who_replays_may_refuse_or_find_damage() {
    let (files, _) = left_behind();
    let rows = [
        (ReplayError::Refused("another draw".to_owned()), 1, "another draw"),
        (ReplayError::Damaged("a gap".to_owned()), 4, "00000001.log is damaged at offset"),
    ];
    for (error, exit_code, says) in rows {
        let disk = MemoryDisk::with_files(&files);
        let (first, mut left) = (open(), 3);
        let mut replay = |_: &Record<'_>| {
            left -= 1;
            if left == 0 { Err(error.clone()) } else { Ok(()) }
        };
        let log_lines = Box::new(|_: &str| {});
        let shared = std::sync::Arc::new(disk.clone());
        let opened = open_ledger(shared, &SETTINGS, DRAW, &first.record(), &mut replay, log_lines);
        let error: OpenError = opened.err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(Failure::from(error).exit_code(), exit_code);
        assert_eq!(disk.durable_files(), files);
    }
}
