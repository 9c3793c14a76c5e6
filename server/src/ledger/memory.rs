//! A disk in memory, for tests: it keeps what is durable apart from what is only written, counts
//! its calls, and fails where it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, File};

/// One call that a disk can be asked for, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The list of names.
    Names,
    /// A new file.
    Create(String),
    /// An open file.
    Open(String),
    /// Another name.
    Rename(String, String),
    /// A removed file.
    Remove(String),
    /// The directory's sync.
    SyncDirectory,
    /// A file's size.
    Size,
    /// Space for a file.
    Allocate(u64),
    /// A read at an offset.
    Read(u64),
    /// A write of some bytes at an offset.
    Write(u64, usize),
    /// A file's sync.
    Sync,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: Vec<FileState>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    calls: Vec<Call>,
    /// The call that fails, counted from 0, and with what.
    failing: Option<(usize, io::ErrorKind)>,
    room: Option<u64>,
}

#[derive(Default, Clone)]
struct FileState {
    live: Vec<u8>,
    durable: Vec<u8>,
}

impl MemoryDisk {
    /// An empty disk with room for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk on which these files are durable.
    #[must_use]
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new();
        let mut state = disk.lock();
        for (name, bytes) in files {
            let number = state.files.len();
            state.files.push(FileState { live: bytes.clone(), durable: bytes });
            state.live.insert(name.clone(), number);
            state.durable.insert(name, number);
        }
        drop(state);
        disk
    }

    /// What a crash would leave if nothing that is not synced survives.
    #[must_use]
    pub fn durable_files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        let bytes = |&number: &usize| state.files[number].durable.clone();
        state.durable.iter().map(|(name, number)| (name.clone(), bytes(number))).collect()
    }

    /// What a crash would leave if everything survives.
    #[must_use]
    pub fn live_files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        let bytes = |&number: &usize| state.files[number].live.clone();
        state.live.iter().map(|(name, number)| (name.clone(), bytes(number))).collect()
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Has the `n`-th call from now on fail, counted from 0; later ones succeed.
    pub fn fail_call(&self, n: usize, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.failing = Some((state.calls.len() + n, kind));
    }

    /// How many bytes all files together may have. `None`: no limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// How many bytes all files have now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let number = state.calls.len();
        state.calls.push(call);
        match state.failing {
            Some((n, kind)) if n == number => Err(kind.into()),
            _ => Ok(state),
        }
    }

    fn file(&self, number: usize) -> Arc<dyn File> {
        Arc::new(MemoryFile { disk: self.clone(), number })
    }
}

impl State {
    fn used(&self) -> u64 {
        self.live.values().map(|&number| self.files[number].live.len() as u64).sum()
    }

    fn grow(&mut self, number: usize, size: usize) -> io::Result<()> {
        let length = self.files[number].live.len();
        let more = size.saturating_sub(length);
        if self.room.is_some_and(|room| self.used() + more as u64 > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files[number].live.resize(length + more, 0);
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.call(Call::Names)?.live.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.call(Call::Create(name.to_owned()))?;
        let number = state.files.len();
        state.files.push(FileState::default());
        state.live.insert(name.to_owned(), number);
        drop(state);
        Ok(self.file(number))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let state = self.call(Call::Open(name.to_owned()))?;
        let number = *state.live.get(name).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.file(number))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.call(Call::Rename(from.to_owned(), to.to_owned()))?;
        let number = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.call(Call::Remove(name.to_owned()))?;
        state.live.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.call(Call::SyncDirectory)?;
        state.durable = state.live.clone();
        Ok(())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    number: usize,
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.call(Call::Size)?.files[self.number].live.len() as u64)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let size_wanted = usize::try_from(size).map_err(|_| io::ErrorKind::StorageFull)?;
        self.disk.call(Call::Allocate(size))?.grow(self.number, size_wanted)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.call(Call::Read(offset))?;
        let bytes = &state.files[self.number].live;
        let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
        let length = buffer.len().min(bytes.len() - start);
        buffer[..length].copy_from_slice(&bytes[start..start + length]);
        Ok(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.call(Call::Write(offset, bytes.len()))?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        let end = start + bytes.len();
        state.grow(self.number, end)?;
        state.files[self.number].live[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.call(Call::Sync)?;
        let file = &mut state.files[self.number];
        file.durable = file.live.clone();
        Ok(())
    }
}
