//! A program that runs: its lines are events to wait for, and it is ended and reaped whatever
//! becomes of the test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::setting::TIME_MAX;

pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Its log, without the times.
    pub(crate) log: Vec<String>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            // Ends with the pipe, or with the test that no longer listens.
            stdout.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
        });
        Self { child, lines, seen: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for one more line that has `part` in it.
    pub(crate) fn wait_for(&mut self, part: &str) {
        loop {
            match self.lines.recv_timeout(TIME_MAX) {
                Ok(line) => self.seen.push(line[20..].to_owned()),
                Err(error) => panic!("no {part:?}: {error}: {:#?}", self.seen),
            }
            if self.seen.last().is_some_and(|line| line.contains(part)) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, no longer than `time`.
    pub(crate) fn end_within(mut self, time: Duration) -> Ended {
        let begin = Instant::now();
        loop {
            match self.lines.recv_timeout(time.saturating_sub(begin.elapsed())) {
                Ok(line) => self.seen.push(line[20..].to_owned()),
                // Its stdout is closed.
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it goes on: {error}: {:#?}", self.seen),
            }
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, log: std::mem::take(&mut self.seen), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; where not, the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
