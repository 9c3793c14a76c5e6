//! A disk that is really full: a small tmpfs of the server's own. Where none may be mounted, the test
//! says so and ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;

use crate::office::{Office, count, export, serve};
use crate::process::Process;
use crate::tell_skipped;
use crate::wire::{ACK, batch, batch_rows, packet};

/// The reserve, one segment to go on in, and the one in use; then it is full.
const OPTIONS: [&str; 4] = ["--segment-size", "256KiB", "--max-packet", "8KiB"];
const DISK: &str = "1600k";
const BALLAST: &str = "800k";
const BETS: u32 = 100;

/// A server whose data directory lies on a disk of its own, which ends with it. None where there is no
/// right to mount one.
fn start_on_a_small_disk(disk: &Path) -> Option<Process> {
    let apart = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).env("DISK", disk);
        command
    };
    let mount = format!("mount -t tmpfs -o size={DISK} none \"$DISK\"");
    if !apart(&mount).status().is_ok_and(|status| status.success()) {
        tell_skipped("a full disk, none may be mounted here");
        return None;
    }
    let ballast = format!("head -c {BALLAST} /dev/zero > \"$DISK/ballast\"");
    let mut command = apart(&format!("{mount} && {ballast} && exec \"$0\" \"$@\""));
    let serve = serve(&disk.join("central"), &OPTIONS);
    command.arg(serve.get_program()).args(serve.get_args());
    Some(Process::start(command))
}

#[test]
fn a_full_disk_refuses_bets_keeps_all_it_acknowledged_and_goes_on_when_there_is_room() {
    let directory = tempdir().unwrap();
    let Some(process) = start_on_a_small_disk(directory.path()) else { return };
    let mut office = Office::listening(process);
    // The disk as the server sees it.
    let disk = directory.path().strip_prefix("/").unwrap();
    let disk = PathBuf::from(format!("/proc/{}/root", office.process.id())).join(disk);
    let mut wire = office.connect();
    let mut stored = 0;
    let next = |stored: u32| batch(1, 30_000_000 + stored * BETS, BETS);
    let refused = loop {
        wire.send(&next(stored));
        match wire.packet() {
            (2, _) => stored += 1,
            other => break other,
        }
    };
    assert_eq!(refused, (4, "no room on the disk at present".to_owned()));
    assert!(stored > 40, "{stored} batches were stored");
    // Who finishes is not refused.
    office.connect().exchange(&packet(5, "2#"), &ACK);

    office.process.wait_for("action: prepare_segment | result: fail");
    fs::remove_file(disk.join("ballast")).unwrap();
    office.process.wait_for("action: prepare_segment | result: success");
    wire.exchange(&next(stored), &ACK);
    stored += 1;

    let exported = export(&disk.join("central"));
    let rows = (0..stored).map(|n| batch_rows(1, 30_000_000 + n * BETS, BETS));
    assert_eq!(String::from_utf8(exported).unwrap(), rows.collect::<String>());
    let ended = office.stop();
    assert_eq!(count(&ended.lines, "action: apuesta_recibida | result: success"), stored as usize);
}
