//! The threads that wait for the disk, so that no connection's thread does. Knows no session: what
//! it found lies in a place that the session looks into when it is woken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::FilesLimits;
use super::answer::{Answer, Means, Step};
use super::directory::{Folder, Reach};
use super::listing::Listings;
use crate::session::Mailbox;
use crate::threads::{NoThread, Pool};

/// A few threads for all connections. One connection waits for at most one answer, so no more
/// answers wait for a reader than there are connections.
pub(super) struct Readers {
    pool: Pool,
    folder: Arc<dyn Folder>,
    listings: Listings,
}

/// An answer that a reader is asked for. Dropped, it is not looked up any more.
pub(super) struct Errand(Arc<Mutex<Option<Fetched>>>);

/// What a reader came back with.
pub(super) struct Fetched {
    pub(super) step: Step,
    /// The bytes of it.
    pub(super) bytes: Vec<u8>,
}

impl Readers {
    pub(super) fn new(folder: Arc<dyn Folder>, limits: &FilesLimits) -> Result<Self, NoThread> {
        let pool = Pool::start("reader", limits.readers.max(1))?;
        let listings = Listings::new(limits.listing_bytes_max, limits.listing_memory_bytes_max);
        Ok(Self { pool, folder, listings })
    }

    /// Does what memory suffices for, at once, until there are `output_bytes_max` bytes in `out`.
    pub(super) fn try_step(
        &self,
        answer: Answer,
        out: &mut Vec<u8>,
        output_bytes_max: usize,
    ) -> Step {
        answer.step(&self.means(Reach::Memory, output_bytes_max), out)
    }

    /// Has a reader do it. `mailbox` is told when it is there. Until a reader begins it takes no
    /// buffer.
    pub(super) fn send(self: &Arc<Self>, answer: Answer, mailbox: Mailbox) -> Errand {
        let place = Arc::new(Mutex::new(None));
        let (readers, wanted) = (Arc::clone(self), Arc::downgrade(&place));
        self.pool.execute(move || {
            // Whoever wanted it may be gone by now.
            if let Some(place) = wanted.upgrade() {
                let fetched = readers.fetch(answer);
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
                mailbox.news();
            }
        });
        Errand(place)
    }

    fn fetch(&self, answer: Answer) -> Fetched {
        let means = self.means(Reach::Disk, FETCHED_BYTES_MAX);
        let mut bytes = Vec::new();
        let step = catch_unwind(AssertUnwindSafe(|| answer.step(&means, &mut bytes)));
        // Nobody waits for ever for one that panicked.
        let step = step.unwrap_or_else(|_| Step::Failed("a reader panicked".to_owned()));
        Fetched { step, bytes }
    }

    fn means(&self, reach: Reach, output_bytes_max: usize) -> Means<'_> {
        let (folder, listings) = (&*self.folder, &self.listings);
        Means { folder, reach, listings, output_bytes_max }
    }
}

impl Errand {
    /// What was fetched, once it is there.
    pub(super) fn take(&self) -> Option<Fetched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a reader brings of a slice at once. Waking threads costs more than copying, so it is more
/// than is taken from memory at once.
const FETCHED_BYTES_MAX: usize = 256 << 10;
