//! The batches of every agency over one connection each, a window of them on their way. Knows no
//! socket.

use std::time::Instant;

use crate::load::drive::{Exchange, Next};
use crate::load::fault::Wrong;
use crate::load::latency::Latency;
use crate::load::plan::Script;

/// All agencies' batches.
pub(super) struct Lanes<'a> {
    lanes: Vec<Lane<'a>>,
    unfinished: usize,
    latency: Latency,
}

/// Invariant: `answered <= packets_sent <= answered + window`.
struct Lane<'a> {
    script: &'a Script,
    /// Bytes of the packets that were sent.
    sent: usize,
    packets_sent: usize,
    /// Bytes of the answers that came.
    received: usize,
    answered: usize,
    /// When the packets on their way were sent: packet k at k modulo the window.
    sent_at: Vec<Instant>,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(scripts: &'a [Script], window: usize) -> Self {
        let now = Instant::now();
        let lane = |script: &'a Script| Lane {
            script,
            sent: 0,
            packets_sent: 0,
            received: 0,
            answered: 0,
            sent_at: vec![now; window.min(script.packets.len())],
        };
        let lanes: Vec<_> = scripts.iter().map(lane).collect();
        Self { unfinished: lanes.len(), lanes, latency: Latency::new() }
    }

    pub(super) fn into_latency(self) -> Latency {
        self.latency
    }
}

impl Exchange for Lanes<'_> {
    fn places(&self) -> usize {
        self.lanes.len()
    }

    fn agency(&self, place: usize) -> u32 {
        self.lanes[place].script.agency
    }

    fn unsent(&self, place: usize) -> &[u8] {
        self.lanes[place].unsent()
    }

    fn sent(&mut self, place: usize, size: usize, at: Instant) {
        self.lanes[place].note_sent(size, at);
    }

    fn received(&mut self, place: usize, bytes: &[u8], at: Instant) -> Result<Next, Wrong> {
        let lane = &mut self.lanes[place];
        let was_finished = lane.is_finished();
        lane.note_received(bytes, at, &mut self.latency)?;
        self.unfinished -= usize::from(!was_finished && lane.is_finished());
        Ok(Next::Stay)
    }

    fn owed(&self, place: usize) -> Option<String> {
        let lane = &self.lanes[place];
        (!lane.is_finished()).then(|| lane.script.name_of(lane.answered))
    }

    fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    fn hint(&self) -> String {
        "Does the server still run, and does its disk answer?".to_owned()
    }
}

impl Lane<'_> {
    fn is_finished(&self) -> bool {
        self.answered == self.script.packets.len()
    }

    fn unsent(&self) -> &[u8] {
        let packets = &self.script.packets;
        let last = (self.answered + self.sent_at.len()).min(packets.len()) - 1;
        &packets.bytes[self.sent..packets.end(last)]
    }

    fn note_sent(&mut self, size: usize, at: Instant) {
        let packets = &self.script.packets;
        self.sent += size;
        while self.packets_sent < packets.len() && packets.end(self.packets_sent) <= self.sent {
            let window = self.sent_at.len();
            self.sent_at[self.packets_sent % window] = at;
            self.packets_sent += 1;
        }
    }

    fn note_received(
        &mut self,
        bytes: &[u8],
        at: Instant,
        latency: &mut Latency,
    ) -> Result<(), Wrong> {
        let answers = &self.script.answers;
        // Nothing is to be heard of a packet that was not sent yet.
        let due = &answers.bytes[self.received..answers.start(self.packets_sent)];
        if due.len() < bytes.len() || due[..bytes.len()] != *bytes {
            return Err(self.find_wrong(bytes));
        }
        self.received += bytes.len();
        while self.answered < self.packets_sent && answers.end(self.answered) <= self.received {
            latency.record(at.duration_since(self.sent_at[self.answered % self.sent_at.len()]));
            self.answered += 1;
        }
        Ok(())
    }

    /// Finds the first answer of `bytes` that is not the one due, and counts those before it.
    fn find_wrong(&mut self, bytes: &[u8]) -> Wrong {
        let answers = &self.script.answers;
        let begun = answers.start(self.answered);
        let mut came = [&answers.bytes[begun..self.received], bytes].concat();
        while self.answered < self.packets_sent && came.starts_with(answers.get(self.answered)) {
            came.drain(..answers.get(self.answered).len());
            self.answered += 1;
        }
        let due = self.answered < self.packets_sent;
        let expected = if due { answers.get(self.answered).to_vec() } else { Vec::new() };
        Wrong { expected, came, hint: "" }
    }
}

