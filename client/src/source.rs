//! Reads a file of bets row by row and tells where a bad one is. Cuts no batches; memory does not
//! grow with the file.
//!
//! ```text
//! first name,last name,document,birth date,number     no header; CRLF or LF; blank lines
//! Santiago Lionel,Lorca,30904465,1999-03-17,2201      are skipped; quoting by RFC 4180; UTF-8,
//!                                                     a byte order mark at the start is skipped
//!
//! lines      one line at a time, and the row's bytes      quoting    quotes that are not RFC 4180's
//! ```
//! Earlier versions took some rows as bets that are refused now: a wrong quote or a byte order mark
//! became part of a name. Such a row is still read, since it may be stored, and has a
//! [`Source::objection`].

mod lines;
mod quoting;

use std::fmt;
use std::io::{self, BufRead};
use std::sync::Arc;

use bolillero_protocol::bet::Bet;
use bolillero_protocol::error::BetProblem;
use bolillero_protocol::words::counted;
use bolillero_protocol::{list, text};
use csv::{ByteRecord, ErrorKind, StringRecord};

use crate::encoding::{self, Encoding};
use lines::Lines;
pub use lines::ROW_SIZE_MAX;
use quoting::QuoteProblem;

/// The columns of a row, by the names that errors give them.
const COLUMNS: [&str; 5] = ["first name", "last name", "document", "birth date", "number"];
/// The most digits of a number. The wire sets leading zeros no limit, but a bet has to fit a
/// packet.
const NUMBER_LENGTH_MAX: usize = 64;
/// The character that a byte order mark is. It is invisible, and no part of a name.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why a file cannot be read on. Names file, line and field, never the value: bettors are persons.
#[derive(Debug, Clone, thiserror::Error)]
pub struct SourceError {
    file: String,
    problem: Problem,
}

#[derive(Debug, Clone)]
enum Problem {
    Io(Arc<io::Error>),
    Encoding(Encoding),
    Row { line: u64, problem: RowProblem },
}

/// What is wrong with a row.
#[derive(Debug, Clone, thiserror::Error)]
enum RowProblem {
    #[error("has {}, not 5", counted(*.0, "column"))]
    Columns(usize),
    #[error("is longer than {ROW_SIZE_MAX} bytes; is a quote not closed?")]
    TooLong,
    #[error("{0}")]
    NotUtf8(String),
    #[error("is UTF-16, and the lines before it are UTF-8: save all of the file as UTF-8")]
    MixedEncodings,
    #[error("{} {problem}", column_name(*.column))]
    Quote { column: usize, problem: QuoteProblem },
    #[error(
        "{0} holds a byte order mark (U+FEFF), as where one file was appended to another: remove it"
    )]
    ByteOrderMark(&'static str),
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
    objection: Option<RowProblem>,
    /// Whether a row before this one was read.
    has_begun: bool,
    /// Whether a row had characters beyond ASCII.
    saw_utf8: bool,
    file: String,
    agency: String,
    /// Its values have to travel in the text dialect, too.
    as_text: bool,
}

