//! Reads a file of bets row by row and tells where a bad one is. Cuts no batches; memory does not
//! grow with the file.
//!
//! ```text
//! first name,last name,document,birth date,number     no header; CRLF or LF; blank lines
//! Santiago Lionel,Lorca,30904465,1999-03-17,2201      are skipped; quoting by RFC 4180; UTF-8,
//!                                                     a byte order mark is skipped
//! ```

use std::fmt;
use std::io::{self, BufRead, Read};

use bolillero_protocol::bet::Bet;
use bolillero_protocol::error::BetProblem;
use bolillero_protocol::{list, text};
use csv::{ErrorKind, StringRecord};

/// The columns of a row, by the names that errors give them.
const COLUMNS: [&str; 5] = ["first name", "last name", "document", "birth date", "number"];
/// The longest row, in bytes, so that a quote that is never closed does not read the whole file
/// into memory.
pub const ROW_SIZE_MAX: usize = 1 << 20;
/// Some programs begin a file with it. It is skipped here: the csv reader would miss one that comes in
/// pieces, as out of a pipe.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// The most digits of a number. The wire sets leading zeros no limit, but a bet has to fit a
/// packet.
const NUMBER_LENGTH_MAX: usize = 64;

/// Why a file cannot be read on. Names file, line and field, never the value: bettors are persons.
#[derive(Debug, thiserror::Error)]
#[error("reading {file}: {problem}")]
pub struct SourceError {
    file: String,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Row { line: u64, problem: RowProblem },
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
enum RowProblem {
    #[error("has {0} columns, not 5")]
    Columns(usize),
    #[error("is longer than {ROW_SIZE_MAX} bytes; is a quote not closed?")]
    TooLong,
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("{0} is not free of '#' and control characters")]
    CannotTravel(&'static str),
    #[error(
        "{0} is not free of ',', ';', '#' and control characters, as the text dialect needs it"
    )]
    CannotTravelAsText(&'static str),
    #[error("number has more than {NUMBER_LENGTH_MAX} digits")]
    NumberTooLong,
    #[error(transparent)]
    Bet(#[from] BetProblem),
}

/// The bets of a file, one at a time.
#[derive(Debug)]
pub struct Source<R> {
    reader: csv::Reader<Lines<R>>,
    record: StringRecord,
    file: String,
    agency: String,
    /// Its values have to travel in the text dialect, too.
    as_text: bool,
}

impl SourceError {
    /// The line of the row that is no bet; `None` when the file itself cannot be read.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self.problem {
            Problem::Io(_) => None,
            Problem::Row { line, .. } => Some(line),
        }
    }
}

