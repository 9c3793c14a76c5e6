//! A whole central office in one thread, without network and without a disk: the ledger lies in memory,
//! committer, preparer and drawer do a step when they are told to, and a client is a session with what a
//! connection would keep beside it. No step is taken by itself, so a test sees what lies between two.

mod client;
mod log_lines;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolillero_protocol::bet::Number;
use bolillero_protocol::message::DrawId;
use bolillero_server::ledger::Sizes;
use bolillero_server::ledger::committer::{Committer, Step};
use bolillero_server::ledger::disk::Disk;
use bolillero_server::ledger::memory::MemoryDisk;
use bolillero_server::ledger::prepare::{Preparation, Preparer};
use bolillero_server::ledger::reader::{Next, read_ledger};
use bolillero_server::ledger::record::Record;
use bolillero_server::ledger::recovery::{OpenError, Opened, Settings, open_ledger};
use bolillero_server::lottery::Office;
use bolillero_server::lottery::draw::{Alarm, DrawSettings, DrawStep, Drawer};
use bolillero_server::lottery::event::{Replayed, open_body, open_record};
use bolillero_server::lottery::live::SESSIONS_PER_AGENCY_MAX_DEFAULT;
use bolillero_server::lottery::pieces::{PieceLimit, PieceSettings};
use bolillero_server::lottery::session::{Lottery, SessionLimits};
use bolillero_server::lottery::state::{Draw, REMEMBERED_BYTES_MAX_DEFAULT, Terms};
use bolillero_server::lottery::text::TextLottery;
use bolillero_server::session::{Mailbox, Peer, Service, Wake};

pub(crate) use self::client::Client;
use self::client::Wakes;
use self::log_lines::note_log_lines;
pub(crate) use self::log_lines::take_log_lines;
pub(crate) use self::wire::*;

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an office is made with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) agencies: u32,
    pub(crate) winning_number: u16,
    pub(crate) limits: SessionLimits,
    pub(crate) segment_size: u64,
    pub(crate) queue_bytes_max: usize,
    pub(crate) remembered_bytes_max: u64,
    pub(crate) sessions_per_agency_max: usize,
    pub(crate) draw: DrawSettings,
    pub(crate) pieces: PieceSettings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            agencies: 2,
            winning_number: 7574,
            limits: SessionLimits { packet_length_max: 4096, ..SessionLimits::default() },
            segment_size: 64 << 10,
            queue_bytes_max: 1 << 20,
            remembered_bytes_max: REMEMBERED_BYTES_MAX_DEFAULT,
            sessions_per_agency_max: SESSIONS_PER_AGENCY_MAX_DEFAULT,
            draw: DrawSettings::default(),
            pieces: PieceSettings::default(),
        }
    }
}

impl Setup {
    fn terms(&self) -> Terms {
        Terms {
            agencies: self.agencies,
            winning_number: Number::new(self.winning_number).unwrap(),
            draw: DrawId::parse(DRAW).unwrap(),
        }
    }

    fn settings(&self) -> Settings {
        let batch_body_max = u64::from(self.limits.packet_length_max);
        let (segment, agencies) = (self.segment_size, self.agencies);
        let sizes = Sizes { segment, batch_body_max, agencies };
        Settings { sizes, queue_bytes_max: self.queue_bytes_max }
    }
}

/// What happened, in order: lines that a group logged, and wakes of a client, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    Logged(String),
    Woken(usize),
}

type Journal = Arc<Mutex<Vec<Happened>>>;

/// An office and what it runs on.
pub(crate) struct Central {
    pub(crate) disk: MemoryDisk,
    pub(crate) office: Arc<Office>,
    pub(crate) setup: Setup,
    committer: Committer,
    preparer: Preparer,
    drawer: Drawer,
    alarm: Arc<Alarm>,
    bell: Arc<DrawerBell>,
    pub(crate) pieces: Arc<PieceLimit>,
    service: Lottery,
    text_service: TextLottery,
    journal: Journal,
    clients: AtomicUsize,
}

/// What wakes the drawer, and counts how often.
struct DrawerBell {
    alarm: Arc<Alarm>,
    rung: AtomicUsize,
}

impl Wake for DrawerBell {
    fn wake(&self) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        self.alarm.wake();
    }
}

