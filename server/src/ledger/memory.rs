//! A disk in memory, for tests: it keeps what is durable apart from what is only written, records its
//! calls in order, and fails, loses power or runs out of room where it is told to.
//!
//! It fails like Linux does: what a failed sync was about is never made durable by a later one, though
//! it can still be read, and each handle on the file is told of that failure once.

mod call;
mod content;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::disk::{Disk, File, Spare};
pub use call::Call;
pub use content::Done;
use content::{Change, Content};

/// The files of a disk.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

type Action = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Spare files in the order in which they were made, each for as long as there is a handle on it.
    spares: Vec<(usize, Weak<()>)>,
    /// What happened to names since the directory was synced.
    name_changes: Vec<(String, Option<usize>)>,
    calls: Vec<Call>,
    /// The number of the call that fails, with what, and how much of it is done.
    fault: Option<(usize, io::ErrorKind, Done)>,
    /// The number of the call from which on there is no power.
    off_from: Option<usize>,
    /// What happens just before a call.
    action: Option<(usize, Action)>,
    /// How many bytes all files may have together, and with what more is refused.
    room: Option<(u64, io::ErrorKind)>,
}

impl MemoryDisk {
    /// An empty disk with room for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk on which these files are durable.
    #[must_use]
    pub fn with_files(files: &Files) -> Self {
        let disk = Self::new();
        let mut state = disk.lock();
        for (name, bytes) in files {
            let (live, durable) = (bytes.clone(), bytes.clone());
            let number = state.files.len();
            state.files.push(Content { live, durable, ..Content::default() });
            state.names.insert(name.clone(), number);
        }
        state.durable_names = state.names.clone();
        drop(state);
        disk
    }

    /// The files as a process sees them.
    #[must_use]
    pub fn files(&self) -> Files {
        let state = self.lock();
        let bytes = |&number: &usize| state.files[number].live.clone();
        state.names.iter().map(|(name, number)| (name.clone(), bytes(number))).collect()
    }

    /// What a loss of power leaves if nothing survives that was not synced.
    #[must_use]
    pub fn durable_files(&self) -> Files {
        self.files_after_power_loss(&mut |_| 0)
    }

    /// What a loss of power may leave. `choose` is asked for numbers below its argument: a change of
    /// a name is made or not, and then no later one of that name; a write that was not synced is
    /// there not at all (0), whole (1), in a part (2), or without that part (3).
    pub fn files_after_power_loss(&self, choose: &mut dyn FnMut(usize) -> usize) -> Files {
        let state = self.lock();
        let mut names = state.durable_names.clone();
        let mut lost = BTreeSet::new();
        for (name, number) in &state.name_changes {
            if lost.contains(name) || choose(2) == 0 {
                lost.insert(name);
            } else if let Some(number) = number {
                names.insert(name.clone(), *number);
            } else {
                names.remove(name);
            }
        }
        let mut left = |number: usize| state.files[number].after_power_loss(choose);
        names.into_iter().map(|(name, number)| (name, left(number))).collect()
    }

    /// Forgets what is not durable of the files' contents, as memory that is needed for other things:
    /// it is read from the disk anew.
    pub fn evict(&self) {
        for file in &mut self.lock().files {
            file.live.clone_from(&file.durable);
            for change in &file.unsynced {
                change.apply(&mut file.live);
            }
        }
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    /// Puts a note among the calls.
    pub fn note(&self, text: &str) {
        self.lock().calls.push(Call::Note(text.to_owned()));
    }

    /// Has the `n`-th call from now on fail, counted from 0, after it was `done`; later ones succeed.
    pub fn fail_call(&self, n: usize, kind: io::ErrorKind, done: Done) {
        let mut state = self.lock();
        state.fault = Some((state.calls.len() + n, kind, done));
    }

    /// Has every call fail from the `n`-th from now on.
    pub fn lose_power_at(&self, n: usize) {
        let mut state = self.lock();
        state.off_from = Some(state.calls.len() + n);
    }

    /// Has something happen just before the `n`-th call from now on.
    pub fn before_call(&self, n: usize, action: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        state.action = Some((state.calls.len() + n, Box::new(action)));
    }

    /// Has all files together hold at most `bytes`; more is refused with `kind`.
    pub fn limit_room(&self, bytes: u64, kind: io::ErrorKind) {
        self.lock().room = Some((bytes, kind));
    }

    /// Has room for everything.
    pub fn free_room(&self) {
        self.lock().room = None;
    }

    /// Whether there is not room for everything.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.lock().room.is_some()
    }

