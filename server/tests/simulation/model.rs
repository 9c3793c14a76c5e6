//! What each agency was promised, and whether it is kept: by the next answer, by what is on disk, by what the office
//! believes. Knows no connection and no fault.

use std::collections::BTreeSet;

use bolillero_server::lottery::Office;
use bolillero_server::lottery::state::Draw;

use crate::stored::{Stored, StoredLane};
use crate::wire::{Reply, bets_in, head};

pub(crate) const WINNING_NUMBER: u16 = 7574;

/// What a client asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Hello,
    Batch(u64),
    /// A batch of nothing under the number behind the last.
    Empty(u64),
    Ready,
    Winners,
    Alarm,
    BaseBatch(u64),
    BaseReady,
    BaseWinners,
    TextBatch(u64),
    TextFinish,
    TextWinners,
}

/// What an agency has to send.
pub(crate) struct Input {
    /// In the order of the lane. The last is sent, if at all, by a base client that is late with it.
    pub(crate) bodies: Vec<String>,
    /// The bets and the head of the lane after so many of them.
    pub(crate) after: Vec<(u64, String)>,
}

impl Input {
    pub(crate) fn new(bodies: Vec<String>) -> Self {
        let after = (0..=bodies.len()).map(|n| (bets_in(&bodies[..n]), head(&bodies[..n])));
        Self { after: after.collect(), bodies }
    }

    /// How many batches are sent in time.
    pub(crate) fn in_time(&self) -> u64 {
        self.bodies.len() as u64 - 1
    }

    /// What a lane's receipt says after `seq` batches.
    pub(crate) fn totals(&self, seq: u64) -> &(u64, String) {
        &self.after[usize::try_from(seq).unwrap()]
    }
}

/// What one agency was promised.
#[derive(Default)]
struct Promised {
    batches: u64,
    finished: bool,
    epochs: BTreeSet<u32>,
    winners: Option<String>,
    /// How its lane was last seen on disk.
    seen: StoredLane,
}

pub(crate) struct Model {
    pub(crate) inputs: Vec<Input>,
    promised: Vec<Promised>,
}

/// What is known of a connection besides what it asks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Of its session; 0 before there is one.
    pub(crate) epoch: u32,
    /// A newer session was welcomed before this arrived.
    pub(crate) is_fenced: bool,
    /// The last batch that it has a receipt for.
    pub(crate) receipts: u64,
    /// It was told that there is no room.
    pub(crate) had_no_room: bool,
    /// Something of the disk's made it possible that there is none.
    pub(crate) may_lack_room: bool,
}

impl Model {
    pub(crate) fn new(inputs: Vec<Input>) -> Self {
        let promised = inputs.iter().map(|_| Promised::default()).collect();
        Self { inputs, promised }
    }

    /// Holds an answer that leaves now to what is durable now, and notes what it promises.
    pub(crate) fn judge(
        &mut self,
        stored: &Stored,
        agency: usize,
        known: &mut Known,
        asked: Asked,
        reply: &Reply,
    ) {
        let lane = &stored.lanes[agency];
        assert!(!known.is_fenced, "an old session's {asked:?} is answered with {reply:?}");
        let (input, promised) = (&self.inputs[agency], &mut self.promised[agency]);
        match (asked, reply.0) {
            // It has too many sessions that have not ended, and the connection is closed.
            (Asked::Hello, 8) => {}
            (Asked::Hello, 10) => known.epoch = promised.welcome(input, lane, &reply.1),
            (Asked::Batch(seq), 12) => {
                let (bets, head) = input.totals(seq);
                assert_eq!(reply.1, format!("{seq}#{bets}#{head}#"));
                known.receipts = known.receipts.max(seq);
                promised.store(lane, seq);
            }
            (Asked::Alarm, 2) => {
                let is_stored = lane.alarms.contains(&known.epoch);
                assert!(is_stored, "acknowledged, and the alarm is not on disk");
            }
            (Asked::BaseBatch(seq), 2) => promised.store(lane, seq),
            (Asked::Ready | Asked::BaseReady, 2) => {
                assert!(lane.finished, "acknowledged, and the mark is not on disk");
                promised.finished = true;
            }
            (Asked::Winners | Asked::BaseWinners, 7) => {
                assert_eq!(stored.draws, 1, "told of a draw that is not on disk");
                assert_eq!(reply.1, winners(lane));
                promised.winners = Some(reply.1.clone());
            }
            (Asked::BaseWinners, 8) => assert!(promised.winners.is_none(), "it was told them once"),
            (_, 4) => check_refusal(lane, known, asked, &reply.1),
            _ => panic!("{asked:?} was answered with {reply:?}"),
        }
    }