impl Central {
    pub(crate) fn new(agencies: u32) -> Self {
        Self::with(Setup { agencies, ..Setup::default() })
    }

    pub(crate) fn with(setup: Setup) -> Self {
        Self::open(setup, MemoryDisk::new()).unwrap()
    }

    /// What a start on this disk does, up to where it would accept connections.
    pub(crate) fn open(setup: Setup, disk: MemoryDisk) -> Result<Self, OpenError> {
        note_log_lines();
        let terms = setup.terms();
        let body = open_body(&terms);
        let mut replayed = Replayed::remembering(setup.remembered_bytes_max);
        let journal = Journal::default();
        let lines = Arc::clone(&journal);
        let log_lines = Box::new(move |text: &str| {
            let logged = text.lines().map(|line| Happened::Logged(line.to_owned()));
            lines.lock().unwrap().extend(logged);
        });
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut replay = |record: &Record<'_>| replayed.take(record);
        let first = open_record(&terms, &body);
        let settings = setup.settings();
        let opened = open_ledger(
            Arc::clone(&shared),
            &settings,
            terms.draw,
            &first,
            &mut replay,
            log_lines,
        )?;
        let Opened { ledger, mut committer, preparer, .. } = opened;
        let state = replayed.state.unwrap();
        let draw = state.draw();
        let alarm = Arc::new(Alarm::default());
        let bell = Arc::new(DrawerBell { alarm: Arc::clone(&alarm), rung: AtomicUsize::new(0) });
        let office = Office::new(state, ledger, Mailbox::new(bell.clone()))
            .with_sessions_per_agency_max(setup.sessions_per_agency_max);
        let office = Arc::new(office);
        let mut drawer = Drawer::new(Arc::clone(&office), shared, setup.draw.clone());
        let recorded = replayed.digests.as_deref();
        drawer.examine_published(draw, recorded).unwrap();
        match recorded {
            Some(digests) => drawer.resume(digests).unwrap(),
            None if draw == Draw::Drawing => {
                while !drawer.is_announced() && drawer.step(&alarm).unwrap() != DrawStep::NoRoom {
                    committer.step().unwrap();
                }
            }
            None => {}
        }
        let pieces = Arc::new(PieceLimit::new(setup.pieces));
        let service = Lottery::new(Arc::clone(&office), setup.limits, Arc::clone(&pieces));
        let text_service = TextLottery::new(Arc::clone(&office), setup.limits, Arc::clone(&pieces));
        let clients = AtomicUsize::new(0);
        Ok(Self {
            disk,
            office,
            setup,
            committer,
            preparer,
            drawer,
            alarm,
            bell,
            pieces,
            service,
            text_service,
            journal,
            clients,
        })
    }

    /// The same office after it died: only what was synced is there.
    pub(crate) fn restart(self) -> Self {
        let files = self.disk.durable_files();
        Self::open(self.setup, MemoryDisk::with_files(&files)).unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_to(&self.service, None)
    }

    /// A connection whose certificate names this agency.
    pub(crate) fn connect_certified(&self, agency: u32) -> Client {
        self.connect_to(&self.service, Some(agency))
    }

    /// A connection that speaks the text dialect.
    pub(crate) fn connect_text(&self) -> Client {
        self.connect_to(&self.text_service, None)
    }

    /// One that speaks the text dialect, and whose certificate names this agency.
    pub(crate) fn connect_text_certified(&self, agency: u32) -> Client {
        self.connect_to(&self.text_service, Some(agency))
    }

    fn connect_to(&self, service: &dyn Service, agency: Option<u32>) -> Client {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let wakes = Arc::new(Wakes::new(number, Arc::clone(&self.journal)));
        let peer = Peer { agency, ..Peer::at(([127, 0, 0, 1], 1).into()) };
        Client::new(service.open(peer, Mailbox::new(wakes.clone())), wakes)
    }

    /// A connection that has said HELLO and was welcomed.
    pub(crate) fn session(&mut self, agency: u32) -> Client {
        let mut client = self.connect();
        client.send(&hello(agency));
        self.commit();
        let replies = client.replies();
        assert_eq!(replies.len(), 1, "{replies:?}");
        assert_eq!(replies[0].0, 10, "{replies:?}");
        client
    }

