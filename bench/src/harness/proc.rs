//! What a process has cost so far, out of /proc.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

/// `USER_HZ`, the unit of times in /proc/PID/stat: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;
/// Times in ticks are cut off twice, for user and system.
const TICKS_LOST_MAX: u64 = 5;

/// What a process has used from its start to one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// Of the threads that live, to the nanosecond.
    threads_time: Duration,
    /// Of all threads there ever were, in ticks.
    process_time: Duration,
    /// Of the threads that live: how often one stopped running.
    switches: u64,
}

/// What a process used between two moments, and the memory it then had.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    /// Nothing where threads have ended meanwhile, and taken their count along.
    pub(crate) context_switches: Option<u64>,
    pub(crate) memory: Memory,
}

/// Resident memory, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) max: u64,
}

impl Used {
    pub(crate) fn read(pid: u32) -> anyhow::Result<Self> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let (mut threads_time, mut switches) = (Duration::ZERO, 0);
        for task in read_dir(&directory.join("task"))? {
            // A thread that ends meanwhile counts no more.
            let (Ok(schedstat), Ok(status)) = (
                fs::read_to_string(task.join("schedstat")),
                fs::read_to_string(task.join("status")),
            ) else {
                continue;
            };
            threads_time += run_time(&schedstat).unwrap_or_default();
            switches += status_field(&status, "voluntary_ctxt_switches").unwrap_or_default();
            switches += status_field(&status, "nonvoluntary_ctxt_switches").unwrap_or_default();
        }
        let stat = read(&directory.join("stat"))?;
        let process_time = process_time(&stat).context("/proc/PID/stat has another form")?;
        Ok(Self { threads_time, process_time, switches })
    }

    pub(crate) fn until(&self, later: &Self, memory: Memory) -> Cost {
        let threads = later.threads_time.saturating_sub(self.threads_time);
        let process = later.process_time.saturating_sub(self.process_time);
        let lost = Duration::from_secs(TICKS_LOST_MAX) / 100;
        // Without schedstat, or with threads that ended, only the ticks know all.
        let counted = process <= threads + lost;
        let time = if counted { threads } else { process };
        let switches = later.switches.checked_sub(self.switches).filter(|_| counted);
        Cost { cpu_seconds: time.as_secs_f64(), context_switches: switches, memory }
    }
}

impl Memory {
    pub(crate) fn read(pid: u32) -> anyhow::Result<Self> {
        let status = read(Path::new(&format!("/proc/{pid}/status")))?;
        let bytes = |name| status_field(&status, name).map(|kilobytes| kilobytes << 10);
        let memory = bytes("VmRSS").zip(bytes("VmHWM")).map(|(now, max)| Self { now, max });
        memory.context("/proc/PID/status does not tell the resident memory")
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn read_dir(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    ensure!(!paths.is_empty(), "{} is empty: the process has ended", path.display());
    Ok(paths)
}

/// `123456 789 10`: nanoseconds on a processor, waiting for one, and how often.
fn run_time(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `PID (NAME) STATE …`: the 14th and 15th fields are ticks in user and system. A name can have
/// anything in it, so fields are counted from its closing bracket.
fn process_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let total = ticks()? + ticks()?;
    Some(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
}

/// `VmRSS: 1234 kB`, `voluntary_ctxt_switches: 12`: the number of a line.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let rest = |line: &'_ str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
    let value = status.lines().find_map(rest)?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        assert_eq!(run_time("2000 30 4\n"), Some(Duration::from_micros(2)));
        assert_eq!(run_time(""), None);
        let stat = "7 (a b) c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(process_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(process_time("7 (a) S 1"), None);
        let status = "Name:\tx\nVmRSS:\t  12 kB\nvoluntary_ctxt_switches:\t5\n";
        assert_eq!(status_field(status, "VmRSS"), Some(12));
        assert_eq!(status_field(status, "voluntary_ctxt_switches"), Some(5));
        assert_eq!(status_field(status, "VmHWM"), None);
    }

    #[test]
    fn threads_that_ended_are_counted_by_the_process() {
        let used = |threads, process, switches| Used {
            threads_time: Duration::from_millis(threads),
            process_time: Duration::from_millis(process),
            switches,
        };
        let memory = Memory { now: 1, max: 1 };
        let cost = used(10, 0, 5).until(&used(1010, 990, 25), memory);
        assert_eq!((cost.cpu_seconds, cost.context_switches), (1.0, Some(20)));
        let cost = used(10, 0, 5).until(&used(20, 990, 25), memory);
        assert_eq!((cost.cpu_seconds, cost.context_switches), (0.99, None));
    }

    #[test]
    fn this_process_has_a_cost() {
        let pid = std::process::id();
        let used = Used::read(pid).unwrap();
        let cost = used.until(&Used::read(pid).unwrap(), Memory::read(pid).unwrap());
        assert!(cost.cpu_seconds < 60.0 && cost.memory.now > 0);
        assert!(cost.memory.max >= cost.memory.now);
    }
}
