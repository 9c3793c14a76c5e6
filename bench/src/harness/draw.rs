//! Ten million bets, a few times: the draw; then, of the last ledger, a restart, the memory they take, and what reading them costs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::args::Bench;
use super::disk::{Disk, Probe};
use super::load::{After, LoadReport, load};
use super::proc::Memory;
use super::rows::{BATCH_BYTES, Channel, Dialect, Driver, Server, Work};
use super::stats::Spread;
use super::{audit, progress, run};

const AGENCIES: u32 = 5;
const BETS: u64 = 10_000_000;
const BETS_QUICK: u64 = 1_000_000;
/// At most so many draws, each over a ledger of its own.
const DRAWS_MAX: u32 = 3;
const RESTARTS: u32 = 3;

#[derive(Debug, Serialize)]
pub(crate) struct DrawReport {
    pub(crate) load: LoadReport,
    pub(crate) probe: Probe,
    /// From the last agency's readiness to its winners.
    pub(crate) draw_seconds: Spread,
    /// After the last bet was acknowledged.
    pub(crate) stored: Memory,
    /// After every agency had its winners.
    pub(crate) drawn: Memory,
    /// From the start of the program to where it listens; the files are in memory.
    pub(crate) restart_seconds: Spread,
    pub(crate) restarted: Memory,
    pub(crate) export_seconds: f64,
    pub(crate) verify_seconds: f64,
    /// One read of the ledger's files, beside them.
    pub(crate) read_seconds: f64,
    pub(crate) ledger_bytes: u64,
}

pub(crate) fn measure(bench: &Bench, disk: &mut Disk) -> anyhow::Result<DrawReport> {
    let draws = (0..bench.rounds.min(DRAWS_MAX)).map(|_| draw(bench, disk));
    let draws: Vec<Drawn> = draws.collect::<anyhow::Result<_>>()?;
    let draw_seconds = draws.iter().filter_map(|drawn| drawn.load.draw_seconds);
    let draw_seconds = Spread::of(draw_seconds).context("no load saw the draw")?;
    let Drawn { directory, load, probe, stored, drawn } =
        draws.into_iter().next_back().context("a round at least")?;

    let (restart_seconds, restarted) = restart(bench, &directory)?;
    let data_dir = run::data_dir(&directory);
    let (ledger_bytes, read_seconds) = audit::read_all(&data_dir)?;
    let verified = audit::verify(bench, &data_dir)?;
    ensure!(verified.bets == load.bets, "{} of {} bets are stored", verified.bets, load.bets);
    let export_seconds = audit::export(bench, &data_dir)?;
    disk.clear()?;
    Ok(DrawReport {
        load,
        probe,
        draw_seconds,
        stored,
        drawn,
        restart_seconds,
        restarted,
        export_seconds,
        verify_seconds: verified.seconds,
        read_seconds,
        ledger_bytes,
    })
}

/// A ledger whose draw was seen.
struct Drawn {
    directory: PathBuf,
    load: LoadReport,
    probe: Probe,
    stored: Memory,
    drawn: Memory,
}

fn draw(bench: &Bench, disk: &mut Disk) -> anyhow::Result<Drawn> {
    let (directory, probe) = disk.settle()?;
    let server = Server::Ours(Driver::Pool, Dialect::Session, Channel::Plain);
    let work = Work {
        agencies: AGENCIES,
        window: 16,
        bets: if bench.quick { BETS_QUICK } else { BETS },
        batch_bytes: BATCH_BYTES,
        connection_per_request: false,
    };
    let mut stored = None;
    let running = run::start(bench, server, AGENCIES, &directory)?;
    let pid = running.process.id();
    let look = || {
        stored = Some(Memory::read(pid)?);
        Ok(())
    };
    let load = load(bench, (server, &running.address), &work, After::Draw, || Ok(()), look)?;
    let drawn = Memory::read(pid)?;
    running.stop()?;
    let stored = stored.context("the load did not end")?;
    let seconds = load.draw_seconds.context("the load did not see the draw")?;
    progress(&format!("draw of {} bets: {seconds:.3} s", work.bets));
    Ok(Drawn { directory, load, probe, stored, drawn })
}

/// Starts again and stops, a few times. The memory is that of the last.
fn restart(bench: &Bench, directory: &Path) -> anyhow::Result<(Spread, Memory)> {
    let mut times = Vec::new();
    let mut memory = None;
    for _ in 0..RESTARTS {
        let mut command = run::serve(bench, directory);
        command.args(["--agencies", &AGENCIES.to_string()]);
        let begin = Instant::now();
        let running = run::listen_ours(command, "lottery")?;
        times.push(begin.elapsed().as_secs_f64());
        memory = Some(Memory::read(running.process.id())?);
        running.stop()?;
    }
    let spread = Spread::of(times).context("no restart")?;
    progress(&format!("restart: {:.3} s", spread.median));
    Ok((spread, memory.context("no restart")?))
}
