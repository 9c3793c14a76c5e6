//! The room without a terminal: lines in, lines out, each at once.

use std::io::{self, BufRead, Read as _, Write as _};
use std::ops::ControlFlow;

/// The longest line that is looked at, in bytes. None so long can be said.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Hands each line of `input` to `each`, without its end, until that breaks or the input ends. One
/// that is no text is `None`. Says whether the input has ended.
pub(super) fn read(
    mut input: impl BufRead,
    mut each: impl FnMut(Option<&str>) -> ControlFlow<()>,
) -> bool {
    let mut line = Vec::new();
    loop {
        line.clear();
        // Input that cannot be read is at its end.
        let size = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).unwrap_or(0);
        if size == 0 {
            return true;
        }
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        } else if size as u64 == LINE_BYTES_MAX && input.skip_until(b'\n').is_err() {
            return true;
        }
        if each(std::str::from_utf8(&line).ok()).is_break() {
            return false;
        }
    }
}

/// Writes a line, and has it seen.
///
/// # Errors
/// What the operating system says.
pub(super) fn write(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], most: usize) -> (Vec<Option<String>>, bool) {
        let mut lines = Vec::new();
        let ended = read(input, |line| {
            lines.push(line.map(str::to_owned));
            if lines.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (lines, ended)
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_may_have_none() {
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(lines(b"", 9), (vec![], true));
        assert_eq!(lines(b"a\n\nb\r\nc", 9), (vec![of("a"), of(""), of("b"), of("c")], true));
        assert_eq!(lines(b"a\nb\n", 1), (vec![of("a")], false));
        assert_eq!(lines(b"\xff\nb\n", 9), (vec![None, of("b")], true));
    }

    #[test]
    fn a_line_of_any_length_is_one_and_takes_no_more_memory() {
        let long = [vec![b'a'; 1 << 20], b"\nb\n".to_vec()].concat();
        let (lines, ended) = lines(&long, 9);
        assert!(ended);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].as_ref().unwrap().len() as u64, LINE_BYTES_MAX);
        assert_eq!(lines[1].as_deref(), Some("b"));
    }
}
