//! A disk that fails under a running server, by way of strace: what is told, and what is not told any
//! more. Where strace is not installed or may not trace, the tests say so and end.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::office::{Office, assert_healthy_log, count, export, serve, verify};
use crate::process::{Ended, PATIENCE, Process};
use crate::tell_skipped;
use crate::wire::{ACK, CLOSE, NO_WINNERS, Wire, batch, batch_rows, packet};

/// A server whose system calls fail as `inject` says. Counts of calls are each thread's own.
pub(crate) fn start_broken(data_dir: &Path, inject: &str, options: &[&str]) -> Option<Process> {
    let trace = inject.split(':').next().unwrap();
    let trace = [format!("trace={trace}"), format!("inject={inject}")];
    let strace = |traced: &Command| {
        let mut command = Command::new("strace");
        // With -D the child is the program itself, and strace goes when it does.
        command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace[0], "-e", &trace[1]]);
        command.arg(traced.get_program()).args(traced.get_args());
        command
    };
    let works = strace(&Command::new("true")).status().is_ok_and(|status| status.success());
    if !works {
        tell_skipped("system calls that fail, strace is not installed here or may not trace");
        return None;
    }
    Some(Process::start(strace(&serve(data_dir, options))))
}

/// Sends batches one by one until the connection ends; returns how many were acknowledged.
fn store_until_it_breaks(wire: &mut Wire) -> u32 {
    use std::io::{Read as _, Write as _};
    for n in 0.. {
        let sent = wire.0.write_all(&batch(1, 30_000_000 + n, 1));
        let mut answer = [0; 5];
        if sent.and_then(|()| wire.0.read_exact(&mut answer)).is_err() {
            return n;
        }
        assert_eq!(answer, ACK);
    }
    unreachable!("a million batches were stored")
}

#[test]
fn a_failed_sync_is_never_answered_and_ends_the_server() {
    for driver in ["pool", "events", "threads"] {
        // Neither the start nor the preparing of segments takes as many calls.
        break_storing(driver, "fdatasync:error=EIO:when=20", "syncing group");
        break_storing(driver, "pwrite64:error=EIO:when=20", "writing group");
    }
}

fn break_storing(driver: &str, inject: &str, said: &str) {
    let directory = tempdir().unwrap();
    let options = ["--driver", driver, "--drain-timeout", "1h"];
    let Some(process) = start_broken(directory.path(), inject, &options) else { return };
    let office = Office::listening(process);
    let acknowledged = store_until_it_breaks(&mut office.connect());
    assert!((1..20).contains(&acknowledged), "{acknowledged} were acknowledged");
    let ended = office.process.end();
    assert_disk_failed(&ended, said);
    let told = count(&ended.lines, "action: apuesta_recibida | result: success");
    assert_eq!(told, acknowledged as usize);
    // The next start is sound: what was acknowledged is there, the next one may be.
    Office::start(directory.path(), &[]).stop();
    verify(directory.path());
    let exported = String::from_utf8(export(directory.path())).unwrap();
    let stored = u32::try_from(exported.lines().count()).unwrap();
    assert!((acknowledged..=acknowledged + 1).contains(&stored), "{inject}: {stored} are stored");
    let rows = (0..stored).map(|n| batch_rows(1, 30_000_000 + n, 1));
    assert_eq!(exported, rows.collect::<String>());
}

#[track_caller]
fn assert_disk_failed(ended: &Ended, said: &str) {
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains(said), "{ended:?}");
    assert!(ended.stderr.contains("check the disk, then start again"), "{ended:?}");
    assert_eq!(count(&ended.lines, "action: serve | result: fail | error: "), 1, "{ended:?}");
    assert_eq!(count(&ended.lines, "action: exit"), 0, "{ended:?}");
}

#[test]
fn a_draw_that_is_not_on_disk_is_told_to_nobody_and_done_at_the_next_start() {
    // The record is not written: the draw is still to be done.
    let Some(draws) = break_draw("pwrite64:error=EIO:when=33") else { return };
    assert_eq!(draws, 1);
    // It is written, and then not known to be on disk: the next start finds it, and believes it only
    // once it has written it anew.
    assert_eq!(break_draw("fdatasync:error=EIO:when=33"), Some(0));
}

