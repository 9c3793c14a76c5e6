//! One server from its start to its end: the ledger is opened, threads run, connections are served,
//! and all of it is brought to a sound end.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use bolillero_protocol::message::DrawId;

use crate::config::Config;
use crate::driver::{self, Listener};
use crate::failure::Failure;
use crate::ledger::disk::{Directory, Disk};
use crate::ledger::record::Record;
use crate::ledger::recovery::{Found, Opened, ReplayError, Settings, open_ledger};
use crate::lifecycle::{Lifecycle, Phase};
use crate::lottery::Office;
use crate::lottery::draw::{Alarm, DrawSettings, DrawStep, Drawer};
use crate::lottery::event::{Replayed, open_body, open_record};
use crate::lottery::session::Lottery;
use crate::lottery::state::{Draw, State, Terms};
use crate::session::{Mailbox, Service as _};

/// The ledger's directory in a data directory.
pub const LEDGER_DIRECTORY: &str = "ledger";
/// The directory with the published results in a data directory.
pub const PUBLISHED_DIRECTORY: &str = "published";
const LOCK_FILE: &str = "LOCK";

/// Binds the address that `config` names.
///
/// # Errors
/// [`Failure::Setup`]
pub fn bind(config: &Config) -> Result<TcpListener, Failure> {
    use socket2::{Domain, Protocol, Socket, Type};
    let bind = || {
        let domain = Domain::for_address(config.listen);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&config.listen.into())?;
        socket.listen(config.backlog)?;
        anyhow::Ok(socket.into())
    };
    bind().with_context(|| format!("listening on {}", config.listen)).map_err(Failure::Setup)
}

/// Serves on `socket` until `life` is asked to stop, then drains, syncs and returns.
///
/// # Errors
/// [`Failure`]: why it ended without having been asked to.
pub fn run(config: &Config, socket: TcpListener, life: &Lifecycle) -> Result<(), Failure> {
    let _lock = lock_data_directory(&config.data_dir)?;
    let path = config.data_dir.join(LEDGER_DIRECTORY);
    let disk = Directory::create(&path).with_context(|| format!("creating {}", path.display()));
    let disk: Arc<dyn Disk> = Arc::new(disk.map_err(Failure::Setup)?);
    let (opened, replayed) = open(config, &disk)?;
    log_found(&opened.found, replayed.state.as_ref());

    let alarm = Arc::new(Alarm::default());
    let Opened { ledger, mut committer, mut preparer, .. } = opened;
    let state = replayed.state.expect("an opened ledger has its first record");
    let draw = state.draw();
    let office = Arc::new(Office::new(state, ledger.clone(), Mailbox::new(alarm.clone())));
    let draw_settings = DrawSettings {
        published: Some(config.data_dir.join(PUBLISHED_DIRECTORY)),
        announce_delay: config.announce_delay,
        ..DrawSettings::default()
    };
    let mut drawer = Drawer::new(Arc::clone(&office), disk, draw_settings);
    match &replayed.digests {
        Some(digests) => drawer.resume(digests)?,
        None if draw == Draw::Drawing => {
            while drawer.step(&alarm)? == DrawStep::Waiting {
                committer.step()?;
            }
        }
        None => {}
    }

    let address = socket.local_addr().map_err(|error| Failure::Setup(error.into()))?;
    let service = Arc::new(Lottery::new(Arc::clone(&office), config.session));
    log::info!(
        "action: listen | result: success | service: {} | address: {address}",
        service.name()
    );
    life.enter(Phase::Serving);
    let mark_delay = config.mark_delay;
    let drawer_alarm = Arc::clone(&alarm);
    let crew = [
        spawn("committer", life, move || Ok(committer.run(mark_delay)?)),
        spawn("drawer", life, move || Ok(drawer.run(&drawer_alarm)?)),
        spawn("preparer", life, move || {
            preparer.run();
            Ok(())
        }),
    ];
    let served =
        driver::run(config.driver, vec![Listener { socket, service }], &config.limits, life);
    alarm.stop();
    ledger.close();
    let ended = crew.into_iter().map(join).fold(Ok(()), Result::and);
    life.enter(Phase::Stopped);
    ended.and(served.context("waiting for connections").map_err(Failure::Setup))
}

/// Opens the ledger; its records are added up, and must be of the draw that `config` names.
fn open(config: &Config, disk: &Arc<dyn Disk>) -> Result<(Opened, Replayed), Failure> {
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
    let mut replayed = Replayed::default();
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

/// Keeps a second server out of a data directory, for as long as the file is open.
fn lock_data_directory(path: &Path) -> Result<File, Failure> {
    let lock = || {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        let file = path.join(LOCK_FILE);
        let file = File::options().create(true).truncate(false).write(true).open(&file);
        let file = file.with_context(|| format!("opening {LOCK_FILE} in {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(anyhow!("{}: another server works in this data directory", path.display()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    };
    lock().map_err(Failure::Setup)
}

fn log_found(found: &Found, state: Option<&State>) {
    if let Some(torn) = &found.torn {
        log::warn!(
            "action: cut_torn_tail | result: success | file: {} | offset: {} | kept_in: {}",
            torn.file,
            torn.offset,
            torn.kept_in
        );
    }
    let finished = state.map_or(0, State::finished);
    log::info!(
        "action: recover | result: success | draw: {} | records: {} | finished: {finished}",
        found.draw,
        found.records
    );
}

/// Runs one of the threads without which the server cannot go on: where it fails, the server ends.
fn spawn(
    name: &str,
    life: &Lifecycle,
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> JoinHandle<Result<(), Failure>> {
    let life = life.clone();
    let died = name.to_owned();
    let guarded = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Bug(died)));
        if let Err(failure) = &result {
            log::error!("action: serve | result: fail | error: {failure}");
            life.abandon();
        }
        result
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(guarded);
    thread.expect("a thread can be started")
}

fn join(thread: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    thread.join().unwrap_or_else(|_| Err(Failure::Bug("after its work".to_owned())))
}
