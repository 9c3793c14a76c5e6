//! What connections cost that have asked once and say nothing more.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use super::args::Bench;
use super::disk::Disk;
use super::proc::Memory;
use super::rows::{Channel, Driver};
use super::tls::{Stream, connect_over};
use super::{progress, run};

/// How many there are, by driver. A thread for each of ten thousand is not what threads are for.
const CONNECTIONS: [(Driver, Channel, u32); 7] = [
    (Driver::Pool, Channel::Plain, 1_000),
    (Driver::Pool, Channel::Plain, 10_000),
    (Driver::Pool, Channel::Tls, 1_000),
    (Driver::Events, Channel::Plain, 1_000),
    (Driver::Events, Channel::Plain, 10_000),
    (Driver::Events, Channel::Tls, 1_000),
    (Driver::Threads, Channel::Plain, 1_000),
];
/// Descriptors that are no connections, here and in the server.
const DESCRIPTORS_BESIDE: u64 = 64;
/// Opcode 6 of agency 1, in the base dialect, and the answer while the draw is not done.
pub(crate) const QUESTION: &[u8] = b"\x06\x00\x00\x00\x021#";
pub(crate) const BUSY: &[u8] = b"\x08\x00\x00\x00\x00";

#[derive(Debug, Serialize)]
pub(crate) struct IdleReport {
    pub(crate) driver: &'static str,
    pub(crate) channel: Channel,
    pub(crate) connections: u32,
    pub(crate) before: Memory,
    /// Nothing where the limit on descriptors is too low for so many.
    pub(crate) after: Option<Memory>,
}

impl IdleReport {
    /// Resident bytes of the server; those of its sockets are the kernel's.
    pub(crate) fn bytes_per_connection(&self) -> Option<f64> {
        let bytes = self.after?.now.saturating_sub(self.before.now);
        Some(bytes as f64 / f64::from(self.connections))
    }

    /// Of the server that holds them.
    pub(crate) fn server(&self) -> String {
        self.channel.add_to(&format!("ours {}", self.driver))
    }
}

pub(crate) fn measure(bench: &Bench, disk: &mut Disk) -> anyhow::Result<Vec<IdleReport>> {
    let descriptors = raise_descriptors()?;
    let mut reports = Vec::new();
    for (driver, channel, connections) in CONNECTIONS {
        let room = descriptors >= u64::from(connections) + DESCRIPTORS_BESIDE;
        let held = if room { connections } else { 0 };
        let report = measure_driver(bench, disk, (driver, channel), held);
        let mut report = report.with_context(|| driver.name())?;
        if !room {
            report.after = None;
        }
        report.connections = connections;
        let bytes = report.bytes_per_connection();
        let told = bytes.map_or("too few descriptors".into(), |bytes| format!("{bytes:.0} B"));
        progress(&format!(
            "idle {:<16} {connections:>6} connections: {told} each",
            report.server()
        ));
        reports.push(report);
    }
    Ok(reports)
}

fn measure_driver(
    bench: &Bench,
    disk: &mut Disk,
    (driver, channel): (Driver, Channel),
    connections: u32,
) -> anyhow::Result<IdleReport> {
    let (directory, _) = disk.settle()?;
    let mut command = run::serve(bench, &directory);
    command.args(["--driver", driver.name()]);
    command.args(["--max-connections", &(connections + 1).to_string()]);
    run::add_tls(bench, channel, &mut command);
    let running = run::listen_ours(command, "lottery")?;
    let pid = running.process.id();
    let ask = || ask(bench, channel, &running.address);
    // The first one makes what all share.
    let first = ask()?;
    let before = Memory::read(pid)?;
    let asked: anyhow::Result<Vec<_>> = (0..connections).map(|_| ask()).collect();
    let asked = asked?;
    let after = Some(Memory::read(pid)?);
    drop((first, asked));
    running.stop()?;
    disk.clear()?;
    Ok(IdleReport { driver: driver.name(), channel, connections, before, after })
}

/// Once it has its answer, the server has taken a connection and is done with it.
fn ask(bench: &Bench, channel: Channel, address: &str) -> anyhow::Result<Box<dyn Stream>> {
    let mut stream = connect_over(bench, channel, address)?;
    stream.write_all(QUESTION).context("asking")?;
    let mut answer = [0; BUSY.len()];
    stream.read_exact(&mut answer).context("waiting for an answer")?;
    ensure!(answer == BUSY, "the answer is {answer:?}, not opcode 8");
    Ok(stream)
}

/// Lets this program, and those it starts, have as many as they may.
pub(crate) fn raise_descriptors() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raising the limit on descriptors")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
