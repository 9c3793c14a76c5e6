//! What stands in a ledger, held against what the agencies were promised. Reads it by the library's
//! reader, while no server runs; changes nothing.

use std::path::Path;

use bolillero_server::ledger::disk::Directory;
use bolillero_server::ledger::reader::{Next, read_ledger};
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::server::LEDGER_DIRECTORY;

use super::lane::{Finish, Lane, Speaks};

/// What a ledger holds, in its order.
pub(super) struct Stored {
    /// The bodies of each agency; agency 1 comes first.
    lanes: Vec<Vec<String>>,
    finished: Vec<u32>,
    pub(super) draws: usize,
    pub(super) segments: u32,
    /// Whether its last segment has a name and no group.
    pub(super) ends_empty: bool,
}

impl Stored {
    pub(super) fn read(data_dir: &Path, agencies: usize) -> Self {
        let lanes = vec![Vec::new(); agencies];
        let finished = Vec::new();
        let mut stored = Self { lanes, finished, draws: 0, segments: 0, ends_empty: false };
        let path = data_dir.join(LEDGER_DIRECTORY);
        if !path.exists() {
            return stored;
        }
        let tail = read_ledger(&Directory::new(path), &mut |_, group| {
            group.records().for_each(|record| stored.take(&record.unwrap()));
            Ok(Next::Continue)
        });
        if let Some(tail) = tail.unwrap() {
            stored.segments = tail.header.segment;
            stored.ends_empty = tail.next_group == tail.header.first_group;
        }
        stored
    }

    fn take(&mut self, record: &Record<'_>) {
        match record.kind {
            Kind::Open | Kind::Hello | Kind::Alarm => {}
            Kind::Batch => {
                let lane = &mut self.lanes[record.agency as usize - 1];
                lane.push(String::from_utf8(record.body.to_vec()).unwrap());
                assert_eq!(record.seq, lane.len() as u64, "agency {}: a gap", record.agency);
            }
            Kind::Finish => self.finished.push(record.agency),
            Kind::Draw => self.draws += 1,
        }
    }

    pub(super) fn batches(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }

    /// Holds it against what stood there at an earlier death, and against every lane.
    pub(super) fn check(&self, before: &Self, lanes: &[Lane]) {
        for lane in lanes {
            let agency = lane.agency;
            let [now, then] = [self, before].map(|stored| &stored.lanes[agency as usize - 1]);
            assert!(now.starts_with(then), "agency {agency}: what was stored has changed");
            check_bodies(lane, now);
            let finishes = self.finished.iter().filter(|other| **other == agency).count();
            match lane.finish {
                Finish::Unsaid => assert_eq!(finishes, 0, "agency {agency} did not finish"),
                Finish::Said => assert!(finishes <= 1, "agency {agency} finished {finishes} times"),
                Finish::Acknowledged => assert_eq!(finishes, 1, "agency {agency} has finished"),
            }
            if let Some(told) = &lane.winners {
                assert_eq!(self.draws, 1, "agency {agency} was told of a draw");
                assert_eq!(*told, winners(now), "agency {agency}: its winners");
            }
        }
        assert!(self.draws <= 1, "{} draws", self.draws);
        assert!(self.draws >= before.draws, "a draw was lost");
    }
}

/// Every body that was acknowledged is there once, in the order of sending, and nothing that was not
/// sent. A session has no gap.
fn check_bodies(lane: &Lane, stored: &[String]) {
    let mut left = stored.iter().peekable();
    let is_stored = |n: &u64| left.next_if(|body| **body == lane.body(*n)).is_some();
    let numbers: Vec<u64> = (1..=lane.sent()).filter(is_stored).collect();
    let agency = lane.agency;
    assert_eq!(left.next(), None, "agency {agency}: not sent, out of order, or stored twice");
    let lost = lane.acknowledged.iter().find(|n| numbers.binary_search(n).is_err());
    assert_eq!(lost, None, "agency {agency}: acknowledged and not stored");
    if lane.speaks == Speaks::Sessions {
        assert_eq!(numbers.last().copied().unwrap_or(0), numbers.len() as u64, "agency {agency}");
    }
}

/// The opcode 7 that these bodies give: who bet on the winning number, in the lane's order.
fn winners(bodies: &[String]) -> String {
    let mut told = String::new();
    for body in bodies {
        let items: Vec<&str> = body.split('#').collect();
        // Behind the count come an index and six items for each bet.
        for bet in items[1..].chunks_exact(7).filter(|bet| bet[6] == super::WINNING_NUMBER) {
            told.push_str(&format!("{}#", bet[4]));
        }
    }
    if told.is_empty() { "#".to_owned() } else { told }
}
