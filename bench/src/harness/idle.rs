//! What connections cost that have asked once and say nothing more.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use super::args::Bench;
use super::disk::Disk;
use super::proc::Memory;
use super::rows::Driver;
use super::{progress, run};

/// How many there are, by driver. A thread for each of ten thousand is not what threads are for.
const CONNECTIONS: [(Driver, &[u32]); 3] = [
    (Driver::Pool, &[1_000, 10_000]),
    (Driver::Events, &[1_000, 10_000]),
    (Driver::Threads, &[1_000]),
];
/// Descriptors that are no connections, here and in the server.
const DESCRIPTORS_BESIDE: u64 = 64;
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Opcode 6 of agency 1, in the base dialect, and the answer while the draw is not done.
const QUESTION: &[u8] = b"\x06\x00\x00\x00\x021#";
const BUSY: &[u8] = b"\x08\x00\x00\x00\x00";

#[derive(Debug, Serialize)]
pub(crate) struct IdleReport {
    pub(crate) driver: &'static str,
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
}

pub(crate) fn measure(bench: &Bench, disk: &mut Disk) -> anyhow::Result<Vec<IdleReport>> {
    let descriptors = raise_descriptors()?;
    let mut reports = Vec::new();
    for (driver, counts) in CONNECTIONS {
        for &connections in counts {
            let room = descriptors >= u64::from(connections) + DESCRIPTORS_BESIDE;
            let report = measure_driver(bench, disk, driver, if room { connections } else { 0 });
            let mut report = report.with_context(|| driver.name())?;
            if !room {
                report.after = None;
            }
            report.connections = connections;
            let bytes = report.bytes_per_connection();
            let told = bytes.map_or("too few descriptors".into(), |bytes| format!("{bytes:.0} B"));
            progress(&format!(
                "idle {:<8} {connections:>6} connections: {told} each",
                report.driver
            ));
            reports.push(report);
        }
    }
    Ok(reports)
}

fn measure_driver(
    bench: &Bench,
    disk: &mut Disk,
    driver: Driver,
    connections: u32,
) -> anyhow::Result<IdleReport> {
    let (directory, _) = disk.settle()?;
    let mut command = run::serve(bench, &directory);
    command.args(["--driver", driver.name()]);
    command.args(["--max-connections", &(connections + 1).to_string()]);
    let running = run::listen_ours(command, "lottery")?;
    let pid = running.process.id();
    // The first one makes what all share.
    let first = ask(&running.address)?;
    let before = Memory::read(pid)?;
    let asked: anyhow::Result<Vec<_>> = (0..connections).map(|_| ask(&running.address)).collect();
    let asked = asked?;
    let after = Some(Memory::read(pid)?);
    drop((first, asked));
    running.stop()?;
    disk.clear()?;
    Ok(IdleReport { driver: driver.name(), connections, before, after })
}

/// Once it has its answer, the server has taken a connection and is done with it.
fn ask(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("connecting")?;
    stream.set_read_timeout(Some(ANSWER_MAX)).context("setting a timeout")?;
    stream.write_all(QUESTION).context("asking")?;
    let mut answer = [0; BUSY.len()];
    stream.read_exact(&mut answer).context("waiting for an answer")?;
    ensure!(answer == BUSY, "the answer is {answer:?}, not opcode 8");
    Ok(stream)
}

/// Lets this program, and those it starts, have as many as they may.
fn raise_descriptors() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raising the limit on descriptors")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
