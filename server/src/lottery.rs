//! The lottery: one office that knows the state and writes the ledger, and the sessions that ask it.
//!
//! ```text
//! session --- hello, put, finish, winners ---> Office { state } --- record ---> ledger
//!    ^                                                                             |
//!    +----------- news: what your answer rests on is on disk -----------------------+
//!
//! session    bytes -> packets -> requests, the order of the answers, deadlines
//! ask        a request -> a question to the office -> what is owed
//! owed       what is owed -> bytes, once it may leave
//! pieces     how much of the winners may be unsent, over all connections
//! text       the same for connections of the text dialect, which are owed one line
//! state      lanes and draw, as a pure value     lane   one of them     event   both as records of the ledger
//! live       the open sessions of each lane: a newer one ends those before it
//! draw       finds the winners, records and announces them     winners, publish, published, announcement
//! ```

mod announcement;
mod ask;
pub mod draw;
pub mod event;
mod lane;
pub mod live;
mod owed;
pub mod pieces;
pub mod publish;
pub mod published;
pub mod session;
pub mod state;
pub mod text;
pub mod winners;

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bolillero_protocol::bet::Batch;
use bolillero_protocol::chain::BodyHash;
use bolillero_protocol::error::Malformed;
use bolillero_protocol::message::{ChainAlarm, Code, DrawId, Receipt, Totals, Welcome};
use log::{Level, log_enabled};

use crate::ledger::{Ledger, NoRoom, Position, Waiter, lock_or_die};
use crate::session::Mailbox;
use live::{LiveSession, LiveSessions, SESSIONS_PER_AGENCY_MAX_DEFAULT};
use state::{BatchVerdict, By, Draw, Event, FinishVerdict, LaneSummary, Refused, State, Terms};
use winners::Winners;

/// An answer, and what it rests on: it may leave once the ledger is durable up to `rests_on`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Answer<T> {
    /// What is to be on disk before it leaves.
    pub rests_on: Position,
    /// The answer itself.
    pub result: Result<T, Refused>,
}

/// How a mark is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Once it is on disk.
    Now,
    /// Once the draw is: all agencies have finished.
    AfterDraw,
}

/// What a HELLO opens.
#[derive(Debug)]
enum Opening {
    /// The next epoch of the lane.
    Welcomed(Welcome, Arc<LiveSession>),
    /// Nothing: the agency has all the sessions it may have. Its oldest is dismissed, so that there is
    /// place for it when it comes again.
    NoPlace,
}

/// A place among those who are told when the winners are known. See [`Office::await_draw`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A batch on its way into the ledger. All that can be found out without the office's lock is.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Whose lane it goes to.
    pub agency: u32,
    /// On whose behalf.
    pub by: By,
    /// The number it carries, if it does.
    pub seq: Option<u64>,
    /// Its body, opcode 3's form.
    pub body: &'a [u8],
    /// The body read, or what is wrong with it.
    pub batch: &'a Result<Batch<'a>, Malformed>,
    /// The line to be logged once it is stored.
    pub log_line: Arguments<'a>,
}

/// The office: answers the six things a session can ask. Shared by all sessions.
///
/// Invariant: every change of the state is queued for the ledger under the same lock, so that the
/// order of the log is the order of the state.
pub struct Office {
    inner: Mutex<Inner>,
    ledger: Ledger,
    terms: Terms,
    /// How often somebody spoke for another agency than its certificate's, since the start.
    foreign_claims: AtomicU64,
}

struct Inner {
    state: State,
    live: LiveSessions,
    /// Set once the draw's record is durable.
    winners: Option<Arc<Winners>>,
    /// Every published file that an answer names is there, or will not come.
    files_settled: bool,
    /// Who is told when they are, in the order in which they came. Those who leave are taken out.
    awaiting_draw: BTreeMap<Ticket, Mailbox>,
    next_ticket: u64,
    /// Told when the record that completes the marks is durable.
    drawer: Waiter,
    /// Where that record is.
    completed_at: Option<Position>,
}

impl Office {
    /// An office with a state that its ledger was replayed into. It wakes `drawer` when a draw may be
    /// due.
    #[must_use]
    pub fn new(state: State, ledger: Ledger, drawer: Mailbox) -> Self {
        let terms = state.terms();
        let completed_at = (state.draw() == Draw::Drawing).then(|| ledger.durable());
        let inner = Inner {
            state,
            live: LiveSessions::new(SESSIONS_PER_AGENCY_MAX_DEFAULT),
            winners: None,
            files_settled: false,
            awaiting_draw: BTreeMap::new(),
            next_ticket: 0,
            drawer: Waiter::new(drawer),
            completed_at,
        };
        Self { inner: Mutex::new(inner), ledger, terms, foreign_claims: AtomicU64::new(0) }
    }

    /// The same, with at most so many sessions of an agency open, and never fewer than
    /// [`SESSIONS_PER_AGENCY_MAX_MIN`](live::SESSIONS_PER_AGENCY_MAX_MIN).
    #[must_use]
    pub fn with_sessions_per_agency_max(self, sessions_max: usize) -> Self {
        self.lock().live = LiveSessions::new(sessions_max);
        self
    }

