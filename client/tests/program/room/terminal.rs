//! The room in a terminal: what is typed stays whole whatever arrives, and the terminal is left as
//! it was whoever ends the stay.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::tcgetattr;

use super::hall::{Hall, room};
use crate::pty::{open_pty, resize};
use crate::setting::TIME_MAX;

/// What an editor that has the terminal switches on, and off again.
const PASTE_ON: &str = "\u{1b}[?2004h";
const PASTE_OFF: &str = "\u{1b}[?2004l";

/// A guest at a terminal.
struct Seated {
    child: Child,
    keys: File,
    terminal: OwnedFd,
    written: Receiver<Vec<u8>>,
    /// What it has written, but for what was waited for.
    seen: String,
    /// How the terminal was.
    before: String,
}

impl Seated {
    fn new(hall: &Hall, name: &str) -> Self {
        let (keys, terminal) = open_pty(80);
        let before = state(&terminal);
        let mut command = room(&hall.server(), name, &[]);
        command.env("TERM", "xterm").stdin(terminal.try_clone().unwrap());
        command.stdout(terminal.try_clone().unwrap()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut screen = keys.try_clone().unwrap();
        let (send, written) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(size @ 1..) = screen.read(&mut bytes) {
                if send.send(bytes[..size].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut seated = Self { child, keys, terminal, written, seen: String::new(), before };
        seated.wait_for(&format!("{name}> "));
        seated
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `part` is written, and forgets what was up to there.
    fn wait_for(&mut self, part: &str) {
        while !self.seen.contains(part) {
            match self.written.recv_timeout(TIME_MAX) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("no {part:?}: {error}: {:?}", self.seen),
            }
        }
        let at = self.seen.find(part).unwrap() + part.len();
        self.seen.drain(..at);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, and checks that the terminal is as it was.
    fn ends(mut self) -> (Option<i32>, String) {
        self.wait_for(PASTE_OFF);
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < TIME_MAX, "it goes on");
            thread::yield_now();
        };
        assert_eq!(state(&self.terminal), self.before);
        while let Ok(bytes) = self.written.try_recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(!self.seen.contains(PASTE_ON), "{:?}", self.seen);
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status.code(), stderr)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        // It may have ended; where not, the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The modes of a terminal, to be compared.
fn state(terminal: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

#[test]
fn a_line_that_is_typed_stays_whole_below_what_arrives() {
    let hall = Hall::new();
    let (mut ana, mut leo) = (Seated::new(&hall, "ana"), hall.guest("leo"));
    ana.press("hola a t");
    ana.wait_for("hola a t");
    for line in ["qué tal", "y tú"] {
        leo.types(&format!("{line}\n"));
        ana.wait_for(&format!("leo: {line}\r\n"));
        ana.wait_for("ana> hola a t");
    }
    // The window changes its size, and the line has to be drawn anew.
    for columns in [10, 80] {
        resize(&ana.terminal, columns);
        ana.signal(Signal::WINCH);
        ana.wait_for("ana> hola a t");
    }
    ana.press("odos\r");
    assert_eq!(leo.hears(), "ana: hola a todos");
    ana.wait_for("ana> ");
    ana.press("/who\r");
    ana.wait_for("* here: ana, leo\r\n");
    // What was typed is there to be typed again.
    ana.press("\u{1b}[A\u{1b}[A");
    ana.wait_for("hola a todos");
    ana.press("\r");
    assert_eq!(leo.hears(), "ana: hola a todos");
}

#[test]
fn what_arrives_while_lines_are_typed_keeps_its_order() {
    const LINES: usize = 150;
    let hall = Hall::new();
    let (mut ana, mut leo) = (Seated::new(&hall, "ana"), hall.guest("leo"));
    for i in 0..LINES {
        leo.types(&format!("n{i}a.\nn{i}b.\nn{i}c.\n"));
        ana.press(&format!("a{i}\r"));
        assert_eq!(leo.hears(), format!("ana: a{i}"));
    }
    for i in 0..LINES {
        for part in ["a", "b", "c"] {
            ana.wait_for(&format!("leo: n{i}{part}.\r\n"));
        }
    }
}

#[test]
fn the_terminal_is_left_as_it_was_whoever_ends_the_stay() {
    let gone = "bolillero: the room is gone: the connection ended. Start again";
    type End = fn(&mut Seated, &Hall);
    let ends: [(End, Option<i32>, &str); 7] = [
        (|ana, _| ana.press("/exit\r"), Some(0), ""),
        (|ana, _| ana.press("\u{4}"), Some(0), ""),
        (|ana, _| ana.press("half\u{3}"), Some(0), ""),
        (|ana, _| ana.signal(Signal::TERM), Some(0), ""),
        (|ana, _| ana.signal(Signal::INT), Some(0), ""),
        (|ana, _| ana.signal(Signal::HUP), Some(0), ""),
        (|_, hall| hall.close(), Some(1), gone),
    ];
    for (i, (end, code, said)) in ends.into_iter().enumerate() {
        let hall = Hall::new();
        let mut ana = Seated::new(&hall, "ana");
        end(&mut ana, &hall);
        let (found, stderr) = ana.ends();
        assert_eq!(found, code, "{i}: {stderr}");
        assert!(stderr.starts_with(said) && stderr.is_empty() == said.is_empty(), "{i}: {stderr}");
    }
    // In the middle of a line.
    for signal in [true, false] {
        let hall = Hall::new();
        let mut ana = Seated::new(&hall, "ana");
        ana.press("half a line");
        ana.wait_for("half a line");
        if signal {
            ana.signal(Signal::TERM);
        } else {
            hall.close();
        }
        assert_eq!(ana.ends().0, Some(i32::from(!signal)));
    }
}
