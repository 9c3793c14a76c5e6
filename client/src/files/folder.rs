//! The directory that files are fetched to: what is there already, what has come so far, and the
//! moment in which that becomes the file. Knows no server.
//!
//! ```text
//! NAME.part.origin   size and checksum of the file whose bytes these are: written before them
//! NAME.part          the bytes that have come, from the first on; one process at a time has it
//! NAME               the same, once they are whole, agree and are synced
//! ```
//! All are looked up in the directory that was opened first, and none is a link that is followed.
//! A NAME.part without an origin is somebody else's; so is an origin that this program does not
//! write.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use bolillero_fs::{Access, create_directory};
use bolillero_protocol::chain::{Hex, parse_hex};
use bolillero_protocol::list::parse_number;
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, fsync, linkat,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::sums::Sum;
use super::{FilesError, Name, Problem};

/// Where files are fetched to.
pub(super) struct Folder {
    directory: OwnedFd,
    /// Its path and a separator, for errors; empty for the current directory.
    shown: String,
}

/// Which file the bytes of a download are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// How many bytes it has.
    pub(super) size: u64,
    /// Its checksum, where that is known.
    pub(super) sum: Option<Sum>,
}

/// What there is of a file before it is fetched.
pub(super) enum Begun<'a> {
    /// All of it, under its own name: its checksum agrees.
    There,
    /// A file of its name and size, and no checksum to tell whether it is the same.
    Alike(Twin),
    /// Nothing or a part.
    Part(Part<'a>),
}

/// A file that is there, to be compared from its first byte on.
pub(super) struct Twin(File);

/// A download that is not whole, or not known to be.
pub(super) struct Part<'a> {
    folder: &'a Folder,
    name: &'a Name,
    origin: Origin,
    file: File,
    /// Over what is there, where there is a checksum to compare.
    hash: Option<Sha256>,
    received: u64,
    dropped: u64,
}

/// Whose a part and its origin are.
#[derive(Clone, Copy)]
enum Owner {
    /// There is no origin.
    Nobody,
    /// The origin is none of this program.
    Stranger,
    /// A download's, of this file. Of which was not written any more where there is none.
    Ours(Option<Origin>),
}

/// What becomes of files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay as they are.
    Keep,
    /// They are replaced.
    Replace,
    /// They are replaced, since what is fetched says all that they say. Parts stay as with `Keep`.
    Update,
}

impl Folder {
    /// Opens the directory, which is made where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, FilesError> {
        let failed = |doing, error| {
            let path = path.display().to_string();
            FilesError::Folder { doing, path, error }
        };
        let made = create_directory(path, Access::Owner);
        made.map_err(|error| failed("making the directory", error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty());
        let directory = directory.map_err(|error| failed("opening the directory", error.into()))?;
        let shown =
            if path == Path::new(".") { String::new() } else { format!("{}/", path.display()) };
        Ok(Self { directory, shown })
    }

