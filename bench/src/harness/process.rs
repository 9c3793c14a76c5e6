//! Programs as child processes: what they write is waited for, and they are ended and reaped on every
//! path, also when this program is interrupted.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a stream keeps that nobody waits for.
const KEPT_BYTES: usize = 4 << 10;
/// What a stream may grow to before the oldest is forgotten; far more than anything waited for.
const STREAM_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 64 << 10;
/// How many lines of stderr an error shows.
const SHOWN_LINES: usize = 5;
/// How long a server that is told to end may take while another error is on its way.
const END_SECONDS_MAX: u64 = 10;

/// Every child that has not been reaped.
static CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// On SIGINT and SIGTERM ends every child, then this program.
pub(crate) fn end_all_on_signals() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("watching for signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Held to the end: no child is reaped, and its number not used again, meanwhile.
            let children = lock(&CHILDREN);
            for child in &*children {
                let _ = kill_process(*child, Signal::KILL);
            }
            std::process::exit(1);
        }
    });
    Ok(())
}

/// How a process is ended when nobody waits for it any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At once.
    Kill,
    /// Asked to, and killed when it takes too long.
    Ask,
}

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    ending: Ending,
    reaped: bool,
}

/// Which stream a line is waited for on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Stdout,
    Stderr,
}

impl Process {
    pub(crate) fn start(mut command: Command, ending: Ending) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Held over the start: a signal finds the child in the list, or none.
        let mut children = lock(&CHILDREN);
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        children.push(Pid::from_child(&child));
        drop(children);
        let stdin = child.stdin.take();
        let stdout = Stream::drain(child.stdout.take());
        let stderr = Stream::drain(child.stderr.take());
        Ok(Self { name, child, stdin, stdout, stderr, ending, reaped: false })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that holds `part`.
    pub(crate) fn wait_for(
        &self,
        from: From,
        part: &str,
        limit: Duration,
    ) -> anyhow::Result<String> {
        let stream = match from {
            From::Stdout => &self.stdout,
            From::Stderr => &self.stderr,
        };
        let line = stream.wait_for(part, Instant::now() + limit);
        line.map_err(|reason| self.blame(&format!("did not say {part:?}: {reason}")))
    }

    /// Ends a line on its stdin, which it waits for.
    pub(crate) fn release(&mut self) -> anyhow::Result<()> {
        let written = self.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"\n"));
        written.map_err(|error| self.blame(&format!("takes no line on stdin: {error}")))
    }

    /// Waits until it has ended well; returns what it wrote to stdout.
    pub(crate) fn finish(mut self, limit: Duration) -> anyhow::Result<String> {
        drop(self.stdin.take());
        ensure!(self.exits_within(limit)?, self.blame(&format!("does not end in {limit:?}")));
        let status = self.reap()?;
        let text = self.stdout.whole(limit).map_err(|reason| self.blame(&reason))?;
        // What it said last may still be on its way.
        self.stderr.whole(limit).map_err(|reason| self.blame(&reason))?;
        ensure!(status.success(), self.blame(&format!("ended with {status}")));
        Ok(text)
    }

    /// Asks it to end, and waits until it has ended well.
    pub(crate) fn end(self, signal: Signal, limit: Duration) -> anyhow::Result<String> {
        kill_process(self.pid(), signal).with_context(|| format!("ending {}", self.name))?;
        self.finish(limit)
    }

    /// An error that shows the last it said.
    fn blame(&self, what: &str) -> anyhow::Error {
        let text = self.stderr.text();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
        let said = if last.is_empty() { String::new() } else { format!("; stderr:\n  {last}") };
        anyhow!("{} {what}{said}", self.name)
    }

    fn exits_within(&self, limit: Duration) -> anyhow::Result<bool> {
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).context("watching a process")?;
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).context("a limit too long")?;
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
                Err(Errno::INTR) => {}
                ready => return Ok(ready.context("waiting for a process")? > 0),
            }
        }
    }

    fn reap(&mut self) -> anyhow::Result<ExitStatus> {
        // Out of the list before its number can be another's.
        let mut children = lock(&CHILDREN);
        let pid = self.pid();
        children.retain(|child| *child != pid);
        self.reaped = true;
        self.child.wait().with_context(|| format!("waiting for {}", self.name))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let asked = self.ending == Ending::Ask && kill_process(self.pid(), Signal::TERM).is_ok();
        // Where anything fails here, it is killed as well.
        if !(asked && self.exits_within(Duration::from_secs(END_SECONDS_MAX)).unwrap_or(false)) {
            let _ = self.child.kill();
        }
        let _ = self.reap();
    }
}