    /// Has no call fail that has not failed yet.
    pub fn forget_faults(&self) {
        let mut state = self.lock();
        (state.fault, state.off_from) = (None, None);
    }

    /// How many bytes all files have now, spare ones included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one way through which all calls go.
    fn call<T>(
        &self,
        call: impl FnOnce(&State) -> Call,
        act: impl FnOnce(&mut State, Done) -> io::Result<T>,
    ) -> io::Result<T> {
        let action = {
            let mut state = self.lock();
            let number = state.calls.len();
            state.action.take_if(|(at, _)| *at <= number)
        };
        if let Some((_, action)) = action {
            action();
        }
        let mut state = self.lock();
        let number = state.calls.len();
        if state.off_from.is_some_and(|from| from <= number) {
            return Err(io::Error::other("the power is off"));
        }
        let call = call(&state);
        state.calls.push(call);
        match state.fault.take_if(|(at, ..)| *at == number) {
            None => act(&mut state, Done::All),
            Some((_, kind, done)) => {
                // What it would have returned does not matter: it fails.
                let _ = act(&mut state, done);
                Err(kind.into())
            }
        }
    }

    fn handle(&self, number: usize, failed_syncs_seen: usize) -> Arc<dyn File> {
        self.handle_of_spare(number, failed_syncs_seen, None)
    }

    fn handle_of_spare(
        &self,
        number: usize,
        failed_syncs_seen: usize,
        spare: Option<Arc<()>>,
    ) -> Arc<dyn File> {
        let failed_syncs_seen = AtomicUsize::new(failed_syncs_seen);
        Arc::new(MemoryFile { disk: self.clone(), number, failed_syncs_seen, _spare: spare })
    }

    /// Names a spare file.
    fn give_name(&self, number: usize, name: &str) -> io::Result<()> {
        let give = |state: &mut State, done| {
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if done == Done::All {
                state.set_name(name, Some(number));
            }
            Ok(())
        };
        self.call(|state| Call::GiveName(state.name_of(number), name.to_owned()), give)
    }

    fn find(&self, name: &str, call: Call) -> io::Result<Arc<dyn File>> {
        let (number, seen) = self.call(
            |_| call,
            |state, _| {
                let number = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
                Ok((number, state.files[number].failed_syncs))
            },
        )?;
        Ok(self.handle(number, seen))
    }
}

impl State {
    fn used(&self) -> u64 {
        let spares = self.spares.iter().filter(|(_, handles)| handles.strong_count() > 0);
        let files: BTreeSet<usize> =
            self.names.values().copied().chain(spares.map(|(number, _)| *number)).collect();
        files.into_iter().map(|number| self.files[number].live.len() as u64).sum()
    }

    fn set_name(&mut self, name: &str, number: Option<usize>) {
        match number {
            Some(number) => self.names.insert(name.to_owned(), number),
            None => self.names.remove(name),
        };
        self.name_changes.push((name.to_owned(), number));
    }

    fn name_of(&self, number: usize) -> String {
        let named = self.names.iter().find(|&(_, &named)| named == number);
        let spare = || self.spares.iter().position(|&(spare, _)| spare == number);
        match named {
            Some((name, _)) => name.clone(),
            None => spare().map_or("removed".to_owned(), |place| format!("spare-{}", place + 1)),
        }
    }

