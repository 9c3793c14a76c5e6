//! Compares the results that a start finds published with what its ledger says. Knows no office: a
//! start calls it before it draws or serves.
//!
//! ```text
//! ledger's draw   draw.json: this draw              another draw    unreadable or missing
//! Open            refused: the ledger lost bets     moved aside     moved aside
//! Drawing         refused if the winners differ     moved aside     moved aside
//! Drawn           refused if the winners differ     moved aside     written anew (by the publisher)
//!                 and all checksums are right,
//!                 else written anew
//! ```
//! Results that are moved aside keep their names in a directory beside the published files, which
//! no file service reaches. Nothing is deleted.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bolillero_fs::Access;
use bolillero_protocol::chain::parse_hex;
use bolillero_protocol::log_line;
use bolillero_protocol::message::DrawId;
use serde::Deserialize;
use thiserror::Error;

use super::publish::{JSON, SUMS, WINNERS, is_regular, sum_of, winners_file};
use super::state::{Draw, Terms};
use super::winners::Digest;

/// Why a start goes no further because of what is published.
#[derive(Debug, Error)]
pub enum PublishedError {
    /// The published results and the ledger contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// Results of another draw stayed where they would be served as this draw's.
    #[error(
        "moving the published files of another draw aside in {}: {error}; make the directory \
         writable, or move its files away",
        .directory.display()
    )]
    Stuck {
        /// Where the files are.
        directory: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The results that a `draw.json` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedDraw {
    draw: DrawId,
    winning_number: u16,
    digests: Vec<Digest>,
}

impl PublishedDraw {
    /// Reads a `draw.json` of this build or an earlier one. `None`: it is none.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let read: DrawJson = serde_json::from_slice(json).ok()?;
        let digest = |(agency, row): (u32, AgencyJson)| {
            let documents_sha256 = parse_hex(&row.documents_sha256)?;
            (row.agency == agency).then_some(Digest { winners: row.winners, documents_sha256 })
        };
        Some(Self {
            draw: DrawId::parse(&read.draw)?,
            winning_number: read.winning_number,
            digests: (1..).zip(read.agencies).map(digest).collect::<Option<_>>()?,
        })
    }

    /// Whether it has exactly these results.
    #[must_use]
    pub fn is_of(&self, terms: &Terms, digests: &[Digest]) -> bool {
        let Self { draw, winning_number, digests: published } = self;
        (*draw, *winning_number) == (terms.draw, terms.winning_number.value())
            && published == digests
    }
}

/// What is read of a `draw.json`; earlier builds wrote no total of winners.
#[derive(Deserialize)]
struct DrawJson {
    draw: String,
    winning_number: u16,
    agencies: Vec<AgencyJson>,
}

#[derive(Deserialize)]
struct AgencyJson {
    agency: u32,
    winners: u64,
    documents_sha256: String,
}

/// A directory of results, at a start.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Where the results are.
    pub directory: &'a Path,
    /// Whether results that contradict the ledger are moved aside instead of refused.
    pub ignored: bool,
}

/// What a directory has for a `draw.json`.
enum Found {
    Nothing,
    Unreadable,
    Draw(PublishedDraw),
}