/// How often the next start after a draw that failed does it. None where it cannot be tried.
fn break_draw(inject: &str) -> Option<usize> {
    let directory = tempdir().unwrap();
    // Without marks in between, the calls of the committer are those of what is asked here.
    let options = ["--agencies", "2", "--mark-delay", "1h"];
    let process = start_broken(directory.path(), inject, &options)?;
    let office = Office::listening(process);
    let mut wire = office.connect();
    for n in 0..30 {
        let winner = format!("1#Ana#Paz#{}#1990-01-01#7574#", 30_000_000 + n);
        wire.exchange(&packet(1, &winner), &ACK);
    }
    let mut first = office.connect();
    first.exchange(&packet(5, "1#"), &ACK);
    wire.send(&[packet(5, "2#"), packet(6, "1#")].concat());
    wire.expect_end();
    first.expect_last(&CLOSE);
    let ended = office.process.end();
    assert_disk_failed(&ended, "ing group");
    assert_eq!(count(&ended.lines, "action: agencia_lista"), 2);
    assert_eq!(count(&ended.lines, "sorteo"), 0);
    assert!(!directory.path().join("published").exists());

    let office = Office::start(directory.path(), &options);
    let documents: String = (0..30).map(|n| format!("{}#", 30_000_000 + n)).collect();
    office.connect().exchange(&packet(6, "1#"), &packet(7, &documents));
    office.connect().exchange(&packet(6, "2#"), &NO_WINNERS);
    let lines = office.stop().lines;
    assert_healthy_log(&lines);
    assert_eq!(count(&lines, "action: publish | result: success"), 1);
    Some(count(&lines, "action: sorteo | result: success"))
}

/// A file size limit is what a full disk looks like, but for the signal that would end the process.
#[test]
fn a_file_size_limit_is_missing_room_and_no_end() {
    let directory = tempdir().unwrap();
    let serve = serve(directory.path(), &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]);
    command.arg(serve.get_program()).args(serve.get_args());
    let ended = Process::start(command).end();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{ended:?}");
    assert!(ended.stderr.contains("make room on the disk"), "{ended:?}");
    Office::start(directory.path(), &[]).stop();
}

#[test]
fn a_start_whose_disk_fails_serves_nobody_and_the_next_one_is_sound() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    office.connect().exchange(&batch(1, 30_000_000, 3), &ACK);
    office.process.kill();
    let mut failed = 0;
    for call in ["fdatasync", "pwrite64", "rename"] {
        for when in 1..=4 {
            // Once it listens, the calls of a start are over.
            let inject = format!("{call}:error=EIO:when={when}");
            let Some(mut process) = start_broken(directory.path(), &inject, &[]) else { return };
            if process.comes_within("action: listen", PATIENCE) {
                process.kill();
            } else {
                let ended = process.end();
                assert_eq!(ended.code, Some(5), "{inject}: {ended:?}");
                assert!(ended.stderr.contains("check the disk"), "{inject}: {ended:?}");
                failed += 1;
            }
            Office::start(directory.path(), &[]).process.kill();
            let exported = export(directory.path());
            assert_eq!(exported, batch_rows(1, 30_000_000, 3).into_bytes(), "{inject}");
        }
    }
    assert!(failed >= 3, "only {failed} of the failures met a start");
}

#[test]
fn a_read_error_at_the_start_is_no_damage() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    office.connect().exchange(&batch(1, 30_000_000, 1), &ACK);
    office.process.signal(Signal::TERM);
    office.process.end();
    let mut named = BTreeSet::new();
    // Some of these calls may be the loader's, before the program begins.
    for when in 3..=7 {
        let inject = format!("pread64:error=EIO:when={when}");
        let Some(process) = start_broken(directory.path(), &inject, &[]) else { return };
        let ended = process.end();
        assert_eq!(ended.code, Some(5), "{ended:?}");
        let file = ended.stderr.split("reading ").nth(1).and_then(|rest| rest.split(':').next());
        named.insert(file.unwrap_or_else(|| panic!("{ended:?}")).to_owned());
    }
    assert!(named.contains("00000001.log") && named.contains("last-group.bin"), "{named:?}");
    Office::start(directory.path(), &[]).stop();
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 1).into_bytes());
}