    /// What the draw is about.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The ledger this office writes.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Opens the next epoch of an agency's lane, and ends the session that worked it so far.
    fn hello(&self, agency: u32, expected: Option<DrawId>, waiter: &mut Waiter) -> Answer<Opening> {
        let mut inner = self.lock();
        let mut ended = None;
        let result = inner.state.check_hello(agency, expected).and_then(|epoch| {
            ended = inner.live.dismiss_if_full(agency);
            if ended.is_some() {
                return Ok(Opening::NoPlace);
            }
            let hello = Event::Hello { agency, epoch };
            let position = self.record(&mut inner, hello, b"", waiter, None)?;
            let (opened, before) = inner.live.open(agency, position, waiter.mailbox());
            if let Some(before) = &before {
                // Its peer is told once this HELLO is durable.
                let _ = self.ledger.await_tail(&mut Waiter::new(before.mailbox().clone()));
            }
            ended = before;
            Ok(Opening::Welcomed(inner.state.welcome(agency), opened))
        });
        let answer = self.answer(result, waiter);
        drop(inner);
        // Not under the lock. The HELLO may be durable by now: then nothing else wakes the other session.
        if let Some(ended) = ended {
            ended.mailbox().news();
        }
        answer
    }

    /// Takes note that a session that HELLO opened has ended.
    fn close(&self, session: &Arc<LiveSession>) {
        self.lock().live.close(session);
    }

    /// How many sessions of an agency are open.
    #[must_use]
    pub fn open_sessions(&self, agency: u32) -> usize {
        self.lock().live.count(agency)
    }

    /// Records that an agency counts something else than the office has told it.
    pub fn alarm(
        &self,
        agency: u32,
        epoch: u32,
        alarm: ChainAlarm,
        waiter: &mut Waiter,
    ) -> Answer<()> {
        let mut inner = self.lock();
        let checked = inner.state.check_alarm(agency, epoch);
        let result = checked.and_then(|()| {
            let event = Event::Alarm { agency, epoch, alarm };
            self.record(&mut inner, event, &event::alarm_body(&alarm), waiter, None).map(drop)
        });
        self.answer(result, waiter)
    }

    /// Stores a batch, whole or not at all.
    pub fn put(&self, put: &Put<'_>, waiter: &mut Waiter) -> Answer<Receipt> {
        let hash = BodyHash::of(put.body);
        let mut inner = self.lock();
        let verdict = inner.state.check_batch(put.agency, put.by, put.seq, hash);
        let stored = verdict.and_then(|verdict| match verdict {
            BatchVerdict::Repeat(receipt) => Ok((None, receipt)),
            BatchVerdict::Store(seq) => {
                let position = self.store(&mut inner, put, seq, hash, waiter)?;
                Ok((Some(position), inner.state.last_receipt(put.agency)))
            }
        });
        match stored {
            // The record is the ledger's last, and the waiter is listed for it.
            Ok((Some(rests_on), receipt)) => Answer { rests_on, result: Ok(receipt) },
            Ok((None, receipt)) => self.answer(Ok(receipt), waiter),
            Err(refused) => self.answer(Err(refused), waiter),
        }
    }

    /// Marks an agency as ready for the draw. The mark that completes the draw is answered after it.
    pub fn finish(
        &self,
        agency: u32,
        by: By,
        totals: Option<Totals>,
        waiter: &mut Waiter,
    ) -> Answer<Ack> {
        let mut inner = self.lock();
        let verdict = inner.state.check_finish(agency, by, totals);
        let result = verdict.and_then(|verdict| {
            if let FinishVerdict::Mark(seq) = verdict {
                self.mark(&mut inner, agency, by, seq, waiter)?;
            }
            let draw_awaited = inner.state.draw() != Draw::Open && inner.winners.is_none();
            Ok(if draw_awaited { Ack::AfterDraw } else { Ack::Now })
        });
        self.answer(result, waiter)
    }

    /// How far the draw is.
    #[must_use]
    pub fn draw(&self) -> Draw {
        self.lock().state.draw()
    }

    /// The winners, once they are known.
    #[must_use]
    pub fn winners(&self) -> Option<Arc<Winners>> {
        self.lock().winners.clone()
    }

    /// Whether an answer may name a published file: the file is there, or publishing has failed.
    #[must_use]
    pub fn may_name_files(&self) -> bool {
        self.lock().files_settled
    }

    /// Has `mailbox` told when the winners are known, and again when answers may name files if that
    /// is later, until the ticket is given back. `None`: there is nothing to wait for.
    #[must_use]
    pub fn await_draw(&self, mailbox: &Mailbox) -> Option<Ticket> {
        let mut inner = self.lock();
        if inner.winners.is_some() && inner.files_settled {
            return None;
        }
        let number = inner.next_ticket;
        inner.next_ticket += 1;
        inner.awaiting_draw.insert(Ticket(number), mailbox.clone());
        Some(Ticket(number))
    }

