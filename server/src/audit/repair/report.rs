//! What a repair keeps and what it loses, for a person. Reads nothing.

use std::io::{self, Write};

use bolillero_protocol::words::counted;

use super::keep::Keeper;
use crate::failure::Failure;
use crate::ledger::last_group::LAST_GROUP_FILE;
use crate::ledger::salvage::{Missing, Unreadable};
use crate::lottery::state::{Draw, LaneSummary};

/// What became of a lane.
#[derive(Debug, Clone, Default)]
pub(super) struct LaneFate {
    /// How many gaps lay before the last record that proves its lane whole up to there.
    pub(super) proved: u32,
    /// Its end is not kept.
    pub(super) cut: Option<Cut>,
}

/// What is not kept of a lane, as far as it can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut {
    /// From this seq on batches can be read.
    pub(super) readable_from: u64,
    /// The highest seq that is known of.
    pub(super) last_seq: u64,
    /// Batches that can be read.
    pub(super) batches: u64,
    /// Their bets.
    pub(super) bets: u64,
    /// Bytes of their records.
    pub(super) bytes: u64,
    /// The agency had finished.
    pub(super) finished: bool,
}

/// What became of the draw's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum DrawFate {
    #[default]
    /// There is none to be read.
    None,
    /// It stands.
    Kept,
    /// Its winners do not follow from what is kept.
    Dropped,
}

/// What was done, or would be.
#[derive(Default)]
pub struct Repaired {
    pub(super) keeper: Keeper,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) missing: Vec<Missing>,
    /// The terms were not in the ledger.
    pub(super) terms_given: bool,
    /// Nothing says how far the ledger was durable.
    pub(super) end_is_unknown: bool,
    /// Where it was written.
    pub(super) written: Option<String>,
}

impl Repaired {
    /// In how many lanes batches are lost, or may be.
    #[must_use]
    pub fn lanes_lost(&self) -> usize {
        self.agencies().filter(|&agency| self.is_cut(agency) || self.is_unsure(agency)).count()
    }

