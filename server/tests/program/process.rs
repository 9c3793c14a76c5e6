//! A program as a child process: its lines are events to wait for, and it is ended and reaped
//! whatever becomes of the test. No wait is longer than [`PATIENCE`].

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// The lines of stdout so far.
    seen: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

/// What is left of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; nothing where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// All it wrote to a stdout that the test reads.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_with_stdout(command)
    }

    /// Starts a command that has its stdout already.
    pub(crate) fn start_with_stdout(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        let (send, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                // Ends with the pipe, or with the test that no longer listens.
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                lines.for_each(|line| drop(send.send(line)));
            });
        }
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { name, child, lines, seen: Vec::new(), stderr: Some(stderr) }
    }

    /// The lines of stdout that somebody has waited for so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits for the next line that holds `part`, and returns it.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        self.wait_until(part, |line| line.contains(part))
    }

    /// Waits for the next line of which `holds` is true.
    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if holds(&line) {
                        return line;
                    }
                }
                Err(reason) => panic!("{} said no {what:?}: {reason}", self.name),
            }
        }
    }

    /// Whether a line that holds `part` comes within `time`, or comes at all before the output ends.
    /// For what may as well not happen: what must happen is waited for.
    pub(crate) fn comes_within(&mut self, part: &str, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while let Ok(line) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            let is_it = line.contains(part);
            self.seen.push(line);
            if is_it {
                return true;
            }
        }
        false
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        self.wait_for_exit();
        let status = self.child.wait().unwrap();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{}: its stdout stays open", self.name),
            }
        }
        let stderr = self.stderr.take().unwrap().join().unwrap();
        let lines = std::mem::take(&mut self.seen);
        Ended { code: status.code(), signal: status.signal(), lines, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it had resident so far, in bytes.
    pub(crate) fn memory_max(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory it has resident now, in bytes.
    pub(crate) fn memory_now(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    fn wait_for_exit(&self) {
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap();
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => panic!("{} does not end", self.name),
                Err(rustix::io::Errno::INTR) => {}
                result => {
                    result.unwrap();
                    return;
                }
            }
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a process that has been waited for nothing is left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            eprintln!("{} said:\n{}", self.name, self.seen.join("\n"));
            let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
            eprintln!("and on stderr:\n{}", stderr.unwrap_or_default());
        }
    }
}
