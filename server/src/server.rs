//! One server from its start to its end: the ledger is opened, threads run, connections are served,
//! and all of it is brought to a sound end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use bolillero_protocol::message::DrawId;
use bolillero_tls::server::Admission;

use crate::args::OpenService;
use crate::config::{Config, Connections, FileService, RoomService};
use crate::data_dir;
use crate::driver::{self, Listener, Prepared};
use crate::failure::Failure;
use crate::files::Files;
use crate::files::directory::Directory as Folder;
use crate::ledger::Ledger;
use crate::ledger::committer::{Committer, Step};
use crate::ledger::disk::{Directory, Disk};
use crate::ledger::prepare::Preparer;
use crate::ledger::record::Record;
use crate::ledger::recovery::{Found, Opened, ReplayError, Settings, open_ledger};
use crate::lifecycle::{Lifecycle, Phase};
use crate::lottery::Office;
use crate::lottery::draw::{Alarm, DrawSettings, DrawStep, Drawer};
use crate::lottery::event::{Replayed, open_body, open_record};
use crate::lottery::pieces::PieceLimit;
use crate::lottery::session::Lottery;
use crate::lottery::state::{Draw, State, Terms};
use crate::lottery::text::TextLottery;
use crate::room::Room;
use crate::session::{Mailbox, Service};
use crate::threads;

/// The ledger's directory in a data directory.
pub const LEDGER_DIRECTORY: &str = "ledger";

/// Binds `address` and listens there.
///
/// # Errors
/// [`Failure::Setup`]
pub fn bind(address: SocketAddr, backlog: i32) -> Result<TcpListener, Failure> {
    use socket2::{Domain, Protocol, Socket, Type};
    let bind = || {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        anyhow::Ok(socket.into())
    };
    bind().with_context(|| format!("listening on {address}")).map_err(Failure::Setup)
}

/// The sockets of a server's services, bound before anything is recovered: a port in use is told at once,
/// and early clients wait in the backlog.
#[derive(Debug)]
pub struct Sockets {
    /// Of the lottery.
    pub lottery: TcpListener,
    /// Of the lottery's text dialect, where it is spoken.
    pub text: Option<TcpListener>,
    /// Of the files, where they are served.
    pub files: Option<TcpListener>,
    /// Of the room, where there is one.
    pub room: Option<TcpListener>,
}

impl Sockets {
    /// Binds what `config` names.
    ///
    /// # Errors
    /// [`Failure::Setup`]
    pub fn bind(config: &Config) -> Result<Self, Failure> {
        let backlog = config.connections.backlog;
        let bind_if = |address: Option<SocketAddr>| address.map(|at| bind(at, backlog)).transpose();
        Ok(Self {
            lottery: bind(config.listen, backlog)?,
            text: bind_if(config.listen_text)?,
            files: bind_if(config.files.as_ref().map(|files| files.listen))?,
            room: bind_if(config.room.map(|room| room.listen))?,
        })
    }

    /// Each with the service of those who connect to it; the lottery comes first.
    fn serve(self, office: &Arc<Office>, config: &Config) -> Result<Vec<Listener>, Failure> {
        let Self { lottery, text, files, room } = self;
        let secure = |socket, service, admission| {
            let service = config.connections.secure(service, admission);
            service.map(|service| Listener { socket, service }).map_err(Failure::Setup)
        };
        let anyone_or_certified = |service| match config.tls_anyone.contains(&service) {
            true => Admission::Anyone,
            false => Admission::Certified,
        };
        let pieces = Arc::new(PieceLimit::new(config.pieces));
        let service = Lottery::new(Arc::clone(office), config.session, Arc::clone(&pieces));
        let service = Arc::new(service);
        let mut listeners = vec![secure(lottery, service, Admission::Agency)?];
        if let Some(socket) = text {
            let service = Arc::new(TextLottery::new(Arc::clone(office), config.session, pieces));
            listeners.push(secure(socket, service, Admission::Agency)?);
        }
        if let Some((socket, service)) = files.zip(config.files.as_ref()) {
            let admission = anyone_or_certified(OpenService::Files);
            listeners.push(secure(socket, files_of(service)?, admission)?);
        }
        if let Some((socket, RoomService { limits, plaintext, .. })) = room.zip(config.room) {
            let service = Arc::new(Room::new(limits));
            listeners.push(match plaintext {
                true => Listener { socket, service },
                false => secure(socket, service, anyone_or_certified(OpenService::Room))?,
            });
        }
        Ok(listeners)
    }
}

