//! Folders that are slower, larger or more broken than a disk.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bolillero_server::files::directory::{Content, Directory, Folder, Reach};

use crate::gate::Gate;

/// A directory nothing of which is in memory: readers bring all of it.
pub(crate) struct Cold(pub(crate) Directory);

impl Folder for Cold {
    fn names(&self, bytes_max: usize) -> io::Result<Vec<String>> {
        self.0.names(bytes_max)
    }

    fn size_of(&self, name: &str, reach: Reach) -> io::Result<u64> {
        only_on_disk(reach)?;
        self.0.size_of(name, reach)
    }

    fn open(&self, name: &str, reach: Reach) -> io::Result<Box<dyn Content>> {
        only_on_disk(reach)?;
        Ok(Box::new(ColdContent(self.0.open(name, reach)?)))
    }
}

struct ColdContent(Box<dyn Content>);

impl Content for ColdContent {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64, reach: Reach) -> io::Result<usize> {
        only_on_disk(reach)?;
        self.0.read_at(buffer, offset, reach)
    }
}

pub(crate) fn only_on_disk(reach: Reach) -> io::Result<()> {
    if reach == Reach::Memory { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

/// What a folder is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    Names,
    Size(&'a str),
    Open(&'a str),
    /// So many bytes of the file, from there on.
    Read(usize, u64),
}

type Judge = dyn Fn(Call<'_>, Reach) -> io::Result<usize> + Send + Sync;

/// A folder whose every file has `size` bytes, all of them zero. `judge` is asked at each call, and
/// says how many bytes are read where some are.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) size: u64,
    judge: Arc<Judge>,
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(
        size: u64,
        judge: impl Fn(Call<'_>, Reach) -> io::Result<usize> + Send + Sync + 'static,
    ) -> Self {
        Self { size, judge: Arc::new(judge), calls: Arc::default() }
    }

    fn ask(&self, call: Call<'_>, reach: Reach) -> io::Result<usize> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        (self.judge)(call, reach)
    }
}

impl Folder for Scripted {
    fn names(&self, _: usize) -> io::Result<Vec<String>> {
        self.ask(Call::Names, Reach::Disk).map(|_| vec!["a".to_owned()])
    }

    fn size_of(&self, name: &str, reach: Reach) -> io::Result<u64> {
        self.ask(Call::Size(name), reach).map(|_| self.size)
    }

    fn open(&self, name: &str, reach: Reach) -> io::Result<Box<dyn Content>> {
        self.ask(Call::Open(name), reach)?;
        Ok(Box::new(self.clone()))
    }
}

impl Content for Scripted {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64, reach: Reach) -> io::Result<usize> {
        let count = self.ask(Call::Read(buffer.len(), offset), reach)?;
        let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        Ok(buffer.len().min(count).min(left))
    }
}

/// A folder whose files are in memory, but for `cold`, at whose gate readers wait.
pub(crate) fn gated(gate: &Gate) -> Scripted {
    let gate = gate.clone();
    Scripted::new(9, move |call, reach| {
        if let Call::Size("cold") | Call::Open("cold") = call {
            only_on_disk(reach)?;
            gate.pass();
        }
        Ok(usize::MAX)
    })
}
