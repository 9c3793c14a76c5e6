//! Does the draw, once, when its time has come. A value with a [`Drawer::step`]; its thread is a
//! loop around it, so that a test can drive it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::Office;
use super::event::draw_body;
use super::publish::publish;
use super::winners::{Digest, Winners, find_winners};
use crate::ledger::Position;
use crate::ledger::committer::segment_name;
use crate::ledger::disk::Disk;
use crate::ledger::reader::ReadError;
use crate::session::Wake;

/// How long a draw waits for room on the disk before it looks again.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// The winners could not be found, or are not those of the first time.
#[derive(Debug, Error)]
pub enum DrawError {
    /// The ledger could not be read.
    #[error("looking for the winners: {0}")]
    Read(#[from] ReadError),
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawStep {
    /// It is not time yet, or the draw's record is not durable yet.
    Waiting,
    /// The draw's record has no room at present.
    NoRoom,
    /// The winners are known to everybody.
    Done,
}

/// Does the draw.
pub struct Drawer {
    office: Arc<Office>,
    disk: Arc<dyn Disk>,
    /// Where results are published; `None`: nowhere.
    published: Option<PathBuf>,
    announce_delay: Duration,
    found: Option<Arc<Winners>>,
    recorded_at: Option<Position>,
}

impl Drawer {
    /// A drawer for an office whose ledger lies on `disk`.
    #[must_use]
    pub fn new(
        office: Arc<Office>,
        disk: Arc<dyn Disk>,
        published: Option<PathBuf>,
        announce_delay: Duration,
    ) -> Self {
        Self { office, disk, published, announce_delay, found: None, recorded_at: None }
    }

    /// Finds again the winners of a draw that was done in an earlier life, and holds them against
    /// what was recorded then.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn resume(&mut self, recorded: &[Digest]) -> Result<(), DrawError> {
        let winners = find_winners(&*self.disk, &self.office.terms(), &|| true)?;
        let winners = winners.expect("nobody stopped the search");
        if winners.digests() != recorded {
            let what = "its bets do not give the winners that its draw recorded".to_owned();
            let file = segment_name(1);
            return Err(ReadError::Damaged { file, offset: 0, what }.into());
        }
        self.finish(&Arc::new(winners));
        Ok(())
    }

    /// Does what can be done now. A search for winners ends early when `goes_on` says no.
    ///
    /// # Errors
    /// [`DrawError`]: the draw is not done, and the ledger cannot be trusted.
    pub fn step(&mut self, goes_on: &dyn Fn() -> bool) -> Result<DrawStep, DrawError> {
        if let Some(position) = self.recorded_at {
            return Ok(self.finish_when_durable(position));
        }
        if self.found.is_none() && self.office.draw_is_due() {
            let winners = find_winners(&*self.disk, &self.office.terms(), goes_on)?;
            self.found = winners.map(Arc::new);
        }
        let Some(found) = &self.found else { return Ok(DrawStep::Waiting) };
        let body = draw_body(self.office.terms().winning_number, &found.digests());
        match self.office.record_draw(&body) {
            Ok(position) => {
                self.recorded_at = Some(position);
                Ok(self.finish_when_durable(position))
            }
            Err(_) => Ok(DrawStep::NoRoom),
        }
    }

    fn finish_when_durable(&mut self, position: Position) -> DrawStep {
        if self.office.ledger().durable() < position {
            return DrawStep::Waiting;
        }
        // For tools that merge the logs of several machines: the line is out, the answers wait.
        std::thread::sleep(self.announce_delay);
        let winners = self.found.clone().expect("they were found before they were recorded");
        self.finish(&winners);
        DrawStep::Done
    }

    /// Tells everybody, then publishes: nobody waits for files.
    fn finish(&self, winners: &Arc<Winners>) {
        self.office.announce(Arc::clone(winners));
        let Some(directory) = &self.published else { return };
        let terms = self.office.terms();
        match publish(directory, &terms, winners, &*self.disk) {
            Ok(()) => log::info!("action: publish | result: success"),
            Err(error) => log::error!(
                "action: publish | result: fail | error: {error:#} | hint: tried again at the next start"
            ),
        }
    }

    /// Steps until the draw is done or `stop` says so. For a thread.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn run(&mut self, alarm: &Alarm) -> Result<(), DrawError> {
        let goes_on = || !alarm.is_stopped();
        while alarm.wait() {
            loop {
                match self.step(&goes_on)? {
                    DrawStep::Done => return Ok(()),
                    DrawStep::Waiting => break,
                    DrawStep::NoRoom if alarm.is_stopped() => return Ok(()),
                    DrawStep::NoRoom => self.office.ledger().wait_for_room(ROOM_RETRY),
                }
            }
        }
        Ok(())
    }
}

/// What wakes the drawer's thread.
#[derive(Default)]
pub struct Alarm {
    state: Mutex<AlarmState>,
    rung: Condvar,
}

#[derive(Default)]
struct AlarmState {
    news: bool,
    stopped: bool,
}

impl Alarm {
    /// Ends the thread that waits.
    pub fn stop(&self) {
        self.set(|state| state.stopped = true);
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// Blocks until there is news (true), or the thread is to end.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |state: &mut AlarmState| !state.news && !state.stopped;
        let woken = self.rung.wait_while(state, quiet);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner);
        state.news = false;
        !state.stopped
    }

    fn set(&self, change: impl FnOnce(&mut AlarmState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }
}

impl Wake for Alarm {
    fn wake(&self) {
        self.set(|state| state.news = true);
    }
}
