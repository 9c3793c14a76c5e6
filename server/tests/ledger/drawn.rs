//! A ledger on a disk in memory whose records are a real draw's: three lanes, their ends, the winners.

use bolillero_protocol::bet::Number;
use bolillero_protocol::message::DrawId;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::reader::{Next, read_ledger};
use bolillero_server::ledger::record::Kind;
use bolillero_server::ledger::rewrite::Rewriter;
use bolillero_server::lottery::event::{draw_body, open_body};
use bolillero_server::lottery::state::Terms;
use bolillero_server::lottery::winners::find_winners;

use crate::life::{Event, finish, hello};

pub(crate) const AGENCIES: u32 = 3;
/// Small enough for three segments.
const SEGMENT_SIZE: u64 = 700;

pub(crate) fn terms() -> Terms {
    let winning_number = Number::new(7574).unwrap();
    Terms { agencies: AGENCIES, winning_number, draw: DrawId(*b"the draw") }
}

/// A batch of one bet; every other one wins.
pub(crate) fn batch(agency: u32, seq: u64) -> Event {
    let number = 7573 + seq % 2;
    let body = format!("1#@0#{agency}#Ana#Paz#{agency}00{seq}#1990-01-01#{number}#").into_bytes();
    Event { kind: Kind::Batch, agency, epoch: 1, seq, n: 1, body }
}

/// A ledger of groups; one without records is a mark.
pub(crate) fn write(groups: &[Vec<Event>]) -> Files {
    let disk = MemoryDisk::new();
    let mut out = Rewriter::new(&disk, terms().draw, SEGMENT_SIZE);
    for group in groups {
        group.iter().for_each(|event| out.add(&event.record()).unwrap());
        if group.is_empty() { out.mark() } else { out.end_group() }.unwrap();
    }
    out.finish().unwrap();
    disk.files()
}

/// Three lanes of four batches, all finished, and the draw.
pub(crate) fn script() -> Vec<Vec<Event>> {
    let open = Event { kind: Kind::Open, agency: 0, ..hello(0, 0) };
    let open = Event { n: AGENCIES, body: open_body(&terms()).to_vec(), ..open };
    let mut groups = vec![vec![open]];
    groups.extend((1..=AGENCIES).map(|agency| vec![hello(agency, 1)]));
    for seq in 1..=4 {
        groups.push(vec![batch(1, seq), batch(2, seq)]);
        groups.push(vec![batch(3, seq)]);
    }
    groups.extend((1..=AGENCIES).map(|agency| vec![finish(agency, 4)]));
    let disk = MemoryDisk::with_files(&write(&groups));
    let winners = find_winners(&disk, &terms(), 0, 1, &|| true).unwrap().unwrap();
    let body = draw_body(terms().winning_number, &winners.digests());
    groups.push(vec![Event { kind: Kind::Draw, n: 0, body, ..hello(0, 0) }]);
    groups
}

pub(crate) fn drawn() -> Files {
    let files = write(&script());
    assert_eq!(segments(&files).len(), 3, "{:?}", files.keys());
    files
}

/// The names of the segments, in order.
pub(crate) fn segments(files: &Files) -> Vec<String> {
    files.keys().filter(|name| name.ends_with(".log")).cloned().collect()
}

/// Where each group stands: its file, its first byte, and the byte behind it.
pub(crate) fn places(files: &Files) -> Vec<(String, usize, usize)> {
    let mut places = Vec::new();
    read_ledger(&MemoryDisk::with_files(files), &mut |place, group| {
        let start = usize::try_from(place.offset).unwrap();
        places.push((format!("{:08}.log", place.segment), start, start + group.bytes.len() + 20));
        Ok(Next::Continue)
    })
    .unwrap();
    places
}
