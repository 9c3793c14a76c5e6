//! A reference as a child, and what agencies send it. Judges only what was stored.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub(crate) const N_AGENCIES: usize = 4;
pub(crate) const N_BATCHES: usize = 60;
pub(crate) const ACK: [u8; 5] = [2, 0, 0, 0, 0];
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Reference {
    child: Child,
    pub(crate) address: String,
    folder: TempDir,
}

impl Reference {
    pub(crate) fn start(kind: &str) -> Reference {
        Reference::start_in(tempfile::tempdir().unwrap(), kind, &[])
    }

    /// With a file that is there before.
    pub(crate) fn start_with(kind: &str, file: &[u8]) -> Reference {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("batches"), file).unwrap();
        Reference::start_in(folder, kind, &[])
    }

    /// With more options, in a folder that may hold a file before.
    pub(crate) fn start_in(folder: TempDir, kind: &str, options: &[&OsStr]) -> Reference {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reference"))
            .args([kind, "--listen", "127.0.0.1:0", "--file"])
            .arg(folder.path().join("batches"))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut reference = Reference { child, address: String::new(), folder };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        reference.address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        reference
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("batches")
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An agency's batches and its 5.
pub(crate) fn stream_of(agency: usize) -> Vec<u8> {
    let batches = (0..N_BATCHES).flat_map(|index| packet(3, &body(agency, index)));
    batches.chain(packet(5, &format!("{agency}#"))).collect()
}

/// Some bytes, cut anywhere.
pub(crate) fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut sizes = [1, 3, 97, 5, 1024, 4099].into_iter().cycle();
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(sizes.next()?.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The file is all batches, each whole, those of an agency in their order.
pub(crate) fn assert_stored(path: &Path, kind: &str) {
    let stored = fs::read_to_string(path).unwrap();
    let mut rest = &stored[..];
    let mut next = BTreeMap::new();
    while !rest.is_empty() {
        let agency: usize = rest.split('#').nth(2).unwrap().parse().unwrap();
        let index = next.entry(agency).or_insert(0);
        rest = rest.strip_prefix(&body(agency, *index)).unwrap();
        *index += 1;
    }
    let expected = (1..=N_AGENCIES).map(|agency| (agency, N_BATCHES)).collect();
    assert_eq!(next, expected, "{kind}");
}

/// A batch, of another size with each index.
pub(crate) fn body(agency: usize, index: usize) -> String {
    let n_bets = 1 + index;
    let bets = (0..n_bets).map(|bet| {
        format!("@{bet}#{agency}#Ana Íñez#Paz#{}#1990-02-28#{bet}#", 30_000_000 + index)
    });
    format!("{n_bets}#{}", bets.collect::<String>())
}

pub(crate) fn packet(opcode: u8, data: &str) -> Vec<u8> {
    let mut packet = vec![opcode];
    packet.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    packet.extend(data.as_bytes());
    packet
}
