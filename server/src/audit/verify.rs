//! Checks a whole ledger: every checksum, every lane's chain, and, if it is done, the draw. Takes no
//! lock, changes nothing, and may run beside a server.

use std::io::{self, Write};
use std::path::Path;

use serde::{Serialize, Serializer};

use bolillero_protocol::words::counted;

use super::{damaged_at, no_ledger, open_directory};
use crate::failure::Failure;
use crate::ledger::committer::segment_name;
use crate::ledger::disk::Disk;
use crate::ledger::last_group::LAST_GROUP_FILE;
use crate::ledger::reader::{Next, ReadError, Tail, read_ledger};
use crate::ledger::recovery::torn_name_parts;
use crate::ledger::segment::End;
use crate::lottery::event::Replayed;
use crate::lottery::state::{Draw, LaneSummary, State, Terms};
use crate::lottery::winners::{find_winners, readers_default};

/// What a sound ledger holds. The names of the fields are those of the JSON.
#[derive(Debug, Serialize)]
pub struct Verified {
    sound: bool,
    draw: String,
    winning_number: u16,
    agencies: u32,
    /// How many of them are ready.
    ready: u32,
    bets: u64,
    batches: u64,
    /// Of all agencies.
    sessions: u64,
    /// How often agencies have said that they count something else than the office, in all.
    alarms: u64,
    #[serde(serialize_with = "name_of_draw")]
    drawn: Draw,
    /// In all, if the draw is done.
    winners: Option<u64>,
    last_group: LedgerEnd,
    /// The group up to which the ledger was known to be durable. Without it a loss at the end is not seen.
    known_durable: Option<u64>,
    in_progress: Option<InProgress>,
    /// What starts have cut from the ledger's end.
    cut: Vec<Cut>,
    /// Of the agencies that were ever here.
    lanes: Vec<LaneReport>,
}

/// The group that was synced last.
#[derive(Debug, Serialize)]
struct LedgerEnd {
    number: u64,
    file: String,
    /// Where it ends.
    end: u64,
}

/// What stands behind the last group: being written beside us, or left by a server that died.
#[derive(Debug, Serialize)]
struct InProgress {
    file: String,
    offset: u64,
}

/// A torn tail that was cut at a start, and is kept.
#[derive(Debug, Serialize)]
struct Cut {
    file: String,
    offset: u64,
    bytes: u64,
    kept_in: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct LaneReport {
    agency: u32,
    bets: u64,
    batches: u64,
    epoch: u32,
    ready: bool,
    head: String,
    alarms: u32,
}

/// Reads the whole ledger of a data directory.
///
/// # Errors
/// [`Failure::Damaged`] names file and offset.
pub fn verify(data_dir: &Path) -> Result<Verified, Failure> {
    let verified = verify_ledger(&open_directory(data_dir)?)?;
    verified.ok_or_else(|| Failure::Setup(no_ledger(data_dir)))
}

/// Reads the whole ledger on `disk`. `None` when there is none.
///
/// # Errors
/// [`Failure`]
pub fn verify_ledger(disk: &dyn Disk) -> Result<Option<Verified>, Failure> {
    let mut replayed = Replayed::remembering(0);
    let tail = read_ledger(disk, &mut |place, group| {
        for record in group.records() {
            let record = record.map_err(|bad| damaged_at(place, bad.to_string()))?;
            replayed.take(&record).map_err(|error| damaged_at(place, error.to_string()))?;
        }
        Ok(Next::Continue)
    })?;
    let (Some(tail), Some(state)) = (tail, replayed.state) else { return Ok(None) };
    let winners = match replayed.digests {
        None => None,
        Some(recorded) => {
            let found = find_winners(disk, &state.terms(), 0, readers_default(), &|| true)?;
            found.expect("nobody stopped the search").hold_against(&recorded)?;
            Some(recorded.iter().map(|digest| digest.winners).sum())
        }
    };
    let cut = find_cut(disk)?;
    Ok(Some(Verified { winners, cut, ..Verified::of(&state, &tail) }))
}

impl Verified {
    fn of(state: &State, tail: &Tail) -> Self {
        let terms = state.terms();
        let lanes = lanes_of(state);
        let (file, offset) = (segment_name(tail.header.segment), tail.offset);
        let in_progress =
            (tail.end == End::Torn).then(|| InProgress { file: file.clone(), offset });
        Self {
            sound: true,
            draw: terms.draw.to_string(),
            winning_number: terms.winning_number.value(),
            agencies: terms.agencies,
            ready: state.finished(),
            bets: lanes.iter().map(|lane| lane.bets).sum(),
            batches: lanes.iter().map(|lane| lane.batches).sum(),
            sessions: lanes.iter().map(|lane| u64::from(lane.epoch)).sum(),
            alarms: lanes.iter().map(|lane| u64::from(lane.alarms)).sum(),
            drawn: state.draw(),
            winners: None,
            last_group: LedgerEnd { number: tail.next_group - 1, file, end: offset },
            known_durable: tail.known_durable,
            in_progress,
            cut: Vec::new(),
            lanes,
        }
    }

