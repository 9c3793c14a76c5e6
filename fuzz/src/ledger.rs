//! Bytes as a ledger's segments. What is served must be what a server would have written there, whatever the bytes are.

use bolillero_server::ledger::committer::segment_name;
use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::reader::{Next, Place, ReadError, Tail, read_ledger, read_segments};
use bolillero_server::ledger::segment::{
    End, Group, SEGMENT_HEADER_SIZE, SegmentHeader, begin_group, seal_group,
};

use self::life::{DRAW, Life};

#[allow(dead_code)] // The server's tests use all of it.
#[path = "../../server/tests/ledger/life.rs"]
mod life;

/// How many groups a segment of [`damage`] has before the next one begins.
const GROUPS_PER_SEGMENT: u64 = 3;

/// A group as it was served.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Served {
    place: Place,
    number: u64,
    records: Vec<u8>,
}

/// Up to two segments, the size of the first in two bytes before them: nothing is served but what stands there sealed,
/// in order; several readers see the same; a start takes it as it is read, or refuses it and changes nothing.
pub fn segment(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let size = usize::from(u16::from_be_bytes(*size)).min(bytes.len());
    let (first, second) = bytes.split_at(size);
    let mut files = Files::from([(segment_name(1), first.to_vec())]);
    if !second.is_empty() {
        files.insert(segment_name(2), second.to_vec());
    }
    let disk = MemoryDisk::with_files(&files);
    let (served, end) = read(&disk);
    check_sealed(&files, &served);
    if let Ok(Some(tail)) = &end {
        let last = &files[&segment_name(tail.header.segment)];
        // Written again it is of the newest format, and has a checksum of that.
        assert_eq!(last[12..32], tail.header.encode()[12..32]);
    }
    for readers in [1, 2] {
        check_readers(&disk, readers, &served, &end);
    }
    check_start(&disk, &files, &served, &end);
}

/// Groups of any records, sealed, and one byte of the whole flipped: `at` in two bytes, what is flipped in one, then each
/// group as its length in one byte and its records.
pub fn damage(bytes: &[u8]) {
    let Some(([at @ .., pattern], records)) = bytes.split_first_chunk::<3>() else { return };
    let mut files = sealed(records);
    let (before, end) = read(&MemoryDisk::with_files(&files));
    assert_eq!(end.expect("a sealed ledger is read").expect("it has a segment").end, End::Clean);
    let size: usize = files.values().map(Vec::len).sum();
    let at = usize::from(u16::from_be_bytes(*at)) % size;
    flip(&mut files, at, *pattern);
    let disk = MemoryDisk::with_files(&files);
    let (served, end) = read(&disk);
    assert!(before.starts_with(&served), "what is served was written");
    check_sealed(&files, &served);
    if *pattern == 0 {
        assert_eq!(served, before);
    } else {
        let found = !matches!(&end, Ok(Some(Tail { end: End::Clean, .. })));
        assert!(found, "the flip of byte {at} is not seen: {end:?}");
    }
    check_start(&disk, &files, &served, &end);
}

fn read(disk: &MemoryDisk) -> (Vec<Served>, Result<Option<Tail>, ReadError>) {
    let mut served = Vec::new();
    let end = read_ledger(disk, &mut |place, group| {
        served.push(note(place, group));
        Ok(Next::Continue)
    });
    (served, end)
}

fn note(place: Place, group: &Group<'_>) -> Served {
    assert_eq!(group.is_mark(), group.bytes.is_empty());
    assert!(group.records().count() <= 1 + group.bytes.len());
    Served { place, number: group.number, records: group.bytes.to_vec() }
}

/// Holds that each group stands where it was said to, sealed under the next number.
fn check_sealed(files: &Files, served: &[Served]) {
    for (served, number) in served.iter().zip(1..) {
        assert_eq!(served.number, number);
        let file = &files[&segment_name(served.place.segment)];
        let group = seal(&served.records, number);
        let offset = usize::try_from(served.place.offset).expect("inside a file");
        assert!(file[offset..].starts_with(&group), "group {number} is not what stands there");
    }
}

fn check_readers(
    disk: &MemoryDisk,
    readers: usize,
    expected: &[Served],
    end: &Result<Option<Tail>, ReadError>,
) {
    let mut served = Vec::new();
    let visit = |seen: &mut Vec<Served>, place, group: &Group<'_>| {
        seen.push(note(place, group));
        Ok(Next::Continue)
    };
    let read = read_segments(disk, readers, Vec::new, visit, &mut |seen| served.extend(seen));
    match (read, end) {
        (Ok(read), Ok(end)) => {
            assert_eq!(read, *end);
            assert_eq!(served, expected);
        }
        // What is taken is whole segments: none of the one that is damaged.
        (Err(read), Err(end)) => {
            assert_eq!(read.to_string(), end.to_string());
            assert!(expected.starts_with(&served));
        }
        (read, end) => panic!("{readers} readers: {read:?}, not {end:?}"),
    }
}

/// Holds that a start believes what a reader is served, or refuses and leaves the segments alone.
fn check_start(
    disk: &MemoryDisk,
    files: &Files,
    served: &[Served],
    end: &Result<Option<Tail>, ReadError>,
) {
    match Life::open(disk) {
        Ok(life) => {
            let mut replayed = Vec::new();
            for event in &life.past.appended {
                event.record().encode(&mut replayed);
            }
            let expected: Vec<u8> =
                served.iter().flat_map(|group| group.records.iter().copied()).collect();
            assert_eq!(replayed, expected);
            let tail = end.as_ref().expect("what cannot be read is not opened");
            let torn = tail.is_some_and(|tail| tail.end == End::Torn);
            assert_eq!(life.found.torn.is_some(), torn);
        }
        Err(_) => assert_eq!(disk.files(), *files, "a refused start changes nothing"),
    }
}

/// The segments of groups with these records, and zeros behind the last.
fn sealed(mut records: &[u8]) -> Files {
    let mut files = Files::new();
    let (mut segment, mut number) = (0, 0_u64);
    while number == 0 || !records.is_empty() {
        if number.is_multiple_of(GROUPS_PER_SEGMENT) {
            segment += 1;
            let header = SegmentHeader { segment, first_group: number + 1, draw: DRAW };
            files.insert(segment_name(segment), header.encode().to_vec());
        }
        number += 1;
        let size = records.first().map_or(0, |&size| usize::from(size));
        let left = records.get(1..).unwrap_or_default();
        let (group, later) = left.split_at(size.min(left.len()));
        records = later;
        files.entry(segment_name(segment)).or_default().extend(seal(group, number));
    }
    for file in files.values_mut() {
        file.extend([0; SEGMENT_HEADER_SIZE]);
    }
    files
}

fn seal(records: &[u8], number: u64) -> Vec<u8> {
    let mut group = Vec::new();
    begin_group(&mut group);
    group.extend_from_slice(records);
    seal_group(&mut group, number);
    group
}

fn flip(files: &mut Files, mut at: usize, pattern: u8) {
    for file in files.values_mut() {
        if let Some(byte) = file.get_mut(at) {
            *byte ^= pattern;
            return;
        }
        at -= file.len();
    }
}
