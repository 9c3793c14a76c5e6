//! Lists of winners leave in pieces. Knows no socket and no encoding.
//!
//! ```text
//! shared list --- a piece ---> output of a connection ---> socket
//!                   ^                    |
//!          PieceLimit: so many           | Drained: the piece is given back,
//!          pieces at a time              v the next in the queue gets it
//! ```
//! A peer that does not read costs one piece and not its whole list, and all such peers together cost no
//! more than the limit. A list's documents lie in memory once, whatever the number of connections.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::session::Mailbox;

/// What one piece takes of memory, in bytes.
pub const PIECE_MEMORY: usize = 64 << 10;

/// The sizes of pieces, and how many may be unsent.
#[derive(Debug, Clone, Copy)]
pub struct PieceSettings {
    /// Pieces in the output of connections, all together. Further ones wait.
    pub pieces_max: NonZeroUsize,
    /// The longest piece, in bytes. With a packet's header and what TLS adds it is within
    /// [`PIECE_MEMORY`].
    pub piece_bytes_max: usize,
    /// Bytes of output up to which a list, or the end of one, leaves without being counted as a
    /// piece.
    pub short_bytes_max: usize,
}

impl Default for PieceSettings {
    fn default() -> Self {
        Self {
            pieces_max: const { NonZeroUsize::new(256).unwrap() },
            piece_bytes_max: PIECE_MEMORY - 512,
            short_bytes_max: 4 << 10,
        }
    }
}

/// The limit on unsent pieces, shared by all connections of an office.
#[derive(Debug)]
pub struct PieceLimit {
    settings: PieceSettings,
    queue: Mutex<PieceQueue>,
}

/// Invariant: no piece is free while a connection waits for one.
#[derive(Debug)]
struct PieceQueue {
    free: usize,
    /// Connections that wait, in the order in which they came. One that is no longer here has its
    /// piece.
    waiting: BTreeMap<u64, Mailbox>,
    next_number: u64,
}

impl PieceLimit {
    /// A limit of which nothing is taken.
    #[must_use]
    pub fn new(settings: PieceSettings) -> Self {
        let free = settings.pieces_max.get();
        let queue = PieceQueue { free, waiting: BTreeMap::new(), next_number: 0 };
        Self { settings, queue: Mutex::new(queue) }
    }

    /// How many connections wait for a piece.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many pieces are unsent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.settings.pieces_max.get() - self.lock().free
    }

    /// Hands a piece to the connection that has waited longest.
    fn give_back(&self) {
        let mut queue = self.lock();
        let next = queue.waiting.pop_first();
        if next.is_none() {
            queue.free += 1;
        }
        drop(queue);
        // Not under the lock: a wake takes locks of the driver.
        if let Some((_, mailbox)) = next {
            mailbox.news();
        }
    }

    fn lock(&self) -> MutexGuard<'_, PieceQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's claim to a piece. Dropping it gives the piece, or the place in the queue, back.
#[derive(Debug)]
pub(super) struct PieceClaim {
    limit: Arc<PieceLimit>,
    mailbox: Mailbox,
    state: ClaimState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimState {
    None,
    /// It is in the queue under this number, or has been given its piece since.
    Queued(u64),
    /// It has a piece, of which so many bytes are not used.
    Held {
        unused: usize,
    },
}

impl PieceClaim {
    pub(super) fn new(limit: Arc<PieceLimit>, mailbox: Mailbox) -> Self {
        Self { limit, mailbox, state: ClaimState::None }
    }

    /// Whether bytes of a piece may be in the output.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, ClaimState::Held { .. })
    }

    /// Whether the connection waits for a piece. There will be news.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, ClaimState::Queued(_))
    }

    /// Gives up the place in the queue: what it was for is not sent any more.
    pub(super) fn leave_queue(&mut self) {
        if self.is_queued() {
            self.release();
        }
    }

    /// Notes that all output has left: a piece that was in it is given back. The next one is asked
    /// for behind the connections that wait, so that slow readers of long lists do not keep others
    /// waiting.
    pub(super) fn note_drained(&mut self) {
        if self.is_held() {
            self.state = ClaimState::None;
            self.limit.give_back();
        }
    }

    /// How many of the `left` bytes of a list may be appended now to an output that has `output`
    /// bytes. 0: none before there is news or the output is drained.
    fn take(&mut self, left: usize, output: usize) -> usize {
        if output + left <= self.limit.settings.short_bytes_max {
            if self.is_queued() {
                self.release();
            }
            return left;
        }
        if !self.is_held() {
            self.obtain();
        }
        let ClaimState::Held { unused } = &mut self.state else { return 0 };
        let taken = left.min(*unused);
        *unused -= taken;
        taken
    }

    /// Obtains a piece, or a place in the queue.
    fn obtain(&mut self) {
        let held = ClaimState::Held { unused: self.limit.settings.piece_bytes_max };
        let mut queue = self.limit.lock();
        match self.state {
            ClaimState::Queued(number) if queue.waiting.contains_key(&number) => {}
            ClaimState::Queued(_) | ClaimState::Held { .. } => self.state = held,
            ClaimState::None if queue.free > 0 => {
                queue.free -= 1;
                self.state = held;
            }
            ClaimState::None => {
                let number = queue.next_number;
                queue.next_number += 1;
                queue.waiting.insert(number, self.mailbox.clone());
                self.state = ClaimState::Queued(number);
            }
        }
    }

    fn release(&mut self) {
        match std::mem::replace(&mut self.state, ClaimState::None) {
            ClaimState::None => {}
            ClaimState::Held { .. } => self.limit.give_back(),
            ClaimState::Queued(number) => {
                let place = self.limit.lock().waiting.remove(&number);
                if place.is_none() {
                    self.limit.give_back();
                }
            }
        }
    }
}

impl Drop for PieceClaim {
    fn drop(&mut self) {
        self.release();
    }
}

/// A list of winners on its way out.
#[derive(Debug)]
pub(super) struct UnsentList {
    documents: Arc<[u8]>,
    appended: usize,
}

/// What is to be appended of a list.
pub(super) struct Piece<'a> {
    pub(super) documents: &'a [u8],
    /// Nothing of the list was appended before.
    pub(super) is_first: bool,
    /// How many bytes of the list follow.
    pub(super) rest: usize,
}

impl UnsentList {
    /// A list of which nothing was appended: the documents of winners, each followed by `#`.
    pub(super) fn new(documents: Arc<[u8]>) -> Self {
        Self { documents, appended: 0 }
    }

    /// Whether a part of it was appended: then nothing else may follow but its rest, or the end of
    /// the connection.
    pub(super) fn is_begun(&self) -> bool {
        self.appended > 0
    }

    /// Whether all of it was appended.
    pub(super) fn is_whole(&self) -> bool {
        self.appended == self.documents.len()
    }

    /// The next piece, for an output that has `output` bytes. `None`: there is no more, or not now.
    pub(super) fn next(&mut self, claim: &mut PieceClaim, output: usize) -> Option<Piece<'_>> {
        let left = &self.documents[self.appended..];
        if left.is_empty() {
            return None;
        }
        let count = claim.take(left.len(), output);
        if count == 0 {
            return None;
        }
        let is_first = self.appended == 0;
        self.appended += count;
        Some(Piece { documents: &left[..count], is_first, rest: left.len() - count })
    }
}