impl SourceError {
    /// The line of the row that is no bet; `None` when the file itself cannot be read or is in another
    /// encoding.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self.problem {
            Problem::Io(_) | Problem::Encoding(_) => None,
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
        Self {
            reader,
            record: StringRecord::new(),
            objection: None,
            has_begun: false,
            saw_utf8: false,
            file: file.to_owned(),
            agency: agency.to_string(),
            as_text: false,
        }
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
        let mut record = std::mem::take(&mut self.record).into_byte_record();
        let read = self.reader.read_byte_record(&mut record);
        if !read.map_err(|error| self.blame(error))? {
            return Ok(false);
        }
        self.record = self.read_utf8(record)?;
        self.objection = self.find_objection();
        if let Err(problem) = self.check() {
            let problem = self.objection.take().unwrap_or(problem);
            return Err(self.find_wide().unwrap_or_else(|| self.at_this_line(problem)));
        }
        self.has_begun = true;
        self.saw_utf8 |= !self.record.as_slice().is_ascii();
        Ok(true)
    }

    /// Why the row that was moved to must not be sent, if so. It may have been stored by an earlier
    /// version.
    #[must_use]
    pub fn objection(&self) -> Option<SourceError> {
        self.objection.clone().map(|problem| self.at_this_line(problem))
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
        self.reader.get_ref().bytes()
    }

    fn read_utf8(&self, record: ByteRecord) -> Result<StringRecord, SourceError> {
        StringRecord::from_byte_record(record).map_err(|error| {
            let at = error.utf8_error();
            let (column, valid) = (at.field(), at.valid_up_to());
            let byte = error.into_byte_record()[column][valid];
            let column = Some(column_name(column));
            let explained = encoding::explain_byte(byte, column, self.saw_utf8);
            let problem = RowProblem::NotUtf8(explained);
            self.find_wide().unwrap_or_else(|| self.at_this_line(problem))
        })
    }

    /// Whether the row is in an encoding of 16 or 32 bits: if it is the first, the file is.
    fn find_wide(&self) -> Option<SourceError> {
        let lines = self.reader.get_ref();
        let encoding = encoding::find_wide(lines.row(), lines.row_offset())?;
        Some(if self.has_begun {
            self.at_this_line(RowProblem::MixedEncodings)
        } else {
            self.error(Problem::Encoding(encoding))
        })
    }

    /// What earlier versions took for a part of a name.
    fn find_objection(&self) -> Option<RowProblem> {
        let row = self.reader.get_ref().row();
        if row.contains(&b'"')
            && let Some((column, problem)) = quoting::find_problem(row)
        {
            return Some(RowProblem::Quote { column, problem });
        }
        let mut values = self.record.iter();
        let column = values.position(|value| value.contains(BYTE_ORDER_MARK))?;
        Some(RowProblem::ByteOrderMark(column_name(column)))
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
            ErrorKind::Io(error) if self.reader.get_ref().row_is_too_long() => {
                drop(error);
                self.at_this_line(RowProblem::TooLong)
            }
            ErrorKind::Io(error) => self.error(Problem::Io(Arc::new(error))),
            other => self.error(Problem::Io(Arc::new(io::Error::other(format!("{other:?}"))))),
        }
    }

    fn at_this_line(&self, problem: RowProblem) -> SourceError {
        self.error(Problem::Row { line: self.line(), problem })
    }

    fn error(&self, problem: Problem) -> SourceError {
        SourceError { file: self.file.clone(), problem }
    }
}

