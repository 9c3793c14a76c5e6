//! The files that anybody may have, served by name over HFTP. Knows no socket, and nothing of the
//! lottery that publishes them.
//!
//! ```text
//! session     bytes -> commands -> answers, in order            never waits for a disk
//!    |  what memory holds is answered at once (Reach::Memory)
//!    |  what it does not is a reader's to find out (Reach::Disk), who then wakes the session
//! reader      a few threads for all connections
//! answer      one command's answer, as far as there is room for it
//! listing     the names of all files, once in memory for all connections
//! directory   where the files are; the seam at which tests break and block each call
//! ```

mod answer;
pub mod directory;
mod listing;
mod reader;
mod session;

use std::sync::Arc;
use std::time::Duration;

use bolillero_protocol::hftp::{COMMAND_BYTES_MAX_DEFAULT, Reply, Status};

use self::directory::Folder;
use self::reader::Readers;
use self::session::FilesSession;
use crate::session::{Mailbox, Peer, Service, Session};
use crate::threads::NoThread;

/// The limits of the file service.
#[derive(Debug, Clone, Copy)]
pub struct FilesLimits {
    /// The longest command, in bytes without its line end. It takes no memory.
    pub command_bytes_max: usize,
    /// From a command's first byte to its last.
    pub command_time_max: Duration,
    /// Without a command, while nothing is owed.
    pub idle_time_max: Duration,
    /// Threads that wait for the disk, for all connections together. At least 1.
    pub readers: usize,
    /// The longest listing, in bytes; a directory with more to list is answered 199. By default
    /// that of a draw with 65,535 agencies fits.
    pub listing_bytes_max: usize,
    /// Memory of all listings that are being sent; above it one more is answered 199. Equal ones
    /// are kept once, and one alone may exceed it.
    pub listing_memory_bytes_max: usize,
}

impl Default for FilesLimits {
    fn default() -> Self {
        Self {
            command_bytes_max: COMMAND_BYTES_MAX_DEFAULT,
            command_time_max: Duration::from_secs(60),
            idle_time_max: Duration::from_secs(600),
            readers: 2,
            listing_bytes_max: 2 << 20,
            listing_memory_bytes_max: 32 << 20,
        }
    }
}

/// Opens the sessions of the files' listener.
pub struct Files {
    readers: Arc<Readers>,
    limits: FilesLimits,
    busy: Vec<u8>,
}

impl Files {
    /// Serves what is in `folder`, mostly a [`directory::Directory`].
    ///
    /// # Errors
    /// [`NoThread`]: a reader cannot be started.
    pub fn new(folder: Arc<dyn Folder>, limits: FilesLimits) -> Result<Self, NoThread> {
        // The protocol has no word for it. This one every client knows, and it closes.
        let mut busy = Vec::new();
        Reply::Status(Status::InternalError).encode(&mut busy);
        Ok(Self { readers: Arc::new(Readers::new(folder, &limits)?), limits, busy })
    }
}

impl Service for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        Box::new(FilesSession::new(Arc::clone(&self.readers), self.limits, peer, mailbox))
    }

    /// The file that a slice is of.
    fn descriptors_each(&self) -> usize {
        1
    }

    fn busy(&self) -> &[u8] {
        &self.busy
    }
}
