//! What an agency shows while it sends its file and while it waits for the draw.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::office::{Fault, Office, rows};
use crate::pty::open_pty;
use crate::running::Running;
use crate::setting::{Setting, TIME_MAX, agency};

const IN_PROGRESS: &str =
    "action: consulta_ganadores | result: in_progress | note: waiting for the draw";
const OPTIONS: [&str; 4] = ["--batch-bets-max", "10", "--window", "1"];

/// An office that stops at request `n` of an agency with 100 bets in batches of 10: a hello, ten
/// batches, the mark, the question.
fn office_that_holds(n: usize) -> (Setting, Receiver<()>) {
    let (told, held) = channel();
    let office = Office::with_faults([(n, Fault::Hold { serves: false, told })]);
    (Setting::new(office, &rows(100)), held)
}

/// A program that is ended and reaped whatever becomes of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the agency writes to a terminal until all of `parts` have come, one after another.
fn screen_until(n: usize, parts: &[&str]) -> String {
    let (setting, held) = office_that_holds(n);
    let (mut screen, terminal) = open_pty(120);
    let mut command = agency(&setting.file(), &setting.served.address.to_string(), &OPTIONS);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(terminal);
    let _agency = Ended(command.spawn().unwrap());
    held.recv_timeout(TIME_MAX).unwrap();
    let (send, written) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(size @ 1..) = screen.read(&mut bytes) {
            if send.send(bytes[..size].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut seen = String::new();
    for part in parts {
        let begin = seen.len();
        while !seen[begin..].contains(part) {
            match written.recv_timeout(TIME_MAX) {
                Ok(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("no {part:?}: {error}: {seen:?}"),
            }
        }
    }
    seen
}

#[test]
fn a_terminal_shows_how_far_the_file_was_sent_at_which_rate_and_for_how_long() {
    // Six of ten batches are stored, and the seventh is not answered: the bar goes on by itself.
    let seen = screen_until(7, &["60%", "60%"]);
    let bar = &seen[seen.rfind("60%").unwrap()..];
    assert!(bar.contains("KiB/") && bar.contains("iB/s, ") && bar.contains("ETA "), "{bar:?}");
    assert!(!seen.contains("waiting"), "{seen:?}");
}

#[test]
fn a_terminal_shows_that_all_was_sent_and_that_the_draw_is_waited_for() {
    let seen = screen_until(12, &["100% ", "waiting for the draw", "waiting for the draw"]);
    assert!(seen.contains("100% ") && !seen.contains(IN_PROGRESS), "{seen:?}");
}

#[test]
fn a_log_says_once_that_the_draw_is_waited_for_and_shows_no_bar() {
    let (setting, held) = office_that_holds(12);
    let command = agency(&setting.file(), &setting.served.address.to_string(), &OPTIONS);
    let mut running = Running::start(command);
    held.recv_timeout(TIME_MAX).unwrap();
    running.wait_for(IN_PROGRESS);
    running.signal(rustix::process::Signal::TERM);
    let ended = running.end_within(TIME_MAX);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.log.iter().filter(|line| line.contains("consulta_ganadores")).count(), 1);
}
