//! A whole central office in one thread, without network and without a disk: the ledger lies in memory,
//! committer, preparer and drawer do a step when they are told to, and a client is a session with what a
//! connection would keep beside it. No step is taken by itself, so a test sees what lies between two.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
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
use bolillero_server::lottery::session::{Lottery, SessionLimits};
use bolillero_server::lottery::state::{Draw, Terms};
use bolillero_server::session::{
    Flow, Input, Mail, Mailbox, Peer, Service as _, Session, Wait, Wake,
};
use sha2::{Digest as _, Sha256};

pub(crate) const DRAW: &str = "0123456789abcdef";

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
    pub(crate) draw: DrawSettings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            agencies: 2,
            winning_number: 7574,
            limits: SessionLimits { packet_length_max: 4096, ..SessionLimits::default() },
            segment_size: 64 << 10,
            queue_bytes_max: 1 << 20,
            draw: DrawSettings::default(),
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
    service: Lottery,
    journal: Journal,
    clients: AtomicUsize,
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
        let (body, mut replayed) = (open_body(&terms), Replayed::default());
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
        let office = Arc::new(Office::new(state, ledger, Mailbox::new(alarm.clone())));
        let mut drawer = Drawer::new(Arc::clone(&office), shared, setup.draw.clone());
        match &replayed.digests {
            Some(digests) => drawer.resume(digests).unwrap(),
            None if draw == Draw::Drawing => {
                while drawer.step(&alarm).unwrap() == DrawStep::Waiting {
                    committer.step().unwrap();
                }
            }
            None => {}
        }
        let service = Lottery::new(Arc::clone(&office), setup.limits);
        let clients = AtomicUsize::new(0);
        Ok(Self {
            disk,
            office,
            setup,
            committer,
            preparer,
            drawer,
            alarm,
            service,
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
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let wakes = Arc::new(Wakes { number, count: AtomicUsize::new(0), journal: self.journal() });
        let peer = Peer { address: ([127, 0, 0, 1], 1).into() };
        let session = self.service.open(peer, Mailbox::new(wakes.clone()));
        Client {
            session: Some(session),
            wakes,
            wakes_seen: 0,
            unread: Vec::new(),
            ended: false,
            held: false,
            out: Vec::new(),
        }
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

    /// One step of the drawer.
    pub(crate) fn draw(&mut self) -> DrawStep {
        self.drawer.step(&self.alarm).unwrap()
    }

    /// Has the drawer's loop run beside the committer until it ends by itself.
    pub(crate) fn run_drawer(&mut self) {
        let (drawer, alarm) = (&mut self.drawer, &self.alarm);
        let in_time = thread::scope(|scope| {
            let running = scope.spawn(|| drawer.run(alarm).unwrap());
            let begun = Instant::now();
            while !running.is_finished() && begun.elapsed() < PATIENCE {
                self.committer.step().unwrap();
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
            let _ = self.draw();
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

    fn journal(&self) -> Journal {
        Arc::clone(&self.journal)
    }
}

/// A reply: opcode and data.
pub(crate) type Reply = (i8, String);

/// A session, and what its connection would keep.
pub(crate) struct Client {
    session: Option<Box<dyn Session>>,
    wakes: Arc<Wakes>,
    wakes_seen: usize,
    /// What the peer has sent and the session has not taken, because it holds.
    unread: Vec<u8>,
    /// The peer sends no more.
    ended: bool,
    held: bool,
    out: Vec<u8>,
}

impl Client {
    /// Sends bytes. The session takes them unless it holds.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.turn();
    }

    /// Ends the peer's sending.
    pub(crate) fn half_close(&mut self) {
        self.ended = true;
        self.turn();
    }

    /// Has the session told that the server stops.
    pub(crate) fn stop(&mut self) {
        self.hand_in(Input::Mail(Mail::Shutdown));
        self.turn();
    }

    /// Has the session told that its time is over.
    pub(crate) fn time_out(&mut self) {
        self.hand_in(Input::Deadline);
    }

    /// Reads all there is.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            self.turn();
            if self.out.is_empty() {
                return read;
            }
            read.append(&mut self.out);
            if self.held {
                self.hand_in(Input::Drained);
            }
        }
    }

    /// Reads all there is, as packets.
    pub(crate) fn replies(&mut self) -> Vec<Reply> {
        packets(&self.read())
    }

    /// What the session has appended and nobody has read, in bytes.
    pub(crate) fn unread_output(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn wait(&self) -> Option<Wait> {
        self.session.as_ref().unwrap().wait()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_none()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// How often it was told that there is news.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.count.load(Ordering::Relaxed)
    }

    pub(crate) fn number(&self) -> usize {
        self.wakes.number
    }

    /// Hands in what a connection would: news first, then bytes, then their end.
    fn turn(&mut self) {
        loop {
            let wakes = self.wakes();
            if wakes > self.wakes_seen {
                self.wakes_seen = wakes;
                self.hand_in(Input::Mail(Mail::News));
            } else if !self.held && !self.unread.is_empty() {
                let bytes = std::mem::take(&mut self.unread);
                self.hand_in(Input::Bytes(&bytes));
            } else if !self.held && self.ended {
                self.ended = false;
                self.hand_in(Input::Eof);
            } else {
                return;
            }
        }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let Some(session) = &mut self.session else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, &mut self.out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => self.session = None,
        }
    }
}

struct Wakes {
    number: usize,
    count: AtomicUsize,
    journal: Journal,
}

impl Wake for Wakes {
    fn wake(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.journal.lock().unwrap().push(Happened::Woken(self.number));
    }
}

/// One packet, made without the product's encoder.
pub(crate) fn packet(opcode: i8, data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&opcode.to_be_bytes(), length.as_slice(), data].concat()
}

/// Bytes as packets, read without the product's decoder.
pub(crate) fn packets(mut bytes: &[u8]) -> Vec<Reply> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let data = String::from_utf8(bytes[5..5 + length].to_vec()).unwrap();
        packets.push((i8::from_be_bytes([bytes[0]]), data));
        bytes = &bytes[5 + length..];
    }
    packets
}

