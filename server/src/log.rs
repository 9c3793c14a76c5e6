//! Writes log lines to stdout: whole lines, at once, and never at the cost of the server. A closed
//! stdout is given up; lines for one that takes none at present are kept up to a limit, then counted
//! and dropped.
//!
//! A failure is a log line on stdout, for log parsers, and a line for people on stderr. Where both
//! lead to one place it is written once: a terminal gets the line for people, a file or a pipe the
//! log line.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bolillero_fs::read_regular;
use bolillero_protocol::log_line::{self, push_prefix};
use bolillero_protocol::time_zone::{ZONE_FILE_BYTES_MAX, Zone};
use chrono::{DateTime, FixedOffset, Utc};
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::Errno;

use crate::failure::Failure;

/// A pipe that is ready to be written takes this many bytes without blocking (POSIX: PIPE_BUF).
const PIECE_SIZE_MAX: usize = 4096;
/// Bytes kept for a stdout that takes nothing at present.
const BACKLOG_SIZE_MAX: usize = 1 << 20;
/// How long lines wait for a stdout that takes nothing. Once it is known to, they do not wait.
const STALL_TIME_MAX: Duration = Duration::from_millis(100);

static LOGGER: Logger = Logger { sink: Mutex::new(Sink::new()) };
static ZONE: OnceLock<Zone> = OnceLock::new();

