//! The files of an authority: a certificate and its key are written whole, and nothing that is
//! there is replaced. Knows nothing of what is in them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use bolillero_fs::{Access, WholeFile, create_directory};
use bolillero_tls::authority::Issued;

/// The longest key that is read, in bytes.
const KEY_SIZE_MAX: u64 = 64 << 10;
/// Nobody else reads a key.
const KEY_ACCESS: Access = Access::Owner;
/// A server shows its certificate to every client.
const CERT_ACCESS: Access = Access::Everybody;

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
    files: [WholeFile; 2],
}

impl Pair {
    pub(super) fn prepare(dir: &Path, names: &Names, issued: &Issued) -> anyhow::Result<Self> {
        // A certificate whose key is not there is of no use, so the key comes first.
        let key = write_nameless(&dir.join(&names.key), KEY_ACCESS, &issued.key)?;
        let cert = write_nameless(&dir.join(&names.cert), CERT_ACCESS, &issued.cert)?;
        Ok(Self { dir: dir.to_owned(), files: [key, cert] })
    }

    /// Gives them their names: both or none.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        let mut named: Vec<PathBuf> = Vec::new();
        for file in self.files {
            let path = file.path().to_owned();
            if let Err(error) = file.place() {
                for path in &named {
                    // It is told what went wrong first.
                    let _ = fs::remove_file(path);
                }
                return Err(anyhow!(error).context(format!("writing {}", path.display())));
            }
            named.push(path);
        }
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.with_context(|| format!("syncing {}", self.dir.display()))
    }
}

/// Makes a directory where there is none, with those above it.
pub(super) fn make_directory(dir: &Path) -> anyhow::Result<()> {
    let made = create_directory(dir, Access::Owner);
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
fn write_nameless(path: &Path, access: Access, text: &str) -> anyhow::Result<WholeFile> {
    let write = || {
        let mut file = WholeFile::create(path, access)?;
        file.write_all(text.as_bytes())?;
        file.sync()?;
        io::Result::Ok(file)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
