//! The load generator as a child: what it is asked, its two moments, and its report.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::args::Bench;
use super::process::{Ending, From, Process};
use super::rows::{Channel, Server, Work};

/// Every packet is made before the clock starts.
const PREPARE_MAX: Duration = Duration::from_secs(120);
/// The generator itself gives up when nothing moves.
const SEND_MAX: Duration = Duration::from_secs(300);
/// Readiness, the draw, the winners.
const END_MAX: Duration = Duration::from_secs(120);

/// What it says of one load; every answer was checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    pub(crate) dialect: String,
    pub(crate) agencies: u32,
    pub(crate) window: u32,
    pub(crate) bets: u64,
    pub(crate) batches: u64,
    /// Of the batches' packets, headers included.
    pub(crate) bytes: u64,
    /// From the first byte of a batch to the last acknowledgement.
    pub(crate) seconds: f64,
    pub(crate) bets_per_second: f64,
    pub(crate) batches_per_second: f64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) connections_per_second: Option<f64>,
    pub(crate) latency_us: Latency,
    pub(crate) client_cpu_seconds: f64,
    pub(crate) finish_seconds: Option<f64>,
    pub(crate) draw_seconds: Option<f64>,
    pub(crate) winners: Option<u64>,
}

/// From a batch's last byte sent to its whole acknowledgement, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// What happens after the last acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    LeaveOpen,
    Draw,
}

/// Runs a load. The clock stands still while `sending`, before the first batch, and `sent`, after the
/// last acknowledgement, look around.
pub(crate) fn load(
    bench: &Bench,
    (server, address): (Server, &str),
    work: &Work,
    after: After,
    sending: impl FnOnce() -> anyhow::Result<()>,
    sent: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<LoadReport> {
    let mut command = Command::new(&bench.client);
    command.args(["load", "--json", "--phases", "--server", address]);
    command.args(["--agencies", &work.agencies.to_string(), "--bets", &work.bets.to_string()]);
    command.args(["--window", &work.window.to_string()]);
    command.args(["--batch-bytes", &work.batch_bytes.to_string()]);
    if work.connection_per_request {
        command.arg("--connection-per-request");
    } else if server.speaks_base() {
        command.arg("--base");
    }
    if after == After::LeaveOpen {
        command.arg("--leave-open");
    }
    if server.channel() == Channel::Tls {
        command.arg("--tls").arg("--ca").arg(bench.certificates.ca());
    }
    let mut load = Process::start(command, Ending::Kill)?;
    load.wait_for(From::Stderr, "phase: sending", PREPARE_MAX)?;
    sending()?;
    load.release()?;
    load.wait_for(From::Stderr, "phase: sent", SEND_MAX)?;
    sent()?;
    load.release()?;
    let said = load.finish(END_MAX)?;
    serde_json::from_str(&said).with_context(|| format!("the load's report: {said}"))
}
