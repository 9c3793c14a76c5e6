//! What was written comes back, over groups, segments, marks and starts.

use bolillero_server::ledger::Sizes;
use bolillero_server::ledger::committer::Step;
use bolillero_server::ledger::memory::{Call, MemoryDisk};
use bolillero_server::ledger::recovery::Settings;
use bolillero_server::ledger::segment::End;

use crate::life::{Life, SETTINGS, batch, draw, finish, hello, left_behind, open, read, script};

#[test]
fn every_kind_of_record_comes_back_from_several_segments() {
    let (files, past) = left_behind();
    assert!(files.contains_key("00000003.log"), "{:?}", files.keys());
    let life = Life::open(&MemoryDisk::with_files(&files)).unwrap();
    assert_eq!(life.past.appended, past.appended);
    assert_eq!(life.past.appended.len(), 1 + script().iter().map(Vec::len).sum::<usize>());
    assert_eq!(life.found.records, past.appended.len() as u64);
    assert_eq!(life.found.torn, None);
}

#[test]
fn a_new_ledger_has_its_first_record_a_mark_and_two_spares() {
    let disk = MemoryDisk::new();
    let life = Life::open(&disk).unwrap();
    assert_eq!(life.past.appended, [open()]);
    let (events, tail) = read(&disk).unwrap();
    let tail = tail.unwrap();
    assert_eq!(events, [open()]);
    assert!(tail.ends_with_mark);
    assert_eq!((tail.next_group, tail.end), (3, End::Clean));
    let names: Vec<_> = disk.files().into_keys().collect();
    assert_eq!(names, ["00000001.log", "last-group.bin"]);
    let spares = disk.calls().into_iter().filter(|call| *call == Call::CreateSpare);
    assert_eq!(spares.count(), 2, "they have no name yet");
    assert!(disk.used() >= 3 * SETTINGS.sizes.segment, "and their place");
}

#[test]
fn a_directory_without_a_ledger_reads_as_none() {
    let (events, tail) = read(&MemoryDisk::new()).unwrap();
    assert_eq!((events, tail), (vec![], None));
}

#[test]
fn every_start_marks_an_unmarked_end_and_no_end_is_marked_twice() {
    let (files, _) = left_behind();
    let disk = MemoryDisk::with_files(&files);
    assert!(!read(&disk).unwrap().1.unwrap().ends_with_mark);
    let mut life = Life::open(&disk).unwrap();
    let marked = read(&disk).unwrap().1.unwrap();
    assert!(marked.ends_with_mark);
    life.ledger.mark();
    assert_eq!(life.step().unwrap(), Step::Idle);
    drop(Life::open(&disk).unwrap());
    assert_eq!(read(&disk).unwrap().1.unwrap().next_group, marked.next_group);
}

#[test]
fn records_that_gather_become_one_group() {
    let mut life = Life::open(&MemoryDisk::new()).unwrap();
    let before = read(&life.disk).unwrap().1.unwrap().next_group;
    for event in [hello(1, 1), batch(1, 1, 20), batch(1, 2, 20)] {
        life.append(event).unwrap();
    }
    assert_eq!(life.step().unwrap(), Step::Committed);
    assert_eq!(life.step().unwrap(), Step::Idle);
    assert_eq!(read(&life.disk).unwrap().1.unwrap().next_group, before + 1);
    assert_eq!(life.past.durable, 4);
}

#[test]
fn a_segment_that_is_full_to_its_last_byte_ends_cleanly() {
    for spare_bytes in 0..45 {
        let disk = MemoryDisk::new();
        let mut life = Life::open(&disk).unwrap();
        life.store([batch(1, 1, 100)]);
        let offset = usize::try_from(read(&disk).unwrap().1.unwrap().offset).unwrap();
        let body = 512 - offset - (20 + 25) - 20 - spare_bytes;
        life.store([batch(1, 2, body)]);
        life.mark();
        let tail = read(&disk).unwrap().1.unwrap();
        assert_eq!((tail.header.segment, tail.offset), (1, 512 - spare_bytes as u64));
        let mut again = Life::open(&disk).unwrap();
        assert_eq!((&again.past.appended, &again.found.torn), (&life.past.appended, &None));
        again.store([batch(1, 3, 50)]);
        assert_eq!(read(&disk).unwrap().1.unwrap().header.segment, 2);
        let appended = Life::open(&disk).unwrap().past.appended;
        assert_eq!(appended, again.past.appended, "{spare_bytes} bytes left");
    }
}