    /// Whether it holds just this.
    pub(super) fn is_of(&self, state: &State) -> bool {
        let Terms { agencies, winning_number, draw } = state.terms();
        (self.agencies, self.winning_number) == (agencies, winning_number.value())
            && self.draw == draw.to_string()
            && self.drawn == state.draw()
            && self.lanes == lanes_of(state)
    }

    /// Writes a summary, for a person.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn report(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = |name: &str, text: String| writeln!(out, "{name:<15} {text}");
        line("draw", self.draw.clone())?;
        line("winning number", self.winning_number.to_string())?;
        line("agencies", format!("{}, {} ready", self.agencies, self.ready))?;
        line("bets", format!("{} in {}", self.bets, counted(self.batches, "batch")))?;
        line("sessions", self.sessions.to_string())?;
        if self.alarms > 0 {
            let what = "agencies counted other bets than the office, see below";
            line("alarms", format!("{}: {what}", self.alarms))?;
        }
        line(
            "drawn",
            match self.winners {
                Some(winners) => counted(winners, "winner"),
                None => format!("no ({:?})", self.drawn),
            },
        )?;
        let LedgerEnd { number, file, end } = &self.last_group;
        line("last group", format!("{number}, in {file}, to offset {end}"))?;
        line(
            "end",
            match self.known_durable {
                Some(group) => format!("checked: group {group} was known to be durable"),
                None => format!("unknown: without {LAST_GROUP_FILE} a loss at the end is not seen"),
            },
        )?;
        if let Some(InProgress { offset, .. }) = self.in_progress {
            line("in progress", format!("from offset {offset} on: not acknowledged yet"))?;
        }
        for Cut { file, offset, bytes, kept_in } in &self.cut {
            let what = format!(
                "{} from offset {offset} of {file} on, at a start",
                counted(*bytes, "byte")
            );
            line("cut", format!("{what}: kept in {kept_in}"))?;
        }
        for LaneReport { agency, bets, batches, epoch, ready, head, alarms } in &self.lanes {
            let ready = if *ready { "ready" } else { "open" };
            let [bets, batches] = [counted(*bets, "bet"), counted(*batches, "batch")];
            let lane = format!("{bets} in {batches}, {}, {ready}", counted(*epoch, "session"));
            let alarms = match alarms {
                0 => String::new(),
                alarms => format!(", {}", counted(*alarms, "alarm")),
            };
            line(&format!("agency {agency:<8}"), format!("{lane}, head {head}{alarms}"))?;
        }
        writeln!(out, "sound")
    }

    /// Writes the same as one JSON object in one line.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn report_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

fn lanes_of(state: &State) -> Vec<LaneReport> {
    let agencies = 1..=state.terms().agencies;
    let lane_of = |agency| LaneReport::of(agency, state.lane(agency)?);
    agencies.filter_map(lane_of).collect()
}

impl LaneReport {
    /// `None` for a lane in which nothing ever happened.
    fn of(agency: u32, lane: LaneSummary) -> Option<Self> {
        let LaneSummary { epoch, totals, head, finished, alarms } = lane;
        (epoch > 0 || totals.last_seq > 0 || finished).then(|| Self {
            agency,
            bets: totals.bets,
            batches: totals.last_seq,
            epoch,
            ready: finished,
            head: head.to_string(),
            alarms,
        })
    }
}

// Serde calls it with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn name_of_draw<S: Serializer>(draw: &Draw, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match draw {
        Draw::Open => "open",
        Draw::Drawing => "drawing",
        Draw::Drawn => "drawn",
    })
}

fn find_cut(disk: &dyn Disk) -> Result<Vec<Cut>, ReadError> {
    let failed = |file: &str, source| ReadError::Io { file: file.to_owned(), source };
    let names = disk.names().map_err(|source| failed("the ledger's directory", source))?;
    let mut cut = Vec::new();
    for name in names {
        let Some((segment, offset)) = torn_name_parts(&name) else { continue };
        let bytes = disk.open(&name).and_then(|file| file.size());
        let bytes = bytes.map_err(|source| failed(&name, source))?;
        cut.push(Cut { file: segment_name(segment), offset, bytes, kept_in: name });
    }
    cut.sort_by(|a, b| (&a.file, a.offset, &a.kept_in).cmp(&(&b.file, b.offset, &b.kept_in)));
    Ok(cut)
}
