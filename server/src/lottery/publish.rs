//! Writes the results as files that anybody may have. No bettor's name is in them. Knows no office
//! and no session: [`super::draw`] runs it.
//!
//! ```text
//! draw.json              draw id, winning number, winners; each agency's winners and documents' hash
//! winners-agency-N.csv   the documents that won, one a line (CRLF), in the order of the lane
//! SHA256SUMS             of all the others, as `sha256sum -c` reads it
//! ```
//!
//! Files are written in this order, each under a hidden name that a rename replaces. `draw.json`
//! comes first, so that a half-published directory names its draw. `SHA256SUMS` comes last, once
//! all others are synced: where it is, the results are whole. It is removed before a file beside it
//! is replaced.

mod content;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bolillero_fs::{Access, WholeFile, create_directory, is_unfinished};
use bolillero_protocol::chain::Hex;
use sha2::{Digest as _, Sha256};

use self::content::{Hashing, draw_json, read_winners, write_winners};
pub(super) use self::content::{is_regular, sum_of};
use super::state::Terms;
use super::winners::{AgencyWinners, Winners};
use crate::ledger::disk::Disk;

/// The directory with the results in a data directory.
pub const PUBLISHED_DIRECTORY: &str = "published";
/// How the name of a file with winners begins.
pub(super) const WINNERS: &str = "winners-agency-";
pub(super) const JSON: &str = "draw.json";
pub(super) const SUMS: &str = "SHA256SUMS";
/// The most files that are synced one by one. One `syncfs` for more of them takes less time, but
/// waits for all that the file system has to write.
const SYNCED_SINGLY_MAX: usize = 16;
/// The most agencies of a draw whose publishing is finished although the server stops.
const FINISHED_AT_A_STOP_MAX: usize = 256;

/// The name of the file with an agency's winners.
#[must_use]
pub fn winners_file(agency: u32) -> String {
    format!("{WINNERS}{agency}.csv")
}

/// Publishes the results of a draw, one file a [`Publisher::step`]. Files that are right already
/// stay as they are.
pub struct Publisher {
    directory: PathBuf,
    access: Access,
    terms: Terms,
    winners: Arc<Winners>,
    disk: Arc<dyn Disk>,
    stage: Stage,
    /// Agencies in the order in which their files are written. Those whose list is too long to be
    /// sent come first, since an answer names their file.
    order: Vec<u32>,
    /// How many of them have such a list.
    named: usize,
    /// The hash of each agency's file, by agency, and that of `draw.json`.
    sums: Vec<[u8; 32]>,
    json_sum: [u8; 32],
    /// Opened before the first write, so that a sync of it reports every failed write-back.
    handle: Option<fs::File>,
    /// `SHA256SUMS` was there: what was right beside it is synced.
    was_finished: bool,
    unsynced: Unsynced,
}

/// How far a publisher is. It only moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Prepare,
    Json,
    /// The file of the agency at this place of the order.
    Winners(usize),
    Sync,
    Sums,
    Done,
}

/// What a publisher has left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishStep {
    /// There is more to do.
    Progress,
    /// The results are published, durably.
    Done,
}

/// Files that a power failure may still take.
enum Unsynced {
    Few(Vec<String>),
    Many,
}

impl Publisher {
    /// Publishes `winners` in `directory`, which is created where it is missing. `access` may read
    /// what is written, on this machine. `disk` has the ledger, for lists that are not kept in
    /// memory.
    #[must_use]
    pub fn new(
        directory: PathBuf,
        access: Access,
        terms: Terms,
        winners: Arc<Winners>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        let is_long = |winners: &AgencyWinners| winners.documents.is_none();
        let of_length = |long: bool| {
            let agencies = winners.iter().filter(move |(_, winners)| is_long(winners) == long);
            agencies.map(|(agency, _)| agency)
        };
        let mut order: Vec<u32> = of_length(true).collect();
        let named = order.len();
        order.extend(of_length(false));
        Self {
            sums: vec![[0; 32]; order.len()],
            json_sum: [0; 32],
            directory,
            access,
            terms,
            winners,
            disk,
            stage: Stage::Prepare,
            order,
            named,
            handle: None,
            was_finished: false,
            unsynced: Unsynced::Few(Vec::new()),
        }
    }

    /// Whether every file is there that an answer may name: lists that are too long to be sent.
    #[must_use]
    pub fn has_named(&self) -> bool {
        self.named == 0 || self.stage >= Stage::Winners(self.named)
    }