    /// Takes back the ticket of a connection that has ended.
    #[expect(clippy::needless_pass_by_value, reason = "it is of no more use")]
    pub fn leave(&self, ticket: Ticket) {
        let mailbox = self.lock().awaiting_draw.remove(&ticket);
        // Not under the lock: what stands behind a mailbox may end with it.
        drop(mailbox);
    }

    /// What is known of an agency's lane.
    #[must_use]
    pub fn lane(&self, agency: u32) -> Option<LaneSummary> {
        self.lock().state.lane(agency)
    }

    /// Somebody spoke for another agency than its certificate's. Returns how often that has happened.
    fn count_foreign_claim(&self) -> u64 {
        self.foreign_claims.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether all agencies have finished, durably, and the draw is to be done.
    fn draw_is_due(&self) -> bool {
        let inner = self.lock();
        let completed_at = inner.completed_at.filter(|_| inner.state.draw() == Draw::Drawing);
        completed_at.is_some_and(|position| position <= self.ledger.durable())
    }

    /// Records the draw; returns where that is.
    fn record_draw(&self, body: &[u8]) -> Result<Position, NoRoom> {
        let mut inner = self.lock();
        let mut record = event::record_of(&Event::Drawn, body);
        record.n = self.terms.agencies;
        let log_line = Some(format_args!("action: sorteo | result: success"));
        let position = self.ledger.append(&record, Some(&mut inner.drawer), log_line)?;
        inner.state.apply(Event::Drawn).expect("the draw was due");
        Ok(position)
    }

    /// Tells everybody the winners, whose record is durable. Nothing where they were told already.
    fn announce(&self, winners: &Arc<Winners>) {
        let mut inner = self.lock();
        if inner.winners.is_none() {
            inner.winners = Some(Arc::clone(winners));
            wake_awaiting(inner);
        }
    }

    /// Lets answers name published files: those that are named are there, or will not come.
    fn settle_files(&self) {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.files_settled, true) || inner.winners.is_none() {
            return;
        }
        wake_awaiting(inner);
    }

    fn store(
        &self,
        inner: &mut Inner,
        put: &Put<'_>,
        seq: u64,
        hash: BodyHash,
        waiter: &mut Waiter,
    ) -> Result<Position, Refused> {
        let bets = put.batch.as_ref()?.bets();
        if bets == 0 {
            return Err(Refused::new(Code::Malformed, "a batch has at least one bet"));
        }
        let agency = put.agency;
        let event = Event::Batch { agency, epoch: put.by.epoch(), seq, bets, hash };
        let log_line = log_enabled!(Level::Info).then_some(put.log_line);
        self.record(inner, event, put.body, waiter, log_line)
    }

    fn mark(
        &self,
        inner: &mut Inner,
        agency: u32,
        by: By,
        seq: u64,
        waiter: &mut Waiter,
    ) -> Result<(), Refused> {
        let event = Event::Finish { agency, epoch: by.epoch(), seq };
        let log_line = format_args!("action: agencia_lista | result: success | agencia: {agency}");
        self.record(inner, event, b"", waiter, Some(log_line))?;
        if inner.state.draw() == Draw::Drawing {
            inner.completed_at = Some(self.ledger.await_tail(&mut inner.drawer));
            // It may be durable by now: then nothing is listed, and nobody else tells the drawer.
            inner.drawer.mailbox().news();
        }
        Ok(())
    }

    /// Takes what happens: into the ledger's queue if there is room, and then into the state.
    fn record(
        &self,
        inner: &mut Inner,
        event: Event,
        body: &[u8],
        waiter: &mut Waiter,
        log_line: Option<Arguments<'_>>,
    ) -> Result<Position, Refused> {
        let record = event::record_of(&event, body);
        let appended = self.ledger.append(&record, Some(waiter), log_line);
        let position = appended.map_err(|error| Refused::new(Code::Storage, error.to_string()))?;
        inner.state.apply(event).expect("an event is recorded only after it was checked");
        Ok(position)
    }

    /// An answer rests on all that was queued before it: also a repeat, and a refusal.
    fn answer<T>(&self, result: Result<T, Refused>, waiter: &mut Waiter) -> Answer<T> {
        let rests_on = self.ledger.await_tail(waiter);
        Answer { rests_on, result }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock_or_die(&self.inner, "the lottery")
    }
}

/// Wakes all that wait for the draw. They keep their places while an answer may still have to wait
/// for a file.
fn wake_awaiting(mut inner: MutexGuard<'_, Inner>) {
    let woken: Vec<Mailbox> = if inner.files_settled {
        std::mem::take(&mut inner.awaiting_draw).into_values().collect()
    } else {
        inner.awaiting_draw.values().cloned().collect()
    };
    drop(inner);
    for mailbox in woken {
        mailbox.news();
    }
}

impl By {
    /// The epoch that is recorded: 0 for base packets.
    fn epoch(self) -> u32 {
        match self {
            Self::Base => 0,
            Self::Session { epoch } => epoch,
        }
    }
}
