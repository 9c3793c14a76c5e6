//! A server's process and the disk under it: it starts, does a step when it is told to, and dies. What it does in a
//! step is the product's; this says when. Knows no client.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bolillero_protocol::bet::Number;
use bolillero_protocol::message::DrawId;
use bolillero_server::failure::Failure;
use bolillero_server::ledger::Sizes;
use bolillero_server::ledger::committer::{Committer, Step};
use bolillero_server::ledger::disk::Disk;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::prepare::{Preparation, Preparer};
use bolillero_server::ledger::record::Record;
use bolillero_server::ledger::recovery::{Opened, Settings, open_ledger};
use bolillero_server::lottery::Office;
use bolillero_server::lottery::draw::{Alarm, DrawSettings, DrawStep, Drawer};
use bolillero_server::lottery::event::{Replayed, open_body, open_record};
use bolillero_server::lottery::pieces::{PieceLimit, PieceSettings};
use bolillero_server::lottery::session::{Lottery, SessionLimits};
use bolillero_server::lottery::state::{Draw, Terms};
use bolillero_server::lottery::text::TextLottery;
use bolillero_server::lottery::winners::Digest;
use bolillero_server::session::{Mailbox, Peer, Service, Session};

use crate::chance::Chance;
use crate::line::{Bell, Dialect};
use crate::model::WINNING_NUMBER;
use crate::stored::Stored;
use crate::wire::DRAW;

/// How long until room is looked for again.
const ROOM_RETRY: u64 = 1000;
/// Far more steps than a draw takes.
const DRAW_STEPS_MAX: usize = 10;

/// What a server is started with.
pub(crate) struct Setup {
    terms: Terms,
    settings: Settings,
    pub(crate) limits: SessionLimits,
    pieces: PieceSettings,
    pub(crate) sessions_per_agency_max: usize,
    remembered_bytes_max: u64,
}

impl Setup {
    /// Limits so small that each is met.
    pub(crate) fn new(agencies: u32, chance: &mut Chance) -> Self {
        let mut sizes = Sizes { segment: 0, batch_body_max: 512, agencies };
        sizes.segment = sizes.segment_size_min() + chance.below(2000) as u64;
        let queue_bytes_max = 200 + chance.below(3000);
        let limits = SessionLimits {
            packet_length_max: 512,
            packet_time_max: Duration::from_secs(3),
            idle_time_max: Duration::from_secs(10),
            unanswered_max: 2 + chance.below(16),
            output_bytes_max: 100 + chance.below(1000),
        };
        let (winning_number, draw) =
            (Number::new(WINNING_NUMBER).unwrap(), DrawId::parse(DRAW).unwrap());
        let terms = Terms { agencies, winning_number, draw };
        // Chances of their own: a seed's events up to the draw stay what they were.
        let mut chance = Chance(chance.0);
        let pieces = PieceSettings {
            pieces_max: NonZeroUsize::new(1 + chance.below(3)).unwrap(),
            piece_bytes_max: 1 + chance.below(40),
            short_bytes_max: chance.below(40),
        };
        let sessions_per_agency_max = 2 + chance.below(3);
        // From the least to as much as it has lanes for.
        let remembered_bytes_max = chance.below(2) as u64 * 2000 * u64::from(agencies);
        let settings = Settings { sizes, queue_bytes_max };
        Self { terms, settings, limits, pieces, sessions_per_agency_max, remembered_bytes_max }
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) office: Arc<Office>,
    service: Lottery,
    text_service: TextLottery,
    committer: Committer,
    preparer: Preparer,
    /// Nothing once the draw is done.
    drawer: Option<Drawer>,
    alarm: Alarm,
    bell: Arc<Bell>,
    draw_retry: Option<u64>,
    prepare_retry: u64,
    /// The committer, the preparer: there was nothing to do, and nobody has asked since.
    pub(crate) is_committed: bool,
    is_prepared: bool,
    pub(crate) is_marked: bool,
}

pub(crate) struct Machine {
    pub(crate) setup: Setup,
    pub(crate) disk: MemoryDisk,
    pub(crate) running: Option<Running>,
    /// Something was done to the disk that may make a call fail.
    pub(crate) disk_may_fail: bool,
    pub(crate) power_fails: bool,
    /// There may have been no room since the start.
    pub(crate) room_may_lack: bool,
}

impl Machine {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            disk: MemoryDisk::new(),
            running: None,
            disk_may_fail: false,
            power_fails: false,
            room_may_lack: false,
        }
    }

    /// What is durable now, by a reader of our own.
    pub(crate) fn stored(&self) -> Stored {
        self.read(&self.disk.durable_files())
    }

    pub(crate) fn read(&self, files: &Files) -> Stored {
        Stored::read(files, self.setup.terms.agencies as usize)
    }

    /// What a start does, up to where connections would be accepted.
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        let started = Running::start(&self.setup, &self.disk);
        self.running = Some(started?);
        Ok(())
    }

    pub(crate) fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("the server runs")
    }
}

