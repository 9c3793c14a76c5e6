//! What was typed, and what it means.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, ensure};
use clap::Parser;
use clap::builder::PossibleValuesParser;

use super::rows::{FILES, HANDSHAKES, ROOM, ROW_NAMES};
use super::tls::Certificates;

/// Measures bolillero-server beside small reference servers, in turns on the same disk.
///
/// Writes report.json, report.md and pictures to the directory --out; what it stores meanwhile lies in
/// its subdirectory data. A speed is a ratio to the row's reference, median over the rounds.
///
/// Exit codes: 0 success, 1 failure or wrong results, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "bolillero-bench", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Where bolillero-server, bolillero and reference are [default: beside this program]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Where to write; its disk is the one that is measured
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
    /// One round of less work, eight rows, no system calls counted: under two minutes
    #[arg(long)]
    quick: bool,
    /// Rounds of each row, 1 to 99; with --quick it is 1
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Which rows, separated by commas [default: all; with --quick eight of them]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(ROW_NAMES))]
    rows: Vec<String>,
}

/// With `--quick` only one in so many is done, where a row says nothing else.
const QUICK_SHARE: u64 = 4;

/// What to measure, and with what.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) reference: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) certificates: Certificates,
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    rows: Vec<String>,
}

/// The rows of `--quick`.
const QUICK_ROWS: [&str; 8] =
    ["5x1", "5x16", "500x1", "per-request", "5x16-tls", FILES, HANDSHAKES, ROOM];

impl Bench {
    pub(crate) fn new(args: Args) -> anyhow::Result<Self> {
        let bin_dir = match args.bin_dir {
            Some(dir) => dir,
            None => directory_of(&env::current_exe().context("where this program is")?),
        };
        fs::create_dir_all(&args.out)
            .with_context(|| format!("creating {}", args.out.display()))?;
        let out = absolute(&args.out)?;
        let rows = match (args.rows.is_empty(), args.quick) {
            (false, _) => args.rows,
            (true, true) => QUICK_ROWS.map(String::from).to_vec(),
            (true, false) => ROW_NAMES.map(String::from).to_vec(),
        };
        Ok(Self {
            server: program(&bin_dir, "bolillero-server")?,
            client: program(&bin_dir, "bolillero")?,
            reference: program(&bin_dir, "reference")?,
            data: out.join("data"),
            certificates: Certificates::make(&out.join("tls"))?,
            out,
            quick: args.quick,
            rounds: if args.quick { 1 } else { args.rounds },
            rows,
        })
    }

    /// How much to do of it.
    pub(crate) fn amount(&self, whole: u64) -> u64 {
        if self.quick { whole / QUICK_SHARE } else { whole }
    }

    /// Whether a row was asked for.
    pub(crate) fn takes(&self, row: &str) -> bool {
        self.rows.iter().any(|name| name == row)
    }
}

fn directory_of(program: &Path) -> PathBuf {
    program.parent().unwrap_or(Path::new(".")).to_path_buf()
}

fn program(bin_dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = bin_dir.join(name);
    let shown = path.display();
    ensure!(path.is_file(), "{shown} is missing: build it with cargo build --release, or use make");
    absolute(&path)
}

/// The programs run in directories of their own.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("finding {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_checked() {
        let good: [&[&str]; 3] = [&[], &["--rows", "5x1,scale", "--rounds", "99"], &["--quick"]];
        for args in good {
            assert!(Args::try_parse_from([&["bench"], args].concat()).is_ok(), "{args:?}");
        }
        let bad: [&[&str]; 3] = [&["--rows", "6x1"], &["--rounds", "0"], &["--rounds", "100"]];
        for args in bad {
            assert!(Args::try_parse_from([&["bench"], args].concat()).is_err(), "{args:?}");
        }
    }
}