impl<R: BufRead> Source<R> {
    /// Reads `input`, called `file` in errors, as bets taken by `agency`.
    pub fn new(input: R, file: &str, agency: u32) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(Lines::new(input));
        let record = StringRecord::new();
        let (file, agency) = (file.to_owned(), agency.to_string());
        Self { reader, record, file, agency, as_text: false }
    }

    /// As [`Source::new`]; a row that cannot travel in the text dialect is none.
    pub fn for_text(input: R, file: &str, agency: u32) -> Self {
        Self { as_text: true, ..Self::new(input, file, agency) }
    }

    /// Moves to the next row; says whether there is one.
    ///
    /// # Errors
    /// [`SourceError`] when the file cannot be read, or the row is not a bet. There is nothing to
    /// be read after it.
    pub fn advance(&mut self) -> Result<bool, SourceError> {
        self.reader.get_mut().begin_row();
        let read = self.reader.read_record(&mut self.record);
        let read = read.map_err(|error| self.blame(error))?;
        if read {
            self.check().map_err(|problem| self.at_this_line(problem))?;
        }
        Ok(read)
    }

    /// The bet of the row that was moved to.
    #[must_use]
    pub fn bet(&self) -> Bet<'_> {
        let field = |column| self.record.get(column).unwrap_or_default();
        Bet {
            agency: &self.agency,
            first_name: field(0),
            last_name: field(1),
            document: field(2),
            birth_date: field(3),
            number: field(4),
        }
    }

    /// The line of that row, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.reader.get_ref().row_line()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.reader.get_ref().bytes
    }

    fn check(&self) -> Result<(), RowProblem> {
        if self.record.len() != COLUMNS.len() {
            return Err(RowProblem::Columns(self.record.len()));
        }
        for (value, column) in self.record.iter().zip(COLUMNS) {
            if !list::can_travel(value) {
                return Err(RowProblem::CannotTravel(column));
            }
            if self.as_text && !text::can_travel(value) {
                return Err(RowProblem::CannotTravelAsText(column));
            }
        }
        if self.bet().number.len() > NUMBER_LENGTH_MAX {
            return Err(RowProblem::NumberTooLong);
        }
        Ok(self.bet().check_fields()?)
    }

    fn blame(&self, error: csv::Error) -> SourceError {
        match error.into_kind() {
            ErrorKind::Utf8 { err, .. } => {
                let column = COLUMNS.get(err.field()).copied().unwrap_or("a field");
                self.at_this_line(RowProblem::NotUtf8(column))
            }
            ErrorKind::Io(error) if self.reader.get_ref().row_is_too_long() => {
                drop(error);
                self.at_this_line(RowProblem::TooLong)
            }
            ErrorKind::Io(error) => self.error(Problem::Io(error)),
            other => self.error(Problem::Io(io::Error::other(format!("{other:?}")))),
        }
    }

    fn at_this_line(&self, problem: RowProblem) -> SourceError {
        self.error(Problem::Row { line: self.line(), problem })
    }

    fn error(&self, problem: Problem) -> SourceError {
        SourceError { file: self.file.clone(), problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Row { line, problem } => write!(f, "line {line}: {problem}"),
        }
    }
}

/// Hands the csv reader at most one line per read, and nothing behind a CR, which ends a row as well. So
/// no row is read out of what came for another, and the line of each is known, however the file comes
/// in: the reader's own count is off after CRLF and blank lines.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// The file's first bytes, if they are no mark: they come before `input`. `None`: not looked at.
    first: Option<Vec<u8>>,
    /// The line that is being handed out, from 1.
    line: u64,
    /// Whether the next byte begins a line.
    at_start: bool,
    bytes: u64,
    /// Bytes handed out for the row that is being read, and the line it begins in.
    row_size: usize,
    row_line: Option<u64>,
}

impl<R> Lines<R> {
    fn new(input: R) -> Self {
        let (line, bytes, row_size, row_line) = (0, 0, 0, None);
        Self { input, first: None, line, at_start: true, bytes, row_size, row_line }
    }

    fn begin_row(&mut self) {
        self.row_size = 0;
        self.row_line = None;
    }

    fn row_line(&self) -> u64 {
        self.row_line.unwrap_or(self.line)
    }

    fn row_is_too_long(&self) -> bool {
        self.row_size > ROW_SIZE_MAX
    }

