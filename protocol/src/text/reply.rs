//! What an office answers in the text dialect: one line, and the end of the connection. Knows no connection.

use std::io::Write as _;

use crate::list::{SEPARATOR, parse_number};

const NO_WINNERS: &[u8] = b"NOWINNERS";
const ERROR: &[u8] = b"ERROR";

/// The only line of an office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// So many bets of this connection are stored, and their agency is marked.
    Stored(u64),
    /// The documents of the winners, each followed by `#`.
    Winners {
        /// The list, or a piece of it.
        documents: &'a [u8],
        /// Bytes of the list that are still to come. The line goes on with them.
        rest: usize,
    },
    /// Not done.
    Error,
}

impl Reply<'_> {
    /// Appends the line, or of a list with a `rest` the part that a piece of it makes. Each byte of
    /// a list makes one of the line, so a list can be cut anywhere.
    ///
    /// ```
    /// use bolillero_protocol::text::Reply;
    ///
    /// let mut out = Vec::new();
    /// Reply::Winners { documents: b"30000001#3000", rest: 5 }.encode(&mut out);
    /// Reply::Winners { documents: b"0002#", rest: 0 }.encode(&mut out);
    /// assert_eq!(out, b"30000001,30000002\n");
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stored(bets) => write!(out, "{bets}").expect("writing to a vector does not fail"),
            Self::Winners { documents: [], rest: 0 } => out.extend_from_slice(NO_WINNERS),
            Self::Winners { documents, rest } => {
                // The last separator of a list makes the line's end.
                let end: &[u8] = if *rest == 0 { &[SEPARATOR] } else { &[] };
                let documents = documents.strip_suffix(end).unwrap_or(documents);
                out.extend(documents.iter().map(|&b| if b == SEPARATOR { b',' } else { b }));
                if *rest > 0 {
                    return;
                }
            }
            Self::Error => out.extend_from_slice(ERROR),
        }
        out.push(b'\n');
    }
}

/// What an agency is told, as it reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// So many bets of its connection are stored, and it is marked.
    Stored(u64),
    /// So many of its bets have won.
    Winners(u64),
    /// Not done.
    Error,
}

impl Told {
    /// Reads the answer to FINISH, all bytes to the end of the connection. `None`: it is none.
    #[must_use]
    pub fn of_finish(bytes: &[u8]) -> Option<Self> {
        match bytes.strip_suffix(b"\n")? {
            ERROR => Some(Self::Error),
            line => parse_number(std::str::from_utf8(line).ok()?).map(Self::Stored),
        }
    }

    /// Reads the answer to RESULTS, likewise.
    #[must_use]
    pub fn of_results(bytes: &[u8]) -> Option<Self> {
        match bytes.strip_suffix(b"\n")? {
            ERROR => Some(Self::Error),
            NO_WINNERS => Some(Self::Winners(0)),
            line => {
                let is_document =
                    |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
                let mut documents = line.split(|&byte| byte == b',');
                let winners = documents.try_fold(0, |n, field| is_document(field).then_some(n + 1));
                winners.map(Self::Winners)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_as_it_is_read() {
        let check = |reply: Reply<'_>, line: &[u8], finish: Option<Told>, results: Option<Told>| {
            let mut out = Vec::new();
            reply.encode(&mut out);
            assert_eq!(out, line, "{reply:?}");
            assert_eq!((Told::of_finish(line), Told::of_results(line)), (finish, results));
            let cut = &line[..line.len() - 1];
            assert_eq!((Told::of_finish(cut), Told::of_results(cut)), (None, None), "{reply:?}");
        };
        let winners = |n| Some(Told::Winners(n));
        check(Reply::Stored(0), b"0\n", Some(Told::Stored(0)), winners(1));
        check(Reply::Stored(1234), b"1234\n", Some(Told::Stored(1234)), winners(1));
        let list = |documents| Reply::Winners { documents, rest: 0 };
        check(list(b""), b"NOWINNERS\n", None, winners(0));
        check(list(b"7#"), b"7\n", Some(Told::Stored(7)), winners(1));
        check(list(b"30000001#07#"), b"30000001,07\n", None, winners(2));
        check(Reply::Error, b"ERROR\n", Some(Told::Error), Some(Told::Error));
    }

    #[test]
    fn a_list_makes_the_same_line_wherever_it_is_cut() {
        let list = b"30000001#07#3#";
        for cut in 1..list.len() {
            let (first, second) = list.split_at(cut);
            let mut out = Vec::new();
            Reply::Winners { documents: first, rest: second.len() }.encode(&mut out);
            assert_eq!(out.len(), cut);
            Reply::Winners { documents: second, rest: 0 }.encode(&mut out);
            assert_eq!(out, b"30000001,07,3\n", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_line_of_an_office_is_not_read() {
        for bytes in [&b""[..], b"\n", b"x\n", b"1\n2\n", b"1,\n", b",1\n", b"-1\n", b"error\n"] {
            assert_eq!(Told::of_finish(bytes), None, "{bytes:?}");
            assert_eq!(Told::of_results(bytes), None, "{bytes:?}");
        }
    }
}
