//! Where the files are: looked up by name, opened, read. Knows no command and no reply.
//!
//! Only regular files are found, and only by the names that HFTP has. No name leads out of the
//! directory: none holds a separator, and whatever is no regular file itself, be it `..` or a link,
//! is looked at and not followed.

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use bolillero_fs::{Access, create_directory};
use bolillero_protocol::hftp::FileName;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat,
};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, retry_on_intr};

/// How far a call may go for what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only to what is in memory, so that nobody waits. Whatever else is [`ErrorKind::WouldBlock`].
    Memory,
    /// To the disk, however long that takes.
    Disk,
}

/// Where files are looked up, each time anew. The seam at which tests break and block each call.
///
/// An error of the kind [`ErrorKind::NotFound`] says that there is no such regular file.
pub trait Folder: Send + Sync {
    /// The names of all files, sorted by their bytes.
    ///
    /// # Errors
    /// What the system says, and more names than fit `bytes_max` with a line end each.
    fn names(&self, bytes_max: usize) -> io::Result<Vec<String>>;

    /// How many bytes a file has.
    ///
    /// # Errors
    /// What the system says.
    fn size_of(&self, name: &str, reach: Reach) -> io::Result<u64>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str, reach: Reach) -> io::Result<Box<dyn Content>>;
}

/// An open file. It stays the same whatever becomes of its name.
pub trait Content: Send {
    /// How many bytes it had when it was opened.
    fn size(&self) -> u64;

    /// Reads some bytes from `offset` on; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64, reach: Reach) -> io::Result<usize>;
}

/// A directory of the file system. It may be deleted and made again while it is served from.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    access: Access,
}

impl Directory {
    /// The directory at `path`, which is created where it is missing, for nobody but its owner.
    ///
    /// # Errors
    /// What the system says of creating it.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        Self::create_for(path, Access::Owner)
    }

    /// Like [`Self::create`], and `access` may read what is created.
    ///
    /// # Errors
    /// What the system says of creating it.
    pub fn create_for(path: impl Into<PathBuf>, access: Access) -> io::Result<Self> {
        let path = path.into();
        create_directory(&path, access)?;
        Ok(Self { path, access })
    }

    /// Has a file looked up under a name, in one go where only memory is looked into.
    fn find<T>(
        &self,
        name: &str,
        reach: Reach,
        find: impl FnOnce(BorrowedFd<'_>, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match reach {
            Reach::Memory => find(CWD, &self.path.join(name)),
            Reach::Disk => find(self.look_up(OFlags::PATH)?.as_fd(), name.as_ref()),
        }
    }

    /// Looks the directory up.
    fn look_up(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let open = || open_at(CWD, &self.path, flags | OFlags::DIRECTORY, Reach::Disk);
        let opened = match open() {
            Err(Errno::NOENT) => {
                create_directory(&self.path, self.access).and_then(|()| Ok(open()?))
            }
            opened => opened.map_err(io::Error::from),
        };
        opened.map_err(|error| {
            io::Error::other(format!("the directory {}: {error}", self.path.display()))
        })
    }
}

impl Folder for Directory {
    fn names(&self, bytes_max: usize) -> io::Result<Vec<String>> {
        let directory = self.look_up(OFlags::RDONLY)?;
        let (mut names, mut bytes) = (Vec::new(), 0);
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok().and_then(FileName::parse);
            let Some(name) = name.map(FileName::as_str) else { continue };
            if is_regular(&directory, name, entry.file_type()) {
                bytes += name.len() + LINE_END_SIZE;
                if bytes > bytes_max {
                    return Err(io::Error::other(format!("the names are over {bytes_max} bytes")));
                }
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn size_of(&self, name: &str, reach: Reach) -> io::Result<u64> {
        self.find(name, reach, |at, path| size_at(at, path, reach))
    }

    fn open(&self, name: &str, reach: Reach) -> io::Result<Box<dyn Content>> {
        self.find(name, reach, |at, path| {
            // Opening a device can do things, so it is looked at first. What takes its place in
            // between does not block.
            size_at(at, path, reach)?;
            let file = find_at(at, path, OFlags::RDONLY | OFlags::NONBLOCK, reach)?;
            let size = regular_size(&file)?;
            Ok(Box::new(OpenFile { file, size }) as Box<dyn Content>)
        })
    }
}

struct OpenFile {
    file: OwnedFd,
    size: u64,
}

impl Content for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64, reach: Reach) -> io::Result<usize> {
        let file = self.file.as_fd();
        let read = match reach {
            Reach::Disk => retry_on_intr(|| pread(file, &mut *buffer, offset)),
            Reach::Memory => {
                let buffers = &mut [IoSliceMut::new(buffer)];
                // An error, and what seems to be the end, is for somebody who may wait to look at.
                let read = preadv2(file, buffers, offset, ReadWriteFlags::NOWAIT);
                read.ok().filter(|count| *count > 0).ok_or(Errno::WOULDBLOCK)
            }
        };
        Ok(read?)
    }
}

/// The size of a regular file, which is not opened for it.
fn size_at(at: BorrowedFd<'_>, path: &Path, reach: Reach) -> io::Result<u64> {
    regular_size(&find_at(at, path, OFlags::PATH, reach)?)
}

/// Opens what is at a path, be it what it may.
fn find_at(at: BorrowedFd<'_>, path: &Path, flags: OFlags, reach: Reach) -> io::Result<OwnedFd> {
    let found = open_at(at, path, flags | OFlags::NOFOLLOW, reach);
    found.map_err(|error| match error {
        // A link, a socket, a device without a driver: there, and no file.
        Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::NAMETOOLONG => ErrorKind::NotFound.into(),
        error => error.into(),
    })
}

/// From memory only what is found there is an answer; what is missing or refused somebody has to
/// look at who may wait.
fn open_at(at: BorrowedFd<'_>, path: &Path, flags: OFlags, reach: Reach) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    match reach {
        Reach::Disk => retry_on_intr(|| openat(at, path, flags, Mode::empty())),
        Reach::Memory => openat2(at, path, flags, Mode::empty(), ResolveFlags::CACHED)
            .map_err(|_| Errno::WOULDBLOCK),
    }
}

fn regular_size(file: &OwnedFd) -> io::Result<u64> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ErrorKind::NotFound.into());
    }
    u64::try_from(stat.st_size).map_err(io::Error::other)
}

/// Not every file system tells the types of its entries.
fn is_regular(directory: &OwnedFd, name: &str, told: FileType) -> bool {
    match told {
        FileType::RegularFile => true,
        FileType::Unknown => statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        _ => false,
    }
}

/// What a name takes in a listing beside itself.
const LINE_END_SIZE: usize = 2;