    /// One step of the committer.
    pub(crate) fn commit(&mut self) -> Step {
        self.committer.step().unwrap()
    }

    /// One step of the committer, on a disk that fails in it.
    pub(crate) fn commit_fails(&mut self) {
        self.committer.step().unwrap_err();
    }

    /// How often the drawer was told that a draw may be due.
    pub(crate) fn drawer_told(&self) -> usize {
        self.bell.rung.load(Ordering::Relaxed)
    }

    /// One step of the drawer.
    pub(crate) fn draw(&mut self) -> DrawStep {
        self.drawer.step(&self.alarm).unwrap()
    }

    /// Steps until the results of a draw that is done are published.
    pub(crate) fn publish(&mut self) {
        while self.draw() == DrawStep::Publishing {}
    }

    /// Has the drawer's loop run on this thread after it was asked to end.
    pub(crate) fn run_stopped_drawer(&mut self) {
        self.alarm.stop();
        self.drawer.run(&self.alarm).unwrap();
    }

    /// Has the drawer's loop run beside committer and preparer until it ends by itself.
    pub(crate) fn run_drawer(&mut self) {
        let (drawer, alarm) = (&mut self.drawer, &self.alarm);
        let in_time = thread::scope(|scope| {
            let running = scope.spawn(|| drawer.run(alarm).unwrap());
            let begun = Instant::now();
            while !running.is_finished() && begun.elapsed() < PATIENCE {
                self.committer.step().unwrap();
                self.preparer.step().unwrap();
                thread::yield_now();
            }
            let in_time = running.is_finished();
            alarm.stop();
            in_time
        });
        assert!(in_time, "the drawer waits for what does not come");
    }

    /// Prepares segments until there is nothing to do, or no room.
    pub(crate) fn prepare(&mut self) {
        while self.preparer.step().unwrap() == Preparation::Progress {}
    }

    /// Steps until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        loop {
            self.prepare();
            self.publish();
            if self.commit() == Step::Idle {
                return;
            }
        }
    }

    /// Says, in one go on a base connection, that these agencies are ready, and does the draw if it is due.
    pub(crate) fn finish_all(&mut self, agencies: impl IntoIterator<Item = u32>) {
        for agency in agencies {
            let mut client = self.connect();
            client.send(&ready(agency));
            self.settle();
            assert_eq!(client.replies(), [ack()], "agency {agency}");
        }
    }

    pub(crate) fn happened(&self) -> Vec<Happened> {
        self.journal.lock().unwrap().clone()
    }

    /// The lines that groups have logged.
    pub(crate) fn logged(&self) -> Vec<String> {
        let lines = self.happened().into_iter().filter_map(|happened| match happened {
            Happened::Logged(line) => Some(line),
            Happened::Woken(_) => None,
        });
        lines.collect()
    }

    /// The bodies of each lane's batches, and how many draws there were, as a reader of the ledger finds them.
    pub(crate) fn stored(&self) -> (Vec<Vec<Vec<u8>>>, usize) {
        use bolillero_server::ledger::record::Kind;
        let mut lanes = vec![Vec::new(); self.setup.agencies as usize];
        let mut draws = 0;
        read_ledger(&self.durable_disk(), &mut |_, group| {
            for record in group.records() {
                let record = record.unwrap();
                match record.kind {
                    Kind::Batch => lanes[record.agency as usize - 1].push(record.body.to_vec()),
                    Kind::Draw => draws += 1,
                    _ => {}
                }
            }
            Ok(Next::Continue)
        })
        .unwrap();
        (lanes, draws)
    }

    /// Holds that what is on disk adds up to what the office believes.
    pub(crate) fn check_replay(&self) {
        let mut replayed = Replayed::default();
        read_ledger(&self.durable_disk(), &mut |_, group| {
            for record in group.records() {
                replayed.take(&record.unwrap()).unwrap();
            }
            Ok(Next::Continue)
        })
        .unwrap();
        let state = replayed.state.unwrap();
        assert_eq!(state.draw(), self.office.draw());
        for agency in 0..=self.setup.agencies + 1 {
            assert_eq!(state.lane(agency), self.office.lane(agency), "agency {agency}");
        }
    }

    fn durable_disk(&self) -> MemoryDisk {
        MemoryDisk::with_files(&self.disk.durable_files())
    }
}
