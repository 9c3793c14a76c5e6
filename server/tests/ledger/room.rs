//! Room: batches leave the reserve alone, what must follow finds its place, and service goes on
//! when there is room again.

use std::io::ErrorKind;

use bolillero_server::ledger::memory::MemoryDisk;
use bolillero_server::ledger::prepare::Preparation;
use bolillero_server::ledger::recovery::Settings;
use bolillero_server::ledger::{NoRoom, Sizes};

use crate::life::{Event, Life, SETTINGS, batch, draw, finish, hello, read};

/// A ledger that took batches until the disk was full.
fn full(kind: ErrorKind) -> Life {
    full_with(kind, &SETTINGS)
}

fn full_with(kind: ErrorKind, settings: &Settings) -> Life {
    let disk = MemoryDisk::new();
    let mut life = Life::open_with(&disk, settings).unwrap();
    disk.limit_room(disk.used(), kind);
    for seq in 1.. {
        if !try_store(&mut life, batch(1, seq, 60)) {
            break;
        }
        // As when it is idle after each: marks take room too.
        life.mark();
        life.preparer.step().unwrap();
    }
    assert!(life.past.appended.len() > 5);
    life
}

fn try_store(life: &mut Life, event: Event) -> bool {
    let before = life.past.clone();
    let stored = life.append(event).is_ok();
    life.step().unwrap();
    let more = usize::from(stored);
    assert_eq!(life.past.appended.len(), before.appended.len() + more);
    assert_eq!(life.past.durable, before.durable + more);
    stored
}

#[test]
fn a_full_disk_refuses_batches_and_takes_what_must_follow() {
    for kind in [ErrorKind::StorageFull, ErrorKind::FileTooLarge, ErrorKind::QuotaExceeded] {
        let mut life = full(kind);
        assert_eq!(life.append(batch(2, 1, 60)), Err(NoRoom));
        assert_eq!(life.preparer.step().unwrap(), Preparation::NoRoom);
        for event in [hello(2, 1), hello(1, 2), finish(1, 9), finish(2, 0), draw(2)] {
            assert!(try_store(&mut life, event), "{kind}");
            life.mark();
        }
        assert_eq!(read(&life.disk).unwrap().0, life.past.appended);
    }
}

#[test]
fn however_many_hellos_come_every_finish_and_the_draw_find_room() {
    let mut life = full(ErrorKind::StorageFull);
    let mut hellos = 0;
    while try_store(&mut life, hello(1, hellos)) {
        hellos += 1;
        life.mark();
    }
    assert!(hellos > 0);
    for event in [finish(1, 9), finish(2, 0), draw(2)] {
        assert!(try_store(&mut life, event));
        life.mark();
    }
    assert_eq!(read(&life.disk).unwrap().0, life.past.appended);
}

#[test]
fn a_start_after_the_reserve_was_used_on_a_full_disk_keeps_place_for_what_must_follow() {
    let sizes = Sizes { segment: 4096, ..SETTINGS.sizes };
    let settings = Settings { sizes, ..SETTINGS };
    let mut life = full_with(ErrorKind::StorageFull, &settings);
    let segment = |life: &Life| read(&life.disk).unwrap().1.unwrap().header.segment;
    let before = segment(&life);
    for epoch in 0.. {
        if segment(&life) > before {
            break;
        }
        assert!(try_store(&mut life, hello(1, epoch)));
    }
    let (disk, past) = (life.disk.clone(), life.past.clone());
    // What its spares took is free once it has gone.
    drop(life);
    let used = disk.used();
    disk.limit_room(used + 100, ErrorKind::StorageFull);
    let error = Life::open_with(&disk, &settings).err().unwrap();
    assert!(error.to_string().contains("make room on the disk"), "{error}");
    disk.limit_room(used + 1000, ErrorKind::StorageFull);
    let mut again = Life::open_with(&disk, &settings).unwrap();
    assert_eq!(again.past.appended, past.appended);
    for event in [hello(2, 1), finish(1, 9), finish(2, 0), draw(2)] {
        assert!(try_store(&mut again, event));
        again.mark();
    }
    disk.free_room();
    let appended = Life::open_with(&disk, &settings).unwrap().past.appended;
    assert_eq!(appended, again.past.appended);
}

#[test]
fn a_refusal_changes_nothing_on_the_disk() {
    let mut life = full(ErrorKind::StorageFull);
    let (files, tail) = (life.disk.files(), read(&life.disk).unwrap().1);
    for seq in 1..20 {
        assert_eq!(life.append(batch(2, seq, 60)), Err(NoRoom));
        life.step().unwrap();
    }
    assert_eq!(life.disk.files(), files);
    assert_eq!(read(&life.disk).unwrap().1, tail);
}

#[test]
fn batches_go_on_without_a_restart_when_there_is_room_again() {
    let mut life = full(ErrorKind::StorageFull);
    life.disk.free_room();
    assert_eq!(life.preparer.step().unwrap(), Preparation::Progress);
    for seq in 1..40 {
        assert!(try_store(&mut life, batch(2, seq, 60)));
        life.preparer.step().unwrap();
    }
    let appended = Life::open(&life.disk).unwrap().past.appended;
    assert_eq!(appended, life.past.appended);
}

#[test]
fn a_start_finds_room_in_what_the_spares_leave() {
    let life = full(ErrorKind::StorageFull);
    let (disk, past) = (life.disk.clone(), life.past.clone());
    drop(life);
    for _ in 0..3 {
        let mut again = Life::open(&disk).unwrap();
        assert_eq!(again.past.appended, past.appended);
        assert_eq!(again.append(batch(2, 1, 200)), Err(NoRoom));
    }
}

#[test]
fn a_start_without_any_room_says_so_and_changes_nothing() {
    let disk = MemoryDisk::new();
    disk.limit_room(100, ErrorKind::StorageFull);
    let error = Life::open(&disk).err().unwrap();
    assert!(error.to_string().contains("make room on the disk"), "{error}");
    let exit_code = bolillero_server::failure::Failure::from(error).exit_code();
    assert_eq!(exit_code, 1);
    disk.free_room();
    assert_eq!(Life::open(&disk).unwrap().past.appended.len(), 1);
}

#[test]
fn a_ledger_opened_without_room_for_spares_takes_batches_once_there_is() {
    let disk = MemoryDisk::new();
    disk.limit_room(1024, ErrorKind::StorageFull);
    let mut life = Life::open(&disk).unwrap();
    life.disk.limit_room(512, ErrorKind::StorageFull);
    assert_eq!(Life::open(&MemoryDisk::with_files(&disk.files())).unwrap().past.durable, 1);
    life.disk.free_room();
    assert!(try_store(&mut life, batch(1, 1, 60)));
}
