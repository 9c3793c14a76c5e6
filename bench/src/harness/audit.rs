//! Reading a ledger from outside: `verify` and `export`, and one read of its files beside them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::args::Bench;
use super::process::{Ending, Process};

const AUDIT_MAX: Duration = Duration::from_secs(300);
const READ_BYTES: usize = 1 << 20;

/// A ledger that is sound.
pub(crate) struct Verified {
    pub(crate) bets: u64,
    pub(crate) seconds: f64,
}

pub(crate) fn verify(bench: &Bench, data_dir: &Path) -> anyhow::Result<Verified> {
    let mut command = Command::new(&bench.server);
    command.arg("verify").arg("--data-dir").arg(data_dir);
    let begin = Instant::now();
    let report = Process::start(command, Ending::Kill)?.finish(AUDIT_MAX)?;
    let seconds = begin.elapsed().as_secs_f64();
    let bets = verified_bets(&report);
    let bets = bets.with_context(|| format!("verify says no number of bets: {report}"))?;
    Ok(Verified { bets, seconds })
}

/// Exports into a file beside the data directory; returns the seconds it took.
pub(crate) fn export(bench: &Bench, data_dir: &Path) -> anyhow::Result<f64> {
    let mut command = Command::new(&bench.server);
    command.arg("export").arg("--data-dir").arg(data_dir);
    command.arg("--output").arg(data_dir.with_extension("csv"));
    let begin = Instant::now();
    Process::start(command, Ending::Kill)?.finish(AUDIT_MAX)?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Reads every file below a directory once. Returns the bytes, and the seconds it took.
pub(crate) fn read_all(directory: &Path) -> anyhow::Result<(u64, f64)> {
    let begin = Instant::now();
    let mut total = 0;
    let mut piece = vec![0; READ_BYTES];
    for path in files_below(directory)? {
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        loop {
            let length = file.read(&mut piece);
            match length.with_context(|| format!("reading {}", path.display()))? {
                0 => break,
                length => total += length as u64,
            }
        }
    }
    Ok((total, begin.elapsed().as_secs_f64()))
}

fn files_below(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory);
    let entries = entries.with_context(|| format!("reading {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", directory.display()))?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// `bets            123 in 4 batches`, then, on the last line, `sound`.
fn verified_bets(report: &str) -> Option<u64> {
    let sound = report.lines().last() == Some("sound");
    let bets = report.lines().find_map(|line| line.strip_prefix("bets "))?;
    bets.split_ascii_whitespace().next()?.parse().ok().filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_ledger_has_a_number_of_bets() {
        let report = "draw            aa\nbets            123 in 4 batches\nsound\n";
        assert_eq!(verified_bets(report), Some(123));
        assert_eq!(verified_bets(report.trim_end_matches("sound\n")), None);
        assert_eq!(verified_bets("sound\n"), None);
    }
}