    /// Holds that a session may be told now that a newer one works its lane. What it was owed has left.
    pub(crate) fn judge_fence(&self, stored: &Stored, agency: usize, known: &Known) {
        let lane = &stored.lanes[agency];
        assert!(known.epoch > 0, "it has no session, or was not told of it");
        assert!(lane.epoch > known.epoch, "fenced by a HELLO that is not on disk: {known:?}");
        let owed = lane.last_of.get(&known.epoch).copied().unwrap_or(0);
        assert!(known.receipts >= owed, "fenced before the receipt of {owed}: {known:?}");
    }

    /// Holds the line that a connection of the text dialect ends with now, or that it ends without one; it has brought
    /// so many batches.
    pub(crate) fn judge_line(
        &mut self,
        stored: &Stored,
        agency: usize,
        may_lack_room: bool,
        (asked, brought): (Asked, u64),
        line: &str,
    ) {
        let lane = &stored.lanes[agency];
        let (input, promised) = (&self.inputs[agency], &mut self.promised[agency]);
        match (asked, line) {
            (_, "ERROR\n") => {
                let holds = may_lack_room || lane.finished || lane.epoch > 0;
                assert!(holds, "{asked:?} was an error without a reason: {lane:?}");
            }
            (Asked::TextFinish, count) => {
                assert_eq!(count, format!("{}\n", input.totals(brought).0));
                promised.store(lane, brought);
                assert!(lane.finished, "counted, and the mark is not on disk");
                promised.finished = true;
            }
            (Asked::TextWinners, "") => {
                assert!(promised.winners.is_none(), "it was told them once");
            }
            (Asked::TextWinners, line) => {
                assert_eq!(stored.draws, 1, "told of a draw that is not on disk");
                let told = match line.trim_end() {
                    "NOWINNERS" => "#".to_owned(),
                    documents => documents.replace(',', "#") + "#",
                };
                assert_eq!(told, winners(lane));
                promised.winners = Some(told);
            }
            _ => panic!("{asked:?} was answered with {line:?}"),
        }
    }

    /// The newest session that an agency was welcomed in.
    pub(crate) fn newest_epoch(&self, agency: usize) -> u32 {
        self.promised[agency].epochs.last().copied().unwrap_or(0)
    }

    /// Holds what is on disk to what was promised, and to what was there before.
    pub(crate) fn compare(&mut self, stored: &Stored) {
        assert!(stored.draws <= 1, "drawn twice");
        for (agency, lane) in stored.lanes.iter().enumerate() {
            let (input, promised) = (&self.inputs[agency], &mut self.promised[agency]);
            assert!(
                input.bodies.starts_with(&lane.bodies),
                "lane {}: {lane:?} is not what was sent",
                agency + 1
            );
            let (batches, seen) = (lane.bodies.len() as u64, &promised.seen);
            assert!(batches >= promised.batches, "a receipt of {} is lost", promised.batches);
            assert!(lane.bodies.starts_with(&seen.bodies), "what was durable is lost");
            assert!(lane.epoch >= seen.epoch, "an epoch is lost");
            assert!(lane.alarms.starts_with(&seen.alarms), "an alarm is lost");
            assert!(lane.finished || !(seen.finished || promised.finished), "a mark is lost");
            assert!(!lane.finished || batches >= input.in_time(), "finished before its end");
            assert!(stored.draws == 1 || promised.winners.is_none(), "the draw is lost");
            promised.seen = lane.clone();
        }
    }