/// The service of a directory's files; the directory is made when it is missing.
///
/// # Errors
/// [`Failure::Setup`]
pub fn files_of(service: &FileService) -> Result<Arc<Files>, Failure> {
    let FileService { directory, access, limits, .. } = service;
    let folder = Folder::create_for(directory, *access);
    let folder = folder.with_context(|| format!("creating {}", directory.display()));
    let files = Files::new(Arc::new(folder.map_err(Failure::Setup)?), *limits);
    Ok(Arc::new(files.map_err(|error| Failure::Setup(error.into()))?))
}

/// Serves a service that keeps nothing, until `life` is asked to stop. Leaves the life
/// [`Phase::Stopped`].
///
/// # Errors
/// [`Failure`]: why it ended without having been asked to.
pub fn run_alone(
    service: Arc<dyn Service>,
    connections: &Connections,
    socket: TcpListener,
    life: &Lifecycle,
) -> Result<(), Failure> {
    let service = connections.secure(service, Admission::Certified).map_err(Failure::Setup)?;
    let mut crew = Crew::new(life);
    crew.work("driver", || prepare(connections, vec![Listener { socket, service }])?.serve(life));
    life.enter(Phase::Stopped);
    crew.join()
}

/// Serves the lottery on `sockets` until `life` is asked to stop, then drains, syncs and returns. Whatever
/// happens, it leaves the life [`Phase::Stopped`] and no thread behind.
///
/// # Errors
/// [`Failure`]: why it ended without having been asked to.
pub fn run(config: &Config, sockets: Sockets, life: &Lifecycle) -> Result<(), Failure> {
    let locked = data_dir::open(&config.data_dir).map_err(Failure::Setup);
    let lived = locked.and_then(|_lock| {
        let central = Central::open(config, life)?;
        central.serve(config, sockets, life)
    });
    life.enter(Phase::Stopped);
    lived
}

/// An office with an open ledger, and those who work behind it.
struct Central {
    office: Arc<Office>,
    ledger: Ledger,
    committer: Committer,
    preparer: Preparer,
    /// Nothing once the draw is done and published.
    drawer: Option<Drawer>,
    /// Wakes the drawer.
    alarm: Arc<Alarm>,
}

impl Central {
    /// Recovers what was. A draw that is due is done before anybody is served, unless `life` is asked
    /// to stop.
    fn open(config: &Config, life: &Lifecycle) -> Result<Self, Failure> {
        let path = config.data_dir.join(LEDGER_DIRECTORY);
        let disk = Directory::create(&path).with_context(|| format!("creating {}", path.display()));
        let disk: Arc<dyn Disk> = Arc::new(disk.map_err(Failure::Setup)?);
        let (opened, replayed) = open_ledger_of(config, &disk)?;
        let Opened { ledger, mut committer, preparer, found } = opened;
        let state = replayed.state.expect("an opened ledger has its first record");
        log_found(&found, &state);
        let draw = state.draw();
        let alarm = Arc::new(Alarm::default());
        let office = Office::new(state, ledger.clone(), Mailbox::new(alarm.clone()))
            .with_sessions_per_agency_max(config.sessions_per_agency_max);
        let office = Arc::new(office);
        let settings = DrawSettings {
            published: Some(config.published.clone()),
            published_access: config.published_access,
            ignore_published: config.ignore_published,
            publish_wait: config.publish_wait,
            announce_delay: config.announce_delay,
            readers: config.readers,
            ..DrawSettings::default()
        };
        let mut drawer = Drawer::new(Arc::clone(&office), disk, settings);
        let recorded = replayed.digests.as_deref();
        drawer.examine_published(draw, recorded)?;
        match recorded {
            Some(digests) => drawer.resume(digests)?,
            None if draw == Draw::Drawing => draw_now(&mut drawer, &mut committer, life)?,
            None => {}
        }
        let drawer = (!drawer.is_done()).then_some(drawer);
        Ok(Self { office, ledger, committer, preparer, drawer, alarm })
    }