/// What a child writes, read by a thread as it comes.
#[derive(Debug, Default)]
struct Stream {
    read: Mutex<Text>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    /// What nobody has taken yet, or its end.
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn drain(pipe: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let taker = Arc::clone(&stream);
        thread::spawn(move || {
            let mut piece = vec![0; READ_BYTES];
            if let Some(mut pipe) = pipe {
                while let Ok(length @ 1..) = pipe.read(&mut piece) {
                    taker.take(&piece[..length]);
                }
            }
            lock(&taker.read).ended = true;
            taker.news.notify_all();
        });
        stream
    }

    fn take(&self, piece: &[u8]) {
        let mut text = lock(&self.read);
        text.bytes.extend_from_slice(piece);
        if text.bytes.len() > STREAM_BYTES_MAX {
            let forgotten = text.bytes.len() - KEPT_BYTES;
            text.bytes.drain(..forgotten);
        }
        self.news.notify_all();
    }

    /// Takes everything up to the end of the next line that holds `part`.
    fn wait_for(&self, part: &str, deadline: Instant) -> Result<String, String> {
        let mut text = lock(&self.read);
        loop {
            if let Some(line) = text.take_line(part) {
                return Ok(line);
            }
            if text.ended {
                return Err("it has ended".to_owned());
            }
            text = self.wait(text, deadline)?;
        }
    }

    /// Everything not taken yet, once the stream has ended.
    fn whole(&self, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        let mut text = lock(&self.read);
        while !text.ended {
            text = self.wait(text, deadline)?;
        }
        Ok(String::from_utf8_lossy(&text.bytes).into_owned())
    }

    fn wait<'a>(
        &self,
        text: MutexGuard<'a, Text>,
        deadline: Instant,
    ) -> Result<MutexGuard<'a, Text>, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it took too long".to_owned());
        }
        let waited = self.news.wait_timeout(text, left);
        Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.read).bytes).into_owned()
    }
}

impl Text {
    fn take_line(&mut self, part: &str) -> Option<String> {
        let mut begin = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.bytes[begin..]) {
            let line = String::from_utf8_lossy(&self.bytes[begin..begin + length]).into_owned();
            begin += length + 1;
            if line.contains(part) {
                self.bytes.drain(..begin);
                return Some(line);
            }
        }
        None
    }
}

/// What a panicking thread left is as good as before: each lock is held over one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command, Ending::Kill).unwrap()
    }

    #[test]
    fn lines_are_waited_for_and_the_rest_is_kept() {
        let mut process = shell("echo one >&2; echo two >&2; read line; echo three");
        assert_eq!(process.wait_for(From::Stderr, "tw", PATIENCE).unwrap(), "two");
        process.release().unwrap();
        assert_eq!(process.finish(PATIENCE).unwrap(), "three\n");
    }

    #[test]
    fn a_failure_shows_what_was_said_last() {
        let error = shell("echo no such bet >&2; exit 3").finish(PATIENCE).unwrap_err();
        assert_eq!(error.to_string(), "sh ended with exit status: 3; stderr:\n  no such bet");
        let process = shell("exit 0");
        let error = process.wait_for(From::Stdout, "address", PATIENCE).unwrap_err();
        assert_eq!(error.to_string(), "sh did not say \"address\": it has ended");
    }

    #[test]
    fn a_wait_has_a_limit_and_a_dropped_process_is_gone() {
        let process = shell("echo ready; exec sleep 600");
        process.wait_for(From::Stdout, "ready", PATIENCE).unwrap();
        let error = process.wait_for(From::Stdout, "more", Duration::from_millis(1)).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        let directory = format!("/proc/{}", process.id());
        drop(process);
        assert!(!std::path::Path::new(&directory).exists());
    }
}
