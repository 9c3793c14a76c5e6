//! The real disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use bolillero_server::ledger::disk::{Directory, Disk, is_no_room, read_full_at};
use bolillero_server::ledger::recovery::{Opened, Settings, open_ledger};

use crate::life::{DRAW, Event, SETTINGS, open, script};

fn open_in(disk: &Directory, settings: &Settings) -> (Opened, Vec<Event>) {
    let (first, mut events) = (open(), Vec::new());
    let mut replay = |record: &bolillero_server::ledger::record::Record<'_>| {
        events.push(Event::of(record));
        Ok(())
    };
    let log_lines = Box::new(|_: &str| {});
    let shared = Arc::new(disk.clone());
    let opened = open_ledger(shared, settings, DRAW, &first.record(), &mut replay, log_lines);
    (opened.unwrap(), events)
}

#[test]
fn a_ledger_comes_back_from_a_real_directory() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::create(directory.path().join("data/ledger")).unwrap();
    let (mut opened, mut expected) = open_in(&disk, &SETTINGS);
    assert_eq!(expected, [open()]);
    for group in script() {
        for event in group {
            opened.ledger.append(&event.record(), None, None).unwrap();
            expected.push(event);
        }
        opened.committer.step().unwrap();
        opened.preparer.step().unwrap();
    }
    // One group was divided between two segments.
    while opened.ledger.durable().0 < expected.len() as u64 {
        opened.committer.step().unwrap();
    }
    drop(opened);
    for _ in 0..2 {
        let (opened, events) = open_in(&disk, &SETTINGS);
        assert_eq!(events, expected);
        assert_eq!(opened.found.torn, None);
    }
}

#[test]
fn allocated_space_is_taken_from_the_disk_and_reads_as_zeros() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::new(directory.path());
    let file = disk.create("file").unwrap();
    file.allocate(1 << 20).unwrap();
    file.sync().unwrap();
    let metadata = fs::metadata(directory.path().join("file")).unwrap();
    assert_eq!((metadata.len(), file.size().unwrap()), (1 << 20, 1 << 20));
    assert!(metadata.blocks() * 512 >= 1 << 20, "{} blocks", metadata.blocks());
    let mut bytes = vec![1; 2 << 20];
    assert_eq!(read_full_at(&*file, 0, &mut bytes).unwrap(), 1 << 20);
    assert!(bytes[..1 << 20].iter().all(|&byte| byte == 0));
}

#[test]
fn a_file_that_would_be_too_large_is_missing_room_and_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let file = Directory::new(directory.path()).create("file").unwrap();
    let error = file.allocate(i64::MAX as u64).unwrap_err();
    assert!(is_no_room(&error), "{error:?}");
}

#[test]
fn errors_are_told_apart_by_whether_room_would_help() {
    let rows = [
        (ErrorKind::StorageFull, true),
        (ErrorKind::QuotaExceeded, true),
        (ErrorKind::FileTooLarge, true),
        (ErrorKind::PermissionDenied, false),
        (ErrorKind::ReadOnlyFilesystem, false),
        (ErrorKind::Other, false),
    ];
    for (kind, expected) in rows {
        assert_eq!(is_no_room(&kind.into()), expected, "{kind}");
    }
    // ENOSPC, EFBIG, EDQUOT, EIO
    for (code, expected) in [(28, true), (27, true), (122, true), (5, false)] {
        assert_eq!(is_no_room(&std::io::Error::from_raw_os_error(code)), expected, "{code}");
    }
}

#[test]
fn a_file_opened_to_read_is_not_written_and_one_opened_to_write_is() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::new(directory.path());
    disk.create("file").unwrap().write_at(0, b"before").unwrap();
    assert!(disk.open("file").unwrap().write_at(0, b"x").is_err());
    disk.open_to_write("file").unwrap().write_at(0, b"after").unwrap();
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"aftere");
    disk.rename("file", "other").unwrap();
    disk.sync_directory().unwrap();
    assert_eq!(disk.names().unwrap(), ["other"]);
    disk.remove("other").unwrap();
    assert_eq!(disk.open("other").err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!(disk.open_to_write("other").err().map(|e| e.kind()), Some(ErrorKind::NotFound));
}