#[cfg(test)]
mod tests {
    use bolillero_protocol::bet::Number;

    use crate::load::plan::{Dialect, Plan};

    use super::*;

    fn scripts() -> Vec<Script> {
        let plan = Plan {
            dialect: Dialect::Session,
            first_agency: 1,
            agencies: 1,
            bets: 100,
            batch_bytes: 600,
            winning_number: Number::new(0).unwrap(),
            seed: 1,
        };
        plan.scripts(&mut |_| {})
    }

    #[test]
    fn writes_and_answers_may_be_cut_anywhere_and_the_window_is_kept() {
        let scripts = scripts();
        let script = &scripts[0];
        for (window, write, read) in [(1, 1, 1), (1, 700, 90), (3, 1000, 7), (100, 1 << 20, 200)] {
            let mut lanes = Lanes::new(&scripts, window);
            let (mut sent, mut heard) = (Vec::new(), 0);
            while !lanes.is_done() {
                let unsent = lanes.unsent(0);
                let size = unsent.len().min(write);
                sent.extend_from_slice(&unsent[..size]);
                lanes.sent(0, size, Instant::now());
                let lane = &lanes.lanes[0];
                assert!(lane.packets_sent - lane.answered <= window);
                let due = script.answers.start(lane.packets_sent);
                let end = due.min(heard + read);
                let answer = &script.answers.bytes[heard..end];
                assert_eq!(lanes.received(0, answer, Instant::now()), Ok(Next::Stay));
                heard = end;
            }
            assert!(sent == script.packets.bytes);
            assert_eq!(lanes.owed(0), None);
            assert_eq!(lanes.into_latency().answers(), script.packets.len() as u64);
        }
    }

    #[test]
    fn a_wrong_a_surplus_and_an_early_answer_are_found_where_they_stand() {
        let scripts = scripts();
        let answers = &scripts[0].answers;
        let refusal = b"\x04\0\0\0\x01#".as_slice();
        let check = |heard: &[&[u8]], packets: usize, wrong: (Option<usize>, &[u8], &str)| {
            let mut lanes = Lanes::new(&scripts, packets);
            let unsent = lanes.unsent(0).len();
            lanes.sent(0, unsent, Instant::now());
            let (last, before) = heard.split_last().unwrap();
            for bytes in before {
                lanes.received(0, bytes, Instant::now()).unwrap();
            }
            let found = lanes.received(0, last, Instant::now()).unwrap_err();
            let (expected, came, owed) = wrong;
            let expected = expected.map_or(&[][..], |index| answers.get(index)).to_vec();
            assert_eq!(found, Wrong { expected, came: came.to_vec(), hint: "" });
            assert_eq!(lanes.owed(0).unwrap(), owed);
        };
        let (first, second) = (answers.get(0), answers.get(1));
        let name = |batch| scripts[0].name_of(batch);
        check(&[refusal], 1, (Some(0), refusal, &name(0)));
        check(&[first, refusal], 2, (Some(1), refusal, &name(1)));
        check(&[&first[..9], &[&first[9..], refusal].concat()], 2, (Some(1), refusal, &name(1)));
        check(&[&[first, second].concat()], 1, (None, second, &name(1)));
        check(&[second], 2, (Some(0), second, &name(0)));
    }
}