fn column_name(column: usize) -> &'static str {
    COLUMNS.get(column).copied().unwrap_or("a field")
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match &self.problem {
            Problem::Io(error) => write!(f, "reading {file}: {error}"),
            Problem::Encoding(encoding) => write!(f, "{file} is {encoding}"),
            Problem::Row { line, problem } => write!(f, "reading {file}: line {line}: {problem}"),
        }
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
        let cases: [(&[u8], &str); 18] = [
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
            (
                b"A,B\xf1,1,2000-01-01,1\n",
                "byte 0xF1 is not UTF-8 (last name); the file looks like Latin-1 (\"ñ\"): save it as \
                 UTF-8, for example by `iconv -f latin1 -t utf-8`",
            ),
            (
                b"D\x92Elia,B,1,2000-01-01,1\n",
                "byte 0x92 is not UTF-8 (first name); the file looks like Windows-1252 (\"’\"): save it \
                 as UTF-8, for example by `iconv -f cp1252 -t utf-8`",
            ),
            (
                b"A,\x81,1,2000-01-01,1\n",
                "byte 0x81 is not UTF-8 (last name): save the file as UTF-8",
            ),
            (
                b"Begon\xcc\x83a,Pe\xf1a,1,2000-01-01,1\n",
                "byte 0xF1 is not UTF-8 (last name); the file looks like Latin-1 (\"ñ\"): save it as \
                 UTF-8, for example by `iconv -f latin1 -t utf-8`",
            ),
            (
                b"A\0,\0B\0,\x001\0,\x002\x000\0\n\0",
                "is UTF-16, and the lines before it are UTF-8: save all of the file as UTF-8",
            ),
            // What is wrong with the quotes explains the columns.
            (
                b"\"A \\\"B, C\\\"\",D,1,2000-01-01,1\n",
                "first name has \\\" between quotes: write \"\" for a quote",
            ),
            (
                b"A,B,\xef\xbb\xbf1,2000-01-01,1\n",
                "document holds a byte order mark (U+FEFF), as where one file was appended to another: \
                 remove it",
            ),
        ];
        for (row, problem) in cases {
            let file = [b"A,B,1,2000-01-01,7\r\n\r\n", row, b"A,B,1,2000-01-01,8\r\n"].concat();
            let (rows, end) = read(&*file);
            assert_eq!(rows, [("7".to_owned(), 1)]);
            assert_eq!(end, Err(format!("reading bets.csv: line 3: {problem}")));
        }
    }

    #[test]
    fn a_file_in_another_encoding_is_named_whole() {
        type BytesOf = fn(u16) -> [u8; 2];
        let file = "\r\nBegoña,Peña,30000001,1990-01-01,7\r\nA,B,1,2000-01-01,1\r\n";
        let orders: [(&str, &str, BytesOf); 2] =
            [("little", "le", u16::to_le_bytes), ("big", "be", u16::to_be_bytes)];
        for (name, short, bytes_of) in orders {
            for (mark, iconv) in [("", format!("utf-16{short}")), ("\u{feff}", "utf-16".to_owned())]
            {
                let text = format!("{mark}{file}");
                let bytes: Vec<_> = text.encode_utf16().flat_map(bytes_of).collect();
                let (rows, end) = read(&*bytes);
                assert_eq!(rows, []);
                let said = format!(
                    "bets.csv is UTF-16 ({name}-endian): save it as UTF-8, for example by \
                     `iconv -f {iconv} -t utf-8`"
                );
                assert_eq!(end, Err(said), "{mark:?}");
            }
        }
        // Text in UTF-8 came before: the byte is damage.
        let (_, end) = read(&b"Bego\xc3\xb1a,B,1,2000-01-01,1\nPe\xf1a,B,1,2000-01-01,1\n"[..]);
        let said =
            "reading bets.csv: line 2: byte 0xF1 is not UTF-8 (first name): save the file as UTF-8";
        assert_eq!(end, Err(said.to_owned()));
    }

    #[test]
    fn a_row_that_earlier_versions_took_is_read_as_they_did_and_objected_to() {
        let quote = "between quotes: write \"\" for a quote";
        let mark = "holds a byte order mark (U+FEFF), as where one file was appended to another: \
                    remove it";
        let cases = [
            (
                "\"Ana\"x,Paz",
                ["Anax", "Paz"],
                "first name has text after its closing quote: write \"\" for a quote between quotes",
            ),
            ("Ana,\"Paz\\\"", ["Ana", "Paz\\"], &format!("last name has \\\" {quote}")),
            (
                "\"A \\\"B\\\"\",Paz",
                ["A \\B\\\"\"", "Paz"],
                &format!("first name has \\\" {quote}"),
            ),
            (
                "Ana, \"Paz\"",
                ["Ana", " \"Paz\""],
                "last name has blanks before its opening quote: remove them",
            ),
            ("\u{feff}Ana,Paz", ["\u{feff}Ana", "Paz"], &format!("first name {mark}")),
            ("Ana,P\u{feff}az", ["Ana", "P\u{feff}az"], &format!("last name {mark}")),
        ];
        for (names, expected, objection) in cases {
            let file = format!("A,B,1,2000-01-01,7\n{names},1,2000-01-01,1\nC,D,1,2000-01-01,8\n");
            let mut source = Source::new(file.as_bytes(), "bets.csv", 1);
            assert!(source.advance().unwrap() && source.objection().is_none());
            assert!(source.advance().unwrap());
            let bet = source.bet();
            assert_eq!([bet.first_name, bet.last_name], expected);
            let objected = source.objection().unwrap();
            assert_eq!(objected.to_string(), format!("reading bets.csv: line 2: {objection}"));
            assert_eq!(objected.line(), Some(2));
            assert!(source.advance().unwrap() && source.objection().is_none());
            assert!(!source.advance().unwrap() && source.objection().is_none());
        }
        let mut source = Source::new(&b"A,B,1,2000-01-01,\"7"[..], "bets.csv", 1);
        assert!(source.advance().unwrap());
        let said = "reading bets.csv: line 1: number has a quote that is not closed";
        assert_eq!(source.objection().unwrap().to_string(), said);
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