impl Published<'_> {
    /// Compares what is there with a ledger whose draw is at `draw`, and moves results of other
    /// draws aside. `recorded` is the ledger's record of a draw that is done. Returns the results
    /// of this draw where they are still to be compared with the winners.
    ///
    /// # Errors
    /// [`PublishedError`]
    pub fn examine(
        &self,
        terms: &Terms,
        draw: Draw,
        recorded: Option<&[Digest]>,
    ) -> Result<Option<PublishedDraw>, PublishedError> {
        match (self.read(), draw) {
            (Found::Draw(found), _) if found.draw != terms.draw => {
                self.move_all(terms, Some(found.draw))?;
            }
            (Found::Draw(_), Draw::Open) => {
                self.refuse(
                    terms,
                    "its results, but this ledger says that the draw is not done. The ledger is an \
                     older copy or was cut short: bets and marks that it acknowledged are missing",
                )?;
            }
            (Found::Draw(found), Draw::Drawing) => {
                self.move_strays(terms)?;
                return Ok(Some(found));
            }
            (Found::Draw(found), Draw::Drawn) => {
                let is_same = recorded.is_some_and(|recorded| found.is_of(terms, recorded));
                if !is_same && self.is_consistent() {
                    self.refuse(terms, "other results than this ledger's record of the draw")?;
                }
                self.move_strays(terms)?;
            }
            (Found::Nothing | Found::Unreadable, Draw::Drawn) => self.move_strays(terms)?,
            (Found::Nothing | Found::Unreadable, Draw::Open | Draw::Drawing) => {
                self.move_all(terms, None)?;
            }
        }
        Ok(None)
    }

    /// Compares results that were published before with the winners that a due draw found.
    ///
    /// # Errors
    /// [`PublishedError::Contradiction`] where they differ: nothing was recorded or replaced.
    pub fn compare(
        &self,
        found: &PublishedDraw,
        terms: &Terms,
        digests: &[Digest],
    ) -> Result<(), PublishedError> {
        if found.is_of(terms, digests) {
            return Ok(());
        }
        self.refuse(
            terms,
            "other results than the bets of this ledger give. The ledger is an older copy, was cut \
             short, or has other bets; nothing was drawn or replaced",
        )
    }

    /// Refuses to go on, or moves the results aside where they are ignored knowingly.
    fn refuse(&self, terms: &Terms, why: &str) -> Result<(), PublishedError> {
        if self.ignored {
            return self.move_all(terms, Some(terms.draw));
        }
        let (directory, draw) = (self.directory.display(), terms.draw);
        Err(PublishedError::Contradiction(format!(
            "{directory}/{JSON}: draw {draw} has {why}. Put the newest copy of the ledger back, or \
             see what `bolillero-server verify` says of this one; to go on with it knowingly, start \
             with --ignore-published, which moves the published files into a directory \
             {directory}/superseded-{draw}-N"
        )))
    }

    fn read(&self) -> Found {
        let path = self.directory.join(JSON);
        if fs::symlink_metadata(&path).is_err() {
            return Found::Nothing;
        }
        let read = || {
            let mut json = Vec::new();
            fs::File::open(&path)?.take(JSON_SIZE_MAX).read_to_end(&mut json)?;
            io::Result::Ok(json)
        };
        let json = is_regular(&path).then(|| read().ok()).flatten();
        json.and_then(|json| PublishedDraw::parse(&json)).map_or(Found::Unreadable, Found::Draw)
    }

    /// Whether every file has the checksum that was published with it: then nothing cut or changed
    /// them since.
    fn is_consistent(&self) -> bool {
        let sums = fs::read_to_string(self.directory.join(SUMS)).unwrap_or_default();
        let is_right = |line: &str| {
            let Some((sum, name)) = line.split_once("  ") else { return false };
            let path = self.directory.join(name);
            is_result(name) && is_regular(&path) && sum_of(&path).is_ok_and(|found| found == sum)
        };
        let has_json = sums.lines().any(|line| line.ends_with(&format!("  {JSON}")));
        has_json && sums.lines().all(is_right)
    }

    /// Moves all results aside: they are of `published`, or of an unknown draw.
    fn move_all(&self, terms: &Terms, published: Option<DrawId>) -> Result<(), PublishedError> {
        self.move_aside(terms, published, |_| true)
    }

    /// Moves the winners of agencies aside that this draw does not have.
    fn move_strays(&self, terms: &Terms) -> Result<(), PublishedError> {
        self.move_aside(terms, None, |name| {
            let of_this_draw = agency_of(name).is_some_and(|agency| {
                (1..=terms.agencies).contains(&agency) && name == winners_file(agency)
            });
            name != JSON && name != SUMS && !of_this_draw
        })
    }

    fn move_aside(
        &self,
        terms: &Terms,
        published: Option<DrawId>,
        is_moved: impl Fn(&str) -> bool,
    ) -> Result<(), PublishedError> {
        let moving = || {
            let mut names = self.results()?;
            names.retain(|name| is_moved(name));
            // It names the draw of what is left, should this be cut short.
            names.sort_by_key(|name| name == JSON);
            if names.is_empty() {
                return io::Result::Ok(None);
            }
            let label = published.map_or_else(|| UNKNOWN.to_owned(), |draw| draw.to_string());
            let aside = self.create_aside(&label)?;
            for name in &names {
                fs::rename(self.directory.join(name), aside.join(name))?;
            }
            fs::File::open(&aside)?.sync_all()?;
            fs::File::open(self.directory)?.sync_all()?;
            Ok(Some((label, names.len(), aside)))
        };
        let moved = moving().map_err(|error| {
            let directory = self.directory.to_owned();
            PublishedError::Stuck { directory, error }
        })?;
        if let Some((label, files, aside)) = moved {
            let (draw, aside) = (terms.draw, log_line::value(&aside.display().to_string()));
            log::warn!(
                "action: supersede | result: success | draw: {draw} | published: {label} | \
                 files: {files} | kept_in: {aside}"
            );
        }
        Ok(())
    }

    /// The names of all files of results. None where there is no directory.
    fn results(&self) -> io::Result<Vec<String>> {
        if !self.directory.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(self.directory)? {
            let name = entry?.file_name();
            names.extend(name.to_str().filter(|name| is_result(name)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Creates the first directory of this draw that is not there yet. Nobody but the owner may
    /// read it: a web server that reads the published files does not reach it.
    fn create_aside(&self, label: &str) -> io::Result<PathBuf> {
        for n in 1_u32.. {
            let aside = self.directory.join(format!("superseded-{label}-{n}"));
            match DirBuilder::new().mode(Access::Owner.directory_mode()).create(&aside) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| aside),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Whether a publisher writes files of this name.
fn is_result(name: &str) -> bool {
    name == JSON || name == SUMS || agency_of(name).is_some()
}

fn agency_of(name: &str) -> Option<u32> {
    name.strip_prefix(WINNERS)?.strip_suffix(".csv")?.parse().ok()
}

/// What stands for the draw of results that name none.
const UNKNOWN: &str = "unknown";
/// The longest `draw.json` that is read. One of 65,535 agencies has 8 MB.
const JSON_SIZE_MAX: u64 = 16 << 20;