#[test]
fn segments_may_have_another_size_at_every_start() {
    let disk = MemoryDisk::new();
    let mut appended = vec![open()];
    for (start, segment) in [512, 4096, 400, 378, 1000, 378, 512].into_iter().enumerate() {
        let sizes = Sizes { segment, ..SETTINGS.sizes };
        assert!(segment >= sizes.segment_size_min(), "{segment}");
        let mut life = Life::open_with(&disk, &Settings { sizes, ..SETTINGS }).unwrap();
        assert_eq!(life.past.appended, appended, "start {start}");
        for seq in 0..8 {
            life.store([batch(1, seq, 100)]);
        }
        appended = life.past.appended;
    }
}

#[test]
fn the_draw_of_the_most_agencies_fits_the_smallest_segment() {
    let sizes = Sizes { segment: 0, batch_body_max: 1 << 16, agencies: 65_535 };
    let sizes = Sizes { segment: sizes.segment_size_min(), ..sizes };
    let disk = MemoryDisk::new();
    let settings = Settings { sizes, ..SETTINGS };
    let mut life = Life::open_with(&disk, &settings).unwrap();
    life.store([hello(1, 1), finish(65_535, 0), draw(65_535)]);
    let again = Life::open_with(&disk, &settings).unwrap();
    assert_eq!(again.past.appended, life.past.appended);
}

#[test]
fn unfinished_files_are_removed_and_others_are_left_alone() {
    let (mut files, past) = left_behind();
    files.retain(|name, _| name.ends_with(".log"));
    let unfinished = ["first.tmp", "last.tmp", "last-group.tmp", "torn.tmp", "spare-9.tmp"];
    for name in unfinished.into_iter().chain(["notes.txt", "1.log"]) {
        files.insert(name.to_owned(), b"what was begun".to_vec());
    }
    let disk = MemoryDisk::with_files(&files);
    let life = Life::open(&disk).unwrap();
    assert_eq!(life.past.appended, past.appended);
    let mut names: Vec<_> = disk.files().into_keys().collect();
    names.retain(|name| !name.starts_with("0000"));
    assert_eq!(names, ["1.log", "last-group.bin", "notes.txt"]);
}

/// The filler comes between any two calls of the committer, and has filled nothing or something before.
#[test]
fn the_filler_overwrites_no_group_and_no_header() {
    let sizes = Sizes { segment: 5 << 20, ..SETTINGS.sizes };
    let settings = Settings { sizes, ..SETTINGS };
    for (filled_before, n) in
        [0, 3, 8].into_iter().flat_map(|filled| (0..12).map(move |n| (filled, n)))
    {
        let disk = MemoryDisk::new();
        let mut life = Life::open_with(&disk, &settings).unwrap();
        for _ in 0..filled_before {
            life.preparer.step().unwrap();
        }
        let events: Vec<_> = (1..=4).map(|seq| batch(1, seq, 1_600_000)).collect();
        for event in &events {
            life.append(event.clone()).unwrap();
        }
        let Life { mut committer, mut preparer, .. } = life;
        disk.before_call(n, move || {
            for _ in 0..20 {
                preparer.step().unwrap();
            }
        });
        while committer.step().unwrap() == Step::Committed {}
        let (stored, tail) = read(&disk).unwrap();
        assert_eq!(tail.unwrap().header.segment, 2);
        assert!(stored[1..] == events, "{filled_before} pieces before, then at call {n}");
    }
}
