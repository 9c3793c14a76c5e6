//! What is in a ledger's files, read without the product's own reader: valid groups from the front, up to the
//! first that is not. Holds that lanes have no gap and nothing is there twice.

use std::collections::BTreeMap;

use bolillero_server::ledger::memory::Files;
use crc32c::crc32c;

const SEGMENT_HEADER: usize = 36;
const GROUP_OVERHEAD: usize = 20;

/// What a ledger's records add up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) records: u64,
    pub(crate) lanes: Vec<StoredLane>,
    pub(crate) draws: u32,
    /// Each group's file, and where it stands in it.
    pub(crate) groups: Vec<(String, usize, usize)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredLane {
    pub(crate) epoch: u32,
    pub(crate) bodies: Vec<String>,
    pub(crate) finished: bool,
    /// The last batch of each epoch that has one.
    pub(crate) last_of: BTreeMap<u32, u64>,
    /// The epochs whose session raised an alarm.
    pub(crate) alarms: Vec<u32>,
}

impl Stored {
    pub(crate) fn read(files: &Files, agencies: usize) -> Self {
        let mut stored = Self { lanes: vec![StoredLane::default(); agencies], ..Self::default() };
        for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
            if bytes.len() < SEGMENT_HEADER || number(&bytes[16..24]) != stored.next_group() {
                break;
            }
            stored.read_segment(name, bytes);
        }
        stored
    }

    fn next_group(&self) -> u64 {
        self.groups.len() as u64 + 1
    }

    fn read_segment(&mut self, name: &str, bytes: &[u8]) {
        let mut at = SEGMENT_HEADER;
        while let Some(records) = self.group_at(&bytes[at..]) {
            let end = at + GROUP_OVERHEAD + records.len();
            self.groups.push((name.to_owned(), at, end));
            self.take_all(records);
            at = end;
        }
    }

    /// The records of the next group, if it stands here.
    fn group_at<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let header = bytes.get(..16)?;
        if number(&header[12..]) != u64::from(crc32c(&header[..12]))
            || number(&header[4..12]) != self.next_group()
        {
            return None;
        }
        let end = 16 + usize::try_from(number(&header[..4])).unwrap();
        let (records, crc) = (bytes.get(16..end)?, bytes.get(end..end + 4)?);
        (number(crc) == u64::from(crc32c(records))).then_some(records)
    }

    fn take_all(&mut self, mut records: &[u8]) {
        while !records.is_empty() {
            let end = 25 + usize::try_from(number(&records[21..25])).unwrap();
            self.take(&records[..end]);
            records = &records[end..];
        }
    }

    fn take(&mut self, record: &[u8]) {
        self.records += 1;
        let (agency, epoch) = (number(&record[1..5]), number(&record[5..9]));
        let seq = number(&record[9..17]);
        let lane = usize::try_from(agency).unwrap().checked_sub(1);
        match (record[0], lane) {
            (1, None) => assert_eq!(self.records, 1, "a ledger is opened once"),
            (5, None) => {
                assert!(self.lanes.iter().all(|lane| lane.finished), "drawn too early");
                self.draws += 1;
            }
            (kind, Some(lane)) => self.lanes[lane].take(kind, epoch, seq, &record[25..]),
            other => panic!("a record of {other:?}"),
        }
    }
}

impl StoredLane {
    fn take(&mut self, kind: u8, epoch: u64, seq: u64, body: &[u8]) {
        let last = self.bodies.len() as u64;
        let ordered = match kind {
            2 => epoch == u64::from(self.epoch) + 1,
            3 => epoch == u64::from(self.epoch) && seq == last + 1 && !self.finished,
            4 => epoch == u64::from(self.epoch) && seq == last && !self.finished,
            6 => epoch == u64::from(self.epoch) && !self.alarms.contains(&self.epoch),
            _ => false,
        };
        assert!(ordered, "kind {kind}, epoch {epoch}, seq {seq} cannot follow {self:?}");
        self.epoch = u32::try_from(epoch).unwrap();
        self.finished |= kind == 4;
        if kind == 3 {
            self.bodies.push(String::from_utf8(body.to_vec()).unwrap());
            self.last_of.insert(self.epoch, seq);
        }
        if kind == 6 {
            assert_eq!(body.len(), 40, "bets and a head");
            self.alarms.push(self.epoch);
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
