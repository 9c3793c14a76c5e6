//! Does the draw, once, when its time has come: finds the winners, records them, publishes and
//! announces them. A value with a [`Drawer::step`]; its thread is a loop around it, so that a test
//! can drive it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bolillero_fs::Access;
use bolillero_protocol::log_line;
use thiserror::Error;

use super::Office;
use super::announcement::Announcement;
use super::event::draw_body;
use super::publish::{PublishStep, Publisher, is_finished};
use super::published::{Published, PublishedDraw, PublishedError};
use super::state::Draw;
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
    /// What is published contradicts the ledger.
    #[error(transparent)]
    Published(#[from] PublishedError),
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawStep {
    /// It is not time yet, or the draw's record is not durable yet.
    Waiting,
    /// The draw's record has no room at present.
    NoRoom,
    /// The draw is recorded and its results are being published. The winners are announced once the
    /// files are there, or after [`DrawSettings::publish_wait`].
    Publishing,
    /// The winners are announced, and published unless that failed.
    Done,
}

/// What a draw does beside finding the winners.
#[derive(Debug, Clone)]
pub struct DrawSettings {
    /// Where results are published; `None`: nowhere.
    pub published: Option<PathBuf>,
    /// Who on this machine may read what is published.
    pub published_access: Access,
    /// Whether published results that contradict the ledger are moved aside; else they refuse the
    /// start.
    pub ignore_published: bool,
    /// The longest time that the announcement waits for the published files.
    pub publish_wait: Duration,
    /// How long the answers wait after the log line, for tools that merge the logs of several machines.
    pub announce_delay: Duration,
    /// The longest list of an agency's winners that is kept in memory and sent, in bytes.
    pub winners_length_max: usize,
    /// The most threads that read the ledger at once.
    pub readers: usize,
}

impl Default for DrawSettings {
    fn default() -> Self {
        Self {
            published: None,
            published_access: Access::Owner,
            ignore_published: false,
            publish_wait: Duration::ZERO,
            announce_delay: Duration::ZERO,
            winners_length_max: WINNERS_LENGTH_MAX,
            readers: 1,
        }
    }
}

/// Does the draw.
pub struct Drawer {
    office: Arc<Office>,
    disk: Arc<dyn Disk>,
    settings: DrawSettings,
    /// Results of this draw that were published before it was recorded: the winners must be the
    /// same.
    earlier: Option<PublishedDraw>,
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
    /// It is durable. Files are written, and everybody is told once they are there.
    Publishing(Box<Publisher>, Announcement),
    /// Everybody knows them.
    Done,
}

impl Drawer {
    /// A drawer for an office whose ledger lies on `disk`.
    #[must_use]
    pub fn new(office: Arc<Office>, disk: Arc<dyn Disk>, settings: DrawSettings) -> Self {
        Self { office, disk, settings, earlier: None, stage: Stage::Waiting }
    }

    /// Compares what is published with a ledger whose draw is at `draw`, at a start. Results of
    /// other draws are moved aside. `recorded` is the ledger's record of a draw that is done.
    ///
    /// # Errors
    /// [`DrawError::Published`]: nothing may be drawn or served.
    pub fn examine_published(
        &mut self,
        draw: Draw,
        recorded: Option<&[Digest]>,
    ) -> Result<(), DrawError> {
        if let Some(published) = self.published() {
            self.earlier = published.examine(&self.office.terms(), draw, recorded)?;
        }
        Ok(())
    }

    /// Finds again the winners of a draw that was done in an earlier life, and compares them with
    /// what was recorded then. Announces them. Where the earlier life did not finish publishing,
    /// the announcement waits for the files as that of a new draw does; else they are checked by
    /// later steps.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn resume(&mut self, recorded: &[Digest]) -> Result<(), DrawError> {
        let winners = self.find_winners(&|| true)?.expect("nobody stopped the search");
        winners.hold_against(recorded)?;
        let was_published = self.settings.published.as_deref().is_some_and(is_finished);
        let wait = if was_published { Duration::ZERO } else { self.settings.publish_wait };
        self.begin_publishing(Arc::new(winners), wait);
        while !self.is_announced() {
            self.publish(&Alarm::default());
        }
        Ok(())
    }

    /// Whether everybody knows the winners.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.office.winners().is_some()
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Does what can be done now; of publishing, one file. Once `alarm` is stopped, a search for
    /// winners ends early.
    ///
    /// # Errors
    /// [`DrawError`]: the draw is not done, and the ledger cannot be trusted.
    pub fn step(&mut self, alarm: &Alarm) -> Result<DrawStep, DrawError> {
        loop {
            match &self.stage {
                Stage::Waiting if !self.office.draw_is_due() => return Ok(DrawStep::Waiting),
                Stage::Waiting => match self.find_winners(&|| !alarm.is_stopped())? {
                    Some(winners) => {
                        self.compare_with_earlier(&winners)?;
                        self.stage = Stage::Found(Arc::new(winners));
                    }
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
                    self.begin_publishing(winners, self.settings.publish_wait);
                }
                Stage::Publishing(..) => {
                    self.publish(alarm);
                    return Ok(DrawStep::Publishing);
                }
                Stage::Done => return Ok(DrawStep::Done),
            }
        }
    }

    /// Steps until all is done or `alarm` is stopped. For a thread. Publishing that takes long is
    /// then left to the next start.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn run(&mut self, alarm: &Alarm) -> Result<(), DrawError> {
        loop {
            match self.step(alarm)? {
                DrawStep::Done => return Ok(()),
                DrawStep::Waiting => alarm.wait(),
                DrawStep::NoRoom => self.office.ledger().wait_for_room(ROOM_RETRY),
                DrawStep::Publishing => {}
            }
            if alarm.is_stopped() {
                match &self.stage {
                    Stage::Publishing(publisher, _) if publisher.ends_soon() => {}
                    Stage::Publishing(..) => {
                        log::info!(
                            "action: publish | result: in_progress | \
                             hint: finished at the next start"
                        );
                        return Ok(());
                    }
                    _ => return Ok(()),
                }
            }
        }
    }

    fn published(&self) -> Option<Published<'_>> {
        let directory = self.settings.published.as_deref()?;
        Some(Published { directory, ignored: self.settings.ignore_published })
    }

    fn compare_with_earlier(&self, winners: &Winners) -> Result<(), PublishedError> {
        match (self.published(), &self.earlier) {
            (Some(published), Some(earlier)) => {
                published.compare(earlier, &self.office.terms(), &winners.digests())
            }
            _ => Ok(()),
        }
    }

    fn find_winners(
        &self,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Winners>, DrawError> {
        let DrawSettings { winners_length_max, readers, .. } = self.settings;
        Ok(find_winners(&*self.disk, &self.office.terms(), winners_length_max, readers, goes_on)?)
    }

    /// Begins to write the files, and announces the winners after `wait` at the latest.
    fn begin_publishing(&mut self, winners: Arc<Winners>, wait: Duration) {
        let Some(directory) = self.settings.published.clone() else {
            self.office.settle_files();
            self.office.announce(&winners);
            self.stage = Stage::Done;
            return;
        };
        let (terms, disk) = (self.office.terms(), Arc::clone(&self.disk));
        let access = self.settings.published_access;
        let publisher = Publisher::new(directory, access, terms, Arc::clone(&winners), disk);
        if publisher.has_named() {
            self.office.settle_files();
        }
        let announcement = Announcement::begin(Arc::clone(&self.office), winners, wait);
        self.stage = Stage::Publishing(Box::new(publisher), announcement);
    }

    /// Publishes one more file. Whether that works or not, everybody is told the winners in the
    /// end.
    fn publish(&mut self, alarm: &Alarm) {
        let office = &self.office;
        let Stage::Publishing(publisher, announcement) = &mut self.stage else { return };
        let was_announced = office.winners().is_some();
        // A list that is read from the ledger does not hold up a start that may serve by now.
        let goes_on = || !alarm.is_stopped() && (was_announced || office.winners().is_none());
        let published = publisher.step(&goes_on);
        let ended = !matches!(published, Ok(PublishStep::Progress));
        if ended || publisher.has_named() {
            office.settle_files();
        }
        if ended || publisher.is_written() {
            announcement.announce();
        }
        match published {
            Ok(PublishStep::Progress) => return,
            Ok(PublishStep::Done) => log::info!("action: publish | result: success"),
            Err(error) => {
                let error = log_line::value(&format!("{error:#}"));
                log::error!(
                    "action: publish | result: fail | error: {error} | \
                     hint: tried again at the next start"
                );
            }
        }
        self.stage = Stage::Done;
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
