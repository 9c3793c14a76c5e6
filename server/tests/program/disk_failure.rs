//! A disk that fails under a running server, by way of strace: what is told, and what is not told any
//! more. Where strace is not installed or may not trace, the tests say so and end.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::office::{Office, count, export, serve, verify};
use crate::process::{Ended, Process};
use crate::tell_skipped;
use crate::wire::{ACK, Wire, batch, batch_rows};

/// A server whose system calls fail as `inject` says. Counts of calls are each thread's own.
fn start_broken(data_dir: &Path, inject: &str, options: &[&str]) -> Option<Process> {
    let trace = inject.split(':').next().unwrap();
    let trace = [format!("trace={trace}"), format!("inject={inject}")];
    let strace = |traced: &Command| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace[0], "-e", &trace[1]]);
        command.arg(traced.get_program()).args(traced.get_args());
        command
    };
    let works = strace(&Command::new("true")).status().is_ok_and(|status| status.success());
    if !works {
        tell_skipped("a failing disk, strace is not installed here or may not trace");
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
        for (inject, said) in [
            // Neither the start nor the preparing of segments takes so many.
            ("fdatasync:error=EIO:when=20", "syncing group"),
            ("pwrite64:error=EIO:when=20", "writing group"),
        ] {
            let directory = tempdir().unwrap();
            let Some(process) = start_broken(directory.path(), inject, &["--driver", driver])
            else {
                return;
            };
            let mut office = Office::listening(process);
            let mut wire = office.connect();
            let acknowledged = store_until_it_breaks(&mut wire);
            assert!((1..20).contains(&acknowledged), "{acknowledged} were acknowledged");
            office.process.wait_for("action: serve | result: fail");
            let ended = office.process.end();
            assert_disk_failed(&ended, said);
            // The next start is sound: what was acknowledged is there, what was not may be.
            let office = Office::start(directory.path(), &[]);
            let rows = |count| (0..count).map(|n| batch_rows(1, 30_000_000 + n, 1));
            let exported = String::from_utf8(export(directory.path())).unwrap();
            let stored = u32::try_from(exported.lines().count()).unwrap();
            assert!((acknowledged..=acknowledged + 1).contains(&stored), "{inject}");
            assert_eq!(exported, rows(stored).collect::<String>());
            let stored = count(&ended.lines, "action: apuesta_recibida | result: success");
            assert_eq!(u32::try_from(stored).unwrap(), acknowledged);
            office.stop();
            verify(directory.path());
        }
    }
}

#[track_caller]
fn assert_disk_failed(ended: &Ended, said: &str) {
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains(said), "{ended:?}");
    assert!(ended.stderr.contains("check the disk, then start again"), "{ended:?}");
    assert_eq!(count(&ended.lines, "action: exit"), 0, "{ended:?}");
}

#[test]
fn a_thread_that_cannot_be_started_ends_the_server_in_order() {
    // The first thread is that of the signals; then come committer, drawer and preparer.
    for when in 2..=4 {
        let directory = tempdir().unwrap();
        let inject = format!("clone3:error=EAGAIN:when={when}");
        let Some(process) = start_broken(directory.path(), &inject, &[]) else { return };
        let ended = process.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("starting the thread"), "{ended:?}");
        verify(directory.path());
        Office::start(directory.path(), &[]).stop();
    }
}

#[test]
fn a_read_error_at_the_start_is_no_damage() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    office.connect().exchange(&batch(1, 30_000_000, 1), &ACK);
    office.process.signal(Signal::TERM);
    office.process.end();
    let inject = "pread64:error=EIO:when=3";
    let Some(process) = start_broken(directory.path(), inject, &[]) else { return };
    let ended = process.end();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("reading 00000001.log"), "{ended:?}");
    Office::start(directory.path(), &[]).stop();
    assert_eq!(export(directory.path()), batch_rows(1, 30_000_000, 1).into_bytes());
}
