//! Does the draw, once, when its time has come. A value with a [`Drawer::step`]; its thread is a
//! loop around it, so that a test can drive it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bolillero_fs::Access;
use bolillero_protocol::log_line;
use thiserror::Error;

use super::Office;
use super::event::draw_body;
use super::publish::publish;
use super::winners::{Digest, WINNERS_LENGTH_MAX, Winners, find_winners};
use crate::ledger::Position;
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

/// What a draw does beside finding the winners.
#[derive(Debug, Clone)]
pub struct DrawSettings {
    /// Where results are published; `None`: nowhere.
    pub published: Option<PathBuf>,
    /// Who on this machine may read what is published.
    pub published_access: Access,
    /// How long the answers wait after the log line, for tools that merge the logs of several machines.
    pub announce_delay: Duration,
    /// The longest list of an agency's winners that is kept in memory and sent, in bytes.
    pub winners_length_max: usize,
    /// The most threads that read the ledger at once.
    pub readers: usize,
}

impl Default for DrawSettings {
    fn default() -> Self {
        let winners_length_max = WINNERS_LENGTH_MAX;
        Self {
            published: None,
            published_access: Access::Owner,
            announce_delay: Duration::ZERO,
            winners_length_max,
            readers: 1,
        }
    }
}

/// Does the draw.
pub struct Drawer {
    office: Arc<Office>,
    disk: Arc<dyn Disk>,
    settings: DrawSettings,
    stage: Stage,
}

/// How far the drawer is. It only ever moves down this list.
enum Stage {
    /// The winners are not known.
    Waiting,
    /// They are, and there was no place for their record yet.
    Found(Arc<Winners>),
    /// Their record is queued.
    Recorded(Arc<Winners>, Position),
    /// Everybody knows them.
    Announced,
}

impl Drawer {
    /// A drawer for an office whose ledger lies on `disk`.
    #[must_use]
    pub fn new(office: Arc<Office>, disk: Arc<dyn Disk>, settings: DrawSettings) -> Self {
        Self { office, disk, settings, stage: Stage::Waiting }
    }

    /// Finds again the winners of a draw that was done in an earlier life, and holds them against
    /// what was recorded then.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn resume(&mut self, recorded: &[Digest]) -> Result<(), DrawError> {
        let winners = self.find_winners(&|| true)?.expect("nobody stopped the search");
        winners.hold_against(recorded)?;
        self.announce(&Arc::new(winners));
        Ok(())
    }

    /// Does what can be done now. Once `alarm` is stopped, a search for winners ends early.
    ///
    /// # Errors
    /// [`DrawError`]: the draw is not done, and the ledger cannot be trusted.
    pub fn step(&mut self, alarm: &Alarm) -> Result<DrawStep, DrawError> {
        loop {
            match &self.stage {
                Stage::Waiting if !self.office.draw_is_due() => return Ok(DrawStep::Waiting),
                Stage::Waiting => match self.find_winners(&|| !alarm.is_stopped())? {
                    Some(winners) => self.stage = Stage::Found(Arc::new(winners)),
                    None => return Ok(DrawStep::Waiting),
                },
                Stage::Found(winners) => {
                    let body = draw_body(self.office.terms().winning_number, &winners.digests());
                    match self.office.record_draw(&body) {
                        Ok(position) => {
                            self.stage = Stage::Recorded(Arc::clone(winners), position);
                        }
                        Err(_) => return Ok(DrawStep::NoRoom),
                    }
                }
                Stage::Recorded(_, position) if self.office.ledger().durable() < *position => {
                    return Ok(DrawStep::Waiting);
                }
                Stage::Recorded(winners, _) => {
                    let winners = Arc::clone(winners);
                    alarm.pause(self.settings.announce_delay);
                    self.announce(&winners);
                }
                Stage::Announced => return Ok(DrawStep::Done),
            }
        }
    }

    /// Steps until the draw is done or `alarm` is stopped. For a thread.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn run(&mut self, alarm: &Alarm) -> Result<(), DrawError> {
        loop {
            match self.step(alarm)? {
                DrawStep::Done => return Ok(()),
                DrawStep::Waiting => alarm.wait(),
                DrawStep::NoRoom => self.office.ledger().wait_for_room(ROOM_RETRY),
            }
            if alarm.is_stopped() {
                return Ok(());
            }
        }
    }

    fn find_winners(
        &self,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Winners>, DrawError> {
        let DrawSettings { winners_length_max, readers, .. } = self.settings;
        Ok(find_winners(&*self.disk, &self.office.terms(), winners_length_max, readers, goes_on)?)
    }

    /// Tells everybody, then publishes: nobody waits for files.
    fn announce(&mut self, winners: &Arc<Winners>) {
        self.office.announce(Arc::clone(winners));
        self.stage = Stage::Announced;
        let Some(directory) = &self.settings.published else { return };
        let terms = self.office.terms();
        match publish(directory, self.settings.published_access, &terms, winners, &*self.disk) {
            Ok(()) => log::info!("action: publish | result: success"),
            Err(error) => {
                let error = log_line::value(&format!("{error:#}"));
                log::error!(
                    "action: publish | result: fail | error: {error} | hint: tried again at the next start"
                );
            }
        }
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
        self.lock().stopped
    }

    /// Blocks until there is news, or the thread is to end.
    fn wait(&self) {
        let quiet = |state: &mut AlarmState| !state.news && !state.stopped;
        let woken = self.rung.wait_while(self.lock(), quiet);
        woken.unwrap_or_else(PoisonError::into_inner).news = false;
    }

    /// Blocks for `time`, or until the thread is to end.
    fn pause(&self, time: Duration) {
        // Why it returned does not matter: after the end nobody waits for an answer.
        drop(self.rung.wait_timeout_while(self.lock(), time, |state| !state.stopped));
    }

    fn set(&self, change: impl FnOnce(&mut AlarmState)) {
        change(&mut self.lock());
        self.rung.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, AlarmState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(&self) {
        self.set(|state| state.news = true);
    }
}
