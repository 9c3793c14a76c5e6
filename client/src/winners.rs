//! The documents that won: gathered from an office's answers, and written one a line. Knows no socket.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bolillero_fs::{Access, WholeFile};
use bolillero_protocol::error::Corrupt;
use bolillero_protocol::list;

use crate::dialogue::Stop;

/// The most bytes of documents that are kept: those of the longest opcode 7 of an office of ours. More
/// are counted only.
pub const KEPT_SIZE_MAX: usize = 16 << 20;

/// The winners in a list that arrives in pieces. `#` alone, or nothing, is none.
#[derive(Debug, Clone, Default)]
pub struct WinnerList {
    /// Each with a line feed after it.
    documents: Vec<u8>,
    winners: u64,
    item_begun: bool,
    is_too_long: bool,
}

/// Where the winners are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WinnersOutput {
    /// To stdout; the log goes to stderr.
    Stdout,
    /// To this file, which then has them all or is as it was.
    File(PathBuf),
}

impl WinnerList {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        for &byte in piece {
            let ends = byte == list::SEPARATOR;
            if !ends || self.item_begun {
                self.keep(if ends { b'\n' } else { byte });
            }
            self.winners += u64::from(ends && self.item_begun);
            self.item_begun = !ends;
        }
    }

    /// How many there are, after the last piece.
    ///
    /// # Errors
    /// [`Stop::Unreadable`] when the list breaks off.
    pub fn count(&self) -> Result<u64, Stop> {
        if self.item_begun { Err(Corrupt::NotAList.into()) } else { Ok(self.winners) }
    }

    fn keep(&mut self, byte: u8) {
        self.is_too_long |= self.documents.len() >= KEPT_SIZE_MAX;
        if !self.is_too_long {
            self.documents.push(byte);
        }
    }

    /// The documents, one a line.
    fn lines(&self) -> anyhow::Result<&[u8]> {
        ensure!(!self.is_too_long, "they are longer than {KEPT_SIZE_MAX} bytes");
        // The office's bytes may reach a terminal.
        let are_plain = self.documents.iter().all(|byte| byte.is_ascii_graphic() || *byte == b'\n');
        ensure!(are_plain, "the office's answer has documents that are not plain text");
        Ok(&self.documents)
    }
}

impl WinnersOutput {
    /// Finds out whether the winners can be written, which may be days before they are known. `bets` is
    /// the file that they must not replace.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn check(&self, bets: &Path) -> anyhow::Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        self.writing(|| {
            if let Ok(there) = fs::symlink_metadata(path) {
                if !there.is_file() {
                    bail!("it is there, and no regular file: name a file, or - for stdout");
                }
                let of_bets = fs::metadata(bets).ok();
                let same = of_bets.is_some_and(|of_bets| {
                    (of_bets.dev(), of_bets.ino()) == (there.dev(), there.ino())
                });
                ensure!(!same, "it is the file of bets: name another");
            }
            WholeFile::create(path, Access::Owner)?;
            Ok(())
        })
    }

    /// Writes the documents, one a line.
    ///
    /// # Errors
    /// Whatever the file system fails with. The file is as it was then.
    pub fn write(&self, winners: &WinnerList) -> anyhow::Result<()> {
        self.writing(|| {
            let lines = winners.lines()?;
            match self {
                Self::Stdout => match write_to_stdout(lines) {
                    // Whoever read it has read enough.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                    written => written?,
                },
                Self::File(path) => {
                    let mut file = WholeFile::create(path, Access::Owner)?;
                    file.write_all(lines)?;
                    file.sync()?;
                    file.replace()?;
                }
            }
            Ok(())
        })
    }

    fn writing(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        work().with_context(|| match self {
            Self::Stdout => "writing the winners to stdout".to_owned(),
            Self::File(path) => format!("writing the winners to {}", path.display()),
        })
    }
}

fn write_to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_its_documents_one_a_line_however_it_is_cut() {
        let rows =
            [("", "", 0), ("#", "", 0), ("1#", "1\n", 1), ("07#30000001#", "07\n30000001\n", 2)];
        for (data, lines, count) in rows {
            for size in 1..=data.len().max(1) {
                let mut winners = WinnerList::default();
                data.as_bytes().chunks(size).for_each(|piece| winners.add(piece));
                assert_eq!(winners.count().unwrap(), count, "{data:?}");
                assert_eq!(winners.lines().unwrap(), lines.as_bytes(), "{data:?}");
            }
        }
        let mut broken = WinnerList::default();
        broken.add(b"1#2");
        assert!(broken.count().is_err());
    }

    #[test]
    fn more_than_is_kept_and_what_could_steer_a_terminal_is_counted_and_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let output = WinnersOutput::File(directory.path().join("winners"));
        let long = b"30000001#".repeat(KEPT_SIZE_MAX / 9 + 1);
        for (data, count) in [(&long[..], long.len() as u64 / 9), (b"1\x1b[2J#2#", 2)] {
            let mut winners = WinnerList::default();
            winners.add(data);
            assert_eq!(winners.count().unwrap(), count);
            assert!(winners.documents.capacity() <= 2 * KEPT_SIZE_MAX);
            let error = format!("{:#}", output.write(&winners).unwrap_err());
            assert!(error.starts_with("writing the winners to "), "{error}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
    }
}
