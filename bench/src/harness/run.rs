//! One run: a server on an empty directory, a load, what the server spent, and whether it kept what it
//! acknowledged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{cell::RefCell, fs};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde::Serialize;

use super::args::Bench;
use super::audit;
use super::disk::{Disk, Probe};
use super::load::{After, LoadReport, load};
use super::network;
use super::proc::{Cost, Memory, Used};
use super::process::{Ending, From, Process};
use super::rows::{Channel, Reference, Server, Work};
use super::trace::{Calls, Trace};

const START_MAX: Duration = Duration::from_secs(60);
const END_MAX: Duration = Duration::from_secs(30);
/// Opcode and length of a packet: references store what is behind them.
const PACKET_HEADER_BYTES: u64 = 5;
/// Would go before the defaults that are measured.
const ENVIRONMENT: [&str; 4] =
    ["SERVER_PORT", "SERVER_IP", "SERVER_LISTEN_BACKLOG", "LOGGING_LEVEL"];

/// What one run found.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) load: LoadReport,
    pub(crate) cost: Cost,
    pub(crate) probe: Probe,
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: String,
}

/// Measures a server once.
pub(crate) fn measure(
    bench: &Bench,
    work: &Work,
    server: Server,
    round: u32,
    disk: &mut Disk,
) -> anyhow::Result<Sample> {
    network::settle(work.connections_max());
    let (directory, probe) = disk.settle()?;
    let running = start(bench, server, work.agencies, &directory)?;
    let pid = running.process.id();
    let moments = RefCell::new(Vec::new());
    let look = || {
        moments.borrow_mut().push((Used::read(pid)?, Memory::read(pid)?));
        Ok(())
    };
    let load = load(bench, (server, &running.address), work, After::LeaveOpen, look, look)?;
    let moments = moments.into_inner();
    let [(sending, _), (sent, memory)] = &moments[..] else { unreachable!("two moments") };
    let cost = sending.until(sent, *memory);
    check(bench, server, running, &directory, &load)?;
    disk.clear()?;
    Ok(Sample { round, load, cost, probe })
}

/// Counts the system calls of a server, which are too slow then to be measured as well. Returns how
/// many there were for each batch, and which.
pub(crate) fn count_calls(
    bench: &Bench,
    work: &Work,
    server: Server,
    disk: &mut Disk,
) -> anyhow::Result<Calls> {
    let (directory, _) = disk.settle()?;
    let running = start(bench, server, work.agencies, &directory)?;
    let trace = RefCell::new(None);
    let mut calls = None;
    let attach = || {
        *trace.borrow_mut() = Some(Trace::attach(running.process.id(), &bench.data)?);
        Ok(())
    };
    let detach = || {
        calls = trace.take().map(Trace::detach).transpose()?;
        Ok(())
    };
    let load = load(bench, (server, &running.address), work, After::LeaveOpen, attach, detach)?;
    let calls = calls.context("nothing was counted")?;
    check(bench, server, running, &directory, &load)?;
    disk.clear()?;
    Ok(calls.per_batch(load.batches))
}

/// Starts a server as people run it: defaults, info in its log, which this program reads.
pub(crate) fn start(
    bench: &Bench,
    server: Server,
    agencies: u32,
    directory: &Path,
) -> anyhow::Result<Running> {
    match server {
        Server::Reference(kind, channel) => {
            start_reference(bench, (kind, channel), &reference_file(directory))
        }
        Server::Ours(driver, _, channel) => {
            let mut command = serve(bench, directory);
            add_tls(bench, channel, &mut command);
            command.args(["--agencies", &agencies.to_string(), "--driver", driver.name()]);
            listen_ours(command, "lottery")
        }
    }
}

/// Starts a reference with the file that it writes or sends.
pub(crate) fn start_reference(
    bench: &Bench,
    (kind, channel): (Reference, Channel),
    file: &Path,
) -> anyhow::Result<Running> {
    let mut command = Command::new(&bench.reference);
    command.args([kind.name(), "--listen", "127.0.0.1:0", "--file"]).arg(file);
    add_tls(bench, channel, &mut command);
    listen(command, Ending::Kill, "listening on ")
}

/// Server and references take the same options.
pub(crate) fn add_tls(bench: &Bench, channel: Channel, command: &mut Command) {
    if channel == Channel::Tls {
        command.arg("--tls-cert").arg(bench.certificates.cert());
        command.arg("--tls-key").arg(bench.certificates.key());
    }
}

/// `bolillero-server serve` on a data directory, without options.
pub(crate) fn serve(bench: &Bench, directory: &Path) -> Command {
    let mut command = ours(bench, directory, "serve");
    command.arg("--data-dir").arg(data_dir(directory));
    command
}

/// A command of our server that listens, in a directory, without options.
pub(crate) fn ours(bench: &Bench, directory: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(&bench.server);
    // Elsewhere a server/config.ini could be found.
    command.current_dir(directory);
    for name in ENVIRONMENT {
        command.env_remove(name);
    }
    command.args([subcommand, "--listen", "127.0.0.1:0"]);
    command
}

/// Waits until a service of ours listens.
pub(crate) fn listen_ours(command: Command, service: &str) -> anyhow::Result<Running> {
    let before = format!("action: listen | result: success | service: {service} | address: ");
    listen(command, Ending::Ask, &before)
}

/// The address is the next word on the line.
fn listen(command: Command, ending: Ending, before: &str) -> anyhow::Result<Running> {
    let process = Process::start(command, ending)?;
    let line = process.wait_for(From::Stdout, before, START_MAX)?;
    let behind = line.split_once(before).map(|(_, behind)| behind);
    let address = behind.and_then(|behind| behind.split_ascii_whitespace().next());
    let address = address.map(str::to_owned);
    let address = address.with_context(|| format!("no address in {line:?}"))?;
    Ok(Running { process, address })
}

impl Running {
    /// As an operator stops it.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.process.end(Signal::TERM, END_MAX).map(drop)
    }
}

pub(crate) fn data_dir(directory: &Path) -> PathBuf {
    directory.join("central")
}

fn reference_file(directory: &Path) -> PathBuf {
    directory.join("reference.bin")
}

/// Ends the server and looks at what it stored.
fn check(
    bench: &Bench,
    server: Server,
    running: Running,
    directory: &Path,
    load: &LoadReport,
) -> anyhow::Result<()> {
    match server {
        Server::Ours(..) => {
            running.stop()?;
            let stored = audit::verify(bench, &data_dir(directory))?.bets;
            let sent = load.bets;
            ensure!(stored == sent, "{sent} bets were acknowledged, {stored} are in the ledger");
        }
        Server::Reference(kind, _) => {
            drop(running);
            let file = reference_file(directory);
            let stored = fs::metadata(&file).map_or(0, |metadata| metadata.len());
            let sent = load.bytes.saturating_sub(load.batches * PACKET_HEADER_BYTES);
            ensure!(
                !kind.stores() || stored >= sent,
                "{sent} bytes were acknowledged, {stored} are in {}",
                file.display()
            );
        }
    }
    Ok(())
}
