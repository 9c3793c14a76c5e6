//! A file that has its name only once it is whole. Until then it has a name that nobody can guess, in
//! the same directory, and it is removed unless it gets its own. Syncing is left to the caller.
//!
//! ```text
//! ~bolillero-RANDOM.tmp        128 random bits; no name of the file service has a `~`
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::Access;

const PREFIX: &str = "~bolillero-";
const SUFFIX: &str = ".tmp";

/// A file that is being written. Dropping it removes what was written.
#[derive(Debug)]
pub struct WholeFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// Creates the file that becomes `path`. No link is followed, and nothing that exists is opened.
    ///
    /// # Errors
    /// What the system says: of the directory, or that it gives no random bits.
    pub fn create(path: impl Into<PathBuf>, access: Access) -> io::Result<Self> {
        let path = path.into();
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        // The random part of `tempfile` alone follows from the time and the thread.
        let prefix = format!("{PREFIX}{:032x}", u128::from_ne_bytes(random));
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = Builder::new().prefix(&prefix).suffix(SUFFIX).make_in(
            parent.unwrap_or(Path::new(".")),
            |name| {
                let mut options = File::options();
                options.read(true).write(true).create_new(true).mode(access.file_mode());
                options.open(name)
            },
        )?;
        Ok(Self { file, path })
    }

    /// The path that it is to have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what was written durable. The name becomes so with a sync of the directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_file().sync_all()
    }

    /// Gives the file its name. A file or link that has it is replaced.
    ///
    /// # Errors
    /// What the system says. Then what had the name is as it was, and what was written is removed.
    pub fn replace(self) -> io::Result<()> {
        self.file.persist(self.path).map(drop).map_err(|error| error.error)
    }

    /// Gives the file its name, where nothing has it.
    ///
    /// # Errors
    /// What the system says, [`io::ErrorKind::AlreadyExists`] among it. Then what was written is removed.
    pub fn place(self) -> io::Result<()> {
        self.file.persist_noclobber(self.path).map(drop).map_err(|error| error.error)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a name is that of a file that was being written when its process died.
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|e| name(e).unwrap()).collect();
        names.sort();
        names
    }

    fn written(path: &Path, text: &str) -> WholeFile {
        let mut file = WholeFile::create(path, Access::Owner).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.sync().unwrap();
        file
    }

    #[test]
    fn a_file_has_its_name_only_once_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        let file = written(&path, "new");
        let [name] = &*names(directory.path()) else { panic!("one file") };
        assert!(is_unfinished(name), "{name}");
        file.replace().unwrap();
        assert_eq!(names(directory.path()), ["a.csv"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        written(&path, "newer").replace().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    }

    #[test]
    fn names_are_hidden_and_never_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let files: Vec<_> =
            (0..9).map(|_| written(&directory.path().join("a"), "").into_name()).collect();
        for (index, name) in files.iter().enumerate() {
            let random = name.strip_prefix("~bolillero-").unwrap().strip_suffix(".tmp").unwrap();
            assert!(random.len() >= 32, "{name}");
            assert!(files[..index].iter().all(|other| other[..40] != name[..40]), "{files:?}");
        }
        for name in ["~bolillero-.tmq", "bolillero-1.tmp", "~draw.json.tmp", ""] {
            assert!(!is_unfinished(name), "{name}");
        }
    }

    #[test]
    fn what_does_not_get_its_name_is_removed_and_what_has_it_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        drop(written(&path, "dropped"));
        assert_eq!(names(directory.path()), [""; 0]);
        fs::create_dir(&path).unwrap();
        written(&path, "over a directory").replace().unwrap_err();
        assert_eq!(names(directory.path()), ["a"]);
        for missing in ["b/c", "a/b/c"] {
            let error = WholeFile::create(directory.path().join(missing), Access::Owner);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound, "{missing}");
        }
    }

    #[test]
    fn nothing_is_replaced_where_that_is_not_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link, new] = ["file", "link", "new"].map(|name| directory.path().join(name));
        fs::write(&file, "mine").unwrap();
        symlink(directory.path().join("nowhere"), &link).unwrap();
        for path in [&file, &link] {
            let error = written(path, "theirs").place().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        written(&new, "theirs").place().unwrap();
        assert_eq!(names(directory.path()), ["file", "link", "new"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_link_that_has_the_name_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [precious, link] = ["precious", "link"].map(|name| directory.path().join(name));
        fs::write(&precious, "mine").unwrap();
        symlink(&precious, &link).unwrap();
        written(&link, "new").replace().unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn only_the_owner_writes_and_others_read_where_that_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        for (access, most) in [(Access::Owner, 0o600), (Access::Everybody, 0o644)] {
            let file = WholeFile::create(directory.path().join("a"), access).unwrap();
            let mode = file.file.as_file().metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode & !most, 0, "{mode:o}");
        }
    }

    impl WholeFile {
        fn into_name(self) -> String {
            self.file.path().file_name().unwrap().to_str().unwrap().to_owned()
        }
    }
}