impl Running {
    fn start(setup: &Setup, disk: &MemoryDisk) -> Result<Self, Failure> {
        let body = open_body(&setup.terms);
        let mut replayed = Replayed::remembering(setup.remembered_bytes_max);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut replay = |record: &Record<'_>| replayed.take(record);
        let first = open_record(&setup.terms, &body);
        let (disk, log_lines) = (Arc::clone(&shared), Box::new(|_: &str| {}));
        let opened =
            open_ledger(disk, &setup.settings, setup.terms.draw, &first, &mut replay, log_lines)?;
        let Opened { ledger, committer, preparer, .. } = opened;
        let state = replayed.state.expect("an opened ledger has its first record");
        let draw = state.draw();
        let bell = Arc::new(Bell::default());
        let office = Office::new(state, ledger, Mailbox::new(bell.clone()))
            .with_sessions_per_agency_max(setup.sessions_per_agency_max);
        let office = Arc::new(office);
        let drawer = Drawer::new(Arc::clone(&office), shared, DrawSettings::default());
        let pieces = Arc::new(PieceLimit::new(setup.pieces));
        let service = Lottery::new(Arc::clone(&office), setup.limits, Arc::clone(&pieces));
        let text_service = TextLottery::new(Arc::clone(&office), setup.limits, pieces);
        let mut running = Self {
            office,
            service,
            text_service,
            committer,
            preparer,
            drawer: Some(drawer),
            alarm: Alarm::default(),
            bell,
            draw_retry: Some(0),
            prepare_retry: 0,
            is_committed: false,
            is_prepared: false,
            is_marked: false,
        };
        running.recover_draw(draw, replayed.digests.as_deref())?;
        Ok(running)
    }

    fn recover_draw(&mut self, draw: Draw, recorded: Option<&[Digest]>) -> Result<(), Failure> {
        if let Some(digests) = recorded {
            self.drawer.take().unwrap().resume(digests)?;
        } else if draw == Draw::Drawing {
            for _ in 0..DRAW_STEPS_MAX {
                match self.draw(0)? {
                    DrawStep::Waiting => self.committer.step()?,
                    DrawStep::NoRoom | DrawStep::Publishing | DrawStep::Done => return Ok(()),
                };
            }
            panic!("the draw of a start waits for what does not come");
        }
        Ok(())
    }

    pub(crate) fn connect(&self, dialect: Dialect) -> (Box<dyn Session>, Arc<Bell>) {
        let bell = Arc::new(Bell::default());
        let peer = Peer::at(([127, 0, 0, 1], 1).into());
        let service: &dyn Service = match dialect {
            Dialect::Packets => &self.service,
            Dialect::Text => &self.text_service,
        };
        (service.open(peer, Mailbox::new(bell.clone())), bell)
    }

    /// Somebody may have asked for something.
    pub(crate) fn was_asked(&mut self) {
        (self.is_committed, self.is_prepared) = (false, false);
    }

    pub(crate) fn commit(&mut self) -> Result<Step, Failure> {
        let step = self.committer.step()?;
        self.is_committed = step == Step::Idle;
        self.is_marked &= step == Step::Idle;
        self.is_prepared = false;
        Ok(step)
    }

    pub(crate) fn mark(&mut self) {
        self.office.ledger().mark();
        (self.is_marked, self.is_committed) = (true, false);
    }

    pub(crate) fn can_prepare(&self, now: u64) -> bool {
        !self.is_prepared && now >= self.prepare_retry
    }

    pub(crate) fn prepare(&mut self, now: u64) -> String {
        let step = self.preparer.step();
        match step {
            Ok(Preparation::Progress) => {}
            Ok(Preparation::Idle) => self.is_prepared = true,
            Ok(Preparation::NoRoom) | Err(_) => self.prepare_retry = now + ROOM_RETRY,
        }
        format!("{step:?}")
    }

    /// What the preparer's thread does once a second, whatever is under way.
    pub(crate) fn save_last_group(&mut self) {
        self.preparer.save_last_group();
    }

    /// The drawer's thread looks when it is told to, first of all, and for room after a while.
    pub(crate) fn can_draw(&self, now: u64) -> bool {
        let retries = self.draw_retry.is_some_and(|at| now >= at);
        self.drawer.is_some() && (self.bell.is_rung() || retries)
    }

    pub(crate) fn draw(&mut self, now: u64) -> Result<DrawStep, Failure> {
        self.bell.take();
        self.draw_retry = None;
        self.was_asked();
        let step = self.drawer.as_mut().expect("there is a draw to be done").step(&self.alarm)?;
        match step {
            DrawStep::Waiting | DrawStep::Publishing => {}
            DrawStep::NoRoom => self.draw_retry = Some(now + ROOM_RETRY),
            DrawStep::Done => self.drawer = None,
        }
        Ok(step)
    }

    pub(crate) fn timer(&self, now: u64) -> Option<u64> {
        let draw = self.draw_retry.filter(|_| self.drawer.is_some());
        let prepare = (!self.is_prepared).then_some(self.prepare_retry);
        [draw, prepare].into_iter().flatten().filter(|at| *at > now).min()
    }
}