    /// Whether all results are there under their names. They may not be synced yet.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.stage >= Stage::Sync
    }

    /// Whether publishing takes so little time that a server that stops finishes it.
    #[must_use]
    pub fn ends_soon(&self) -> bool {
        self.has_named() && self.order.len() <= FINISHED_AT_A_STOP_MAX
    }

    /// Checks or writes the next file, or syncs what was written. A list that has to be read from
    /// the ledger is given up when `goes_on` says no; the next step begins it anew.
    ///
    /// # Errors
    /// What could not be written. Publishing can be tried again, from the beginning.
    pub fn step(&mut self, goes_on: &(dyn Fn() -> bool + Sync)) -> anyhow::Result<PublishStep> {
        self.stage = match self.stage {
            Stage::Prepare => self.prepare()?,
            Stage::Json => self.publish_json()?,
            Stage::Winners(index) => match self.order.get(index).copied() {
                Some(agency) if self.publish_winners(agency, goes_on)? => Stage::Winners(index + 1),
                Some(_) => Stage::Winners(index),
                None => Stage::Sync,
            },
            Stage::Sync => self.sync()?,
            Stage::Sums => self.publish_sums()?,
            Stage::Done => Stage::Done,
        };
        Ok(if self.stage == Stage::Done { PublishStep::Done } else { PublishStep::Progress })
    }

    fn prepare(&mut self) -> anyhow::Result<Stage> {
        let directory = &self.directory;
        let doing = |what: &str| format!("{what} {}", directory.display());
        create_directory(directory, self.access).with_context(|| doing("creating"))?;
        self.handle = Some(fs::File::open(directory).with_context(|| doing("opening"))?);
        remove_unfinished(directory).with_context(|| doing("removing unfinished files in"))?;
        self.was_finished = is_finished(directory);
        Ok(Stage::Json)
    }

    fn publish_json(&mut self) -> anyhow::Result<Stage> {
        let json = draw_json(&self.terms, &self.winners);
        let is_right = is_regular(&self.directory.join(JSON))
            && fs::read(self.directory.join(JSON)).is_ok_and(|found| found == json.as_bytes());
        if !is_right {
            self.write_file(JSON, |out| Ok(out.write_all(json.as_bytes())?))?;
        }
        self.note_file(JSON, !is_right);
        self.json_sum = Sha256::digest(json.as_bytes()).into();
        Ok(Stage::Winners(0))
    }

    /// False when `goes_on` said no.
    fn publish_winners(
        &mut self,
        agency: u32,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<bool> {
        let winners = Arc::clone(&self.winners);
        let of_agency = winners.of(agency).expect("it is one of the draw");
        let name = winners_file(agency);
        let found = read_winners(&self.directory.join(&name), &of_agency.digest);
        let is_right = found.is_some();
        let sum = match found {
            Some(sum) => sum,
            None => {
                let (terms, disk) = (self.terms, Arc::clone(&self.disk));
                let mut whole = true;
                let sum = self.write_file(&name, |out| {
                    whole = write_winners(out, agency, of_agency, &terms, &*disk, goes_on)?;
                    anyhow::ensure!(whole, "the server stops");
                    Ok(())
                });
                if !whole {
                    return Ok(false);
                }
                sum?
            }
        };
        self.note_file(&name, !is_right);
        self.sums[agency as usize - 1] = sum;
        Ok(true)
    }

    /// Syncs what an earlier life may have left unsynced and what was written in this one.
    fn sync(&self) -> anyhow::Result<Stage> {
        let directory = &self.directory;
        let handle = self.handle.as_ref().expect("it was prepared");
        let sync = || match &self.unsynced {
            Unsynced::Few(names) => {
                for name in names {
                    fs::File::open(directory.join(name))?.sync_all()?;
                }
                handle.sync_all()
            }
            // It makes renames durable, too.
            Unsynced::Many => Ok(rustix::fs::syncfs(handle)?),
        };
        sync().with_context(|| format!("syncing {}", directory.display()))?;
        Ok(Stage::Sums)
    }

    fn publish_sums(&self) -> anyhow::Result<Stage> {
        let mut sums = String::new();
        for (agency, sum) in (1..).zip(&self.sums) {
            push_sum_line(&mut sums, sum, &winners_file(agency));
        }
        push_sum_line(&mut sums, &self.json_sum, JSON);
        let path = self.directory.join(SUMS);
        if is_regular(&path) && fs::read(&path).is_ok_and(|found| found == sums.as_bytes()) {
            return Ok(Stage::Done);
        }
        let publish = || {
            let (file, _) = self.write_unnamed(SUMS, |out| Ok(out.write_all(sums.as_bytes())?))?;
            file.sync()?;
            file.replace()?;
            anyhow::Ok(fs::File::open(&self.directory)?.sync_all()?)
        };
        publish().with_context(|| self.writing(SUMS))?;
        Ok(Stage::Done)
    }

    /// Writes a file of results and names it, unsynced; returns its hash.
    fn write_file(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<[u8; 32]> {
        let write = || {
            let (file, sum) = self.write_unnamed(name, fill)?;
            if self.was_finished {
                // Checksums stand for whole results only.
                remove_if_there(&self.directory.join(SUMS))?;
            }
            file.replace()?;
            anyhow::Ok(sum)
        };
        write().with_context(|| self.writing(name))
    }

    /// Writes a file of results that has no name yet, and hashes it.
    fn write_unnamed(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<(WholeFile, [u8; 32])> {
        let file = WholeFile::create(self.directory.join(name), self.access)?;
        let mut out = Hashing::new(BufWriter::new(file));
        fill(&mut out)?;
        let (out, sum) = out.finish();
        Ok((out.into_inner().map_err(io::IntoInnerError::into_error)?, sum))
    }

    fn writing(&self, name: &str) -> String {
        format!("writing {name} in {}", self.directory.display())
    }

    /// Remembers to sync a file that is right now.
    fn note_file(&mut self, name: &str, is_new: bool) {
        if self.was_finished && !is_new {
            return;
        }
        match &mut self.unsynced {
            Unsynced::Few(names) if names.len() < SYNCED_SINGLY_MAX => names.push(name.to_owned()),
            unsynced => *unsynced = Unsynced::Many,
        }
    }
}

/// Whether the publishing of what is in a directory came to its end.
pub(super) fn is_finished(directory: &Path) -> bool {
    is_regular(&directory.join(SUMS))
}

fn push_sum_line(sums: &mut String, sum: &[u8; 32], name: &str) {
    let _ = writeln!(sums, "{}  {name}", Hex(sum));
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_unfinished(name) || is_unfinished_of_old(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a name is that of a file that an earlier build left unfinished: `~draw.json.tmp`. Others
/// may have files of their own in this directory.
fn is_unfinished_of_old(name: &str) -> bool {
    let name = name.strip_prefix('~').and_then(|name| name.strip_suffix(".tmp"));
    name.is_some_and(|name| [JSON, SUMS].contains(&name) || name.starts_with(WINNERS))
}
