//! One agency's lane: what it has stored, who may work it, and what it remembers. Knows no other lane.

use std::collections::VecDeque;

use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{Code, Receipt, Totals};

use super::state::{By, Refused};

/// How many of a lane's last batches are remembered, so that a repeat gets its receipt again.
const BATCHES_REMEMBERED: usize = 1024;

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) epoch: u32,
    pub(super) next_seq: u64,
    pub(super) bets: u64,
    pub(super) head: Head,
    pub(super) finished: bool,
    remembered: VecDeque<Stored>,
}

/// What is remembered of a batch.
#[derive(Debug, Clone, Copy)]
struct Stored {
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
            remembered: VecDeque::new(),
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

    /// The receipt of a batch that was stored before.
    pub(super) fn recall(&self, seq: u64, hash: BodyHash) -> Result<Receipt, Refused> {
        let age = usize::try_from(self.next_seq - seq).unwrap_or(usize::MAX);
        let index = self.remembered.len().checked_sub(age);
        let stored = index.and_then(|index| self.remembered.get(index));
        match stored {
            None => {
                let text = format!("batch {seq} was stored too long ago to compare");
                Err(Refused::new(Code::Old, text))
            }
            Some(stored) if stored.hash != hash => {
                Err(Refused::new(Code::Conflict, format!("batch {seq} is stored with other bytes")))
            }
            Some(stored) => Ok(Receipt { seq, bets: stored.bets, head: stored.head }),
        }
    }

    pub(super) fn store(&mut self, bets: u32, hash: BodyHash) {
        self.next_seq += 1;
        self.bets += u64::from(bets);
        self.head = self.head.then(hash);
        if self.remembered.len() == BATCHES_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Stored { hash, bets: self.bets, head: self.head });
    }
}