    /// Holds what the office believes to what is on disk. Nothing is queued.
    pub(crate) fn compare_office(&self, stored: &Stored, office: &Office, sessions_max: usize) {
        assert_eq!(office.ledger().durable().0, stored.records, "positions count records");
        for (lane, agency) in stored.lanes.iter().zip(1..) {
            let believed = office.lane(agency).unwrap();
            let (last_seq, bets) = (lane.bodies.len() as u64, bets_in(&lane.bodies));
            assert_eq!(
                (believed.totals.last_seq, believed.totals.bets, believed.finished, believed.epoch),
                (last_seq, bets, lane.finished, lane.epoch),
                "agency {agency}: what the office believes, and what is on disk"
            );
            assert_eq!(believed.alarms as usize, lane.alarms.len(), "agency {agency}");
            let open = office.open_sessions(agency);
            assert!(open <= sessions_max, "agency {agency} has {open} sessions");
            assert_eq!(
                believed.head.to_string(),
                self.inputs[agency as usize - 1].totals(last_seq).1
            );
        }
        let all = stored.lanes.iter().all(|lane| lane.finished);
        let expected = match (all, stored.draws) {
            (false, _) => Draw::Open,
            (true, 0) => Draw::Drawing,
            (true, _) => Draw::Drawn,
        };
        assert_eq!(office.draw(), expected);
    }

    /// Holds that everybody has what there was to get.
    pub(crate) fn check_end(&self) {
        for (promised, input) in self.promised.iter().zip(&self.inputs) {
            assert!(promised.finished || promised.seen.finished);
            assert!(promised.seen.bodies.len() as u64 >= input.in_time());
            assert!(promised.winners.is_some());
        }
    }
}

impl Promised {
    fn store(&mut self, lane: &StoredLane, seq: u64) {
        assert!(
            lane.bodies.len() as u64 >= seq,
            "batch {seq} was acknowledged, and is not on disk"
        );
        self.batches = self.batches.max(seq);
    }

    /// Returns the epoch.
    fn welcome(&mut self, input: &Input, lane: &StoredLane, data: &str) -> u32 {
        let items: Vec<_> = data.split('#').collect();
        let epoch = items[0].parse().unwrap();
        let stored = items[1].parse::<u64>().unwrap() - 1;
        let (bets, head) = input.totals(stored);
        assert_eq!(items[2..4], [bets.to_string(), head.clone()]);
        assert!(self.epochs.insert(epoch), "epoch {epoch} was given twice");
        assert!(lane.epoch >= epoch, "welcomed, and the hello is not on disk");
        assert!(stored >= self.batches, "welcomed without a batch that was acknowledged");
        match items[4] {
            "0" => assert!(!self.finished, "the mark was acknowledged, and is forgotten"),
            _ => assert!(lane.finished, "told of a mark that is not on disk"),
        }
        self.store(lane, stored);
        epoch
    }
}

/// Everybody who wins has the same document here.
fn winners(lane: &StoredLane) -> String {
    let wins = lane.bodies.concat().matches(&format!("#{WINNING_NUMBER}#")).count();
    if wins == 0 { "#".to_owned() } else { format!("3000{WINNING_NUMBER}#").repeat(wins) }
}

fn check_refusal(lane: &StoredLane, known: &mut Known, asked: Asked, text: &str) {
    let says = |what: &str| text.starts_with(what) || text.contains(what) && known.epoch == 0;
    let holds = if text.contains("no room on the disk") {
        known.had_no_room = true;
        known.may_lack_room
    } else if says("has finished") || says("CLOSED") {
        lane.finished
    } else if says("works in sessions") {
        lane.epoch > 0
    } else {
        says("GAP") && known.had_no_room || says("MALFORMED") && matches!(asked, Asked::Empty(_))
    };
    assert!(holds, "{asked:?} was refused with {text:?}, {known:?}, {lane:?}");
}
