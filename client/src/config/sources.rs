//! Where a setting comes from: a flag before the environment, that before a file. Says of every
//! value where it was found, for errors. Knows no setting.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::UsageError;
use crate::encoding;

/// The longest file of settings, in bytes.
pub const FILE_SIZE_MAX: u64 = 64 << 10;

/// The value of a variable of the environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The names of one setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) option: &'static str,
    pub(super) variable: &'static str,
    /// Its name in the file, if it may stand there.
    pub(super) file: Option<&'static str>,
}

/// The environment and a file.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a Environment<'a>,
    pub(super) file: Option<Settings>,
}

/// What stands in a file.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// A value, and the line it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// More values, each with a name of its own.
    Section,
    /// Something else, and what.
    Other(&'static str),
}

/// A setting's text.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: String,
    /// Where it was found, with the text and without.
    shown: String,
    hidden: String,
}

impl Sources<'_> {
    /// The meaning of a setting; none where no source has it.
    pub(super) fn get<T>(
        &self,
        key: &Key,
        typed: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let found = self.find(key, typed)?;
        found.map(|found| parse(&found.text).map_err(|problem| found.wrong(problem))).transpose()
    }

    /// The text of a setting.
    pub(super) fn find(&self, key: &Key, typed: Option<&str>) -> Result<Option<Found>, UsageError> {
        if let Some(text) = typed {
            let option = format!("--{}", key.option);
            let shown = format!("{option} {text}");
            return Ok(Some(Found { text: text.to_owned(), shown, hidden: option }));
        }
        if let Some(text) = (self.environment)(key.variable) {
            let place = "the environment";
            let text = text.into_string().map_err(|_| UsageError {
                setting: format!("{} in {place}", key.variable),
                problem: "is not UTF-8".to_owned(),
            })?;
            return Ok(Some(Found::new(key.variable, text.trim(), place)));
        }
        match (&self.file, key.file) {
            (Some(file), Some(name)) => file.find(name),
            _ => Ok(None),
        }
    }
}

impl Settings {
    fn find(&self, name: &str) -> Result<Option<Found>, UsageError> {
        if let Some(Entry { line, value }) = self.entries.get(name) {
            let place = self.place(*line);
            let what = match value {
                Value::Text(text) => return Ok(Some(Found::new(name, text, &place))),
                Value::Section => "a section",
                Value::Other(what) => what,
            };
            let setting = format!("{name} in {place}");
            return Err(UsageError { setting, problem: format!("is {what}, not one value") });
        }
        // `batch: 7` where `maxAmount` was to stand in `batch`.
        let Some((section, key)) = name.rsplit_once('.') else { return Ok(None) };
        let Some(Entry { line, value }) = self.entries.get(section) else { return Ok(None) };
        if *value == Value::Section || *value == Value::Text(String::new()) {
            return Ok(None);
        }
        let setting = format!("{section} in {}", self.place(*line));
        let problem = format!("is no section: write `{key}: VALUE` indented below it");
        Err(UsageError { setting, problem })
    }

    fn place(&self, line: usize) -> String {
        format!("{}, line {line}", self.name)
    }
}

impl Found {
    fn new(name: &str, text: &str, place: &str) -> Self {
        let shown = format!("{name} = {text:?} in {place}");
        Self { text: text.to_owned(), shown, hidden: format!("{name} in {place}") }
    }

    /// Its name and where it was found, without its value.
    pub(super) fn place(&self) -> &str {
        &self.hidden
    }

    /// The error about it, with its value.
    pub(super) fn wrong(&self, problem: String) -> UsageError {
        UsageError { setting: self.shown.clone(), problem }
    }

    /// The error about it, without its value: bettors are persons.
    pub(super) fn wrong_and_private(&self, problem: String) -> UsageError {
        UsageError { setting: self.hidden.clone(), problem }
    }
}

/// Reads `path` with `parse`, whose error says the line and what is wrong there.
pub(super) fn read_file(
    path: &Path,
    parse: impl Fn(&str) -> Result<BTreeMap<String, Entry>, String>,
) -> Result<Settings, UsageError> {
    let name = path.display().to_string();
    let text = read_text(path);
    match text.and_then(|text| parse(text.trim_start_matches('\u{feff}'))) {
        Ok(entries) => Ok(Settings { name, entries }),
        Err(problem) => Err(UsageError { setting: format!("reading {name}"), problem }),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes));
    let size = read.map_err(|error| error.to_string())?;
    if size as u64 > FILE_SIZE_MAX {
        return Err(format!("is longer than {FILE_SIZE_MAX} bytes; is it the right file?"));
    }
    encoding::read_text(bytes)
}