    /// Finds out what there is of the file, and takes it into use.
    pub(super) fn begin<'a>(
        &'a self,
        name: &'a Name,
        origin: Origin,
        existing: Existing,
    ) -> Result<Begun<'a>, Problem> {
        if existing == Existing::Keep
            && let Some(file) = self.open_same_size(name, origin.size)?
        {
            return match origin.sum {
                None => Ok(Begun::Alike(Twin(file))),
                Some(sum) if self.hash(name, file)? == sum => Ok(Begun::There),
                Some(_) => Err(Problem::Exists(OTHER_BYTES)),
            };
        }
        let (owner, file) = (self.owner_of_part(name)?, self.open_part(name)?);
        let theirs = match (owner, &file) {
            (Owner::Stranger, _) => Some(origin_name(name)),
            (Owner::Nobody, Some(_)) => Some(part_name(name)),
            _ => None,
        };
        if let Some(theirs) = theirs {
            if existing != Existing::Replace {
                return Err(Problem::Foreign(self.path(&theirs)));
            }
            self.remove(&part_name(name))?;
            return self.create(name, origin).map(Begun::Part);
        }
        let (Some(file), Owner::Ours(known)) = (file, owner) else {
            return self.create(name, origin).map(Begun::Part);
        };
        let mut part = self.part(name, origin, file);
        part.take_over(known.is_some_and(|known| known.is_of_the_same(origin)))?;
        self.write_origin(name, origin)?;
        Ok(Begun::Part(part))
    }

    /// Where what has come of a file is, for a person.
    pub(super) fn part_path(&self, name: &Name) -> String {
        self.path(&part_name(name))
    }

    /// The bytes of a file that is there, if it is one and has at most `size_max`.
    pub(super) fn read_small(
        &self,
        name: &Name,
        size_max: u64,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let name = name.as_str();
        let Some(file) = self.open_regular(name, OFlags::RDONLY)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(size_max + 1).read_to_end(&mut bytes);
        let size = read.map_err(|error| self.failed("reading", name, error))?;
        Ok((size as u64 <= size_max).then_some(bytes))
    }

    /// The file that is there under this name, which has to have this size. Nothing where there is
    /// none.
    fn open_same_size(&self, name: &Name, size: u64) -> Result<Option<File>, Problem> {
        let name = name.as_str();
        match statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("looking up", name, error)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                return Err(Problem::Exists(", which is a link or no regular file"));
            }
            Ok(stat) if u64::try_from(stat.st_size) != Ok(size) => {
                return Err(Problem::Exists(OTHER_BYTES));
            }
            Ok(_) => {}
        }
        self.open_regular(name, OFlags::RDONLY)
    }

    fn hash(&self, name: &Name, mut file: File) -> Result<Sum, Problem> {
        let mut hash = Sha256::new();
        let hashed = hash_rest(&mut file, &mut hash);
        hashed.map_err(|error| self.failed("reading", name.as_str(), error))?;
        Ok(Sum::from(hash.finalize()))
    }

    fn owner_of_part(&self, name: &Name) -> Result<Owner, Problem> {
        let name = origin_name(name);
        let Some(file) = self.open_regular(&name, OFlags::RDONLY)? else {
            return Ok(Owner::Nobody);
        };
        let mut line = Vec::new();
        let read = file.take(ORIGIN_SIZE_MAX).read_to_end(&mut line);
        read.map_err(|error| self.failed("reading", &name, error))?;
        if line.is_empty() {
            return Ok(Owner::Ours(None));
        }
        Ok(Origin::parse(&line).map_or(Owner::Stranger, |origin| Owner::Ours(Some(origin))))
    }

    fn write_origin(&self, name: &Name, origin: Origin) -> Result<(), Problem> {
        let name = origin_name(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let file = self.open_regular(&name, flags)?;
        let mut file = file.ok_or_else(|| self.failed("creating", &name, ErrorKind::NotFound))?;
        let line = origin.line();
        file.write_all(line.as_bytes()).map_err(|error| self.failed("writing", &name, error))
    }

    /// The part that is there, for this process alone.
    fn open_part(&self, name: &Name) -> Result<Option<File>, Problem> {
        let name = part_name(name);
        let Some(file) = self.open_regular(&name, OFlags::RDWR)? else { return Ok(None) };
        self.lock(&name, &file)?;
        Ok(Some(file))
    }

    fn create<'a>(&'a self, name: &'a Name, origin: Origin) -> Result<Part<'a>, Problem> {
        self.write_origin(name, origin)?;
        let part = part_name(name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = self.open_regular(&part, flags)?;
        let file = file.ok_or_else(|| self.failed("creating", &part, ErrorKind::NotFound))?;
        self.lock(&part, &file)?;
        Ok(self.part(name, origin, file))
    }

    fn part<'a>(&'a self, name: &'a Name, origin: Origin, file: File) -> Part<'a> {
        let hash = origin.sum.map(|_| Sha256::new());
        Part { folder: self, name, origin, file, hash, received: 0, dropped: 0 }
    }

    /// Who had it before may have made it the file in the meantime: then it is no part any more.
    fn lock(&self, name: &str, file: &File) -> Result<(), Problem> {
        let taken = || Problem::Taken(self.path(name));
        flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => taken(),
            error => self.failed("locking", name, error),
        })?;
        let mine = fstat(file).map_err(|error| self.failed("looking up", name, error))?;
        let named = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let same =
            named.is_ok_and(|named| (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino));
        if same { Ok(()) } else { Err(taken()) }
    }

    /// Opens a regular file of the directory. Nothing where there is none.
    fn open_regular(&self, name: &str, flags: OFlags) -> Result<Option<File>, Problem> {
        // What is no file after all must not keep us waiting.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(Access::Owner.file_mode());
        let file = match openat(&self.directory, name, flags, mode) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                return Err(Problem::NotRegular(self.path(name)));
            }
            opened => opened.map_err(|error| self.failed("opening", name, error))?,
        };
        let stat = fstat(&file).map_err(|error| self.failed("looking up", name, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Problem::NotRegular(self.path(name)));
        }
        Ok(Some(file.into()))
    }

    fn remove(&self, name: &str) -> Result<(), Problem> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("removing", name, error)),
        }
    }

    fn rename(&self, from: &str, to: &str, existing: Existing) -> Result<(), Errno> {
        let at = &self.directory;
        if existing != Existing::Keep {
            return renameat(at, from, at, to);
        }
        match renameat_with(at, from, at, to, RenameFlags::NOREPLACE) {
            // Not every file system can. A link to what is there, none makes.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(at, from, at, to, AtFlags::empty())?;
                unlinkat(at, from, AtFlags::empty())
            }
            renamed => renamed,
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.shown)
    }

    fn failed(&self, doing: &'static str, name: &str, error: impl Into<io::Error>) -> Problem {
        Problem::Local { doing, path: self.path(name), error: error.into() }
    }
}

