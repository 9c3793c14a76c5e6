//! Counts a running program's system calls with strace, where it is installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde::Serialize;

use super::process::{Ending, From, Process};

const ATTACH_MAX: Duration = Duration::from_secs(20);
const DETACH_MAX: Duration = Duration::from_secs(30);

/// A running count.
#[derive(Debug)]
pub(crate) struct Trace {
    strace: Process,
    summary: PathBuf,
}

/// System calls, each with how often it was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Calls(BTreeMap<String, f64>);

/// Whether there is anything to count with.
pub(crate) fn is_installed() -> bool {
    let version = Command::new("strace").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

impl Trace {
    pub(crate) fn attach(pid: u32, directory: &Path) -> anyhow::Result<Self> {
        let summary = directory.join("strace");
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-p", &pid.to_string(), "-o"]).arg(&summary);
        // Killed, it would leave its threads stopped.
        let strace = Process::start(command, Ending::Ask)?;
        strace.wait_for(From::Stderr, "attached", ATTACH_MAX)?;
        Ok(Self { strace, summary })
    }

    pub(crate) fn detach(self) -> anyhow::Result<Calls> {
        // It ends by the signal it was ended with, and has written its summary then.
        let ended = self.strace.end(Signal::INT, DETACH_MAX);
        let text = fs::read_to_string(&self.summary);
        let calls = text.ok().map(|text| Calls::read(&text)).filter(|calls| calls.total() > 0.0);
        match calls {
            Some(calls) => Ok(calls),
            None => Err(ended.err().context("no call was counted")?),
        }
    }
}

impl Calls {
    /// `% time  seconds  usecs/call  calls  [errors]  syscall`, between two rules of dashes.
    fn read(summary: &str) -> Self {
        let calls = summary.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(count), Some(name)) = (fields.get(3)?.parse().ok(), fields.last()) else {
                return None;
            };
            (fields.len() >= 5 && *name != "total").then(|| ((*name).to_owned(), count))
        });
        Self(calls.collect())
    }

    pub(crate) fn per_batch(mut self, batches: u64) -> Self {
        self.0.values_mut().for_each(|count| *count /= batches.max(1) as f64);
        self
    }

    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The commonest, as `write 1.00, read 0.50`.
    pub(crate) fn told(&self, names_max: usize) -> String {
        let mut calls: Vec<_> = self.0.iter().collect();
        calls.sort_by(|a, b| b.1.total_cmp(a.1));
        let told = calls.iter().take(names_max).map(|(name, count)| format!("{name} {count:.2}"));
        told.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_with_and_without_errors() {
        let calls = Calls::read(
            "% time     seconds  usecs/call     calls    errors syscall\n\
             ------ ----------- ----------- --------- --------- ------------------\n \
              90.00    0.004500           4      1000        20 read\n \
              10.00    0.000500           1       500           write\n\
             ------ ----------- ----------- --------- --------- ------------------\n\
             100.00    0.005000           3      1500        20 total\n",
        );
        assert_eq!(calls.total(), 1500.0);
        let calls = calls.per_batch(1000);
        assert_eq!((calls.total(), calls.told(1).as_str()), (1.5, "read 1.00"));
    }
}
