//! The replies to `get_file_listing`. They are long where a draw has many agencies, so equal ones
//! are one in memory, whatever number of connections they are sent to, and all together have a
//! limit. Knows no session.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bolillero_protocol::hftp::Reply;

use super::directory::Folder;

/// Makes listings, and counts those that are in memory.
pub(super) struct Listings {
    bytes_max: usize,
    memory_bytes_max: usize,
    /// Bytes of all listings that are being sent.
    memory_bytes: Arc<AtomicUsize>,
    /// The one that was made last, while it is being sent.
    last: Mutex<Weak<Listing>>,
}

/// A reply in its whole length. It gives its memory back when the last connection has sent it.
pub(super) struct Listing {
    bytes: Box<[u8]>,
    memory_bytes: Arc<AtomicUsize>,
}

impl Listings {
    /// Listings of up to `bytes_max` bytes of names, and of `memory_bytes_max` in all; one alone
    /// may exceed that.
    pub(super) fn new(bytes_max: usize, memory_bytes_max: usize) -> Self {
        let memory_bytes = Arc::new(AtomicUsize::new(0));
        Self { bytes_max, memory_bytes_max, memory_bytes, last: Mutex::new(Weak::new()) }
    }

    /// Reads the names that are there now.
    ///
    /// # Errors
    /// What the folder says, and listings that take all memory that they may.
    pub(super) fn read(&self, folder: &dyn Folder) -> io::Result<Arc<Listing>> {
        let mut bytes = Vec::new();
        {
            let names = folder.names(self.bytes_max)?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Reply::Names(&names).encode(&mut bytes);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.upgrade().filter(|last| *last.bytes == *bytes) {
            return Ok(last);
        }
        // Counted under the lock; only giving memory back is done without it.
        let before = self.memory_bytes.load(Ordering::Relaxed);
        if before > 0 && before + bytes.len() > self.memory_bytes_max {
            let max = self.memory_bytes_max;
            return Err(io::Error::other(format!(
                "the listings that are being sent take {before} of {max} bytes"
            )));
        }
        self.memory_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        let memory_bytes = Arc::clone(&self.memory_bytes);
        let listing = Arc::new(Listing { bytes: bytes.into(), memory_bytes });
        *last = Arc::downgrade(&listing);
        Ok(listing)
    }
}

impl Listing {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.memory_bytes.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
