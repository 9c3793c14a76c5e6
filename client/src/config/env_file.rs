//! Reads lines of `KEY=VALUE`, as container tools take them for an environment. Substitutes nothing
//! and knows no key.
//!
//! ```text
//! # a comment; blank lines are skipped
//! NOMBRE=Santiago Lionel         to the end of the line, or to a # behind a space
//! APELLIDO="Lorca"               or what is between quotes, single or double; no escapes
//! export NUMERO=7574
//! ```
//! Not a crate: dotenvy refuses a space in a value without quotes, which names have.

use std::collections::BTreeMap;

use super::sources::{Entry, Value};

/// The values of a text; of a key that stands there twice, the last.
///
/// # Errors
/// The line, and what is wrong there. Never the value: bettors are persons.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Entry>, String> {
    let mut entries = BTreeMap::new();
    for (line, written) in (1..).zip(text.lines()) {
        let written = written.trim();
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        let written = written.strip_prefix("export ").unwrap_or(written);
        let (key, value) =
            written.split_once('=').ok_or_else(|| format!("line {line}: is not KEY=VALUE"))?;
        let value =
            read_value(value.trim()).map_err(|problem| format!("line {line}: {problem}"))?;
        entries.insert(key.trim().to_owned(), Entry { line, value: Value::Text(value.to_owned()) });
    }
    Ok(entries)
}

fn read_value(written: &str) -> Result<&str, &'static str> {
    let Some(quote) = written.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = written.find(" #").unwrap_or(written.len());
        return Ok(written[..end].trim_end());
    };
    let (value, rest) = written[1..].split_once(quote).ok_or("the quote is not closed")?;
    let rest = rest.trim();
    let clean = rest.is_empty() || rest.starts_with('#');
    if clean { Ok(value) } else { Err("something follows the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_container_tools_take_it_for() {
        let rows = [
            ("NOMBRE=Santiago Lionel", "Santiago Lionel"),
            ("NOMBRE = Ana ", "Ana"),
            ("NOMBRE=Ana # the first", "Ana"),
            ("NOMBRE=A#b", "A#b"),
            ("NOMBRE=\"Ana  Luz \"", "Ana  Luz "),
            ("NOMBRE='O\"Hara' # why", "O\"Hara"),
            ("NOMBRE=O'Hara", "O'Hara"),
            ("export NOMBRE=Ana", "Ana"),
            ("NOMBRE=$HOME", "$HOME"),
            ("NOMBRE=a=b", "a=b"),
            ("NOMBRE=", ""),
            ("NOMBRE=Eva\r\n\r\n# x\r\nNOMBRE=Ana\r\n", "Ana"),
        ];
        for (file, expected) in rows {
            let entries = read(file).unwrap();
            assert_eq!(entries["NOMBRE"].value, Value::Text(expected.to_owned()), "{file:?}");
            assert_eq!(entries.len(), 1, "{file:?}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number_and_not_by_its_text() {
        let rows = [
            ("\nAna Paz", "line 2: is not KEY=VALUE"),
            ("A=\"Ana", "line 1: the quote is not closed"),
            ("A='Ana' Paz", "line 1: something follows the closing quote"),
        ];
        for (file, error) in rows {
            assert_eq!(read(file), Err(error.to_owned()));
        }
    }
}
