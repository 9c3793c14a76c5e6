//! What each agency sends, and what it has to hear: made whole before the clock starts, so that
//! sending is a write and checking a comparison of bytes. Knows no socket and no clock.

use bolillero_protocol::bet::{BatchBuilder, Number};
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{Receipt, Reply, Request, Totals};
use bolillero_protocol::tlv::HEADER_SIZE;

use crate::generate::Sample;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How the agencies speak.
    pub dialect: Dialect,
    /// The first agency's number.
    pub first_agency: u32,
    /// How many agencies, 1 or more.
    pub agencies: u32,
    /// Bets of all agencies together, 1 or more for each.
    pub bets: u64,
    /// The longest packet of a batch, header included.
    pub batch_bytes: usize,
    /// The number whose bets win.
    pub winning_number: Number,
    /// Where all chance comes from.
    pub seed: u64,
}

/// How the agencies speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Opcodes 5, 6 and 9 to 12, over one connection each.
    Session,
    /// Opcodes 1 to 8, over one connection each.
    Base,
    /// Opcodes 1 to 8, each request over a connection of its own.
    ConnectionPerRequest,
}

/// What one agency sends, hears and wins.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) agency: u32,
    pub(super) bets: u64,
    /// A batch each.
    pub(super) packets: Spans,
    /// The answer to each batch.
    pub(super) answers: Spans,
    /// The documents of its winners in the order of its bets, as opcode 7 lists them.
    pub(super) winners: Vec<u8>,
}

/// Strings of bytes, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Plan {
    /// What each agency sends. `watch` is told how many bets were added.
    pub(super) fn scripts(&self, watch: &mut dyn FnMut(u64)) -> Vec<Script> {
        (0..self.agencies).map(|index| self.script(index, watch)).collect()
    }

    fn script(&self, index: u32, watch: &mut dyn FnMut(u64)) -> Script {
        let (agencies, index) = (u64::from(self.agencies), u64::from(index));
        let bets = self.bets / agencies + u64::from(index < self.bets % agencies);
        let mut writer = Writer::new(self, index, bets);
        for _ in 0..bets {
            writer.add_bet(watch);
        }
        writer.end_batch(watch);
        writer.script
    }
}

/// Writes one agency's script.
struct Writer<'a> {
    plan: &'a Plan,
    sample: Sample,
    id: String,
    winning: String,
    batch: BatchBuilder,
    body_size_max: usize,
    head: Head,
    /// Bets in the batches that have ended.
    bets: u64,
    script: Script,
}

/// Room that is set aside for a bet on the wire. More is seldom needed, and less is not touched.
const BET_SIZE_PLANNED: usize = 64;

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, index: u64, bets: u64) -> Self {
        let agency = plan.first_agency + u32::try_from(index).expect("an agency's index fits");
        let mut script = Script {
            agency,
            bets,
            packets: Spans::default(),
            answers: Spans::default(),
            winners: Vec::new(),
        };
        let planned = usize::try_from(bets).expect("bets that fit in memory") * BET_SIZE_PLANNED;
        script.packets.bytes.reserve(planned);
        let mut writer = Self {
            plan,
            sample: Sample::new(plan.seed, agency),
            id: agency.to_string(),
            winning: plan.winning_number.value().to_string(),
            batch: BatchBuilder::default(),
            body_size_max: 0,
            head: Head::EMPTY,
            bets: 0,
            script,
        };
        writer.make_room();
        writer
    }

    fn add_bet(&mut self, watch: &mut dyn FnMut(u64)) {
        self.sample.advance();
        let bet = self.sample.bet(&self.id);
        if bet.number == self.winning {
            self.script.winners.extend_from_slice(bet.document.as_bytes());
            self.script.winners.push(b'#');
        }
        if !self.batch.push_within(&bet, self.body_size_max) {
            self.end_batch(watch);
            let fits = self.batch.push_within(&self.sample.bet(&self.id), self.body_size_max);
            assert!(fits, "any bet that is made fits an empty batch");
        }
    }

    fn end_batch(&mut self, watch: &mut dyn FnMut(u64)) {
        let bets = u64::from(self.batch.bets());
        let body = self.batch.take();
        self.bets += bets;
        let Script { packets, answers, .. } = &mut self.script;
        if self.plan.dialect == Dialect::Session {
            let seq = packets.len() as u64 + 1;
            self.head = self.head.then(BodyHash::of(&body));
            let receipt = Receipt { seq, bets: self.bets, head: self.head };
            packets.push(|out| Request::NumberedBatch { seq, body: &body }.encode(out));
            answers.push(|out| Reply::Receipt(receipt).encode(out));
        } else {
            packets.push(|out| Request::Batch { body: &body }.encode(out));
            answers.push(|out| Reply::Ack.encode(out));
        }
        self.make_room();
        watch(bets);
    }

    /// Finds out how long the next batch's body may be.
    fn make_room(&mut self) {
        let seq_size = match self.plan.dialect {
            Dialect::Session => (self.script.packets.len() + 1).to_string().len() + 1,
            Dialect::Base | Dialect::ConnectionPerRequest => 0,
        };
        self.body_size_max = self.plan.batch_bytes - HEADER_SIZE - seq_size;
    }
}

