//! The disk that is measured on: emptied and settled before each run, and its own speed of syncs beside
//! every figure that rests on it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::args::Bench;
use super::machine::filesystem_of;
use super::stats::percentile;

/// About a batch.
const BLOCK: [u8; 8 << 10] = [b'#'; 8 << 10];
const BLOCKS: u32 = 100;
/// So many times slower than at its best, the disk has something else to do.
const UNSETTLED: f64 = 2.0;
/// Then it is as it is.
const SETTLE_MAX: Duration = Duration::from_secs(10);
const SETTLE_MAX_QUICK: Duration = Duration::from_secs(1);
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// A directory for one run at a time.
#[derive(Debug)]
pub(crate) struct Disk {
    data: PathBuf,
    /// Zeros that are on disk already.
    filled: File,
    /// The lowest p50s so far, appended and filled, in microseconds.
    best: [f64; 2],
    settle_max: Duration,
}

/// What 8 kB and an fdatasync take, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Probe {
    /// At the end of a file that grows.
    pub(crate) append_us: Sync,
    /// Over zeros that are on disk already: no metadata changes.
    pub(crate) filled_us: Sync,
    /// Whether it is about as fast as at its best so far.
    pub(crate) settled: bool,
    /// How long that was waited for.
    pub(crate) waited_seconds: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sync {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Disk {
    pub(crate) fn new(bench: &Bench) -> anyhow::Result<Self> {
        let data = bench.data.clone();
        remove(&data)?;
        fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
        let filesystem = filesystem_of(&data);
        ensure!(
            filesystem != "tmpfs",
            "{} lies in memory, where a sync costs nothing: name a directory on a disk with --out",
            data.display()
        );
        let filled = fill(&data.join("probe-filled")).context("preparing the disk's probe")?;
        let settle_max = if bench.quick { SETTLE_MAX_QUICK } else { SETTLE_MAX };
        Ok(Self { data, filled, best: [f64::MAX; 2], settle_max })
    }

    /// An empty directory, on a disk that has nothing else to do, and how fast that is.
    pub(crate) fn settle(&mut self) -> anyhow::Result<(PathBuf, Probe)> {
        let run = self.clear()?;
        fs::create_dir(&run).with_context(|| format!("creating {}", run.display()))?;
        let begin = Instant::now();
        loop {
            let mut probe = self.probe().context("probing the disk")?;
            probe.waited_seconds = begin.elapsed().as_secs_f64();
            let found = [probe.append_us.p50, probe.filled_us.p50];
            self.best = std::array::from_fn(|index| self.best[index].min(found[index]));
            probe.settled =
                found.iter().zip(self.best).all(|(found, best)| *found <= best * UNSETTLED);
            if begin.elapsed() >= self.settle_max {
                // It may be slower for good: the next run is not to wait for that again.
                self.best = found;
            }
            if probe.settled || begin.elapsed() >= self.settle_max {
                return Ok((run, probe));
            }
            thread::sleep(SETTLE_PAUSE);
        }
    }

    /// Deletes what the last run left. Returns where it was.
    pub(crate) fn clear(&self) -> anyhow::Result<PathBuf> {
        let run = self.data.join("run");
        remove(&run)?;
        Ok(run)
    }

    fn probe(&self) -> io::Result<Probe> {
        let path = self.data.join("probe-append");
        let append = File::create(&path)?;
        // Whatever was deleted or written before is done with now.
        rustix::fs::syncfs(&append)?;
        let append_us = time_syncs(&append)?;
        let filled_us = time_syncs(&self.filled)?;
        fs::remove_file(&path)?;
        Ok(Probe { append_us, filled_us, settled: false, waited_seconds: 0.0 })
    }
}

fn fill(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    for block in 0..BLOCKS {
        file.write_all_at(&[0; BLOCK.len()], u64::from(block) * BLOCK.len() as u64)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn time_syncs(file: &File) -> io::Result<Sync> {
    let mut times = Vec::new();
    for block in 0..BLOCKS {
        let begin = Instant::now();
        file.write_all_at(&BLOCK, u64::from(block) * BLOCK.len() as u64)?;
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(Sync { p50: percentile(&times, 50), p99: percentile(&times, 99) })
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("deleting {}", path.display()))
        }
        _ => Ok(()),
    }
}