    fn serve(self, config: &Config, sockets: Sockets, life: &Lifecycle) -> Result<(), Failure> {
        let Self { office, ledger, mut committer, mut preparer, drawer, alarm } = self;
        let mut crew = Crew::new(life);
        // Before the other threads, and long before anybody is told that the server listens: this
        // needs most of what a system may refuse.
        let driver =
            crew.work("driver", || prepare(&config.connections, sockets.serve(&office, config)?));
        let pace = config.pace;
        crew.start("committer", move || Ok(committer.run(&pace)?));
        // Who was told to stop while it drew at the start does not begin again.
        if let Some(mut drawer) = drawer.filter(|_| !life.is_stopping()) {
            let alarm = Arc::clone(&alarm);
            crew.start("drawer", move || Ok(drawer.run(&alarm)?));
        }
        crew.start("preparer", move || {
            preparer.run();
            Ok(())
        });
        if let Some(driver) = driver.filter(|_| crew.is_whole()) {
            crew.work("driver", || driver.serve(life));
        }
        alarm.stop();
        ledger.close();
        crew.join()
    }
}

/// A driver that is ready, and the log lines that say where its services listen.
struct Listening {
    driver: Prepared,
    lines: Vec<String>,
}

fn prepare(connections: &Connections, listeners: Vec<Listener>) -> Result<Listening, Failure> {
    let prepare = || {
        let lines = listeners.iter().map(listen_line).collect::<io::Result<_>>();
        let lines = lines.context("asking for the address")?;
        let driver = driver::prepare(connections.driver, listeners, &connections.limits)?;
        anyhow::Ok(Listening { driver, lines })
    };
    prepare().map_err(Failure::Setup)
}

fn listen_line(Listener { socket, service }: &Listener) -> io::Result<String> {
    let (name, address) = (service.name(), socket.local_addr()?);
    let tls = service.admission().map_or_else(String::new, |who| format!(" | tls: {who}"));
    Ok(format!("action: listen | result: success | service: {name} | address: {address}{tls}"))
}

impl Listening {
    /// Serves connections on the calling thread until `life` is asked to stop.
    fn serve(self, life: &Lifecycle) -> Result<(), Failure> {
        for line in &self.lines {
            log::info!("{line}");
        }
        life.enter(Phase::Serving);
        self.driver.run(life).context("serving connections").map_err(Failure::Setup)
    }
}

/// Does the draw with a committer that no thread runs yet, up to the announcement; publishing may
/// go on beside serving. Nothing is announced where the disk has no room for the record, and where
/// `life` was asked to stop.
fn draw_now(
    drawer: &mut Drawer,
    committer: &mut Committer,
    life: &Lifecycle,
) -> Result<(), Failure> {
    // Not the one of the drawer's thread: while clients are served, a draw outlives the signal.
    let alarm = Arc::new(Alarm::default());
    let stopped = Arc::clone(&alarm);
    life.on_stop(move || stopped.stop());
    while !drawer.is_announced() {
        match drawer.step(&alarm)? {
            DrawStep::Waiting => {
                // With nothing queued it is not its record that it waits for: the search was stopped.
                if committer.step()? == Step::Idle {
                    return Ok(());
                }
            }
            DrawStep::Publishing if !life.is_stopping() => {}
            DrawStep::NoRoom | DrawStep::Publishing | DrawStep::Done => return Ok(()),
        }
    }
    Ok(())
}

