//! `repair`: what it saves of a data directory, and that a server and its agencies go on from there.
//! What it keeps of which damage, record by record, stands in `tests/ledger/repair.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tempfile::tempdir;

use crate::auditing::{audit, damage, names, path, stored};
use crate::inputs::Inputs;
use crate::office::{Office, export, finish_agencies, start_agencies, verify};
use crate::process::{Ended, Process};

const SERVE: [&str; 2] = ["--segment-size", "128KiB"];

fn repair(data_dir: &Path, options: &[&str]) -> Ended {
    Process::start(audit("repair", data_dir, options)).end()
}

/// All files below a directory.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(&name);
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

/// The rows of each agency.
fn lanes(data_dir: &Path) -> BTreeMap<String, Vec<String>> {
    let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in String::from_utf8(export(data_dir)).unwrap().lines() {
        let (agency, row) = row.split_once(',').unwrap();
        lanes.entry(agency.to_owned()).or_default().push(row.to_owned());
    }
    lanes
}

fn break_segment(segment: &Path, what: &str) {
    match what {
        "flipped" => damage(segment, b"#Ana#"),
        "cut" => {
            fs::File::options().write(true).open(segment).unwrap().set_len(40_000).unwrap();
        }
        _ => fs::remove_file(segment).unwrap(),
    }
}

#[test]
fn each_kind_of_damage_leaves_a_ledger_that_is_sound_and_served() {
    for what in ["flipped", "cut", "missing"] {
        let (directory, _) = stored();
        let whole = lanes(directory.path());
        break_segment(&directory.path().join("ledger/00000002.log"), what);
        let before = files(directory.path());

        let elsewhere = tempdir().unwrap();
        let output = elsewhere.path().join("repaired");
        let options = ["--output", path(&output), "--dry-run"];
        let told = repair(directory.path(), &options);
        assert_eq!(told.code, Some(4), "{what}: {told:?}");
        assert_eq!(told.lines.last().unwrap(), "written         nothing");
        assert!(!output.exists());
        // Without an output it tells the same.
        assert_eq!(repair(directory.path(), &[]).lines, told.lines);

        let done = repair(directory.path(), &options[..2]);
        assert_eq!((done.code, done.lines.len()), (Some(4), told.lines.len()), "{done:?}");
        assert!(done.stderr.contains("acknowledged records are lost"), "{done:?}");
        assert_eq!(names(&output), ["ledger"]);
        assert_eq!(files(directory.path()), before, "{what}: the damaged one is as it was");

        verify(&output);
        let kept = lanes(&output);
        let lost = whole.iter().filter(|&(agency, rows)| {
            let kept = &kept[agency];
            assert!(rows.starts_with(kept), "{what}: agency {agency}");
            let line = format!("agency {agency}        {} bets in ", kept.len());
            let line = done.lines.iter().find(|said| said.starts_with(&line)).unwrap();
            assert_eq!(line.contains("cut behind batch"), kept.len() < rows.len(), "{line}");
            kept.len() < rows.len()
        });
        let lanes_lost = if what == "flipped" { 1 } else { whole.len() };
        assert_eq!(lost.count(), lanes_lost, "{what}");
        Office::start(&output, &SERVE).stop();
        assert_eq!(lanes(&output), kept, "{what}: a server begins with it");
    }
}

#[test]
fn agencies_started_again_bring_back_what_was_lost() {
    let (directory, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let inputs = Inputs::find();
    let agencies = |office: &Office| start_agencies(office.address, &inputs.files, &[]);
    let office = Office::start(directory.path(), &SERVE);
    assert_eq!(finish_agencies(agencies(&office)), inputs.winners());
    office.stop();
    let published = |data_dir: &Path| files(&data_dir.join("published"));
    let before = published(directory.path());
    assert_eq!(before.len(), inputs.files.len() + 2);
    damage(&directory.path().join("ledger/00000001.log"), b"#@7#");

    let output = elsewhere.path().join("repaired");
    let done = repair(directory.path(), &["--output", path(&output)]);
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.lines.iter().any(|line| line.starts_with("draw            DROPPED")), "{done:?}");
    let office = Office::start(&output, &SERVE);
    assert_eq!(finish_agencies(agencies(&office)), inputs.winners());
    office.stop();
    verify(&output);
    assert!(export(&output) == inputs.exported());
    assert_eq!(published(&output), before);
}

#[test]
fn a_ledger_that_lost_nothing_is_a_success() {
    let (directory, rows) = stored();
    // Behind the last group of a segment that is gone on from: no start accepts it, nothing is lost.
    let segment =
        fs::File::options().write(true).open(directory.path().join("ledger/00000001.log"));
    segment.unwrap().write_at(&[1], 128 * 1024 - 1).unwrap();
    let ended = Process::start(audit("verify", directory.path(), &[])).end();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("`bolillero-server repair`"), "{ended:?}");
    let elsewhere = tempdir().unwrap();
    let ended = repair(directory.path(), &["--output", path(elsewhere.path())]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(String::from_utf8(export(elsewhere.path())).unwrap(), rows);
}

#[test]
fn nothing_that_is_there_is_replaced_and_no_server_is_worked_beside() {
    let (directory, _) = stored();
    let elsewhere = tempdir().unwrap();
    fs::write(elsewhere.path().join("notes.txt"), "mine").unwrap();
    for (output, why) in [(elsewhere.path(), "not empty"), (directory.path(), "not empty")] {
        let before = files(output);
        let ended = repair(directory.path(), &["--output", path(output)]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stderr.contains(path(output)), "{ended:?}");
        assert_eq!(files(output), before);
    }
    let office = Office::start(directory.path(), &SERVE);
    let ended = repair(directory.path(), &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("a server works in this data directory"), "{ended:?}");
    office.stop();
}

#[test]
fn what_is_beyond_repair_is_told_and_leaves_no_ledger() {
    let (directory, _) = stored();
    let segment = directory.path().join("ledger/00000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let elsewhere = tempdir().unwrap();
    let options = ["--output", path(elsewhere.path())];
    let ended = repair(directory.path(), &options);
    assert_eq!((ended.code, ended.lines.len()), (Some(4), 0), "{ended:?}");
    assert!(ended.stderr.contains("say so with --agencies and --winning-number"), "{ended:?}");
    assert_eq!(names(elsewhere.path()), [""; 0]);

    let ended = repair(directory.path(), &[&options[..], &["--agencies", "5"]].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let terms = ["--agencies", "5", "--winning-number", "7574"];
    let ended = repair(directory.path(), &[options.as_slice(), &terms].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(export(elsewhere.path()), export_of_whole(directory.path()));
}

/// What the ledger gave before its first group was damaged.
fn export_of_whole(data_dir: &Path) -> Vec<u8> {
    let segment = data_dir.join("ledger/00000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    fs::write(&segment, bytes).unwrap();
    export(data_dir)
}
