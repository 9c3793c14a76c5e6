//! The order of the disk's calls, and of what is told between them.

use bolillero_server::ledger::Waiter;
use bolillero_server::ledger::committer::Step;
use bolillero_server::ledger::last_group::{self, LAST_GROUP_FILE};
use bolillero_server::ledger::memory::{Call, MemoryDisk};

use crate::life::{Life, batch, hello, read};
use crate::waiters::Bell;

fn write(name: &str, offset: u64, length: usize) -> Call {
    Call::Write(name.to_owned(), offset, length)
}

fn sync(name: &str) -> Call {
    Call::Sync(name.to_owned())
}

fn note(text: &str) -> Call {
    Call::Note(text.to_owned())
}

#[test]
fn a_group_is_written_once_synced_once_logged_and_only_then_told() {
    let disk = MemoryDisk::new();
    let life = Life::open(&disk).unwrap();
    let Life { ledger, mut committer, .. } = life;
    let mut waiters = ["a", "b"].map(|name| Waiter::new(Bell::noting(&disk, name)));
    disk.forget_calls();
    for (seq, waiter) in [0, 1, 0, 1, 0].into_iter().enumerate() {
        let event = hello(1, u32::try_from(seq).unwrap());
        let line = Some(format_args!("line {seq}"));
        ledger.append(&event.record(), Some(&mut waiters[waiter]), line).unwrap();
    }
    assert_eq!(disk.calls(), []);
    assert_eq!(committer.step().unwrap(), Step::Committed);
    let offset = 36 + (20 + 25 + 10) + 20;
    let expected = [
        write("00000001.log", offset, 20 + 5 * 25),
        sync("00000001.log"),
        note("log line 0\nline 1\nline 2\nline 3\nline 4"),
        note("told a"),
        note("told b"),
    ];
    assert_eq!(disk.calls(), expected);
}

#[test]
fn a_segment_gets_its_name_after_its_predecessor_is_synced_and_before_its_first_group() {
    let disk = MemoryDisk::new();
    let mut life = Life::open(&disk).unwrap();
    disk.forget_calls();
    for seq in 1..=3 {
        life.append(batch(1, seq, 150)).unwrap();
    }
    while life.step().unwrap() == Step::Committed {}
    let (first, second) = ("00000001.log", "00000002.log");
    let expected = [
        write(first, 111, 20 + 2 * 175),
        sync(first),
        write("spare-1", 0, 36),
        sync("spare-1"),
        Call::GiveName("spare-1".to_owned(), second.to_owned()),
        Call::SyncDirectory,
        write(second, 36, 20 + 175),
        sync(second),
    ];
    assert_eq!(disk.calls(), expected);
}

/// A slot is overwritten only while the other one has the newest number that is durable.
#[test]
fn the_number_of_a_group_is_saved_after_its_sync_into_one_slot_after_the_other() {
    let disk = MemoryDisk::new();
    let mut life = Life::open(&disk).unwrap();
    for (seq, slot) in (1..).zip([0, 4096, 0, 4096]) {
        life.append(batch(1, seq, 10)).unwrap();
        disk.forget_calls();
        life.step().unwrap();
        life.preparer.save_last_group();
        life.preparer.save_last_group();
        let saved = [write(LAST_GROUP_FILE, slot, 32), sync(LAST_GROUP_FILE)];
        assert_eq!(disk.calls()[2..], saved, "once, and without another call");
        let number = last_group::read(&disk).unwrap().unwrap().number;
        assert_eq!(number + 1, read(&disk).unwrap().1.unwrap().next_group);
    }
}