/// Has all lines of this level and above go to stdout. Later calls change the level only.
pub fn start(level: LevelFilter) {
    // An error says that it is set already, by an earlier call.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
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

fn now() -> DateTime<FixedOffset> {
    ZONE.get_or_init(Zone::default).local(Utc::now())
}

/// Writes several messages, each ended by a line feed, in as few writes as stdout allows. They are
/// written as they are: the path of a bet leads here, and its messages hold plain digits.
pub fn info_lines(messages: &str) {
    if Level::Info <= log::max_level() {
        LOGGER.write(Level::Info, messages);
    }
}

/// Waits briefly for a stdout that is behind. For the end of the program.
pub fn finish() {
    let stdout = io::stdout();
    LOGGER.lock().flush(stdout.as_fd(), Instant::now() + STALL_TIME_MAX);
}

/// The log line of a failure that ends the program was written.
static FAILURE_IS_LOGGED: AtomicBool = AtomicBool::new(false);

/// Writes the log line of a failure that ends the program.
pub fn fail(failure: &Failure) {
    if !(io::stderr().is_terminal() && is_one_place()) {
        let error = log_line::value(&failure.to_string());
        log::error!("action: serve | result: fail | error: {error}");
        FAILURE_IS_LOGGED.store(true, Ordering::Relaxed);
    }
}

/// Writes a failure that ends the program for people.
pub fn show_failure(failure: &Failure) {
    if !(FAILURE_IS_LOGGED.load(Ordering::Relaxed) && is_one_place()) {
        // Where even stderr is closed nobody is left to read it.
        let said = failure.to_string();
        let _ = writeln!(io::stderr(), "bolillero-server: {}", log_line::message(&said));
    }
}

/// Whether stdout and stderr lead to the same terminal, file or pipe.
fn is_one_place() -> bool {
    let ends = (fstat(io::stdout()), fstat(io::stderr()));
    matches!(ends, (Ok(out), Ok(err)) if (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
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
            self.write(record.level(), &message(record));
        }
    }

    fn flush(&self) {
        finish();
    }
}

impl Logger {
    fn write(&self, level: Level, messages: &str) {
        let mut prefix = String::new();
        push_prefix(&mut prefix, now(), level_name(level));
        let mut text = String::with_capacity(messages.len() + 64);
        for message in messages.lines() {
            text.push_str(&prefix);
            text.push_str(message);
            truncate_line(&mut text, prefix.len() + message.len());
            text.push('\n');
        }
        let stdout = io::stdout();
        self.lock().write(stdout.as_fd(), text.as_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record says, as one line in which all is visible, whatever a peer had to do with it.
fn message(record: &Record<'_>) -> String {
    log_line::message(&record.args().to_string()).into_owned()
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
    /// Took less than it was offered when it was last tried.
    Stalled,
    /// Nobody reads it any more.
    Closed,
}

/// What stands before a descriptor that may stall. Knows only the one it is given at each call.
struct Sink {
    flow: Flow,
    /// Whole lines that were not taken; the first may be cut at its front.
    backlog: Vec<u8>,
    lines_lost: u64,
}

impl Sink {
    const fn new() -> Self {
        Self { flow: Flow::Ready, backlog: Vec::new(), lines_lost: 0 }
    }

    /// Writes whole lines, after all that is still to be written.
    fn write(&mut self, out: BorrowedFd<'_>, lines: &[u8]) {
        let patience = if self.flow == Flow::Stalled { Duration::ZERO } else { STALL_TIME_MAX };
        let until = Instant::now() + patience;
        self.flush(out, until);
        let written = if self.backlog.is_empty() { self.push(out, lines, until) } else { 0 };
        self.keep(&lines[written..]);
    }

    /// Writes what is still to be written, and how many lines were lost behind it.
    fn flush(&mut self, out: BorrowedFd<'_>, until: Instant) {
        let mut backlog = std::mem::take(&mut self.backlog);
        let written = self.push(out, &backlog, until);
        if self.flow == Flow::Closed {
            return;
        }
        backlog.drain(..written);
        self.backlog = backlog;
        if self.backlog.is_empty() && self.lines_lost > 0 {
            let lines_lost = std::mem::take(&mut self.lines_lost);
            let mut line = String::new();
            push_prefix(&mut line, now(), level_name(Level::Warn));
            line.push_str("action: log | result: fail | lines_lost: ");
            line.push_str(&lines_lost.to_string());
            line.push('\n');
            let written = self.push(out, line.as_bytes(), until);
            self.keep(&line.as_bytes()[written..]);
        }
    }

    /// Writes as much as is taken until then; returns how much that is.
    fn push(&mut self, out: BorrowedFd<'_>, lines: &[u8], until: Instant) -> usize {
        let mut written = 0;
        while written < lines.len() && self.flow != Flow::Closed {
            match write_piece(out, &lines[written..], until) {
                Ok(n @ 1..) => written += n,
                Err(Errno::PIPE) => self.flow = Flow::Closed,
                // A full disk under a log file is no end either: that may pass.
                Ok(0) | Err(_) => {
                    self.flow = Flow::Stalled;
                    return written;
                }
            }
        }
        if self.flow == Flow::Stalled {
            self.flow = Flow::Ready;
        }
        written
    }

    /// Keeps lines for later, as far as there is place. The rest is lost, and counted.
    fn keep(&mut self, lines: &[u8]) {
        if self.flow == Flow::Closed {
            return;
        }
        let place = BACKLOG_SIZE_MAX - self.backlog.len();
        let kept = if lines.len() <= place { lines.len() } else { end_of_lines(&lines[..place]) };
        self.backlog.extend_from_slice(&lines[..kept]);
        self.lines_lost += lines[kept..].iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
}

/// Writes whole lines that fit one piece. 0: nothing was taken until then.
fn write_piece(out: BorrowedFd<'_>, lines: &[u8], until: Instant) -> Result<usize, Errno> {
    let mut piece = &lines[..lines.len().min(PIECE_SIZE_MAX)];
    if let end @ 1.. = end_of_lines(piece) {
        piece = &piece[..end];
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        // A pipe or terminal that another process reads may not be made non-blocking: asking first
        // is what keeps a write from waiting.
        match poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => return Ok(0),
            Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        match rustix::io::write(out, piece) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// How many bytes are whole lines.
fn end_of_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read as _};
    use std::os::fd::AsFd as _;
    use std::thread;

    use super::*;

    /// A pipe that takes 64 KiB before somebody reads it.
    fn pipe() -> (PipeReader, PipeWriter) {
        io::pipe().unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn lines(count: usize, length: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("{n:0>width$}\n", width = length - 1).into_bytes())
            .collect()
    }

    fn fill(sink: &mut Sink, out: &PipeWriter) -> Vec<u8> {
        let first = lines(1000, 100);
        sink.write(out.as_fd(), &first);
        assert_eq!(sink.flow, Flow::Stalled);
        first
    }

    /// All that is read while `sink` is flushed, up to the end.
    fn read_all(mut sink: Sink, mut reader: PipeReader, writer: PipeWriter) -> Vec<u8> {
        let flusher = thread::spawn(move || {
            sink.flush(writer.as_fd(), soon());
            assert_eq!((sink.flow, sink.backlog.len()), (Flow::Ready, 0));
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        flusher.join().unwrap();
        read
    }

    #[test]
    fn a_stalled_reader_gets_all_lines_later_and_in_order() {
        let (reader, writer) = pipe();
        let mut sink = Sink::new();
        let mut written = fill(&mut sink, &writer);
        for n in 0..100 {
            let line = format!("line {n}\n");
            sink.write(writer.as_fd(), line.as_bytes());
            written.extend_from_slice(line.as_bytes());
        }
        assert!(read_all(sink, reader, writer) == written);
    }

    #[test]
    fn a_stalled_reader_is_waited_for_once_and_not_again() {
        let (_reader, writer) = pipe();
        let mut sink = Sink::new();
        fill(&mut sink, &writer);
        let begin = Instant::now();
        for _ in 0..1000 {
            sink.write(writer.as_fd(), b"one more\n");
        }
        assert!(begin.elapsed() < 100 * STALL_TIME_MAX, "each of 1000 lines was waited for");
    }

    #[test]
    fn lines_over_the_limit_are_counted_and_told_where_they_are_missing() {
        let (reader, writer) = pipe();
        let mut sink = Sink::new();
        let mut expected = fill(&mut sink, &writer);
        let more = lines(3 * BACKLOG_SIZE_MAX / 1000, 1000);
        let kept = (BACKLOG_SIZE_MAX - sink.backlog.len()) / 1000 * 1000;
        sink.write(writer.as_fd(), &more);
        assert!(sink.backlog.len() <= BACKLOG_SIZE_MAX);
        expected.extend_from_slice(&more[..kept]);
        let read = read_all(sink, reader, writer);
        let (lines, notice) = read.split_at(expected.len());
        assert!(lines == expected);
        let lost = (more.len() - kept) / 1000;
        let notice = String::from_utf8_lossy(notice);
        assert!(notice.ends_with(&format!("action: log | result: fail | lines_lost: {lost}\n")));
        assert_eq!(notice.lines().count(), 1);
    }

    #[test]
    fn more_than_the_limit_goes_out_at_once_where_it_is_read() {
        let (mut reader, writer) = pipe();
        let expected = lines(4 * BACKLOG_SIZE_MAX / 100, 100);
        let bytes = expected.clone();
        let writing = thread::spawn(move || {
            let mut sink = Sink::new();
            let written = sink.push(writer.as_fd(), &bytes, soon());
            assert_eq!((written, sink.flow), (bytes.len(), Flow::Ready));
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap();
        assert!(read == expected);
    }

    #[test]
    fn a_closed_reader_is_given_up() {
        let (reader, writer) = pipe();
        let mut sink = Sink::new();
        fill(&mut sink, &writer);
        drop(reader);
        sink.write(writer.as_fd(), b"a line\n");
        assert_eq!((sink.flow, sink.backlog.len(), sink.lines_lost), (Flow::Closed, 0, 0));
    }

    #[test]
    fn a_full_disk_is_not_the_end_of_the_log() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink::new();
        sink.write(full.as_fd(), b"one\n");
        sink.write(full.as_fd(), b"two\n");
        assert_eq!((sink.flow, sink.backlog.as_slice()), (Flow::Stalled, &b"one\ntwo\n"[..]));
        let (mut reader, writer) = pipe();
        sink.write(writer.as_fd(), b"three\n");
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!((sink.flow, read.as_str()), (Flow::Ready, "one\ntwo\nthree\n"));
    }

    #[test]
    fn a_piece_ends_with_a_line_and_fits_a_pipe() {
        let check = |bytes: &[u8], expected: usize| {
            let (_reader, writer) = pipe();
            assert_eq!(write_piece(writer.as_fd(), bytes, soon()).unwrap(), expected);
        };
        check(b"one\ntwo\n", 8);
        check(&lines(100, 100), 4000);
        check(&lines(1, PIECE_SIZE_MAX), PIECE_SIZE_MAX);
        // What is left of a line that was cut, and a line that nobody should have written.
        check(b"no end", 6);
        check(&lines(1, 2 * PIECE_SIZE_MAX), PIECE_SIZE_MAX);
    }

    #[test]
    fn a_long_line_is_cut_to_one_piece_between_two_characters() {
        for length in [10, PIECE_SIZE_MAX - 2, PIECE_SIZE_MAX - 1, PIECE_SIZE_MAX, 9000] {
            let line = "ñ".repeat(length / 2) + if length % 2 == 0 { "" } else { "x" };
            let mut text = format!("before\n{line}");
            truncate_line(&mut text, line.len());
            let cut = text.strip_prefix("before\n").unwrap();
            assert!(line.starts_with(cut));
            assert!(
                cut.len() == length || (PIECE_SIZE_MAX - 3..PIECE_SIZE_MAX).contains(&cut.len())
            );
        }
    }

    #[test]
    fn a_message_is_one_line_in_which_all_is_visible() {
        for (said, shown) in [
            ("action: a | result: b | msg: ñ", "action: a | result: b | msg: ñ"),
            ("a\nINFO action: b\r\u{1b}[2J", "a INFO action: b  [2J"),
            ("\u{202e}x\u{2028}\u{feff}\u{e0041}", r"\u202ex\u2028\ufeff\u{e0041}"),
        ] {
            let made = message(&Record::builder().args(format_args!("{said}")).build());
            assert_eq!(made, shown);
        }
    }

    #[test]
    fn levels_have_the_names_that_deployed_tools_know() {
        let names = [Level::Error, Level::Warn, Level::Info, Level::Debug].map(level_name);
        assert_eq!(names, ["ERROR", "WARNING", "INFO", "DEBUG"]);
    }
}
