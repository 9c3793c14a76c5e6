//! Writes log lines to stdout: whole lines, at once, and never at the cost of the server. A closed
//! stdout is given up; lines for a stalled one are kept up to a limit, then counted and dropped.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bolillero_protocol::log_line::push_prefix;
use chrono::Local;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that is ready to be written takes this many bytes without blocking (POSIX: PIPE_BUF).
const PIECE_SIZE_MAX: usize = 4096;
/// Bytes kept for a stdout that takes nothing at present.
const BACKLOG_SIZE_MAX: usize = 1 << 20;
/// How long the first line waits for a stdout that takes nothing. Later ones do not wait.
const STALL_TIME_MAX: Duration = Duration::from_millis(100);

static LOGGER: Logger = Logger { sink: Mutex::new(Sink::new()) };

/// Has all lines of this level and above go to stdout. Later calls change the level only.
pub fn start(level: LevelFilter) {
    // An error says that it is set already, by an earlier call.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// Writes several messages, each ended by a line feed, in as few writes as stdout allows.
pub fn info_lines(messages: &str) {
    LOGGER.write(Level::Info, messages);
}

/// Waits briefly for a stdout that is behind. For the end of the program.
pub fn finish() {
    LOGGER.sink.lock().unwrap_or_else(PoisonError::into_inner).flush(STALL_TIME_MAX);
}

struct Logger {
    sink: Mutex<Sink>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // What libraries say of themselves is not in the form that deployed tools parse.
        if self.enabled(record.metadata()) && record.target().starts_with("bolillero") {
            self.write(record.level(), &format!("{}\n", record.args()));
        }
    }

    fn flush(&self) {
        finish();
    }
}

impl Logger {
    fn write(&self, level: Level, messages: &str) {
        let mut prefix = String::new();
        push_prefix(&mut prefix, Local::now(), level_name(level));
        let mut text = String::with_capacity(messages.len() + 64);
        for message in messages.lines() {
            text.push_str(&prefix);
            text.push_str(message);
            truncate_line(&mut text, prefix.len() + message.len());
            text.push('\n');
        }
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(text.as_bytes());
    }
}

/// The names that deployed tools know.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

/// Cuts the last line of `text`, which has `length` bytes, to one that a pipe takes in one piece.
fn truncate_line(text: &mut String, length: usize) {
    let excess = (length + 1).saturating_sub(PIECE_SIZE_MAX);
    if excess > 0 {
        let mut end = text.len() - excess;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Ready,
    /// Took nothing when it was last tried.
    Stalled,
    /// Nobody reads it any more.
    Closed,
}

struct Sink {
    flow: Flow,
    /// Whole lines that stdout has not taken; the first may be cut at its front.
    backlog: Vec<u8>,
    lines_lost: u64,
}

impl Sink {
    const fn new() -> Self {
        Self { flow: Flow::Ready, backlog: Vec::new(), lines_lost: 0 }
    }

    fn write(&mut self, lines: &[u8]) {
        if self.flow == Flow::Closed {
            return;
        }
        if self.backlog.len() + lines.len() > BACKLOG_SIZE_MAX {
            self.lines_lost += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        } else {
            self.backlog.extend_from_slice(lines);
        }
        let patience = if self.flow == Flow::Stalled { Duration::ZERO } else { STALL_TIME_MAX };
        self.flush(patience);
    }

    fn flush(&mut self, patience: Duration) {
        let mut written = 0;
        self.flow = loop {
            if written == self.backlog.len() {
                break Flow::Ready;
            }
            match write_piece(&self.backlog[written..], patience) {
                Ok(0) => break Flow::Stalled,
                Ok(n) => written += n,
                Err(_) => break Flow::Closed,
            }
        };
        self.backlog.drain(..written);
        if self.flow == Flow::Ready && self.lines_lost > 0 {
            let lines_lost = std::mem::take(&mut self.lines_lost);
            let mut line = String::new();
            push_prefix(&mut line, Local::now(), level_name(Level::Warn));
            line.push_str("action: log | result: fail | lines_lost: ");
            self.write(format!("{line}{lines_lost}\n").as_bytes());
        }
    }
}

/// Writes whole lines that fit one piece. 0: stdout took nothing within `patience`.
fn write_piece(lines: &[u8], patience: Duration) -> io::Result<usize> {
    let stdout = io::stdout();
    let stdout = stdout.as_fd();
    let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
    match poll(&mut ready, Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(0),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let piece = &lines[..lines.len().min(PIECE_SIZE_MAX)];
    let end = piece.iter().rposition(|&byte| byte == b'\n').map_or(piece.len(), |last| last + 1);
    match rustix::io::write(stdout, &piece[..end]) {
        Ok(n) => Ok(n),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
