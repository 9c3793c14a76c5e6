//! Finds the winners by one pass over the ledger. Knows no connection and writes nothing.

use std::sync::Arc;

use bolillero_protocol::bet::{Bets, BetsOn, Number};
use bolillero_protocol::error::Malformed;
use sha2::{Digest as _, Sha256};

use super::state::Terms;
use crate::ledger::committer::segment_name;
use crate::ledger::disk::Disk;
use crate::ledger::reader::{Next, Place, ReadError, read_segments};
use crate::ledger::record::Kind;
use crate::ledger::segment::Group;

/// The longest list of winners that is kept in memory and sent as one opcode 7, in bytes, unless told otherwise.
pub const WINNERS_LENGTH_MAX: usize = 16 << 20;

/// How many threads look for winners unless told otherwise: one for each core, and no more than a disk
/// has use for. Each keeps the winners of the segment that it reads.
#[must_use]
pub fn readers_default() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// What the ledger keeps of an agency's winners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// How many bets won.
    pub winners: u64,
    /// SHA-256 of their documents, each followed by `#`, in the order of the lane.
    pub documents_sha256: [u8; 32],
}

/// An agency's winners.
#[derive(Debug, Clone)]
pub struct AgencyWinners {
    /// How many, and the hash of their documents.
    pub digest: Digest,
    /// Their documents, each followed by `#`. `None` when they are longer than was asked for.
    pub documents: Option<Arc<[u8]>>,
}

/// The winners of every agency; agency 1 comes first.
#[derive(Debug, Clone)]
pub struct Winners {
    agencies: Vec<AgencyWinners>,
}

impl Winners {
    /// An agency's winners. `None` when there is no such agency.
    #[must_use]
    pub fn of(&self, agency: u32) -> Option<&AgencyWinners> {
        self.agencies.get(agency.checked_sub(1)? as usize)
    }

    /// All agencies, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &AgencyWinners)> {
        (1..).zip(&self.agencies)
    }

    /// Holds them against what the ledger keeps of the draw.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when they are others.
    pub fn hold_against(&self, recorded: &[Digest]) -> Result<(), ReadError> {
        if self.digests() == recorded {
            return Ok(());
        }
        let what = "its bets do not give the winners that its draw recorded".to_owned();
        // Which bets they were nobody can tell: it is about the ledger as a whole.
        Err(damaged(Place { segment: 1, offset: 0 }, what))
    }

    /// What the ledger keeps of them.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.agencies.iter().map(|winners| winners.digest).collect()
    }
}

/// Reads all bets of the ledger on up to `readers` threads and keeps the documents of those that won,
/// up to `length_max` bytes for each agency. Groups that are not whole yet are not read: when a draw
/// is due, all bets are. `None` when `goes_on` said no.
///
/// # Errors
/// [`ReadError`]
pub fn find_winners(
    disk: &dyn Disk,
    terms: &Terms,
    length_max: usize,
    readers: usize,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Winners>, ReadError> {
    let mut finders = vec![Finder::default(); terms.agencies as usize];
    let finished = for_each_winner(disk, terms, readers, goes_on, &mut |agency, document| {
        finders[agency as usize - 1].take(document, length_max);
    })?;
    let agencies = finders.into_iter().map(Finder::finish).collect();
    Ok(finished.then_some(Winners { agencies }))
}

/// Calls `take` with the agency and the document of every bet that won, in the order of the lanes.
/// Reads on up to `readers` threads. False when `goes_on` said no before the end.
///
/// # Errors
/// [`ReadError`]
pub fn for_each_winner(
    disk: &dyn Disk,
    terms: &Terms,
    readers: usize,
    goes_on: &(dyn Fn() -> bool + Sync),
    take: &mut dyn FnMut(u32, &[u8]),
) -> Result<bool, ReadError> {
    let winning = BetsOn::new(terms.winning_number);
    let visit = |found: &mut Found, place: Place, group: &Group<'_>| {
        if !goes_on() {
            return Ok(Next::Stop);
        }
        for record in group.records() {
            let record = record.map_err(|bad| damaged(place, bad.to_string()))?;
            if record.kind != Kind::Batch {
                continue;
            }
            let agency = record.agency;
            if !(1..=terms.agencies).contains(&agency) {
                return Err(damaged(place, format!("a batch of agency {agency}")));
            }
            let searched = winning.for_each(record.body, |bet| found.add(agency, bet.document));
            searched.map_err(|error| damaged(place, error.to_string()))?;
        }
        Ok(Next::Continue)
    };
    let tail = read_segments(disk, readers, Found::default, visit, &mut |found: Found| {
        found.for_each(take);
    })?;
    Ok(tail.is_some())
}

/// Counts the winners of batches that are handed in one by one, in the order of their lanes.
pub struct Count {
    winning_number: Number,
    finders: Vec<Finder>,
}

impl Count {
    /// A count in which nobody has won.
    #[must_use]
    pub fn new(terms: &Terms) -> Self {
        let finders = vec![Finder::default(); terms.agencies as usize];
        Self { winning_number: terms.winning_number, finders }
    }

    /// Takes a batch of an agency of the draw, whole or not at all.
    ///
    /// # Errors
    /// [`Malformed`]: its bets cannot be read.
    pub fn take(&mut self, agency: u32, body: &[u8]) -> Result<(), Malformed> {
        let mut winners = Vec::new();
        for bet in Bets::read(body)? {
            let bet = bet?;
            if bet.number() == Some(self.winning_number) {
                winners.push(bet.document);
            }
        }
        let finder = &mut self.finders[agency as usize - 1];
        winners.iter().for_each(|document| finder.take(document.as_bytes(), 0));
        Ok(())
    }

    /// What a draw would record now.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.finders.iter().map(|finder| finder.clone().finish().digest).collect()
    }
}

/// The winners of one segment, in its order.
#[derive(Default)]
struct Found {
    documents: Vec<u8>,
    /// Each winner's agency, and where its document ends.
    winners: Vec<(u32, usize)>,
}

impl Found {
    fn add(&mut self, agency: u32, document: &str) {
        self.documents.extend_from_slice(document.as_bytes());
        self.winners.push((agency, self.documents.len()));
    }

    fn for_each(&self, take: &mut dyn FnMut(u32, &[u8])) {
        let mut start = 0;
        for &(agency, end) in &self.winners {
            take(agency, &self.documents[start..end]);
            start = end;
        }
    }
}

fn damaged(place: Place, what: String) -> ReadError {
    ReadError::Damaged { file: segment_name(place.segment), offset: place.offset, what }
}

/// Gathers one agency's winners.
#[derive(Clone, Default)]
struct Finder {
    winners: u64,
    hash: Sha256,
    documents: Vec<u8>,
    too_long: bool,
}

impl Finder {
    fn take(&mut self, document: &[u8], length_max: usize) {
        self.winners += 1;
        self.hash.update(document);
        self.hash.update(b"#");
        self.too_long |= self.documents.len() + document.len() + 1 > length_max;
        if self.too_long {
            self.documents = Vec::new();
        } else {
            self.documents.extend_from_slice(document);
            self.documents.push(b'#');
        }
    }

    fn finish(self) -> AgencyWinners {
        let documents_sha256 = self.hash.finalize().into();
        let digest = Digest { winners: self.winners, documents_sha256 };
        let documents = (!self.too_long).then(|| self.documents.into());
        AgencyWinners { digest, documents }
    }
}
