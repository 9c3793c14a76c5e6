//! Reads a file of settings as flat names: `batch.maxAmount` for `maxAmount` in `batch`. Values are
//! kept as they are written: `5s`, `010`, `"7"`. Knows no setting.
//!
//! Events are read, not a tree: a tree turns `010` into a number and forgets the line.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScanError};

use super::sources::{Entry, Value};

/// The settings of a text, whose first document counts.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Entry>, String> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        let line = span.start.line();
        match event {
            Event::MappingStart(..) if reader.skipped == 0 => reader.open(line)?,
            Event::SequenceStart(..) if reader.skipped == 0 => {
                reader.value(line, Value::Other("a list"))?;
                reader.skipped = 1;
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => reader.skipped += 1,
            Event::MappingEnd | Event::SequenceEnd if reader.skipped > 0 => reader.skipped -= 1,
            Event::MappingEnd => drop(reader.maps.pop()),
            // A document of nothing.
            Event::Scalar(text, ..) if text.is_empty() && reader.maps.is_empty() => {}
            Event::Scalar(text, ..) => reader.scalar(line, &text)?,
            Event::Alias(_) => reader.value(line, Value::Other("an alias"))?,
            Event::DocumentEnd => break,
            _ => {}
        }
    }
    Ok(reader.entries)
}

fn syntax(error: &ScanError) -> String {
    let (line, info) = (error.marker().line(), error.info());
    format!("line {line}: {info}; write KEY: VALUE, indented with spaces")
}

#[derive(Default)]
struct Reader {
    entries: BTreeMap<String, Entry>,
    /// The maps that are open, the outermost first.
    maps: Vec<Map>,
    /// How deep in a list the reader is: nothing in one has a name.
    skipped: usize,
}

struct Map {
    /// What comes before the names in it.
    prefix: String,
    /// The key that was read and has no value yet.
    key: Option<String>,
}

impl Reader {
    fn open(&mut self, line: usize) -> Result<(), String> {
        let prefix = match self.maps.last_mut() {
            None => String::new(),
            Some(Map { prefix, key }) => {
                let key = key.take().ok_or_else(|| format!("line {line}: a key is a map"))?;
                let name = format!("{prefix}{key}");
                note(&mut self.entries, line, &name, Value::Section)?;
                name + "."
            }
        };
        self.maps.push(Map { prefix, key: None });
        Ok(())
    }

    fn scalar(&mut self, line: usize, text: &str) -> Result<(), String> {
        match self.maps.last_mut() {
            Some(Map { key: key @ None, .. }) if self.skipped == 0 => {
                *key = Some(text.to_owned());
                Ok(())
            }
            _ => self.value(line, Value::Text(text.to_owned())),
        }
    }

    fn value(&mut self, line: usize, value: Value) -> Result<(), String> {
        if self.skipped > 0 {
            return Ok(());
        }
        let named = self.maps.last_mut().and_then(|map| {
            let key = map.key.take()?;
            Some(format!("{}{key}", map.prefix))
        });
        let name = named.ok_or_else(|| format!("line {line}: is not KEY: VALUE"))?;
        note(&mut self.entries, line, &name, value)
    }
}

fn note(
    entries: &mut BTreeMap<String, Entry>,
    line: usize,
    name: &str,
    value: Value,
) -> Result<(), String> {
    match entries.insert(name.to_owned(), Entry { line, value }) {
        None => Ok(()),
        Some(_) => Err(format!("line {line}: {name} is given a second time; keep one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str) -> Result<Vec<(String, usize, String)>, String> {
        let text = |value| match value {
            Value::Text(text) => Some(text),
            Value::Other(what) => Some(format!("<{what}>")),
            Value::Section => None,
        };
        let entries = read(file)?.into_iter();
        Ok(entries.filter_map(|(name, at)| Some((name, at.line, text(at.value)?))).collect())
    }

    #[test]
    fn names_are_flat_and_values_are_as_they_are_written() {
        type Named = (&'static str, usize, &'static str);
        let rows: [(&str, &[Named]); 14] = [
            ("", &[]),
            ("# nothing\n", &[]),
            ("---\n", &[]),
            ("a: 1", &[("a", 1, "1")]),
            ("a:\n  b: \"5s\"\n  c: 010\n", &[("a.b", 2, "5s"), ("a.c", 3, "010")]),
            ("a: {b: 1, c: {d: 'x y'}}", &[("a.b", 1, "1"), ("a.c.d", 1, "x y")]),
            ("a:\n  b: 1\n\nc:\n  d: 2 # why\n", &[("a.b", 2, "1"), ("c.d", 5, "2")]),
            ("a: server:12345\r\nb: true\r\n", &[("a", 1, "server:12345"), ("b", 2, "true")]),
            ("a:\nb: ''\n", &[("a", 1, ""), ("b", 2, "")]),
            ("a: [1, {b: 2}, [3]]\nc: 4", &[("a", 1, "<a list>"), ("c", 2, "4")]),
            ("a:\n- b: 1\n  c: 2\nd: 3", &[("a", 2, "<a list>"), ("d", 4, "3")]),
            ("a: &x 1\nb: *x", &[("a", 1, "1"), ("b", 2, "<an alias>")]),
            ("a: 1\n---\na: 2\n", &[("a", 1, "1")]),
            ("a.b: 1", &[("a.b", 1, "1")]),
        ];
        for (file, expected) in rows {
            let expected = expected.iter();
            let expected = expected.map(|&(name, line, text)| (name.into(), line, text.into()));
            assert_eq!(texts(file), Ok(expected.collect()), "{file:?}");
        }
    }

    #[test]
    fn what_is_no_file_of_settings_is_told_with_its_line() {
        let rows = [
            ("a:\n\tb: 1\n", "line 2: ", "spaces"),
            ("a: 'x\n", "line 1: ", "quoted"),
            ("a: b: c\n", "line 1: ", "mapping"),
            ("a: 1\nb\n", "line 3: ", ""),
            ("just text", "line 1: ", "is not KEY: VALUE"),
            ("- 1\n- 2\n", "line 1: ", "is not KEY: VALUE"),
            ("a:\n  b: 1\n  b: 2\n", "line 3: ", "a.b is given a second time"),
            ("a:\n  b: 1\na:\n  c: 2\n", "line 4: ", "a is given a second time"),
            ("? {a: 1}\n: 2\n", "line 1: ", "a key is a map"),
            ("? [a]\n: 2\n", "line 1: ", "is not KEY: VALUE"),
        ];
        for (file, begin, said) in rows {
            let error = texts(file).unwrap_err();
            assert!(error.starts_with(begin) && error.contains(said), "{file:?}: {error}");
        }
    }
}