impl Twin {
    /// Compares the next bytes.
    pub(super) fn compare(&mut self, theirs: &[u8]) -> Result<(), Problem> {
        let mut ours = vec![0; theirs.len()];
        match self.0.read_exact(&mut ours) {
            Ok(()) if ours == theirs => Ok(()),
            _ => Err(Problem::Exists(OTHER_BYTES)),
        }
    }
}

impl Part<'_> {
    /// How many bytes are there.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes were there and thrown away, since they are of another file.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.file.write_all(bytes).map_err(|error| self.failed("writing", error))?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Whether all bytes are there and agree with the checksum, if there is one; else their own.
    pub(super) fn check(&self) -> Result<(), Sum> {
        assert_eq!(self.received, self.origin.size, "only a whole file is checked");
        let found = self.hash.clone().map(|hash| Sum::from(hash.finalize()));
        found.filter(|_| found != self.origin.sum).map_or(Ok(()), Err)
    }

    /// Makes it the file.
    pub(super) fn keep(self, existing: Existing) -> Result<(), Problem> {
        self.file.sync_all().map_err(|error| self.failed("syncing", error))?;
        let Self { folder, name, .. } = self;
        let renamed = folder.rename(&part_name(name), name.as_str(), existing);
        renamed.map_err(|error| match error {
            Errno::EXIST => Problem::Exists(""),
            error => folder.failed("naming", name.as_str(), error),
        })?;
        fsync(&folder.directory).map_err(|error| folder.failed("syncing", ".", error))?;
        folder.remove(&origin_name(name))
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<(), Problem> {
        self.folder.remove(&part_name(self.name))?;
        self.folder.remove(&origin_name(self.name))
    }

    /// Goes on behind what is there if that is of the `same` file, else from the beginning.
    fn take_over(&mut self, same: bool) -> Result<(), Problem> {
        let size = self.file.metadata().map_err(|error| self.failed("looking up", error))?.len();
        if !same || size > self.origin.size {
            self.file.set_len(0).map_err(|error| self.failed("emptying", error))?;
            self.dropped = size;
            return Ok(());
        }
        self.received = match &mut self.hash {
            Some(hash) => hash_rest(&mut self.file, hash),
            None => io::Seek::seek(&mut self.file, io::SeekFrom::End(0)),
        }
        .map_err(|error| self.failed("reading", error))?;
        Ok(())
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> Problem {
        self.folder.failed(doing, &part_name(self.name), error)
    }
}

impl Origin {
    /// What is not known of one of them cannot be told apart.
    fn is_of_the_same(self, other: Self) -> bool {
        let differ = self.sum.zip(other.sum).is_some_and(|(one, another)| one != another);
        self.size == other.size && !differ
    }

    fn line(self) -> String {
        let sum = self.sum.map_or_else(|| "-".to_owned(), |sum| Hex(&sum).to_string());
        format!("{} {sum}\n", self.size)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (size, sum) = line.strip_suffix('\n')?.split_once(' ')?;
        let sum = if sum == "-" { None } else { Some(parse_hex(sum)?) };
        Some(Self { size: parse_number(size)?, sum })
    }
}

/// Hashes a file from where it stands to its end; returns how many bytes that were.
fn hash_rest(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let (mut buffer, mut hashed) = (vec![0; READ_SIZE], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hashed),
            Ok(size) => {
                hash.update(&buffer[..size]);
                hashed += size as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn part_name(name: &Name) -> String {
    format!("{name}.part")
}

fn origin_name(name: &Name) -> String {
    format!("{name}.part.origin")
}

/// How a file differs that is there.
const OTHER_BYTES: &str = ", with other bytes";
/// Bytes of a file that are read at once.
const READ_SIZE: usize = 64 << 10;
/// More than an origin's line has.
const ORIGIN_SIZE_MAX: u64 = 256;
