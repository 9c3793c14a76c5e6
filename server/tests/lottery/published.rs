//! The files with the results.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::support::*;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

fn expected() -> BTreeMap<String, String> {
    let json = format!(
        "{{\n  \"draw\": \"{DRAW}\",\n  \"winning_number\": 7574,\n  \"agencies\": [\n    \
         {{\"agency\": 1, \"winners\": 3, \"documents_sha256\": \"{}\"}},\n    \
         {{\"agency\": 2, \"winners\": 0, \"documents_sha256\": \"{}\"}}\n  ]\n}}\n",
        sha256(&b"30007574#".repeat(3)),
        sha256(b""),
    );
    let mut files = BTreeMap::from([
        ("winners-agency-1.csv".to_owned(), "30007574\r\n".repeat(3)),
        ("winners-agency-2.csv".to_owned(), String::new()),
        ("draw.json".to_owned(), json),
    ]);
    let names = ["winners-agency-1.csv", "winners-agency-2.csv", "draw.json"];
    let sums = names.map(|name| format!("{}  {name}\n", sha256(files[name].as_bytes())));
    files.insert("SHA256SUMS".to_owned(), sums.concat());
    files
}

/// An office that has drawn and published in `directory`.
fn drawn(directory: &Path, winners_length_max: usize) -> Central {
    let mut setup = Setup::default();
    setup.draw.published = Some(directory.to_owned());
    setup.draw.winners_length_max = winners_length_max;
    let mut central = Central::with(setup);
    central.connect().send(&[batch(1, &[7574, 1, 7574]), packet(1, bet(1, 7574))].concat());
    central.finish_all([1, 2]);
    central
}

#[test]
fn the_results_are_written_whether_they_are_kept_in_memory_or_not() {
    for winners_length_max in [1000, 27, 26, 0] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/published");
        drawn(&path, winners_length_max);
        assert_eq!(files(&path), expected(), "{winners_length_max}");
    }
}

#[test]
fn what_is_missing_at_a_start_is_written_again_and_what_is_unfinished_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = drawn(directory.path(), 1000);
    for name in expected().keys() {
        fs::remove_file(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(format!("~{name}.tmp")), "half").unwrap();
        central = central.restart();
        assert_eq!(files(directory.path()), expected(), "{name}");
    }
    fs::write(directory.path().join("~draw.json.tmp"), "half").unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    central.restart();
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn a_start_that_finds_all_results_writes_none() {
    let directory = tempfile::tempdir().unwrap();
    let central = drawn(directory.path(), 1000);
    let written =
        |name: &str| fs::metadata(directory.path().join(name)).unwrap().modified().unwrap();
    let before: Vec<_> = expected().keys().map(|name| written(name)).collect();
    fs::write(directory.path().join("~draw.json.tmp"), "half").unwrap();
    central.restart();
    let after: Vec<_> = expected().keys().map(|name| written(name)).collect();
    assert_eq!((after, files(directory.path())), (before, expected()));
}

#[test]
fn results_that_cannot_be_written_hold_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("published");
    fs::write(&path, "a file where a directory should be").unwrap();
    take_log_lines();
    let central = drawn(&path, 1000);
    let lines = take_log_lines();
    assert!(lines[0].starts_with("action: publish | result: fail | error: creating "), "{lines:?}");
    let mut client = central.connect();
    client.send(&ask(2));
    assert_eq!(client.replies(), [winners("#")]);
    fs::remove_file(&path).unwrap();
    central.restart();
    assert_eq!(files(&path), expected());
}
