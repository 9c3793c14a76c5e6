//! What it was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::Serialize;

use super::args::Bench;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) filesystem: String,
    pub(crate) memory_bytes: u64,
}

/// Which program it was.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    pub(crate) server: String,
    /// Of the sources around, where git knows it; `+` with changes that are not committed.
    pub(crate) commit: Option<String>,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn found(bench: &Bench) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.split_ascii_whitespace().next().and_then(|kilo| kilo.parse().ok());
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem_of(&bench.out),
            memory_bytes: kilobytes.unwrap_or(0_u64) << 10,
        }
    }
}

impl Version {
    pub(crate) fn found(bench: &Bench) -> Self {
        let server = said(Command::new(&bench.server).arg("--version"));
        let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
        let changed = said(Command::new("git").args(["status", "--porcelain"])).is_some();
        Self {
            server: server.unwrap_or_default(),
            commit: commit.map(|commit| if changed { commit + "+" } else { commit }),
            date: chrono::Utc::now().format("%Y-%m-%d %H:%M %:z").to_string(),
        }
    }
}

/// The type of the file system that a path lies on, such as `ext4`.
pub(crate) fn filesystem_of(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    filesystem_in(&mounts, &path).unwrap_or_default()
}

/// `36 35 98:0 /root /mount options … - ext4 /dev/…`: the longest mount that the path is under; of
/// equal ones the last, which lies over the others.
fn filesystem_in(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        path.starts_with(point).then(|| (point.len(), filesystem.split(' ').next().unwrap_or("")))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, filesystem)| filesystem.to_owned())
}

/// `model name : AMD EPYC`: what stands behind the colon.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

/// What a command says; nothing where it fails, or says nothing.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_holds_a_path() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/vda rw\n\
                      2 1 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw\n\
                      3 1 0:6 / /tmp/over rw - xfs /dev/vdb rw\n";
        let of = |path| filesystem_in(mounts, Path::new(path)).unwrap();
        assert_eq!(
            ["/home", "/tmp/x", "/tmpx", "/tmp/over/y"].map(of),
            ["ext4", "tmpfs", "ext4", "xfs"]
        );
    }

    #[test]
    fn fields_stand_behind_colons() {
        assert_eq!(field("a: 1\nmodel name\t: EPYC: 3\n", "model name"), "EPYC: 3");
        assert_eq!(field("", "model name"), "unknown");
    }
}