/// Opens the ledger; its records are added up, and must be of the draw that `config` names.
fn open_ledger_of(config: &Config, disk: &Arc<dyn Disk>) -> Result<(Opened, Replayed), Failure> {
    let mut draw = [0; 8];
    getrandom::fill(&mut draw)
        .map_err(|error| Failure::Setup(anyhow!("asking for a random draw id: {error}")))?;
    let terms = Terms {
        agencies: config.agencies,
        winning_number: config.winning_number,
        draw: DrawId(draw),
    };
    let settings =
        Settings { sizes: config.sizes(), queue_bytes_max: config.ledger_queue_bytes_max };
    let mut replayed = Replayed::remembering(config.remembered_bytes_max);
    let mut replay = |record: &Record<'_>| {
        replayed.take(record)?;
        let state = replayed.state.as_ref().expect("it has taken a record");
        check_terms(&state.terms(), &terms).map_err(ReplayError::Refused)
    };
    let body = open_body(&terms);
    let first = open_record(&terms, &body);
    let log_lines = Box::new(crate::log::info_lines);
    let opened =
        open_ledger(Arc::clone(disk), &settings, terms.draw, &first, &mut replay, log_lines)?;
    Ok((opened, replayed))
}

fn check_terms(stored: &Terms, wanted: &Terms) -> Result<(), String> {
    let differs = |what: &str, stored: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        Err(format!(
            "the ledger is of a draw with {what} {stored}, this start says {wanted}: use the same \
             value, or another --data-dir for another draw"
        ))
    };
    if stored.agencies != wanted.agencies {
        return differs("--agencies", &stored.agencies, &wanted.agencies);
    }
    if stored.winning_number != wanted.winning_number {
        let [stored, wanted] = [stored, wanted].map(|terms| terms.winning_number.value());
        return differs("--winning-number", &stored, &wanted);
    }
    Ok(())
}

fn log_found(found: &Found, state: &State) {
    if let Some(torn) = &found.torn {
        log::warn!(
            "action: cut_torn_tail | result: success | file: {} | offset: {} | kept_in: {}",
            torn.file,
            torn.offset,
            torn.kept_in
        );
    }
    log::info!(
        "action: recover | result: success | draw: {} | records: {} | finished: {}",
        found.draw,
        found.records,
        state.finished()
    );
}

/// The work without which a server cannot go on: where one part of it fails, all of it ends.
struct Crew {
    life: Lifecycle,
    threads: Vec<JoinHandle<Result<(), Failure>>>,
    /// What failed first on the calling thread.
    failed: Result<(), Failure>,
}

impl Crew {
    fn new(life: &Lifecycle) -> Self {
        Self { life: life.clone(), threads: Vec::new(), failed: Ok(()) }
    }

    /// Has a thread do it, unless something has failed before. A thread that cannot be started is one
    /// that failed.
    fn start(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
    ) {
        if !self.is_whole() {
            return;
        }
        let life = self.life.clone();
        match threads::start(name, move || guard(name, &life, work)) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                self.work(name, || Err::<(), _>(Failure::Setup(error.into())));
            }
        }
    }

    /// Whether nothing has failed on the calling thread, so that it is worth to go on.
    fn is_whole(&self) -> bool {
        self.failed.is_ok()
    }

    /// Does it on the calling thread. Nothing comes of what fails.
    fn work<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Option<T> {
        match guard(name, &self.life, work) {
            Ok(done) => Some(done),
            Err(failure) => {
                self.failed = std::mem::replace(&mut self.failed, Ok(())).and(Err(failure));
                None
            }
        }
    }

    /// Waits until all have ended; tells the first failure, the threads' before the caller's.
    fn join(self) -> Result<(), Failure> {
        let died = |_| Err(Failure::Bug("after its work".to_owned()));
        let ended = self.threads.into_iter().map(|thread| thread.join().unwrap_or_else(died));
        ended.fold(Ok(()), Result::and).and(self.failed)
    }
}

/// Ends the life where the work fails.
fn guard<T>(
    name: &str,
    life: &Lifecycle,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let panicked = |_| Err(Failure::Bug(name.to_owned()));
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked);
    if let Err(failure) = &result {
        crate::log::fail(failure);
        life.abandon();
    }
    result
}
