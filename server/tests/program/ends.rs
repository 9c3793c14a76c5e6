//! A ledger that has lost its end: no program takes the rest for the whole.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::auditing::{audit, names, path, stored};
use crate::office::{Office, export, serve, verify};
use crate::process::{Ended, Process};
use crate::wire::{ACK, batch, batch_rows};

const SECTOR: u64 = 512;

/// A ledger's last segment as a server left it that was asked to stop.
struct LastSegment {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Behind the last group.
    end: u64,
}

impl LastSegment {
    fn of(data_dir: &Path) -> Self {
        let (ledger, number) = (data_dir.join("ledger"), last_number(data_dir));
        let name = |number: u32| format!("{number:08}.log");
        let last = (1..).take_while(|number| ledger.join(name(*number)).exists()).last().unwrap();
        let path = ledger.join(name(last));
        let bytes = fs::read(&path).unwrap();
        // The last group is a mark, whose last four bytes are zeros.
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 5;
        let mark = usize::try_from(end - 20).unwrap();
        assert_eq!(bytes[mark + 4..mark + 12], number.to_be_bytes(), "it ends with a mark");
        Self { path, bytes, end }
    }

    fn zero(&self, from: u64, to: u64) {
        let zeros = vec![0; usize::try_from(to - from).unwrap()];
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        file.write_all_at(&zeros, from).unwrap();
    }

    fn cut(&self, at: u64) {
        fs::File::options().write(true).open(&self.path).unwrap().set_len(at).unwrap();
    }

    fn restore(&self) {
        fs::write(&self.path, &self.bytes).unwrap();
    }
}

/// What `verify` says of a sound ledger: the number of its last group, which is known to be durable.
fn last_number(data_dir: &Path) -> u64 {
    let report = verify(data_dir);
    let line = |name: &str| report.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line("last group ").split_once(',').unwrap().0;
    let number: u64 = number.rsplit(' ').next().unwrap().parse().unwrap();
    let known = format!("end             checked: group {number} was known to be durable");
    assert_eq!(line("end "), known, "the last group's number is saved before the end");
    number
}

/// Checks that everybody who reads the ledger says that groups are missing, and what to do.
#[track_caller]
fn check_told(data_dir: &Path, number: u64, what: &str) {
    let export = Process::start(audit("export", data_dir, &[])).end();
    let verify = Process::start(audit("verify", data_dir, &[])).end();
    let serve = Process::start(serve(data_dir, &[])).end();
    for ended in [&export, &verify, &serve] {
        assert_eq!(ended.code, Some(4), "{what}: {ended:?}");
        let durable = format!("groups up to {number} were durable, as last-group.bin says");
        for part in [durable.as_str(), "is missing", "stop that server and copy again", "repair"] {
            assert!(ended.stderr.contains(part), "{what}: {part}: {ended:?}");
        }
    }
    assert!(export.lines.is_empty() && verify.lines.is_empty(), "{what}: {verify:?}");
    check_repair(data_dir, number, what);
}

#[track_caller]
fn check_repair(data_dir: &Path, number: u64, what: &str) {
    let elsewhere = tempdir().unwrap();
    let Ended { code, lines, stderr, .. } =
        Process::start(audit("repair", data_dir, &["--output", path(elsewhere.path())])).end();
    let report = lines.join("\n");
    assert_eq!(code, Some(4), "{what}: {report}");
    assert!(stderr.contains("acknowledged records are lost, or may be"), "{what}: {stderr}");
    let missing = lines.iter().find(|line| line.starts_with("missing         group")).unwrap();
    assert!(missing.ends_with(&format!(" {number}")), "{what}: {missing}");
    assert!(!report.contains(", whole"), "{what}: {report}");
    // What is kept is a ledger whose end is known.
    last_number(elsewhere.path());
}

#[test]
fn the_sector_in_which_a_ledger_ends_cannot_be_lost_without_a_word() {
    let (directory, _) = stored();
    let (number, last) = (last_number(directory.path()), LastSegment::of(directory.path()));
    let from = (last.end - 5) / SECTOR * SECTOR;
    last.zero(from, from + SECTOR);
    check_told(directory.path(), number, "the last sector");
    last.restore();
    assert_eq!(last_number(directory.path()), number);
}

#[test]
fn a_last_segment_cut_or_zeroed_anywhere_is_never_taken_for_whole() {
    let (directory, _) = stored();
    let (number, last) = (last_number(directory.path()), LastSegment::of(directory.path()));
    // From inside its first group to inside its last one.
    for n in 0..8 {
        let from = 60 + (last.end - 70) * n / 7;
        last.cut(from);
        check_told(directory.path(), number, &format!("cut at {from} of {}", last.end));
        last.restore();
        last.zero(from, last.bytes.len() as u64);
        check_told(directory.path(), number, &format!("zeroed from {from} of {}", last.end));
        last.restore();
    }
    assert_eq!(last_number(directory.path()), number);
}

#[test]
fn a_ledger_without_the_file_is_served_as_before_and_gets_one() {
    let (directory, rows) = stored();
    let file = directory.path().join("ledger/last-group.bin");
    fs::remove_file(&file).unwrap();
    assert!(verify(directory.path()).contains("end             unknown: without last-group.bin"));
    Office::start(directory.path(), &["--segment-size", "128KiB"]).stop();
    last_number(directory.path());
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);

    fs::write(&file, [0; 8192]).unwrap();
    for command in [audit("verify", directory.path(), &[]), serve(directory.path(), &[])] {
        let ended = Process::start(command).end();
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stderr.contains("last-group.bin is damaged"), "{ended:?}");
        assert!(ended.stderr.contains("without this file the ledger is opened"), "{ended:?}");
    }
    fs::remove_file(&file).unwrap();
    Office::start(directory.path(), &["--segment-size", "128KiB"]).stop();
    last_number(directory.path());
}

#[test]
fn all_segments_gone_is_no_reason_to_begin_a_new_ledger() {
    let (directory, _) = stored();
    let ledger = directory.path().join("ledger");
    for segment in names(&ledger).iter().filter(|name| name.ends_with(".log")) {
        fs::remove_file(ledger.join(segment)).unwrap();
    }
    for command in [audit("verify", directory.path(), &[]), serve(directory.path(), &[])] {
        let ended = Process::start(command).end();
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stderr.contains("00000001.log"), "{ended:?}");
        assert!(ended.stderr.contains("with all other segments"), "{ended:?}");
    }
    assert_eq!(names(&ledger), ["last-group.bin"]);
}

/// However it is killed, the number in the file is one that was durable: the next start is no damage.
#[test]
fn a_server_killed_at_any_moment_has_saved_no_more_than_was_durable() {
    let directory = tempdir().unwrap();
    let mut stored = 0;
    for batches in [0, 1, 3, 40, 0, 7] {
        let options = ["--mark-delay", "1ms", "--segment-size", "128KiB"];
        let office = Office::start(directory.path(), &options);
        let mut wire = office.connect();
        for _ in 0..batches {
            wire.exchange(&batch(1, 30_000_000 + stored * 100, 100), &ACK);
            stored += 1;
        }
        office.process.signal(Signal::KILL);
        office.process.end();
        verify(directory.path());
    }
    let rows: String = (0..stored).map(|n| batch_rows(1, 30_000_000 + n * 100, 100)).collect();
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);
}
