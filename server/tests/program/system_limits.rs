//! A system that grants too little: no thread, too few descriptors, something else where a file has to
//! be, no time zone. The server says what to do, and either does not begin to listen or serves on.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::tempdir;

use crate::disk_failure::start_broken;
use crate::main_job::MEMORY_MAX;
use crate::office::{Office, assert_form, assert_healthy_log, count, field, serve, verify};
use crate::process::{Ended, Process};
use crate::wire::{BUSY, packet};

const NO_THREAD: &str =
    "Resource temporarily unavailable (os error 11): raise the limit on processes";

/// It ended with 1, never said that it listens, and said this on stderr.
#[track_caller]
fn assert_refused(ended: &Ended, said: &[&str]) {
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{ended:?}");
    assert_eq!(count(&ended.lines, "action: listen"), 0, "{ended:?}");
    ended.lines.iter().for_each(|line| assert_form(line));
    for part in said {
        assert!(ended.stderr.contains(part), "{part:?}: {ended:?}");
    }
    assert!(!ended.stderr.contains("check the disk"), "{ended:?}");
}

#[test]
fn a_thread_that_cannot_be_started_ends_the_server_before_it_listens() {
    let options = ["--workers", "2", "--files", "127.0.0.1:0", "--file-readers", "1"];
    for (when, name) in
        (1..).zip(["signals", "reader", "worker", "worker", "committer", "drawer", "preparer"])
    {
        let directory = tempdir().unwrap();
        let inject = format!("clone3:error=EAGAIN:when={when}");
        let Some(process) = start_broken(directory.path(), &inject, &options) else { return };
        let ended = process.end();
        let said = format!("starting the thread {name}: {NO_THREAD}");
        assert_refused(&ended, &[&said, "`ulimit -u`", "pids"]);
        // Without the thread of the signals there is no life that could end.
        let logged = count(&ended.lines, &format!("result: fail | error: {said}"));
        assert_eq!(logged, usize::from(when > 1), "{ended:?}");
        assert_eq!(count(&ended.lines, "result: fail"), logged, "told once: {ended:?}");
        Office::start(directory.path(), &[]).stop();
        verify(directory.path());
    }
}

#[test]
fn a_connection_without_a_thread_is_closed_and_the_next_is_served() {
    let directory = tempdir().unwrap();
    // Those of the signals, the committer, the drawer and the preparer come first.
    let inject = "clone3:error=EAGAIN:when=5..7";
    let options = ["--driver", "threads"];
    let Some(process) = start_broken(directory.path(), inject, &options) else { return };
    let office = Office::listening(process);
    for _ in 0..3 {
        office.connect().expect_end();
    }
    office.connect().exchange(&packet(6, "1#"), &BUSY);
    let ended = office.stop();
    let failed: Vec<_> = ended.lines.iter().filter(|line| line.contains("fail")).collect();
    let [told] = *failed else { panic!("it is told once: {ended:?}") };
    assert!(told.contains("WARNING  action: accept | result: fail | reason: "), "{told}");
    assert!(field(told, "hint").contains("`ulimit -u`"), "{told}");
}

/// A server that may open so many files.
fn with_files(data_dir: &Path, files: usize, options: &[&str]) -> Process {
    let serve = serve(data_dir, options);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
    command.arg(serve.get_program()).args(serve.get_args());
    Process::start(command)
}

#[test]
fn too_few_descriptors_to_serve_anybody_are_told_with_how_many_are_needed() {
    for (driver, needed) in [("pool", 208), ("events", 208), ("threads", 288)] {
        let directory = tempdir().unwrap();
        let start = |files| with_files(directory.path(), files, &["--driver", driver]);
        let ended = start(needed - 1).end();
        let said = format!("for 16 connections: raise the limit (`ulimit -n {needed}`)");
        assert_refused(&ended, &[&format!("{} open files are allowed", needed - 1), &said]);

        // With so many it works, and says that it is less than was asked for.
        let office = Office::listening(start(needed));
        let lowered =
            "WARNING  action: limit_connections | result: in_progress | wanted: 10000 | given: 16";
        assert_eq!(office.process.seen().iter().filter(|line| line.contains(lowered)).count(), 1);
        let mut inside: Vec<_> = (0..16).map(|_| office.connect()).collect();
        for wire in &mut inside {
            wire.exchange(&packet(6, "1#"), &BUSY);
        }
        drop(inside);
        office.stop();
    }
    // Who asks for less needs less.
    let directory = tempdir().unwrap();
    let options = ["--max-connections", "2"];
    assert_refused(&with_files(directory.path(), 193, &options).end(), &["`ulimit -n 194`"]);
    Office::listening(with_files(directory.path(), 194, &options)).stop();
}

