//! One agency's lane: what it has stored, who may work it, and what it remembers. Knows no other lane.

use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{Code, Receipt, Totals};

use super::state::{By, Refused};

/// The memory of all lanes together for batches that may be repeated, in bytes, unless told otherwise.
pub const REMEMBERED_BYTES_MAX_DEFAULT: u64 = 64 << 20;
/// The most batches that a lane remembers.
pub const BATCHES_REMEMBERED_MAX: usize = 128;
/// The fewest batches that a lane remembers, however small the limit and however many the lanes.
pub const BATCHES_REMEMBERED_MIN: usize = 8;

/// How many of its last batches each lane remembers, so that a repeat gets its receipt again. Follows
/// from the limit and the number of agencies alone: a replay gives the same state.
pub(super) fn batches_remembered(bytes_max: u64, agencies: u32) -> usize {
    let lane_bytes = bytes_max / u64::from(agencies.max(1));
    let batches = lane_bytes / size_of::<Remembered>() as u64;
    let batches = usize::try_from(batches).unwrap_or(usize::MAX);
    batches.clamp(BATCHES_REMEMBERED_MIN, BATCHES_REMEMBERED_MAX)
}

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) epoch: u32,
    pub(super) next_seq: u64,
    pub(super) bets: u64,
    pub(super) head: Head,
    pub(super) finished: bool,
    /// How many alarms its agency has raised, and the epoch of the last.
    pub(super) alarms: u32,
    pub(super) alarm_epoch: u32,
    /// The last batches: batch `seq` stands at `(seq - 1) % its longest length`.
    remembered: Vec<Remembered>,
}

/// What is remembered of a batch.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    hash: BodyHash,
    bets: u64,
    head: Head,
}

impl Lane {
    /// A lane in which nothing has happened.
    pub(super) fn new() -> Self {
        Self {
            epoch: 0,
            next_seq: 1,
            bets: 0,
            head: Head::EMPTY,
            finished: false,
            alarms: 0,
            alarm_epoch: 0,
            remembered: Vec::new(),
        }
    }

    /// What it has stored, in numbers.
    pub(super) fn totals(&self) -> Totals {
        Totals { last_seq: self.next_seq - 1, bets: self.bets }
    }

    /// Only the newest session may work a lane, and base packets only before the first.
    pub(super) fn check_by(&self, agency: u32, by: By) -> Result<(), Refused> {
        match by {
            By::Base if self.epoch > 0 => {
                let text = format!("agency {agency} works in sessions: base packets are refused");
                Err(Refused::new(Code::Refused, text))
            }
            By::Session { epoch } if epoch != self.epoch => {
                Err(Refused::new(Code::Fenced, format!("epoch {} works this lane", self.epoch)))
            }
            _ => Ok(()),
        }
    }

    /// The receipt of a batch that was stored before; the lane remembers `batches_max`.
    pub(super) fn recall(
        &self,
        seq: u64,
        hash: BodyHash,
        batches_max: usize,
    ) -> Result<Receipt, Refused> {
        let is_remembered = self.next_seq - seq <= self.remembered.len() as u64;
        if seq == 0 || !is_remembered {
            let text = format!("batch {seq} was stored too long ago to compare");
            return Err(Refused::new(Code::Old, text));
        }
        let Remembered { hash: stored, bets, head } = self.remembered[slot(seq, batches_max)];
        if stored != hash {
            let text = format!("batch {seq} is stored with other bytes");
            return Err(Refused::new(Code::Conflict, text));
        }
        Ok(Receipt { seq, bets, head })
    }

    pub(super) fn store(&mut self, bets: u32, hash: BodyHash, batches_max: usize) {
        self.bets += u64::from(bets);
        self.head = self.head.then(hash);
        let stored = Remembered { hash, bets: self.bets, head: self.head };
        let slot = slot(self.next_seq, batches_max);
        match self.remembered.get_mut(slot) {
            Some(oldest) => *oldest = stored,
            None => {
                self.make_place(batches_max);
                self.remembered.push(stored);
            }
        }
        self.next_seq += 1;
    }

    /// Counts an alarm of the session that opened `epoch`.
    pub(super) fn raise_alarm(&mut self, epoch: u32) -> Result<(), &'static str> {
        if epoch == 0 || epoch != self.epoch {
            return Err("the epoch is not the lane's");
        }
        if self.alarm_epoch == epoch {
            return Err("its session has raised an alarm already");
        }
        self.alarms += 1;
        self.alarm_epoch = epoch;
        Ok(())
    }

    /// Grows as a vector does, and never over the limit.
    fn make_place(&mut self, batches_max: usize) {
        let length = self.remembered.len();
        if length == self.remembered.capacity() {
            let more = length.max(BATCHES_REMEMBERED_MIN / 2).min(batches_max - length);
            self.remembered.reserve_exact(more);
        }
    }
}

/// Where a lane that remembers `batches_max` batches keeps the one numbered `seq`, from 1.
fn slot(seq: u64, batches_max: usize) -> usize {
    usize::try_from((seq - 1) % batches_max as u64).expect("it is below a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_remember_what_the_limit_allows_and_no_lane_less_than_the_least() {
        let mib = 1 << 20;
        // The limit, agencies, batches of each lane.
        for (bytes_max, agencies, batches) in [
            (64 * mib, 0, 128),
            (64 * mib, 1, 128),
            (64 * mib, 5, 128),
            (64 * mib, 7281, 128),
            (64 * mib, 7282, 127),
            (64 * mib, 65_535, 14),
            (mib, 65_535, 8),
            (0, 5, 8),
            (u64::MAX, 65_535, 128),
        ] {
            let found = batches_remembered(bytes_max, agencies);
            assert_eq!(found, batches, "{bytes_max} bytes, {agencies} agencies");
        }
    }

    #[test]
    fn a_full_memory_of_any_number_of_lanes_is_within_the_limit() {
        for agencies in [1, 5, 500, 7282, 20_000, 65_535] {
            let batches_max = batches_remembered(REMEMBERED_BYTES_MAX_DEFAULT, agencies);
            let mut lane = Lane::new();
            for batch in 0..3 * batches_max {
                lane.store(1, BodyHash::of(&batch.to_be_bytes()), batches_max);
                assert!(lane.remembered.capacity() <= batches_max, "{agencies} agencies");
            }
            let lane_bytes = lane.remembered.capacity() * size_of::<Remembered>();
            let bytes = lane_bytes as u64 * u64::from(agencies);
            assert!(bytes <= REMEMBERED_BYTES_MAX_DEFAULT, "{agencies} agencies: {bytes} bytes");
        }
    }

    #[test]
    fn a_lane_recalls_its_last_batches_and_no_others() {
        for batches_max in [8, 9, 14, 128] {
            let (mut lane, mut receipts) = (Lane::new(), Vec::new());
            let hash = |seq: u64| BodyHash::of(&seq.to_be_bytes());
            for seq in 1..=300_u64 {
                lane.store(2, hash(seq), batches_max);
                receipts.push(Receipt { seq, bets: lane.bets, head: lane.head });
                for (back, receipt) in receipts.iter().rev().enumerate() {
                    let found = lane.recall(receipt.seq, hash(receipt.seq), batches_max);
                    let expected = if back < batches_max { Ok(*receipt) } else { Err(Code::Old) };
                    assert_eq!(found.map_err(|refused| refused.code), expected);
                }
                let other = lane.recall(seq, hash(0), batches_max).map_err(|refused| refused.code);
                assert_eq!(other, Err(Code::Conflict));
            }
        }
    }
}