/// The items of a bet on `number`; its document is 30000000 + `number`.
pub(crate) fn bet(agency: u32, number: u32) -> String {
    format!("{agency}#Ana#Paz#{}#1990-01-01#{number}#", 30_000_000 + number)
}

/// The body of a batch of bets on these numbers.
pub(crate) fn body(agency: u32, numbers: &[u32]) -> String {
    let bets =
        numbers.iter().enumerate().map(|(i, number)| format!("@{i}#{}", bet(agency, *number)));
    format!("{}#{}", numbers.len(), bets.collect::<String>())
}

pub(crate) fn batch(agency: u32, numbers: &[u32]) -> Vec<u8> {
    packet(3, body(agency, numbers))
}

pub(crate) fn numbered(seq: u64, agency: u32, numbers: &[u32]) -> Vec<u8> {
    packet(11, format!("{seq}#{}", body(agency, numbers)))
}

pub(crate) fn hello(agency: u32) -> Vec<u8> {
    packet(9, format!("1#{agency}#"))
}

pub(crate) fn ready(agency: u32) -> Vec<u8> {
    packet(5, format!("{agency}#"))
}

pub(crate) fn session_ready(agency: u32, last_seq: u64, bets: u64) -> Vec<u8> {
    packet(5, format!("{agency}#{last_seq}#{bets}#"))
}

pub(crate) fn ask(agency: u32) -> Vec<u8> {
    packet(6, format!("{agency}#"))
}

pub(crate) fn ack() -> Reply {
    (2, String::new())
}

pub(crate) fn busy() -> Reply {
    (8, String::new())
}

pub(crate) fn close() -> Reply {
    (0, String::new())
}

pub(crate) fn winners(documents: &str) -> Reply {
    (7, documents.to_owned())
}

/// The receipt of the last of these bodies.
pub(crate) fn receipt(bodies: &[String]) -> Reply {
    (12, format!("{}#{}#{}#", bodies.len(), bets_in(bodies), head(bodies)))
}

pub(crate) fn welcome(epoch: u32, bodies: &[String], finished: bool) -> Reply {
    let (next, finished) = (bodies.len() + 1, u8::from(finished));
    (10, format!("{epoch}#{next}#{}#{}#{finished}#{DRAW}#", bets_in(bodies), head(bodies)))
}

pub(crate) fn bets_in(bodies: &[String]) -> u64 {
    let announced = |body: &String| body.split('#').next().unwrap().parse::<u64>().unwrap();
    bodies.iter().map(announced).sum()
}

/// The chain over these bodies, as a client computes it.
pub(crate) fn head(bodies: &[String]) -> String {
    let mut head = [0_u8; 32];
    for body in bodies {
        let mut chained = head.to_vec();
        chained.extend_from_slice(&Sha256::digest(body));
        head = Sha256::digest(&chained).into();
    }
    head.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines that this thread has logged outside of groups since it was last asked.
pub(crate) fn take_log_lines() -> Vec<String> {
    LINES.with(|lines| std::mem::take(&mut *lines.borrow_mut()))
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl log::Log for ThreadLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.with(|lines| lines.borrow_mut().push(record.args().to_string()));
    }

    fn flush(&self) {}
}

fn note_log_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&ThreadLog).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}
