//! The sessions that are open in each lane, so that a newer one can end those before it. Knows no
//! request, no record and no connection.
//!
//! ```text
//! Working --- a newer HELLO is recorded ---> Fenced(position of that HELLO)
//!                                                |
//!                             no place for a newer session ---> Dismissed
//! ```
//! A session reads its standing without a lock. Whoever changes it wakes the session afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::Position;
use crate::session::Mailbox;

/// How many sessions of one agency are open at a time, unless told otherwise.
pub const SESSIONS_PER_AGENCY_MAX_DEFAULT: usize = 8;
/// The least that a limit on them may be: the newest, and one before it that has not closed yet.
pub const SESSIONS_PER_AGENCY_MAX_MIN: usize = 2;

/// Whether a session works its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the lane's newest.
    Working,
    /// A newer one works the lane. Its peer learns that once the ledger is durable up to here.
    Fenced(Position),
    /// It is fenced and has to make place: nothing more is answered.
    Dismissed,
}

/// A session that opened an epoch of a lane and has not ended. Shared by the session and the office.
#[derive(Debug)]
pub(super) struct LiveSession {
    agency: u32,
    mailbox: Mailbox,
    standing: AtomicU64,
}

// Positions count records: they never come near these.
const WORKING: u64 = u64::MAX;
const DISMISSED: u64 = u64::MAX - 1;

impl LiveSession {
    pub(super) fn agency(&self) -> u32 {
        self.agency
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(super) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            WORKING => Standing::Working,
            DISMISSED => Standing::Dismissed,
            position => Standing::Fenced(Position(position)),
        }
    }

    fn set(&self, standing: u64) {
        self.standing.store(standing, Ordering::Release);
    }
}

/// The open sessions of all lanes, the oldest of each first.
#[derive(Debug)]
pub(super) struct LiveSessions {
    lanes: BTreeMap<u32, VecDeque<Arc<LiveSession>>>,
    per_agency_max: usize,
}

impl LiveSessions {
    pub(super) fn new(per_agency_max: usize) -> Self {
        let per_agency_max = per_agency_max.max(SESSIONS_PER_AGENCY_MAX_MIN);
        Self { lanes: BTreeMap::new(), per_agency_max }
    }

    /// Where an agency has all the sessions it may have, dismisses its oldest one and returns it,
    /// to be woken. All but the newest are fenced.
    pub(super) fn dismiss_if_full(&self, agency: u32) -> Option<Arc<LiveSession>> {
        let lane = self.lanes.get(&agency).filter(|lane| lane.len() >= self.per_agency_max)?;
        let oldest = lane.front()?;
        oldest.set(DISMISSED);
        Some(Arc::clone(oldest))
    }

    /// Adds the session whose HELLO is recorded at `position`. Fences the one before it and returns
    /// that, to be woken now and when the ledger is durable up to there.
    pub(super) fn open(
        &mut self,
        agency: u32,
        position: Position,
        mailbox: &Mailbox,
    ) -> (Arc<LiveSession>, Option<Arc<LiveSession>>) {
        let lane = self.lanes.entry(agency).or_default();
        // Older ones are fenced already, at an earlier position.
        let before = lane.back().filter(|last| last.standing() == Standing::Working).cloned();
        if let Some(before) = &before {
            before.set(position.0);
        }
        let standing = AtomicU64::new(WORKING);
        let opened = Arc::new(LiveSession { agency, mailbox: mailbox.clone(), standing });
        lane.push_back(Arc::clone(&opened));
        (opened, before)
    }

    /// Takes out a session that has ended.
    pub(super) fn close(&mut self, ended: &Arc<LiveSession>) {
        let Some(lane) = self.lanes.get_mut(&ended.agency()) else { return };
        lane.retain(|session| !Arc::ptr_eq(session, ended));
        if lane.is_empty() {
            self.lanes.remove(&ended.agency());
        }
    }

    /// How many sessions an agency has open.
    pub(super) fn count(&self, agency: u32) -> usize {
        self.lanes.get(&agency).map_or(0, VecDeque::len)
    }
}
