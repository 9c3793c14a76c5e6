//! Environment and file: the values that deployments set without touching the command line. Knows
//! where a value came from, not what it is for.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use configparser::ini::Ini;

/// The file that is read when none is named, if it is there.
pub const CONFIG_FILE_DEFAULT: &str = "server/config.ini";
/// Where the file's keys are.
const SECTION: &str = "DEFAULT";

/// The environment goes before the file.
pub(super) struct Sources<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<(PathBuf, Ini)>,
}

impl<'a> Sources<'a> {
    /// `environment` gives the value of a variable; `named` is a file that has to be there.
    pub(super) fn open(
        named: Option<&Path>,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self { environment, file: read_file(named)? })
    }

    /// A key's value, from the environment or else from the file.
    pub(super) fn get<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let (text, source) = if let Some(text) = (self.environment)(key) {
            (text, "the environment".to_owned())
        } else if let Some((path, ini)) = &self.file
            && let Some(text) = ini.get(SECTION, key)
        {
            (text, path.display().to_string())
        } else {
            return Ok(None);
        };
        let parsed = parse(text.trim());
        parsed.map(Some).with_context(|| format!("{key} = {text:?} in {source}"))
    }
}

fn read_file(named: Option<&Path>) -> anyhow::Result<Option<(PathBuf, Ini)>> {
    let path = named.unwrap_or(Path::new(CONFIG_FILE_DEFAULT));
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let mut ini = Ini::new_cs();
    ini.set_default_section(SECTION);
    if let Err(error) = ini.load(path) {
        bail!("reading {}: {error}", path.display());
    }
    Ok(Some((path.to_owned(), ini)))
}
