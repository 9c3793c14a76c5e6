//! Fetches files into a folder, whole or not at all, and goes on where an earlier run ended.
//!
//! ```text
//! a file that is there     with the checksum that is published       it is there already
//!                          without one, and of the same size         it is compared, byte by byte
//!                          SHA256SUMS, all of which still holds      it is replaced
//!                          anything else                             an error, or --force replaces it
//! ```

use bolillero_protocol::words::counted;
use sha2::{Digest as _, Sha256};

use super::folder::{Begun, Existing, Folder, Origin, Part, Twin};
use super::server::{Server, is_change};
use super::sums::Sums;
use super::{Name, Problem, RESTARTS_MAX, SUMS, SUMS_SIZE_MAX, Tally, say, tell};
use crate::config::GetConfig;
use crate::dialogue::Stop;
use crate::progress;

/// Fetches what is asked for; says so of each file when it is there.
pub(super) fn run(config: &GetConfig, server: Server<'_>) -> Result<(), Stop> {
    let folder = Folder::open(&config.output)?;
    let mut getting = Getting { config, server, folder: &folder, sums: Sums::default() };
    let names = match &config.names {
        Some(names) => names.clone(),
        None => getting.server.names()?,
    };
    getting.sums = getting.look_up_sums()?;
    let sizes = getting.server.sizes(&names)?;
    // A server may tell any sizes.
    let total = sizes.iter().flatten().fold(0, |total: u64, size| total.saturating_add(*size));
    let bar = progress::bytes_of_file(total);
    let (mut tally, mut before) = (Tally::new(names.len()), 0_u64);
    for (name, size) in names.iter().zip(sizes) {
        let share = size.as_ref().map_or(0, |size| *size);
        let fetched = match size {
            Ok(size) => getting.file(name, size, &|bytes| {
                bar.set_position(before.saturating_add(bytes));
            }),
            Err(problem) => Err(problem.of(name).into()),
        };
        before = before.saturating_add(share);
        bar.set_position(before);
        tally.note(fetched)?;
    }
    drop(bar);
    tally.end()
}

struct Getting<'a> {
    config: &'a GetConfig,
    server: Server<'a>,
    folder: &'a Folder,
    sums: Sums,
}

impl Getting<'_> {
    /// Fetches one file. One that changes meanwhile is begun anew, as what it is by then.
    fn file(&mut self, name: &Name, size: u64, watch: &dyn Fn(u64)) -> Result<(), Stop> {
        let mut origin = Origin { size, sum: self.sums.of(name) };
        for _ in 0..=RESTARTS_MAX {
            let existing = self.existing(name, origin).map_err(|problem| problem.of(name))?;
            let begun = self.folder.begin(name, origin, existing);
            let (changed, more) = match begun.map_err(|problem| problem.of(name))? {
                Begun::There => (None, THERE),
                Begun::Alike(twin) => (self.compare(name, origin.size, twin, watch)?, THERE),
                Begun::Part(part) => (self.fetch(name, origin, part, existing, watch)?, ""),
            };
            let Some(other) = changed else {
                self.say(name, origin, more);
                return Ok(());
            };
            origin = other;
        }
        Err(Problem::Changing.of(name).into())
    }

    /// What becomes of the file if it is there. Checksums that all stand in the server's are brought up
    /// to date.
    fn existing(&self, name: &Name, origin: Origin) -> Result<Existing, Problem> {
        let existing = self.config.existing;
        if existing != Existing::Keep || name.as_str() != SUMS || origin.sum.is_none() {
            return Ok(existing);
        }
        let Some(bytes) = self.folder.read_small(name, SUMS_SIZE_MAX)? else { return Ok(existing) };
        let is_older = origin.sum != Some(Sha256::digest(&bytes).into())
            && Sums::parse(&bytes).is_ok_and(|older| self.sums.extend(&older));
        Ok(if is_older { Existing::Update } else { existing })
    }

    /// Compares the server's file with one that is there and has its size. Where the server's has
    /// changed meanwhile: what it is now.
    fn compare(
        &mut self,
        name: &Name,
        size: u64,
        mut twin: Twin,
        watch: &dyn Fn(u64),
    ) -> Result<Option<Origin>, Stop> {
        let mut sink = |theirs: &[u8]| twin.compare(theirs).map_err(|problem| problem.of(name));
        let compared = self.server.slices(name, size, 0, &mut sink, &mut |bytes| watch(bytes));
        match compared {
            Err(stop) if is_change(&stop) => self.look_up(name).map(Some),
            compared => compared.map(|()| None),
        }
    }

    /// Fetches what is missing of a file, and keeps it. Where it is not what it was thought to be
    /// any more: what it is now.
    fn fetch(
        &mut self,
        name: &Name,
        origin: Origin,
        mut part: Part<'_>,
        existing: Existing,
        watch: &dyn Fn(u64),
    ) -> Result<Option<Origin>, Stop> {
        let dropped = part.dropped();
        if dropped > 0 {
            tell(&format!(
                "{name}: it changed on the server after {} of it had come: begins anew",
                counted(dropped, "byte")
            ));
        }
        let received = part.received();
        let mut sink = |bytes: &[u8]| part.write(bytes).map_err(|problem| problem.of(name));
        let fetched =
            self.server.slices(name, origin.size, received, &mut sink, &mut |bytes| watch(bytes));
        match fetched {
            Err(Stop::Asked) => {
                return Err(Problem::Interrupted(self.folder.part_path(name)).of(name).into());
            }
            Err(stop) if is_change(&stop) => return self.look_up(name).map(Some),
            fetched => fetched?,
        }
        let Err(found) = part.check() else {
            part.keep(existing).map_err(|problem| problem.of(name))?;
            return Ok(None);
        };
        let now = self.look_up(name)?;
        match origin.sum {
            Some(expected)
                if now.size == origin.size && now.sum.is_none_or(|sum| sum == expected) =>
            {
                part.discard().map_err(|problem| problem.of(name))?;
                Err(Problem::Mismatch { found, expected }.of(name).into())
            }
            _ => Ok(Some(now)),
        }
    }

    /// What a file is on the server now.
    fn look_up(&mut self, name: &Name) -> Result<Origin, Stop> {
        self.sums = self.look_up_sums()?;
        let size = self.server.size(name)?.map_err(|problem| problem.of(name))?;
        Ok(Origin { size, sum: self.sums.of(name) })
    }

    fn look_up_sums(&mut self) -> Result<Sums, Stop> {
        if self.config.verify { self.server.sums() } else { Ok(Sums::default()) }
    }

    fn say(&self, name: &Name, origin: Origin, more: &str) {
        let checked = match origin.sum {
            // Its own checksum stands nowhere but here.
            Some(_) if name.as_str() != SUMS => "sha256 ok",
            _ if self.config.verify => "no checksum",
            _ => "not verified",
        };
        say(&format!("{name}: {}, {checked}{more}", counted(origin.size, "byte")));
    }
}

/// What is said of a file that was not fetched.
const THERE: &str = ", there already";