    fn change(&mut self, number: usize, change: Change) -> io::Result<()> {
        let file = &self.files[number];
        let more = change.size().saturating_sub(file.live.len()) as u64;
        if let Some((bytes, kind)) = self.room
            && more > 0
            && self.used() + more > bytes
        {
            return Err(kind.into());
        }
        let file = &mut self.files[number];
        change.apply(&mut file.live);
        file.unsynced.push(change);
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.call(|_| Call::Names, |state, _| Ok(state.names.keys().cloned().collect()))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let call = Call::Create(name.to_owned());
        let create = |state: &mut State, done| {
            let number = state.files.len();
            if done == Done::All {
                state.files.push(Content::default());
                state.set_name(name, Some(number));
            }
            Ok(number)
        };
        let number = self.call(|_| call, create)?;
        Ok(self.handle(number, 0))
    }

    fn create_spare(&self) -> io::Result<Spare> {
        let create = |state: &mut State, done| {
            let (number, handles) = (state.files.len(), Arc::new(()));
            if done == Done::All {
                state.files.push(Content::default());
                state.spares.push((number, Arc::downgrade(&handles)));
            }
            Ok((number, handles))
        };
        let (number, handles) = self.call(|_| Call::CreateSpare, create)?;
        let filler = self.handle_of_spare(number, 0, Some(Arc::clone(&handles)));
        let file = self.handle_of_spare(number, 0, Some(handles));
        let disk = self.clone();
        Ok(Spare { file, filler, give_name: Box::new(move |name| disk.give_name(number, name)) })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.find(name, Call::Open(name.to_owned()))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.find(name, Call::OpenToWrite(name.to_owned()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let call = Call::Rename(from.to_owned(), to.to_owned());
        let rename = |state: &mut State, done| {
            let number = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            if done == Done::All {
                state.set_name(to, Some(number));
                state.set_name(from, None);
            }
            Ok(())
        };
        self.call(|_| call, rename)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let remove = |state: &mut State, done| {
            state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            if done == Done::All {
                state.set_name(name, None);
            }
            Ok(())
        };
        self.call(|_| Call::Remove(name.to_owned()), remove)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let sync = |state: &mut State, done| {
            if done == Done::All {
                state.durable_names = state.names.clone();
                state.name_changes.clear();
            }
            Ok(())
        };
        self.call(|_| Call::SyncDirectory, sync)
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    number: usize,
    /// How many of the file's failed syncs this handle was told of.
    failed_syncs_seen: AtomicUsize,
    /// Keeps a spare file, until it has a name.
    _spare: Option<Arc<()>>,
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        let number = self.number;
        let size = |state: &mut State, _| Ok(state.files[number].live.len() as u64);
        self.disk.call(|state| Call::Size(state.name_of(number)), size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let number = self.number;
        let allocate = |state: &mut State, done| {
            let size = usize::try_from(size).map_err(|_| io::ErrorKind::StorageFull)?;
            state.change(number, Change::Size(Done::of(done, size)))
        };
        self.disk.call(|state| Call::Allocate(state.name_of(number), size), allocate)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.number;
        let read = |state: &mut State, _| {
            let bytes = &state.files[number].live;
            let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
            let length = buffer.len().min(bytes.len() - start);
            buffer[..length].copy_from_slice(&bytes[start..start + length]);
            Ok(length)
        };
        self.disk.call(|state| Call::Read(state.name_of(number), offset), read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let number = self.number;
        let write = |state: &mut State, done| {
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
            let bytes = bytes[..Done::of(done, bytes.len())].to_vec();
            state.change(number, Change::Write { offset: start, bytes })
        };
        self.disk.call(|state| Call::Write(state.name_of(number), offset, bytes.len()), write)
    }

    fn sync(&self) -> io::Result<()> {
        let number = self.number;
        let sync = |state: &mut State, done| {
            state.files[number].sync(done);
            Ok(())
        };
        let synced = self.disk.call(|state| Call::Sync(state.name_of(number)), sync);
        let mut state = self.disk.lock();
        let has_power = state.off_from.is_none_or(|from| from > state.calls.len());
        let file = &mut state.files[number];
        if synced.is_err() && has_power {
            file.unsynced.clear();
            file.failed_syncs += 1;
        }
        let seen = self.failed_syncs_seen.swap(file.failed_syncs, Ordering::Relaxed);
        if synced.is_ok() && seen < file.failed_syncs {
            return Err(io::Error::other("an earlier sync failed"));
        }
        synced
    }
}