    /// Whether all that was ever acknowledged is kept.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.lanes_lost() == 0 && self.keeper.draw != DrawFate::Dropped && self.keeper.strays == 0
    }

    /// Where something is lost that was acknowledged, says so: it is no success.
    ///
    /// # Errors
    /// [`Failure::Damaged`]
    pub fn judge(&self) -> Result<(), Failure> {
        if self.is_lossless() {
            return Ok(());
        }
        let lanes = counted(self.lanes_lost(), "agency");
        let what = format!("acknowledged records are lost, or may be, of {lanes}: see the report");
        Err(Failure::Damaged(what))
    }

    /// Batches, known of or only suspected, are not kept.
    fn is_cut(&self, agency: u32) -> bool {
        self.keeper.lanes[agency as usize - 1].cut.is_some()
    }

    /// Nothing of the lane stands behind the last damage, so nobody knows what was in it.
    fn is_unsure(&self, agency: u32) -> bool {
        let proved = self.keeper.lanes[agency as usize - 1].proved;
        !self.keeper.lane(agency).finished && proved < self.keeper.gaps
    }

    fn agencies(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.keeper.state().terms().agencies
    }

    /// Writes what is kept and what is lost, for a person.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn report(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = |name: &str, text: String| writeln!(out, "{name:<15} {text}");
        for Unreadable { file, from, to, what } in &self.unreadable {
            let place = if from == to {
                file.clone()
            } else {
                format!("{file} from offset {from} to {to}, {}", counted(to - from, "byte"))
            };
            line("unreadable", format!("{place}: {what}"))?;
        }
        for missing in &self.missing {
            line("missing", name_groups(missing))?;
        }
        if self.end_is_unknown {
            line(
                "end",
                format!("unknown: without {LAST_GROUP_FILE} a loss at the end is not seen"),
            )?;
        }
        if self.terms_given {
            line("terms", "not in the ledger: those that were given".to_owned())?;
        }
        let lanes = || self.agencies().map(|agency| (agency, self.keeper.lane(agency)));
        let bets: u64 = lanes().map(|(_, lane)| lane.totals.bets).sum();
        let batches: u64 = lanes().map(|(_, lane)| lane.totals.last_seq).sum();
        line("kept", format!("{} in {}", counted(bets, "bet"), counted(batches, "batch")))?;
        if self.keeper.openings > 0 {
            let openings = counted(self.keeper.openings, "opening");
            line("sessions", format!("{openings} written anew: they hold nothing else"))?;
        }
        if self.keeper.strays > 0 {
            line("lost", format!("{} of no known meaning", counted(self.keeper.strays, "record")))?;
        }
        for (agency, lane) in lanes() {
            self.report_lane(agency, &lane, &mut line)?;
        }
        if let Some(draw) = self.name_draw() {
            line("draw", draw.to_owned())?;
        }
        self.report_end(&mut line)
    }

    fn report_lane(
        &self,
        agency: u32,
        lane: &LaneSummary,
        line: &mut impl FnMut(&str, String) -> io::Result<()>,
    ) -> io::Result<()> {
        let LaneSummary { epoch, totals, finished, .. } = lane;
        let last = totals.last_seq;
        let fate = if let Some(cut) = &self.keeper.lanes[agency as usize - 1].cut {
            format!("cut behind batch {last}. Lost: {}", cut.name(last))
        } else if self.is_unsure(agency) {
            format!("MAY be cut behind batch {last}: nothing of it stands behind the damage")
        } else if *epoch == 0 && last == 0 && !finished {
            return Ok(());
        } else if *finished {
            "whole, ready".to_owned()
        } else if self.end_is_unknown {
            "open, whole as far as the ledger reaches".to_owned()
        } else {
            "whole, open".to_owned()
        };
        let kept = format!("{} in {}", counted(totals.bets, "bet"), counted(last, "batch"));
        line(&format!("agency {agency:<8}"), format!("{kept}, {fate}"))
    }

    fn name_draw(&self) -> Option<&'static str> {
        match (self.keeper.draw, self.keeper.state().draw()) {
            (DrawFate::Kept, _) => Some("kept"),
            (DrawFate::Dropped, _) => {
                Some("DROPPED: its winners do not follow from what is kept; it is due anew")
            }
            (DrawFate::None, Draw::Drawing) => {
                Some("no record of it; the next start does it, from all the bets there ever were")
            }
            (DrawFate::None, _) => None,
        }
    }

    fn report_end(&self, line: &mut impl FnMut(&str, String) -> io::Result<()>) -> io::Result<()> {
        if self.lanes_lost() > 0 {
            line("then", THEN.to_owned())?;
        }
        match &self.written {
            Some(path) => line("written", format!("{path}: read back, and sound")),
            None => line("written", "nothing".to_owned()),
        }
    }
}

const THEN: &str = "start each agency named cut, or maybe cut, again with its whole file, in a session: \
    it compares, and sends what is lost. By base operations it would store what is kept a second time";

impl Cut {
    fn name(&self, kept: u64) -> String {
        let mut parts = Vec::new();
        if self.readable_from > kept + 1 {
            parts.push(format!("{} unreadable", name_batches(kept + 1, self.readable_from - 1)));
        }
        if self.batches > 0 {
            let Self { batches, bets, bytes, last_seq, readable_from, .. } = self;
            parts.push(format!(
                "of {} {batches} readable, but behind a gap ({}, {})",
                name_batches(*readable_from, *last_seq),
                counted(*bets, "bet"),
                counted(*bytes, "byte"),
            ));
        }
        if self.finished {
            parts.push("that it was ready".to_owned());
        }
        parts.join("; ")
    }
}

fn name_batches(first: u64, last: u64) -> String {
    if first == last { format!("batch {first}") } else { format!("batches {first} to {last}") }
}

fn name_groups(Missing { first, next, only_marks }: &Missing) -> String {
    let Some(next) = next else { return format!("groups from {first} on, if there were any") };
    let what = if *only_marks { ": marks, which hold nothing" } else { "" };
    match next - first {
        1 => format!("group {first}{what}"),
        _ => format!("groups {first} to {}{what}", next - 1),
    }
}
