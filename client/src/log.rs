//! Writes log lines to stdout, or to stderr where stdout is for data, each with one write. Never
//! ends or stalls the program: a line that a stalled or closed stream does not take is dropped.
//! Says nothing itself.
//!
//! A failure is a log line, for log parsers, and a line for people on stderr. Where both lead to one
//! place it is written once: a terminal gets the line for people, a file or a pipe the log line.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bolillero_fs::read_regular;
use bolillero_protocol::log_line;
use bolillero_protocol::time_zone::{ZONE_FILE_BYTES_MAX, Zone};
use chrono::Utc;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;

use crate::progress;

/// How long a line waits for a stream that takes nothing, in nanoseconds.
const STALL_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// The longest line, in bytes. A pipe that is ready takes this much (`PIPE_BUF`) without blocking.
const LINE_SIZE_MAX: usize = 4096;

static ZONE: OnceLock<Zone> = OnceLock::new();

/// Where lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lines {
    Stdout,
    Stderr,
}

/// Shows lines of `level` and above from here on.
pub(crate) fn start(lines: &'static Lines, level: LevelFilter) {
    // A second start in one process (a test) finds the first one's logger.
    let _ = log::set_logger(lines);
    log::set_max_level(level);
    LOG_IS_ON_STDERR.store(matches!(lines, Lines::Stderr), Ordering::Relaxed);
    let found = Zone::find(std::env::var_os("TZ").as_deref(), |path| {
        Ok(read_regular(path, ZONE_FILE_BYTES_MAX)?)
    });
    let (zone, unknown) =
        found.map_or_else(|error| (Zone::default(), Some(error)), |zone| (zone, None));
    if let (Ok(()), Some(error)) = (ZONE.set(zone), unknown) {
        let error = log_line::value(&error.to_string());
        log::warn!("action: log | result: in_progress | error: {error} | hint: times are UTC");
    }
}

static LOG_IS_ON_STDERR: AtomicBool = AtomicBool::new(false);
/// The log line of the failure that ends the program was written.
static FAILURE_IS_LOGGED: AtomicBool = AtomicBool::new(false);

/// Writes the log line of the failure that ends the program.
pub(crate) fn fail(line: fmt::Arguments<'_>) {
    if !(io::stderr().is_terminal() && is_one_place()) {
        log::error!("{line}");
        FAILURE_IS_LOGGED.store(true, Ordering::Relaxed);
    }
}

/// Writes the failure that ends the program for people.
pub(crate) fn show_failure(error: &anyhow::Error) {
    if !(FAILURE_IS_LOGGED.load(Ordering::Relaxed) && is_one_place()) {
        // Where even stderr is closed nobody is left to read it.
        let said = format!("{error:#}");
        let _ = writeln!(io::stderr(), "bolillero: {}", log_line::message(&said));
    }
}

/// Whether the log and stderr lead to the same terminal, file or pipe.
fn is_one_place() -> bool {
    if LOG_IS_ON_STDERR.load(Ordering::Relaxed) {
        return true;
    }
    let ends = (fstat(io::stdout()), fstat(io::stderr()));
    matches!(ends, (Ok(out), Ok(err)) if (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("bolillero")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record);
            progress::set_aside(|| match self {
                Self::Stdout => write_line(io::stdout().lock(), &line),
                Self::Stderr => write_line(io::stderr().lock(), &line),
            });
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
    let now = ZONE.get_or_init(Zone::default).local(Utc::now());
    log_line::push_prefix(&mut line, now, level);
    line.push_str(&log_line::message(&record.args().to_string()));
    line.truncate(line.floor_char_boundary(LINE_SIZE_MAX - 1));
    line.push('\n');
    line
}

fn write_line(mut stream: impl Write + AsFd, line: &str) {
    let mut ready = [PollFd::new(&stream, PollFlags::OUT)];
    let takes = poll(&mut ready, Some(&STALL_MAX)).is_ok_and(|n| n > 0)
        && ready[0].revents().contains(PollFlags::OUT);
    if takes {
        // A line that ends in its only newline reaches the descriptor in one write.
        let _ = stream.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_which_all_is_visible() {
        for (said, shown) in [
            ("action: a | result: b | msg: ñ", "action: a | result: b | msg: ñ\n"),
            ("a\nINFO action: b\r\u{1b}[2J", "a INFO action: b  [2J\n"),
            ("\u{202e}x\u{2028}\u{feff}\u{e0041}", "\\u202ex\\u2028\\ufeff\\u{e0041}\n"),
        ] {
            let made = line(&Record::builder().args(format_args!("{said}")).build());
            // Behind the time and the level.
            assert_eq!(&made[29..], shown);
        }
    }
}