#[test]
fn whatever_is_where_a_file_or_a_directory_has_to_be_is_told_and_no_failure_of_the_disk() {
    let (file, directory) = ("a directory is where a file has to be", "something else is there");
    for (path, is_directory, said) in [
        ("", false, directory),
        ("LOCK", true, file),
        ("ledger", false, directory),
        ("ledger/00000001.log", true, file),
        ("ledger/last.tmp", true, file),
    ] {
        let parent = tempdir().unwrap();
        let data_dir = parent.path().join("central");
        let occupy = |path: &Path| match is_directory {
            true => fs::create_dir_all(path.join("inside")).unwrap(),
            false => fs::write(path, "").unwrap(),
        };
        if path.is_empty() {
            occupy(&data_dir);
        } else {
            // The ledger is there already, but for what is put into its place.
            Office::start(&data_dir, &[]).stop();
            let path = data_dir.join(path);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else if path.exists() {
                fs::remove_file(&path).unwrap();
            }
            occupy(&path);
        }
        let ended = Process::start(serve(&data_dir, &[])).end();
        assert_refused(&ended, &[said]);
    }
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    let other = tempdir().unwrap();
    let listen = office.address.to_string();
    let ended = Process::start(serve(other.path(), &["--listen", &listen])).end();
    assert_refused(&ended, &[&format!("listening on {listen}"), "another program listens there"]);
    office.process.signal(Signal::TERM);
    office.process.end();
}

/// A server with this `TZ`, and as much memory as it may need.
fn in_zone(data_dir: &Path, zone: &OsStr) -> Office {
    let serve = serve(data_dir, &["--workers", "1"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]);
    command.arg(serve.get_program()).args(serve.get_args()).env("TZ", zone);
    Office::listening(Process::start(command))
}

#[test]
fn a_time_zone_that_cannot_be_read_is_utc_and_told_once() {
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).into_os_string();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    File::create(path("huge")).unwrap().set_len(8 << 30).unwrap();
    fs::create_dir(path("directory")).unwrap();
    let named = ["/dev/zero", ":/dev/zero", "Nowhere/Else"].map(OsString::from);
    let made = ["pipe", "huge", "directory"].map(path);
    for (n, zone) in named.iter().chain(&made).enumerate() {
        let office = in_zone(&directory.path().join(n.to_string()), zone);
        office.connect().exchange(&packet(6, "1#"), &BUSY);
        let memory_max = office.process.memory_max();
        assert!(memory_max < MEMORY_MAX, "{memory_max} bytes were resident");
        let ended = office.stop();
        assert_healthy_log(&ended.lines);
        let said = format!("WARNING  action: log | result: in_progress | error: TZ is {zone:?},");
        assert_eq!(count(&ended.lines, &said), 1, "{ended:?}");
        assert_eq!(count(&ended.lines, "WARNING"), 1, "{ended:?}");
    }
}

#[test]
fn log_lines_have_the_time_of_the_zone() {
    let directory = tempdir().unwrap();
    let hour = |zone: &str| {
        let ended = in_zone(&directory.path().join("central"), zone.as_ref()).stop();
        assert_eq!(count(&ended.lines, "WARNING"), 0, "{ended:?}");
        ended.lines[0]["0000-00-00 ".len()..][..2].parse::<u32>().unwrap()
    };
    // An hour may end between the two.
    let ahead = (24 + hour("<+11>-11") - hour("UTC0")) % 24;
    assert!([11, 10].contains(&ahead), "{ahead} hours ahead");
}
