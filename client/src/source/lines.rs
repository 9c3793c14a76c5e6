//! Feeds the csv reader one line at a time, and keeps the bytes of the row that is being read. Knows
//! no column.

use std::io::{self, BufRead, Read};

/// The longest row, in bytes, so that a quote that is never closed does not read the whole file
/// into memory.
pub const ROW_SIZE_MAX: usize = 1 << 20;
/// Some programs begin a file with it. It is skipped here: the csv reader would miss one that comes in
/// pieces, as out of a pipe.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Hands the csv reader at most one line per read, and nothing after a CR, which ends a row as well. So
/// the bytes of two rows never come in one read, and the line of each is known, however the file comes
/// in: the reader's own count is off after CRLF and blank lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    /// The file's first bytes, if they are no mark: they come before `input`. `None`: not looked at.
    first: Option<Vec<u8>>,
    /// The line that is being handed out, from 1.
    line: u64,
    /// Whether the next byte begins a line.
    at_start: bool,
    bytes: u64,
    /// What was handed out for the row that is being read.
    row: Vec<u8>,
    /// Where in the file the row begins: its line, and how many bytes precede it.
    row_start: Option<(u64, u64)>,
}

impl<R> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        let (line, bytes, row, row_start) = (0, 0, Vec::new(), None);
        Self { input, first: None, line, at_start: true, bytes, row, row_start }
    }

    pub(super) fn begin_row(&mut self) {
        self.row.clear();
        self.row_start = None;
    }

    /// The row's bytes as they stand in the file, with the CR or LF that ends it.
    pub(super) fn row(&self) -> &[u8] {
        &self.row
    }

    /// The line in which the row begins, from 1.
    pub(super) fn row_line(&self) -> u64 {
        self.row_start.map_or(self.line, |(line, _)| line)
    }

    /// How many bytes of the file precede the row.
    pub(super) fn row_offset(&self) -> u64 {
        self.row_start.map_or(self.bytes, |(_, offset)| offset)
    }

    pub(super) fn row_is_too_long(&self) -> bool {
        self.row.len() > ROW_SIZE_MAX
    }

    /// Bytes of the file that were handed out.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn note(&mut self, piece: &[u8]) {
        if self.at_start && !piece.is_empty() {
            self.line += 1;
        }
        // A row begins with its first byte that ends no line.
        if self.row_start.is_none() && !matches!(piece, b"" | b"\r" | b"\n") {
            self.row_start = Some((self.line, self.bytes));
        }
        self.at_start = piece.ends_with(b"\n");
        self.bytes += piece.len() as u64;
        if self.row_start.is_some() {
            self.row.extend_from_slice(piece);
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// The first bytes that are no byte order mark: as many as one has, or all there are.
    fn skip_marks(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut first = Vec::new();
            let size = BYTE_ORDER_MARK.len() as u64;
            self.input.by_ref().take(size).read_to_end(&mut first)?;
            if first != BYTE_ORDER_MARK {
                return Ok(first);
            }
            self.bytes += size;
        }
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut first = match self.first.take() {
            Some(first) => first,
            None => self.skip_marks()?,
        };
        let available = if first.is_empty() { self.input.fill_buf()? } else { &first };
        let end = available.iter().position(|byte| b"\r\n".contains(byte));
        let end = end.map_or(available.len(), |at| at + 1);
        let size = end.min(buffer.len());
        buffer[..size].copy_from_slice(&available[..size]);
        if first.is_empty() {
            self.input.consume(size);
        } else {
            first.drain(..size);
        }
        self.first = Some(first);
        if size > 0 {
            self.note(&buffer[..size]);
        }
        if self.row_is_too_long() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(size)
    }
}
