//! Writes log lines to stdout, each with one write. Never ends or stalls the program: a line that a
//! stalled or closed stdout does not take is dropped. Says nothing itself.

use std::io::Write as _;

use bolillero_protocol::log_line;
use chrono::Local;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::progress;

/// How long a line waits for a stdout that takes nothing, in nanoseconds.
const STALL_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// The longest line, in bytes. A pipe that is ready takes this much (`PIPE_BUF`) without blocking.
const LINE_SIZE_MAX: usize = 4096;

struct Lines;

/// Shows lines of `level` and above from here on.
pub(crate) fn start(level: LevelFilter) {
    // A second start in one process (a test) finds the first one's logger, which is the same.
    let _ = log::set_logger(&Lines);
    log::set_max_level(level);
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("bolillero")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record);
            progress::set_aside(|| write_line(&line));
        }
    }

    fn flush(&self) {}
}

fn line(record: &Record<'_>) -> String {
    let level = match record.level() {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    };
    let mut line = String::new();
    log_line::push_prefix(&mut line, Local::now(), level);
    line.push_str(&record.args().to_string());
    line.truncate(line.floor_char_boundary(LINE_SIZE_MAX - 1));
    line.push('\n');
    line
}

fn write_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
    let takes = poll(&mut ready, Some(&STALL_MAX)).is_ok_and(|n| n > 0)
        && ready[0].revents().contains(PollFlags::OUT);
    if takes {
        // A line that ends in its only newline reaches the descriptor in one write.
        let _ = stdout.write_all(line.as_bytes());
    }
}
