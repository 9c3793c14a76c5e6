//! Finds quotes in a row that RFC 4180 does not allow. The csv reader takes them as part of a value,
//! so that a name would hold them. Knows no column's meaning.

use std::fmt;

/// How a quote is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteProblem {
    /// `"Ana \"Pepa\" Paz"`
    Backslash,
    /// `"Ana"x`
    TextBehind,
    /// ` "Ana"`
    BlankBefore,
    /// `"Ana`, to the end of the file.
    NotClosed,
}

/// Where the reading of a field stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but blanks so far, so many bytes of them.
    Start(usize),
    Plain,
    Quoted,
    /// Between quotes, after a backslash.
    Escape,
    /// After a quote between quotes: the closing one, or the first of two.
    Closed,
}

/// The first quote of a row that is wrong, and the column it stands in, from 0.
pub(super) fn find_problem(row: &[u8]) -> Option<(usize, QuoteProblem)> {
    let (mut column, mut place) = (0, Place::Start(0));
    for &byte in row {
        place = match (place, byte) {
            (Place::Start(_) | Place::Plain | Place::Closed, b',') => {
                column += 1;
                Place::Start(0)
            }
            (Place::Start(_) | Place::Plain | Place::Closed, b'\r' | b'\n') => return None,
            (Place::Start(0), b'"') => Place::Quoted,
            (Place::Start(_), b'"') => return Some((column, QuoteProblem::BlankBefore)),
            (Place::Start(blanks), b' ' | b'\t') => Place::Start(blanks + 1),
            (Place::Start(_) | Place::Plain, _) => Place::Plain,
            (Place::Escape, b'"') => return Some((column, QuoteProblem::Backslash)),
            (Place::Quoted | Place::Escape, b'\\') => Place::Escape,
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted | Place::Escape, _) => Place::Quoted,
            (Place::Closed, b'"') => Place::Quoted,
            (Place::Closed, _) => return Some((column, QuoteProblem::TextBehind)),
        };
    }
    let open = matches!(place, Place::Quoted | Place::Escape);
    open.then_some((column, QuoteProblem::NotClosed))
}

impl fmt::Display for QuoteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backslash => r#"has \" between quotes: write "" for a quote"#,
            Self::TextBehind => {
                r#"has text after its closing quote: write "" for a quote between quotes"#
            }
            Self::BlankBefore => "has blanks before its opening quote: remove them",
            Self::NotClosed => "has a quote that is not closed",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_of_rfc_4180_are_taken_and_others_are_named_by_column_and_kind() {
        use QuoteProblem::{Backslash, BlankBefore, NotClosed, TextBehind};
        let rows: [(&str, Option<(usize, QuoteProblem)>); 20] = [
            ("", None),
            ("\n", None),
            ("a,b\r\n", None),
            ("\"a\",\"b\"\n", None),
            ("\"a, \"\"b\"\"\",\"\",c\n", None),
            ("\"a\nb\",c\n", None),
            ("\"a\\b\",\"c\\\\d\"\n", None),
            ("a\\\"b,O\"Hara,\"\"\n", None),
            (" a , b\n", None),
            ("\"a\"x,b\n", Some((0, TextBehind))),
            ("a,\"b\" ,c\n", Some((1, TextBehind))),
            ("a,\"b\"\"\"c\n", Some((1, TextBehind))),
            ("\"a \\\"b\\\" c\",d\n", Some((0, Backslash))),
            ("a,\"b\\\"\n", Some((1, Backslash))),
            ("a,\"b\\\\\\\"c\"\n", Some((1, Backslash))),
            ("a, \"b\"\n", Some((1, BlankBefore))),
            ("a,b,\t \"c\"\n", Some((2, BlankBefore))),
            ("a,\"b", Some((1, NotClosed))),
            ("a,b,\"", Some((2, NotClosed))),
            ("a,\"b\\", Some((1, NotClosed))),
        ];
        for (row, expected) in rows {
            assert_eq!(find_problem(row.as_bytes()), expected, "{row:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_csv_writer_writes_is_taken(
            fields in prop::collection::vec("[a\" ,\r\nñ]{0,6}", 1..6),
            always: bool,
        ) {
            let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
            let mut writer = csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            prop_assert_eq!(find_problem(&writer.into_inner().unwrap()), None);
        }
    }
}
