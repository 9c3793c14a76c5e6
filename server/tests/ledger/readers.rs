//! Several readers at once find what one finds.

use bolillero_server::ledger::memory::{Files, MemoryDisk};
use bolillero_server::ledger::reader::{Next, Place, Tail, read_ledger, read_segments};

use crate::life::left_behind;

/// Where the groups stand, in order, and how the ledger ends; or what is wrong, for a person.
type Seen = Result<(Vec<Place>, Option<Tail>), String>;

/// What one reader finds. It stops before group `stop`.
fn alone(disk: &MemoryDisk, stop: u64) -> Seen {
    let mut places = Vec::new();
    let tail = read_ledger(disk, &mut |place, group| {
        if group.number == stop {
            return Ok(Next::Stop);
        }
        places.push(place);
        Ok(Next::Continue)
    });
    tail.map(|tail| (places, tail)).map_err(|error| error.to_string())
}

fn together(disk: &MemoryDisk, readers: usize, stop: u64) -> Seen {
    let mut places = Vec::new();
    let tail = read_segments(
        disk,
        readers,
        Vec::new,
        |seen: &mut Vec<Place>, place, group| {
            if group.number == stop {
                return Ok(Next::Stop);
            }
            seen.push(place);
            Ok(Next::Continue)
        },
        &mut |seen| places.extend(seen),
    );
    tail.map(|tail| (places, tail)).map_err(|error| error.to_string())
}

/// Two, one more, and more than there are segments.
const READERS: [usize; 4] = [1, 2, 3, 100];

#[test]
fn readers_find_every_group_in_order_whoever_is_first() {
    let (files, _) = left_behind();
    assert!(files.len() > 4, "several segments for each reader");
    let disk = MemoryDisk::with_files(&files);
    let expected = alone(&disk, 0);
    assert!(expected.is_ok());
    for readers in READERS {
        assert_eq!(together(&disk, readers, 0), expected, "{readers} readers");
    }
    let empty = MemoryDisk::with_files(&Files::new());
    assert_eq!(together(&empty, 2, 0), Ok((Vec::new(), None)));
}

#[test]
fn readers_stop_where_one_is_told_to() {
    let disk = MemoryDisk::with_files(&left_behind().0);
    let groups = alone(&disk, 0).unwrap().0.len() as u64;
    for stop in 1..=groups {
        for readers in READERS {
            let (_, tail) = together(&disk, readers, stop).unwrap();
            assert_eq!(tail, None, "{readers} readers, stopped before group {stop} of {groups}");
        }
    }
}

#[test]
fn the_first_damage_is_named_however_many_read() {
    let (files, _) = left_behind();
    let segments: Vec<&String> = files.keys().filter(|name| name.ends_with(".log")).collect();
    for (index, name) in segments.iter().enumerate() {
        for at in (0..files[*name].len()).step_by(7) {
            let mut damaged = files.clone();
            damaged.get_mut(*name).unwrap()[at] ^= 0x80;
            // A later one is damaged as well.
            if let Some(later) = segments.get(index + 1) {
                damaged.get_mut(*later).unwrap()[40] ^= 0x80;
            }
            let disk = MemoryDisk::with_files(&damaged);
            let expected = alone(&disk, 0);
            for readers in READERS {
                let found = together(&disk, readers, 0);
                assert_eq!(found, expected, "{readers} readers, {name} at {at}");
            }
        }
    }
}

#[test]
fn a_segment_that_is_missing_or_of_another_ledger_is_told() {
    let (files, _) = left_behind();
    let mut swapped = files.clone();
    let (one, two) = (files["00000001.log"].clone(), files["00000002.log"].clone());
    swapped.insert("00000001.log".to_owned(), two);
    swapped.insert("00000002.log".to_owned(), one);
    let mut missing = files;
    missing.remove("00000002.log");
    for files in [swapped, missing] {
        let disk = MemoryDisk::with_files(&files);
        let expected = alone(&disk, 0);
        assert!(expected.is_err());
        for readers in READERS {
            assert_eq!(together(&disk, readers, 0), expected, "{readers} readers");
        }
    }
}
