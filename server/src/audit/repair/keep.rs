//! Decides what is kept of a damaged ledger, record by record, and hands that on. Knows no bytes.
//!
//! A lane is kept for as long as its batches follow each other: their numbers prove that none is
//! missing, whatever else was lost between them. Behind a missing batch nothing of that lane is kept,
//! and the other lanes lose nothing by it. A session's opening that is missing is told by the epoch of
//! what follows, holds nothing else, and is written anew. The draw is kept if its winners still follow.

use std::io;

use bolillero_protocol::bet::bets_announced;

use super::report::{Cut, DrawFate, LaneFate};
use crate::ledger::record::{Kind, Record};
use crate::ledger::salvage::Missing;
use crate::lottery::event::{Replayed, draw_body, record_of};
use crate::lottery::state::{Draw, Event, LaneSummary, State};
use crate::lottery::winners::Count;

/// More openings of sessions than this are not written anew for one record.
const OPENINGS_MAX: u32 = 1 << 20;

/// Where what is kept goes.
pub(super) type Out<'o> = &'o mut dyn FnMut(&Record<'_>) -> io::Result<()>;

/// What is kept so far, and what not.
#[derive(Default)]
pub(super) struct Keeper {
    pub(super) replayed: Replayed,
    /// What a draw would record now.
    count: Option<Count>,
    pub(super) lanes: Vec<LaneFate>,
    /// How often groups were missing that may have held a record.
    pub(super) gaps: u32,
    pub(super) draw: DrawFate,
    /// Records that nothing could be made of.
    pub(super) strays: u64,
    /// Openings of sessions that were written anew.
    pub(super) openings: u64,
}

impl Keeper {
    /// Groups are missing here.
    pub(super) fn miss(&mut self, missing: &Missing) {
        // The first group of a ledger holds its terms and nothing else.
        let only_terms = (missing.first, missing.next) == (1, Some(2));
        self.gaps += u32::from(!missing.only_marks && !only_terms);
    }

    /// Takes the next record that can be read, and hands on what is to be kept.
    pub(super) fn take(&mut self, record: &Record<'_>, out: Out<'_>) -> io::Result<()> {
        let Some(state) = &self.replayed.state else { return self.begin(record, out) };
        match record.kind {
            Kind::Draw => self.take_draw(record, out),
            _ if record.kind == Kind::Open || state.lane(record.agency).is_none() => {
                self.strays += 1;
                Ok(())
            }
            _ => self.take_of_lane(record, out),
        }
    }

    fn begin(&mut self, record: &Record<'_>, out: Out<'_>) -> io::Result<()> {
        if self.replayed.take(record).is_err() {
            self.strays += 1;
            return Ok(());
        }
        let terms = self.state().terms();
        self.count = Some(Count::new(&terms));
        self.lanes = vec![LaneFate::default(); terms.agencies as usize];
        out(record)
    }

    fn take_of_lane(&mut self, record: &Record<'_>, out: Out<'_>) -> io::Result<()> {
        let (index, gaps) = (record.agency as usize - 1, self.gaps);
        if self.lanes[index].cut.is_none() && self.follows(record) {
            self.bridge(record, out)?;
            if self.replayed.take(record).is_ok() {
                let fate = &mut self.lanes[index];
                // Only a number of the lane's proves that nothing before it is missing.
                let is_numbered = matches!(record.kind, Kind::Batch | Kind::Finish);
                fate.proved = if is_numbered { gaps } else { fate.proved };
                return out(record);
            }
        }
        let kept = self.lane(record.agency).totals.last_seq;
        self.lanes[index].drop_record(record, kept);
        Ok(())
    }

    /// Whether nothing of the lane can be missing before it but openings of sessions. A batch that
    /// does follow is counted.
    fn follows(&mut self, record: &Record<'_>) -> bool {
        let LaneSummary { epoch, totals, finished, .. } = self.lane(record.agency);
        let opened = record.epoch.checked_sub(epoch).is_some_and(|opened| opened <= OPENINGS_MAX);
        let count = self.count.as_mut().expect("it has begun");
        opened
            && match record.kind {
                Kind::Hello => record.epoch > epoch,
                // Whether its session has raised another is for the replay to say.
                Kind::Alarm => record.epoch > 0,
                Kind::Finish => !finished && record.seq == totals.last_seq,
                _ => {
                    !finished
                        && record.seq == totals.last_seq + 1
                        && bets_announced(record.body) == Some(record.n)
                        && count.take(record.agency, record.body).is_ok()
                }
            }
    }

    /// Opens the sessions that are missing before a record.
    fn bridge(&mut self, record: &Record<'_>, out: Out<'_>) -> io::Result<()> {
        let agency = record.agency;
        let end = record.epoch + u32::from(record.kind != Kind::Hello);
        for epoch in self.lane(agency).epoch + 1..end {
            let hello = record_of(&Event::Hello { agency, epoch }, &[]);
            self.replayed.take(&hello).expect("it is the lane's next epoch");
            out(&hello)?;
            self.openings += 1;
        }
        Ok(())
    }

    fn take_draw(&mut self, record: &Record<'_>, out: Out<'_>) -> io::Result<()> {
        let (state, count) = (self.state(), self.count.as_ref().expect("it has begun"));
        let follows = state.draw() == Draw::Drawing
            && draw_body(state.terms().winning_number, &count.digests()) == record.body;
        if follows && self.replayed.take(record).is_ok() {
            self.draw = DrawFate::Kept;
            return out(record);
        }
        self.draw = DrawFate::Dropped;
        Ok(())
    }

    /// What is kept of a lane.
    pub(super) fn lane(&self, agency: u32) -> LaneSummary {
        self.state().lane(agency).expect("an agency of the draw")
    }

    pub(super) fn state(&self) -> &State {
        self.replayed.state.as_ref().expect("it has begun")
    }
}

impl LaneFate {
    fn drop_record(&mut self, record: &Record<'_>, kept: u64) {
        // What holds no bet and no mark is no loss of the lane.
        if matches!(record.kind, Kind::Hello | Kind::Alarm) {
            return;
        }
        let is_batch = record.kind == Kind::Batch;
        let begins = if is_batch { record.seq } else { record.seq + 1 };
        let begin = || Cut { readable_from: begins, last_seq: kept, ..Cut::default() };
        let cut = self.cut.get_or_insert_with(begin);
        cut.last_seq = cut.last_seq.max(record.seq);
        cut.finished |= !is_batch;
        if is_batch {
            cut.batches += 1;
            cut.bets += u64::from(record.n);
            cut.bytes += record.size() as u64;
        }
    }
}
