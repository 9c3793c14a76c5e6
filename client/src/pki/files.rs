//! The files of an authority: a certificate and its key are written whole, and nothing that is
//! there is replaced. Knows nothing of what is in them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use bolillero_tls::authority::Issued;
use tempfile::NamedTempFile;

/// The longest key that is read, in bytes.
const KEY_SIZE_MAX: u64 = 64 << 10;
/// Who made a directory enters it, nobody else.
const DIRECTORY_MODE: u32 = 0o700;
/// Who made a key reads it, nobody else.
const KEY_MODE: u32 = 0o600;
/// A certificate is shown to whoever connects.
const CERT_MODE: u32 = 0o644;

/// The names of a certificate and its key.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) cert: String,
    pub(super) key: String,
}

impl Names {
    pub(super) fn new(whose: &str) -> Self {
        Self { cert: format!("{whose}.pem"), key: format!("{whose}-key.pem") }
    }

    /// One of them, where it is there.
    pub(super) fn one_in(&self, dir: &Path) -> Option<PathBuf> {
        let mut paths = [&self.cert, &self.key].into_iter().map(|name| dir.join(name));
        paths.find(|path| fs::symlink_metadata(path).is_ok())
    }
}

/// A certificate and its key that are written, and have no name yet. They leave nothing unless they
/// are published.
pub(super) struct Pair {
    dir: PathBuf,
    files: [(NamedTempFile, PathBuf); 2],
}

impl Pair {
    pub(super) fn prepare(dir: &Path, names: &Names, issued: &Issued) -> anyhow::Result<Self> {
        let file = |name: &str, mode, text: &str| {
            let path = dir.join(name);
            let file = write_nameless(dir, mode, text);
            Ok::<_, anyhow::Error>((
                file.with_context(|| format!("writing {}", path.display()))?,
                path,
            ))
        };
        // A certificate whose key is not there is of no use, so the key comes first.
        let key = file(&names.key, KEY_MODE, &issued.key)?;
        let cert = file(&names.cert, CERT_MODE, &issued.cert)?;
        Ok(Self { dir: dir.to_owned(), files: [key, cert] })
    }

    /// Gives them their names: both or none.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        let mut named: Vec<PathBuf> = Vec::new();
        for (file, path) in self.files {
            if let Err(error) = file.persist_noclobber(&path) {
                for path in &named {
                    // It is told what went wrong first.
                    let _ = fs::remove_file(path);
                }
                return Err(anyhow!(error.error).context(format!("writing {}", path.display())));
            }
            named.push(path);
        }
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.with_context(|| format!("syncing {}", self.dir.display()))
    }
}

/// Makes a directory where there is none, with those above it.
pub(super) fn make_directory(dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir);
    made.with_context(|| format!("making the directory {}", dir.display()))
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(reading)?;
    let size = file.take(KEY_SIZE_MAX + 1).read_to_string(&mut text).with_context(reading)?;
    ensure!(size as u64 <= KEY_SIZE_MAX, "{} is too long for a key", path.display());
    Ok(text)
}

/// Writes a file that goes when it is dropped.
fn write_nameless(dir: &Path, mode: u32, text: &str) -> io::Result<NamedTempFile> {
    let permissions = Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new()
        .prefix(".bolillero-")
        .suffix(".tmp")
        .permissions(permissions)
        .tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}
