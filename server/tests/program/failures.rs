//! How a failure is written: once at each place that stdout and stderr lead to, for people on a
//! terminal and for log parsers elsewhere. Of both programs.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::tempdir;

use crate::office::{client_program, serve, server_program};
use crate::process::PATIENCE;

/// A failure: who fails, the log line's beginning where there is one, and the reason.
struct Case {
    command: fn(&Path) -> Command,
    logged: Option<&'static str>,
    reason: &'static str,
}

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

const CASES: [Case; 8] = [
    Case {
        command: |directory| {
            fs::write(directory.join("file"), "").unwrap();
            serve(&directory.join("file"), &[])
        },
        logged: Some("action: serve | result: fail | error: "),
        reason: "file: File exists",
    },
    Case {
        command: |directory| serve(&directory.join("office"), &["--listen", "192.0.2.1:1"]),
        logged: Some("action: serve | result: fail | error: "),
        reason: "listening on 192.0.2.1:1",
    },
    Case {
        command: |directory| {
            let mut command = serve(directory, &[]);
            command.env("LOGGING_LEVEL", "loud");
            command
        },
        logged: None,
        reason: "LOGGING_LEVEL = \"loud\" in the environment: ",
    },
    Case {
        command: |directory| {
            let mut command = server_program();
            command.args(["verify", "--data-dir"]).arg(directory);
            command
        },
        logged: None,
        reason: "no ledger",
    },
    Case {
        command: |directory| client(&["agency", "--id", "1", "--bets", "no.csv"], directory),
        logged: Some("action: agency | result: fail | error: "),
        reason: "reading no.csv: No such file",
    },
    Case {
        command: |directory| client(&["probe", "--timeout", "10ms"], directory),
        logged: Some("action: probe | result: fail | service: lottery | error: "),
        reason: "no server answers at 127.0.0.1:1 for 10ms: connection refused",
    },
    // Its log is on stderr.
    Case {
        command: |directory| {
            client(&["agency", "--id", "1", "--bets", "no.csv", "--winners", "-"], directory)
        },
        logged: Some("action: agency | result: fail | error: "),
        reason: "reading no.csv: No such file",
    },
    Case {
        command: |directory| client(&["agency", "--id", "0"], directory),
        logged: None,
        reason: "--id 0: ",
    },
];

fn client(words: &[&str], directory: &Path) -> Command {
    let mut command = client_program();
    command.args(words).args(["--server", NOWHERE]).current_dir(directory);
    command
}

/// Runs a command whose stdout and stderr are these, and reads all that comes to `ours`.
fn all_written(mut command: Command, theirs: OwnedFd, ours: impl Into<OwnedFd>) -> String {
    command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // It has its own ends, and the last of them ends the reading.
    drop(command);
    let mut screen = File::from(ours.into());
    let (send, written) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        // A terminal that all have closed is an error to who reads it.
        let _ = screen.read_to_end(&mut all);
        drop(send.send(String::from_utf8(all).unwrap()));
    });
    let all = written.recv_timeout(PATIENCE);
    assert!(!child.wait().unwrap().success());
    all.unwrap()
}

fn on_a_terminal(command: Command) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let theirs = open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    all_written(command, theirs, ours)
}

fn in_one_pipe(command: Command) -> String {
    let (ours, theirs) = std::io::pipe().unwrap();
    all_written(command, theirs.into(), ours)
}

#[test]
fn a_failure_is_written_once_at_each_place_and_for_those_who_read_there() {
    for Case { command, logged, reason } in CASES {
        let directory = tempdir().unwrap();
        let program = command(directory.path()).get_program().to_owned();
        let name = Path::new(&program).file_name().unwrap().to_str().unwrap().to_owned();
        let shown = format!("{name}: ");

        let terminal = on_a_terminal(command(directory.path()));
        assert_eq!(terminal.matches(reason).count(), 1, "{terminal}");
        let line = terminal.lines().find(|line| line.contains(reason)).unwrap();
        assert!(line.starts_with(&shown), "{terminal}");
        assert!(!terminal.contains("result: fail"), "{terminal}");

        let merged = in_one_pipe(command(directory.path()));
        assert_eq!(merged.matches(reason).count(), 1, "{merged}");
        let line = merged.lines().find(|line| line.contains(reason)).unwrap();
        let is_logged = logged.is_some_and(|logged| line.contains(logged));
        assert!(is_logged || (logged.is_none() && line.starts_with(&shown)), "{merged}");

        let apart = command(directory.path()).output().unwrap();
        let [stdout, stderr] = [apart.stdout, apart.stderr].map(|b| String::from_utf8(b).unwrap());
        assert_eq!(stderr.matches(reason).count(), 1, "{stderr}");
        match logged {
            Some(logged) if stdout.is_empty() => assert!(stderr.contains(logged), "{stderr}"),
            Some(logged) => {
                assert!(stderr.starts_with(&shown), "{stderr}");
                let line = stdout.lines().last().unwrap();
                assert!(line.contains(logged) && line.contains(reason), "{stdout}");
            }
            None => assert!(stderr.starts_with(&shown) && stdout.is_empty(), "{stderr}"),
        }
    }
}