impl Script {
    pub(super) fn totals(&self) -> Totals {
        Totals { last_seq: self.packets.len() as u64, bets: self.bets }
    }

    /// The name of a batch for a person.
    pub(super) fn name_of(&self, batch: usize) -> String {
        format!("batch {} of {}", batch + 1, self.packets.len())
    }
}

impl Spans {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }

    pub(super) fn end(&self, index: usize) -> usize {
        self.ends[index]
    }

    pub(super) fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.end(index)]
    }

    fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use bolillero_protocol::bet::{Batch, Bets};

    use super::*;

    fn plan(dialect: Dialect) -> Plan {
        Plan {
            dialect,
            first_agency: 1,
            agencies: 3,
            bets: 5000,
            batch_bytes: 1000,
            winning_number: Number::new(7574).unwrap(),
            seed: 7574,
        }
    }

    fn bodies(script: &Script) -> Vec<&[u8]> {
        let packets = (0..script.packets.len()).map(|index| script.packets.get(index));
        packets
            .map(|packet| match packet[0] {
                3 => &packet[5..],
                _ => &packet[packet.iter().position(|&byte| byte == b'#').unwrap() + 1..],
            })
            .collect()
    }

    #[test]
    fn bets_are_dealt_evenly_in_full_valid_batches_within_the_limit() {
        for dialect in [Dialect::Session, Dialect::Base] {
            let mut watched = 0;
            let scripts = plan(dialect).scripts(&mut |bets| watched += bets);
            assert_eq!(watched, 5000);
            assert_eq!(scripts.iter().map(|s| s.bets).collect::<Vec<_>>(), [1667, 1667, 1666]);
            for script in &scripts {
                let batches = bodies(script).into_iter();
                let batches: Vec<_> = batches.map(|b| Batch::validate(b, 3).unwrap()).collect();
                assert!(batches.iter().all(|batch| batch.agency() == script.agency));
                let bets: u64 = batches.iter().map(|batch| u64::from(batch.bets())).sum();
                assert_eq!(bets, script.bets);
                let sizes = (0..script.packets.len()).map(|i| script.packets.get(i).len());
                let sizes: Vec<_> = sizes.collect();
                assert!(sizes.iter().all(|&size| size <= 1000));
                assert!(sizes[..sizes.len() - 1].iter().all(|&size| size > 900));
            }
        }
    }

    #[test]
    fn every_answer_and_every_winner_is_what_an_office_gives() {
        let plan = plan(Dialect::Session);
        for script in plan.scripts(&mut |_| {}) {
            let (mut head, mut bets, mut winners) = (Head::EMPTY, 0, Vec::new());
            for (index, body) in bodies(&script).into_iter().enumerate() {
                head = head.then(BodyHash::of(body));
                for bet in Bets::read(body).unwrap().map(Result::unwrap) {
                    bets += 1;
                    if bet.number() == Some(plan.winning_number) {
                        winners.extend(format!("{}#", bet.document).bytes());
                    }
                }
                let data = format!("{}#{bets}#{head}#", index + 1);
                assert_eq!(&script.answers.get(index)[5..], data.as_bytes());
            }
            assert!(!winners.is_empty());
            assert_eq!(script.winners, winners);
        }
    }
}