#[test]
fn the_preparer_saves_at_a_mark_and_at_a_new_segment_and_the_committer_never() {
    let disk = MemoryDisk::new();
    let mut life = Life::open(&disk).unwrap();
    let saves = |calls: &[Call]| {
        calls
            .iter()
            .filter(|call| matches!(call, Call::Write(name, ..) if name == LAST_GROUP_FILE))
            .count()
    };
    for (seq, expected) in (1..).zip([0, 1, 0]) {
        // The second has no room in the first segment.
        life.append(batch(1, seq, 150)).unwrap();
        disk.forget_calls();
        life.step().unwrap();
        assert_eq!(saves(&disk.calls()), 0);
        life.preparer.step().unwrap();
        assert_eq!(saves(&disk.calls()), expected, "batch {seq}");
    }
    disk.forget_calls();
    life.mark();
    assert_eq!(saves(&disk.calls()), 0);
    life.preparer.step().unwrap();
    assert_eq!(saves(&disk.calls()), 1);
}

#[test]
fn a_new_ledger_gets_its_name_when_it_is_synced() {
    let disk = MemoryDisk::new();
    drop(Life::open(&disk).unwrap());
    let calls = disk.calls();
    let create = calls.iter().position(|call| *call == Call::Create("first.tmp".to_owned()));
    let expected = [
        Call::Create("first.tmp".to_owned()),
        Call::Allocate("first.tmp".to_owned(), 512),
        write("first.tmp", 0, 36 + 20 + 35),
        sync("first.tmp"),
        Call::Rename("first.tmp".to_owned(), "00000001.log".to_owned()),
        Call::SyncDirectory,
    ];
    assert_eq!(calls[create.unwrap()..][..expected.len()], expected);
}

#[test]
fn between_an_append_and_its_durable_position_lies_a_sync() {
    let disk = MemoryDisk::new();
    let mut life = Life::open(&disk).unwrap();
    for seq in 1..40 {
        let position = life.append(batch(1, seq, 90)).unwrap();
        assert!(life.ledger.durable() < position);
        disk.forget_calls();
        life.step().unwrap();
        assert_eq!(life.ledger.durable(), position);
        assert!(matches!(disk.calls()[..], [.., Call::Write(..), Call::Sync(_)]));
        life.preparer.step().unwrap();
    }
}

#[test]
fn what_comes_while_a_group_is_synced_waits_for_the_next() {
    let disk = MemoryDisk::new();
    let Life { ledger, mut committer, .. } = Life::open(&disk).unwrap();
    disk.forget_calls();
    ledger.append(&hello(1, 1).record(), None, None).unwrap();
    let (late, mut waiter) = (ledger.clone(), Waiter::new(Bell::noting(&disk, "late")));
    disk.before_call(1, move || {
        late.append(&hello(2, 1).record(), Some(&mut waiter), None).unwrap();
    });
    assert_eq!(committer.step().unwrap(), Step::Committed);
    assert_eq!(ledger.durable().0, 2);
    assert!(!disk.calls().contains(&note("told late")));
    assert_eq!(committer.step().unwrap(), Step::Committed);
    assert_eq!(ledger.durable().0, 3);
    assert_eq!(disk.calls().last(), Some(&note("told late")));
}

#[test]
fn who_asks_for_the_tail_while_its_group_is_synced_is_told() {
    let disk = MemoryDisk::new();
    let Life { ledger, mut committer, .. } = Life::open(&disk).unwrap();
    disk.forget_calls();
    let position = ledger.append(&hello(1, 1).record(), None, None).unwrap();
    let (late, mailbox) = (ledger.clone(), Bell::noting(&disk, "late"));
    disk.before_call(1, move || {
        let mut waiter = Waiter::new(mailbox);
        assert_eq!(late.await_tail(&mut waiter), position);
        assert_eq!(late.await_tail(&mut waiter), position);
    });
    assert_eq!(committer.step().unwrap(), Step::Committed);
    assert_eq!(disk.calls()[2..], [note("told late")]);
}

#[test]
fn who_comes_when_nothing_is_pending_finds_the_tail_durable_and_is_not_listed() {
    let disk = MemoryDisk::new();
    let mut life = Life::open(&disk).unwrap();
    let mut waiter = Waiter::new(Bell::noting(&disk, "idle"));
    assert_eq!(life.ledger.await_tail(&mut waiter), life.ledger.durable());
    life.store([hello(1, 1)]);
    assert!(!disk.calls().contains(&note("told idle")));
}
