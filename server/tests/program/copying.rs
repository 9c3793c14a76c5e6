//! Copies of a data directory that a server writes: what the README says of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use tempfile::{TempDir, tempdir};

use crate::auditing::{audit, names, path};
use crate::office::{Office, export, serve, verify};
use crate::process::Process;
use crate::tell_skipped;
use crate::wire::{ACK, Wire, batch, batch_rows};

/// Marks, saves and new segments come often.
const OPTIONS: [&str; 4] = ["--mark-delay", "1ms", "--segment-size", "128KiB"];
const BETS: u32 = 60;

/// A server and its one agency.
struct Intake {
    data: TempDir,
    office: Office,
    wire: Wire,
    acknowledged: u32,
}

impl Intake {
    fn start() -> Self {
        let data = tempdir().unwrap();
        let office = Office::start(data.path(), &OPTIONS);
        let wire = office.connect();
        let mut intake = Self { data, office, wire, acknowledged: 0 };
        for _ in 0..40 {
            intake.store();
        }
        intake
    }

    /// Stores a batch.
    fn store(&mut self) {
        self.wire.exchange(&batch(1, 30_000_000 + self.acknowledged * BETS, BETS), &ACK);
        self.acknowledged += 1;
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.data.path().join("ledger")
    }

    /// Whether spare files have a name here, which goes when they become segments.
    fn has_named_spares(&self) -> bool {
        let named = names(&self.ledger()).iter().any(|name| name.starts_with("spare-"));
        if named {
            tell_skipped("copying beside a server, files without a name cannot be made here");
        }
        named
    }
}

/// The rows of the first batches.
fn rows(batches: u32) -> String {
    (0..batches).map(|n| batch_rows(1, 30_000_000 + n * BETS, BETS)).collect()
}

/// Checks that what is in a copy are the first batches: with all that were acknowledged before it was
/// begun, and none but those that were sent until it was made.
#[track_caller]
fn check_prefix(exported: Vec<u8>, [before, sent]: [u32; 2], what: &str) {
    let exported = String::from_utf8(exported).unwrap();
    assert!(rows(sent).starts_with(&exported), "{what}: no prefix");
    assert!(exported.starts_with(&rows(before)), "{what}: lacks what was acknowledged");
    assert_eq!(exported.lines().count() % BETS as usize, 0, "{what}: half a batch");
}

/// Checks that a copy is a whole prefix for everybody, or is refused by everybody. True: a prefix.
#[track_caller]
fn check_copy(copy: &Path, [before, sent]: [u32; 2], what: &str) -> bool {
    let verified = Process::start(audit("verify", copy, &[])).end();
    if verified.code == Some(0) {
        check_prefix(export(copy), [before, sent], what);
        Office::start(copy, &OPTIONS).stop();
        verify(copy);
        check_prefix(export(copy), [before, sent], what);
        return true;
    }
    for ended in [verified, Process::start(serve(copy, &OPTIONS)).end()] {
        assert_eq!(ended.code, Some(4), "{what}: {ended:?}");
        for part in ["copied while a server wrote it", "stop that server and copy again"] {
            assert!(ended.stderr.contains(part), "{what}: {ended:?}");
        }
    }
    let mended = tempdir().unwrap();
    let repaired = Process::start(audit("repair", copy, &["--output", path(mended.path())])).end();
    // Where only a mark was split, nothing is lost.
    assert!(matches!(repaired.code, Some(0 | 4)), "{what}: {repaired:?}");
    verify(mended.path());
    check_prefix(export(mended.path()), [before, sent], what);
    false
}

/// Copies a file in pieces, and has something done between any two.
fn copy_slowly(from: &Path, to: &Path, piece: usize, mut between: impl FnMut()) {
    let mut source = fs::File::open(from).unwrap_or_else(|error| panic!("{from:?}: {error}"));
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        let read = source.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..read]);
        between();
    }
    fs::write(to, bytes).unwrap();
}

#[test]
fn a_slow_copy_is_a_whole_prefix_or_is_refused_with_the_right_advice() {
    let mut intake = Intake::start();
    if intake.has_named_spares() {
        return;
    }
    let (copies, ledger) = (tempdir().unwrap(), intake.ledger());
    for (round, piece) in [3_000, 4_096, 5_000, 16_384].repeat(2).into_iter().enumerate() {
        let copy = copies.path().join(round.to_string());
        fs::create_dir_all(copy.join("ledger")).unwrap();
        let (before, mut listed) = (intake.acknowledged, names(&ledger));
        if round % 2 == 1 {
            listed.reverse();
        }
        let mut pieces = 0;
        for name in listed {
            copy_slowly(&ledger.join(&name), &copy.join("ledger").join(&name), piece, || {
                pieces += 1;
                if pieces % 3 == 0 {
                    intake.store();
                }
            });
        }
        let what = format!("round {round}, pieces of {piece}");
        check_copy(&copy, [before, intake.acknowledged], &what);
    }
}

#[test]
fn a_copy_of_a_stopped_servers_directory_is_all_of_it_and_one_begun_before_is_refused() {
    let mut intake = Intake::start();
    let (copies, ledger) = (tempdir().unwrap(), intake.ledger());
    let [early, late] = ["early", "late"].map(|name| copies.path().join(name));
    fs::create_dir_all(early.join("ledger")).unwrap();
    let (before, listed) = (intake.acknowledged, names(&ledger));
    let (segments, others): (Vec<_>, Vec<_>) =
        listed.iter().partition(|name| name.ends_with(".log"));
    for name in segments {
        fs::copy(ledger.join(name), early.join("ledger").join(name)).unwrap();
    }
    intake.store();
    let Intake { data, office, acknowledged, .. } = intake;
    office.stop();
    for name in others.into_iter().filter(|name| ledger.join(name).exists()) {
        fs::copy(ledger.join(name), early.join("ledger").join(name)).unwrap();
    }
    assert!(!check_copy(&early, [before, acknowledged], "how far it went was copied last"));

    copy_by_cp(data.path(), &late);
    assert!(check_copy(&late, [acknowledged, acknowledged], "copied after the end"));
}

#[track_caller]
fn copy_by_cp(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

#[test]
fn no_name_goes_while_a_server_begins_segments() {
    let mut intake = Intake::start();
    if intake.has_named_spares() {
        return;
    }
    let (mut seen, first) = (BTreeSet::new(), names(&intake.ledger()).len());
    for _ in 0..150 {
        seen.extend(names(&intake.ledger()));
        intake.store();
    }
    let now: BTreeSet<String> = names(&intake.ledger()).into_iter().collect();
    assert!(now.len() >= first + 3, "several segments were begun: {now:?}");
    assert!(seen.is_subset(&now), "{seen:?} were there, {now:?} are");
    intake.office.stop();
}

#[test]
fn cp_beside_a_server_succeeds_and_its_copy_is_a_whole_prefix_or_refused() {
    let mut intake = Intake::start();
    if intake.has_named_spares() {
        return;
    }
    let copies = tempdir().unwrap();
    for round in 0..6 {
        let (copy, before) = (copies.path().join(round.to_string()), intake.acknowledged);
        let from = intake.data.path().to_owned();
        let copying = std::thread::spawn({
            let copy = copy.clone();
            move || copy_by_cp(&from, &copy)
        });
        while !copying.is_finished() {
            intake.store();
        }
        copying.join().unwrap();
        check_copy(&copy, [before, intake.acknowledged], &format!("round {round}"));
    }
    intake.office.stop();
}
