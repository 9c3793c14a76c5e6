//! What the ledger asks of a disk, as a small trait, so that a test can break each call.
//! [`Directory`] is the real one. Knows no format.

mod spare;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bolillero_fs::Access;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// What the name of a file that is not finished ends in.
pub const TEMPORARY: &str = ".tmp";

/// A flat directory of files. Names are plain file names.
pub trait Disk: Send + Sync {
    /// The names of all files, in any order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A new, empty file for reading and writing. One of the same name is replaced.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// A new, empty file for reading and writing, to be named later.
    fn create_spare(&self) -> io::Result<Spare>;
    /// An existing file, for reading.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// An existing file, for reading and writing, with a handle of its own: each handle is told once
    /// of a failed write-back, so two that sync a file must not share one.
    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name, replacing one that has it. Durable after [`Disk::sync_directory`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_directory(&self) -> io::Result<()>;
}

/// A file made ahead of use. Nothing is left of it unless it gets a name.
pub struct Spare {
    /// A handle on it.
    pub file: Arc<dyn File>,
    /// Another: each handle is told once of a failed write-back, so two that sync a file must not share
    /// one.
    pub filler: Arc<dyn File>,
    /// Gives it a name that no file has. What was synced is durable under that name after
    /// [`Disk::sync_directory`].
    pub give_name: GiveName,
}

/// Gives a [`Spare`] its name.
pub type GiveName = Box<dyn FnOnce(&str) -> io::Result<()> + Send>;

/// An open file of a [`Disk`].
pub trait File: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Sees to it that `size` bytes have their place; they read as zeros until written.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes from `offset` on; fewer at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns once all that was written before is durable.
    fn sync(&self) -> io::Result<()>;
}

/// Reads from `offset` until `buffer` is full or the file ends; returns how much was read.
pub fn read_full_at(file: &dyn File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether an error says that there is no room at present, rather than that the disk is broken.
#[must_use]
pub fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    /// Whether spare files need no name here, once that was tried.
    nameless: Arc<OnceLock<bool>>,
}

impl Directory {
    /// The directory at `path`, which exists.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), nameless: Arc::default() }
    }

    /// Creates `path` and what is missing above it, durably, for nobody but its owner.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        create_directory(&path)?;
        Ok(Self::new(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    match fs::DirBuilder::new().mode(Access::Owner.directory_mode()).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }?;
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Gives a file its place on a file system that knows no `fallocate`: only written space is taken.
fn fill_with_zeros(file: &fs::File, size: u64) -> io::Result<()> {
    let zeros = [0; 64 << 10];
    let mut offset = 0;
    while offset < size {
        let piece =
            usize::try_from(size - offset).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all_at(&zeros[..piece], offset)?;
        offset += piece as u64;
    }
    Ok(())
}

impl Disk for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.mode(Access::Owner.file_mode());
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn create_spare(&self) -> io::Result<Spare> {
        if *self.nameless.get_or_init(|| spare::can_be_nameless(&self.path)) {
            spare::nameless(&self.path)
        } else {
            spare::temporary(self)
        }
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::open(self.path.join(name))?))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let options = fs::OpenOptions::new().read(true).write(true).open(self.path.join(name));
        Ok(Arc::new(options?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

impl File for fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        match fallocate(self, FallocateFlags::empty(), 0, size) {
            Err(Errno::OPNOTSUPP) => fill_with_zeros(self, size),
            allocated => Ok(allocated?),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn zeros_take_the_place_that_nothing_else_takes() {
        for size in [0, 1, 64 << 10, 100_001] {
            let file = tempfile::tempfile().unwrap();
            fill_with_zeros(&file, size).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!(metadata.len(), size);
            assert!(metadata.blocks() * 512 >= size, "{size} bytes have their place");
        }
    }
}
