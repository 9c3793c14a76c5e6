//! What is in a file of a disk in memory: what is read, what is durable, what may survive. Knows no
//! name and no call.

/// How much of a call is done before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing of it.
    Nothing,
    /// The first half of what is written or made durable; else nothing.
    Half,
    /// All of it, and an error all the same.
    All,
}

#[derive(Default)]
pub(super) struct Content {
    /// What is read.
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// What was written since the last sync, failed or not.
    pub(super) unsynced: Vec<Change>,
    pub(super) failed_syncs: usize,
}

#[derive(Clone)]
pub(super) enum Change {
    Size(usize),
    Write { offset: usize, bytes: Vec<u8> },
}

impl Content {
    pub(super) fn after_power_loss(&self, choose: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let mut left = self.durable.clone();
        for change in &self.unsynced {
            match choose(4) {
                0 => {}
                1 => change.apply(&mut left),
                part => {
                    let (from, to) = (choose(change.len() + 1), choose(change.len() + 1));
                    let range = from.min(to)..from.max(to);
                    change.apply_where(&mut left, |at| range.contains(&at) == (part == 2));
                }
            }
        }
        left
    }

    /// Makes a part of what was written durable.
    pub(super) fn sync(&mut self, done: Done) {
        let changes = done.of(self.unsynced.len());
        for change in self.unsynced.drain(..changes) {
            change.apply(&mut self.durable);
        }
    }
}

impl Change {
    fn len(&self) -> usize {
        match self {
            Self::Size(_) => 0,
            Self::Write { bytes, .. } => bytes.len(),
        }
    }

    /// The least size of a file in which it is made.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Size(size) => *size,
            Self::Write { offset, bytes } => offset + bytes.len(),
        }
    }

    pub(super) fn apply(&self, to: &mut Vec<u8>) {
        to.resize(to.len().max(self.size()), 0);
        if let Self::Write { offset, bytes } = self {
            to[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn apply_where(&self, to: &mut Vec<u8>, made: impl Fn(usize) -> bool) {
        to.resize(to.len().max(self.size()), 0);
        if let Self::Write { offset, bytes } = self {
            for (at, byte) in bytes.iter().enumerate().filter(|&(at, _)| made(at)) {
                to[offset + at] = *byte;
            }
        }
    }
}

impl Done {
    pub(super) fn of(self, length: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Half => length / 2,
            Self::All => length,
        }
    }
}