    fn note(&mut self, piece: &[u8]) {
        if self.at_start && !piece.is_empty() {
            self.line += 1;
        }
        // A row begins with its first byte that ends no line.
        if self.row_line.is_none() && !matches!(piece, b"" | b"\r" | b"\n") {
            self.row_line = Some(self.line);
        }
        self.at_start = piece.ends_with(b"\n");
        self.bytes += piece.len() as u64;
        if self.row_line.is_some() {
            self.row_size += piece.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the bets and the lines they stand in, and how the file ended.
    fn read(file: impl BufRead) -> (Vec<(String, u64)>, Result<(), String>) {
        let mut source = Source::new(file, "bets.csv", 1);
        let mut rows = Vec::new();
        loop {
            match source.advance() {
                Ok(true) => rows.push((source.bet().number.to_owned(), source.line())),
                Ok(false) => return (rows, Ok(())),
                Err(error) => return (rows, Err(error.to_string())),
            }
        }
    }

    #[test]
    fn every_form_of_a_file_gives_its_rows_and_their_lines() {
        let cases: [(&str, &[u64]); 11] = [
            ("", &[]),
            ("\r\n\r\n", &[]),
            ("A,B,1,2000-01-01,1\r\nA,B,1,2000-01-01,2\r\n", &[1, 2]),
            ("A,B,1,2000-01-01,1\nA,B,1,2000-01-01,2", &[1, 2]),
            ("\u{feff}A,B,1,2000-01-01,1\n", &[1]),
            ("\u{feff}\n\nA,B,1,2000-01-01,1\n", &[3]),
            ("\u{feff}", &[]),
            ("A,B,1,2000-01-01,1\rA,B,1,2000-01-01,2\r\n\r\nA,B,1,2000-01-01,3", &[1, 1, 3]),
            ("\n\r\nA,B,1,2000-01-01,1\r\n\r\n\n\nA,B,1,2000-01-01,2\r\n\r\n", &[3, 7]),
            ("\"A\",\"B\",\"1\",\"2000-01-01\",\"1\"\r\nA,B,1,2000-01-01,2\r\n", &[1, 2]),
            ("A,\"B, \"\"C\"\"\",1,2000-01-01,1\n", &[1]),
        ];
        for (file, lines) in cases {
            let (rows, end) = read(file.as_bytes());
            assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), lines, "{file:?}");
            assert_eq!(end, Ok(()), "{file:?}");
            let byte_by_byte = io::BufReader::with_capacity(1, file.as_bytes());
            assert_eq!(read(byte_by_byte), (rows, end), "{file:?}, byte by byte");
        }
    }

    #[test]
    fn a_bad_row_is_named_by_file_line_and_field() {
        let zeros = format!("A,B,1,2000-01-01,{}\n", "0".repeat(9000));
        let cases: [(&[u8], &str); 12] = [
            (zeros.as_bytes(), "number has more than 64 digits"),
            (b"A,B,1,2000-01-01\n", "has 4 columns, not 5"),
            (b"A,B,1,2000-01-01,1,\n", "has 6 columns, not 5"),
            (b"A,B,1,2000-01-01,10000\n", "number is not 0 to 9999"),
            (b"A,B,1,2000-01-01,-1\n", "number is not 0 to 9999"),
            (b"A,B,1,2001-02-29,1\n", "birth date is not a calendar day YYYY-MM-DD"),
            (b"A,B,1x,2000-01-01,1\n", "document is not 1 to 12 digits"),
            (b"A#,B,1,2000-01-01,1\n", "first name is not free of '#' and control characters"),
            (b"A,B\x07,1,2000-01-01,1\n", "last name is not free of '#' and control characters"),
            (b"A,\"B\nC\",1,2000-01-01,1\n", "last name is not free of '#' and control characters"),
            (
                b"A,,1,2000-01-01,1\n",
                "last name is not 1 to 64 characters without control characters",
            ),
            (b"A,\xff,1,2000-01-01,1\n", "last name is not UTF-8"),
        ];
        for (row, problem) in cases {
            let file = [b"A,B,1,2000-01-01,7\r\n\r\n", row, b"A,B,1,2000-01-01,8\r\n"].concat();
            let (rows, end) = read(&*file);
            assert_eq!(rows, [("7".to_owned(), 1)]);
            assert_eq!(end, Err(format!("reading bets.csv: line 3: {problem}")));
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_read_the_whole_file() {
        let mut file = b"A,B,1,2000-01-01,7\r\nA,\"B,1,2000-01-01,7\r\n".to_vec();
        file.extend(b"A,B,1,2000-01-01,7\r\n".repeat(1_000_000));
        let (rows, end) = read(&*file);
        assert_eq!(rows.len(), 1);
        let problem = "line 2: is longer than 1048576 bytes; is a quote not closed?";
        assert_eq!(end, Err(format!("reading bets.csv: {problem}")));
    }
}
