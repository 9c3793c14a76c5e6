//! Every call of the disk fails once, and power is lost after every call.

use std::io::ErrorKind;

use bolillero_server::ledger::committer::Committer;
use bolillero_server::ledger::last_group::LAST_GROUP_FILE;
use bolillero_server::ledger::memory::{Call, Done, Files, MemoryDisk};
use bolillero_server::ledger::prepare::Preparer;
use bolillero_server::ledger::reader::ReadError;
use bolillero_server::ledger::recovery::{OpenError, Settings};
use bolillero_server::ledger::{Ledger, Sizes, Waiter};
use proptest::prelude::*;

use crate::chance::Chance;
use crate::life::{
    Event, Life, Past, SETTINGS, batch, check_sound, finish, hello, left_behind, live_through,
};
use crate::waiters::Bell;

const DONE: [Done; 3] = [Done::Nothing, Done::Half, Done::All];

/// Files whose last group was torn.
fn torn() -> (Files, Past) {
    let (mut files, mut past) = left_behind();
    let last = files.iter_mut().rfind(|(name, _)| name.ends_with(".log")).unwrap().1;
    let end = last.iter().rposition(|&byte| byte != 0).unwrap();
    last[end - 2..].fill(0);
    past.durable -= 1;
    (files, past)
}

#[test]
fn each_call_of_a_life_fails_once_and_the_next_start_is_sound() {
    let kinds = [ErrorKind::Other, ErrorKind::StorageFull];
    for (kind, done) in kinds.into_iter().flat_map(|kind| DONE.map(|done| (kind, done))) {
        for n in 0.. {
            let (disk, mut past) = (MemoryDisk::new(), Past::default());
            disk.fail_call(n, kind, done);
            let lived = live_through(&disk, &mut past);
            if disk.calls().len() <= n {
                lived.unwrap();
                break;
            }
            let what = format!("call {n} {:?} failed, {done:?} of it done", disk.calls()[n]);
            if let Err(failure) = lived {
                // Only a start may be told of missing room; after it a failed write ends the ledger.
                let may_lack_room = kind == ErrorKind::StorageFull && past.durable == 0;
                let exit_code = failure.exit_code();
                assert!(exit_code == 5 || may_lack_room && exit_code == 1, "{what}: {failure}");
            }
            let durable = MemoryDisk::with_files(&disk.durable_files());
            check_sound(&durable, &past, &format!("{what}, then power was lost"));
            check_sound(&disk, &past, &format!("{what}, then the process was started again"));
        }
    }
}

#[test]
fn a_ledger_that_failed_takes_records_and_never_writes_or_tells_again() {
    for n in 0..2 {
        let disk = MemoryDisk::new();
        let mut life = Life::open(&disk).unwrap();
        let mut waiter = Waiter::new(Bell::noting(&disk, "it"));
        disk.forget_calls();
        disk.fail_call(n, ErrorKind::Other, Done::All);
        let line = Some(format_args!("stored"));
        life.ledger.append(&hello(1, 1).record(), Some(&mut waiter), line).unwrap();
        let error = life.step().unwrap_err();
        assert!(error.to_string().contains("group 3"), "{error}");
        let (calls, durable) = (disk.calls(), life.ledger.durable());
        assert_eq!(calls.len(), n + 1);
        life.ledger.append(&hello(1, 2).record(), Some(&mut waiter), None).unwrap();
        life.ledger.await_tail(&mut waiter);
        let again = std::panic::AssertUnwindSafe(|| life.committer.step().is_ok());
        assert!(std::panic::catch_unwind(again).is_err(), "it went on");
        life.ledger.close();
        assert_eq!((disk.calls(), life.ledger.durable()), (calls, durable));
    }
}

#[test]
fn each_call_of_a_recovery_fails_once_and_nothing_is_lost_or_taken_for_a_tear() {
    for (files, past) in [left_behind(), torn()] {
        for (done, n) in DONE.into_iter().flat_map(|done| (0..500).map(move |n| (done, n))) {
            let disk = MemoryDisk::with_files(&files);
            disk.fail_call(n, ErrorKind::Other, done);
            let opened = Life::open(&disk);
            let calls = disk.calls();
            let Some(failed) = calls.get(n) else { continue };
            let what = format!("call {n} {failed:?} failed, {done:?} of it done");
            match opened {
                Ok(_) => assert!(may_be_ignored(&calls, n), "{what} and was ignored"),
                Err(OpenError::Read(ReadError::Io { .. }) | OpenError::Disk { .. }) => {}
                Err(OpenError::Commit(_)) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            let durable = MemoryDisk::with_files(&disk.durable_files());
            check_sound(&durable, &past, &format!("{what}, then power was lost"));
            check_sound(&disk, &past, &format!("{what}, then the process was started again"));
        }
    }
}

/// Whether a start goes on though this call failed: it removes what failed, or saves which group is
/// durable, which may also be done later.
fn may_be_ignored(calls: &[Call], n: usize) -> bool {
    match &calls[n] {
        Call::Remove(_) => true,
        Call::Create(name) | Call::Write(name, ..) | Call::Sync(name) | Call::Rename(name, _) => {
            name == "last-group.tmp"
        }
        Call::SyncDirectory => {
            matches!(&calls[n - 1], Call::Rename(_, to) if to == LAST_GROUP_FILE)
        }
        _ => false,
    }
}

#[test]
fn an_interrupted_read_is_tried_again() {
    let (files, past) = torn();
    for n in 0..100 {
        let disk = MemoryDisk::with_files(&files);
        disk.fail_call(n, ErrorKind::Interrupted, Done::Nothing);
        let opened = Life::open(&disk);
        if let Some(Call::Read(..)) = disk.calls().get(n) {
            assert_eq!(opened.unwrap().past.durable, past.durable, "call {n}");
        }
    }
}

#[test]
fn power_lost_after_any_call_keeps_all_that_was_durable() {
    for n in 0.. {
        let (disk, mut past) = (MemoryDisk::new(), Past::default());
        disk.lose_power_at(n);
        if live_through(&disk, &mut past).is_ok() && disk.calls().len() < n {
            break;
        }
        check_images(&disk, &past, n);
    }
}

#[test]
fn power_lost_during_recovery_keeps_all_that_was_durable() {
    for (files, past) in [left_behind(), torn()] {
        for n in 0.. {
            let disk = MemoryDisk::with_files(&files);
            disk.lose_power_at(n);
            if Life::open(&disk).is_ok() {
                break;
            }
            check_images(&disk, &past, n);
        }
    }
}

/// Starts from what may be left: nothing unsynced, all of it, and parts of it; and from what is left
/// if power is lost once more during that start.
fn check_images(disk: &MemoryDisk, past: &Past, n: usize) {
    let what = |left: &str| format!("power lost after {n} calls, {left}");
    check_sound(&MemoryDisk::with_files(&disk.durable_files()), past, &what("nothing survived"));
    let all = disk.files_after_power_loss(&mut |_| 1);
    check_sound(&MemoryDisk::with_files(&all), past, &what("all survived"));
    for seed in 0..6 {
        let mut chance = Chance(seed + 1000 * n as u64);
        let left = disk.files_after_power_loss(&mut |limit| chance.below(limit));
        check_sound(&MemoryDisk::with_files(&left), past, &what(&format!("seed {seed}")));
        let again = MemoryDisk::with_files(&left);
        again.lose_power_at(chance.below(60));
        drop(Life::open(&again));
        let left = again.files_after_power_loss(&mut |limit| chance.below(limit));
        check_sound(&MemoryDisk::with_files(&left), past, &what(&format!("seed {seed}, twice")));
    }
}

/// After a failed sync the page cache may hold what the disk does not, until it is dropped.
#[test]
fn what_leaves_the_page_cache_during_a_start_is_not_taken_for_stored() {
    for n in 0.. {
        let disk = MemoryDisk::new();
        let mut life = Life::open(&disk).unwrap();
        life.store([hello(1, 1), batch(1, 1, 40)]);
        life.append(batch(1, 2, 40)).unwrap();
        disk.fail_call(1, ErrorKind::Other, Done::Nothing);
        assert!(life.step().is_err());
        let past = life.past;
        let (evicted, calls) = (disk.clone(), disk.calls().len());
        disk.before_call(n, move || evicted.evict());
        let what = format!("dropped before call {n}");
        let opened = Life::open(&disk);
        let reached = disk.calls().len() >= calls + n;
        match opened {
            Ok(life) => {
                assert!(past.appended.starts_with(&life.past.appended), "{what}");
                assert!(life.past.durable >= past.durable, "{what}");
                check_sound(&disk, &life.past, &what);
            }
            Err(OpenError::Disk { .. }) => check_sound(&disk, &past, &what),
            Err(error) => panic!("{what}: {error}"),
        }
        if !reached {
            break;
        }
    }
}

/// The filler and the committer sync the same file. Each must hear of a failure by itself.
#[test]
fn a_failure_that_the_filler_is_told_of_is_not_hidden_from_the_committer() {
    let sizes = Sizes { segment: 6 << 20, ..SETTINGS.sizes };
    let settings = Settings { sizes, ..SETTINGS };
    // The first segment after a start was made by it, the second by the preparer.
    for (segment, batches) in [("00000001.log", 1), ("00000002.log", 6)] {
        let disk = MemoryDisk::new();
        let Life { ledger, mut committer, mut preparer, .. } =
            Life::open_with(&disk, &settings).unwrap();
        for seq in 1..batches {
            ledger.append(&batch(1, seq, 1_500_000).record(), None, None).unwrap();
            committer.step().unwrap();
        }
        disk.forget_calls();
        while !disk.calls().contains(&Call::Sync(segment.to_owned())) {
            preparer.step().unwrap();
        }
        check_both_are_told(&disk, &ledger, committer, preparer, segment);
    }
}

/// Between a group's write and its sync a piece is written to the same file, and its sync fails.
fn check_both_are_told(
    disk: &MemoryDisk,
    ledger: &Ledger,
    mut committer: Committer,
    mut preparer: Preparer,
    segment: &str,
) {
    let before = ledger.durable();
    ledger.append(&hello(1, 1).record(), None, None).unwrap();
    let filled = disk.clone();
    disk.forget_calls();
    disk.before_call(1, move || {
        filled.fail_call(1, ErrorKind::Other, Done::Nothing);
        preparer.step().unwrap();
    });
    assert!(committer.step().is_err());
    assert_eq!(ledger.durable(), before);
    let [Call::Write(group, ..), Call::Write(piece, ..), Call::Sync(first), Call::Sync(second)] =
        &disk.calls()[..]
    else {
        panic!("{:?}", disk.calls());
    };
    assert_eq!([group, piece, first, second], [segment; 4]);
}

#[derive(Debug, Clone)]
enum Act {
    Append(Event),
    Step,
    Prepare,
    Mark,
    Save,
    Start,
    Power,
    Fail(usize, Done),
}

fn act() -> impl Strategy<Value = Act> {
    let event = prop_oneof![
        (1..3_u32, 1..4_u32).prop_map(|(agency, epoch)| hello(agency, epoch)),
        (1..3_u32, 0..99_u64, 1..100_usize).prop_map(|(a, seq, size)| batch(a, seq, size)),
        (1..3_u32, 0..99_u64).prop_map(|(agency, seq)| finish(agency, seq)),
    ];
    let done = prop_oneof![Just(Done::Nothing), Just(Done::Half), Just(Done::All)];
    prop_oneof![
        12 => event.prop_map(Act::Append),
        8 => Just(Act::Step),
        3 => Just(Act::Prepare),
        1 => Just(Act::Mark),
        3 => Just(Act::Save),
        1 => Just(Act::Start),
        1 => Just(Act::Power),
        1 => (0..8_usize, done).prop_map(|(n, done)| Act::Fail(n, done)),
    ]
}

/// A ledger that is started again whenever it ended, on what was left.
struct Lives {
    life: Life,
    chance: Chance,
}

impl Lives {
    fn act(&mut self, act: Act) {
        match act {
            Act::Append(event) => drop(self.life.append(event)),
            Act::Mark => self.life.ledger.mark(),
            Act::Save => self.life.preparer.save_last_group(),
            Act::Prepare => drop(self.life.preparer.step()),
            Act::Fail(n, done) => self.life.disk.fail_call(n, ErrorKind::Other, done),
            Act::Step if self.life.step().is_ok() => {}
            Act::Step | Act::Start => self.start(&self.life.disk.clone()),
            Act::Power => {
                let chance = &mut self.chance;
                let left = self.life.disk.files_after_power_loss(&mut |limit| chance.below(limit));
                self.start(&MemoryDisk::with_files(&left));
            }
        }
    }

    fn start(&mut self, disk: &MemoryDisk) {
        // The first try may meet the fault that was asked for.
        let life = Life::open(disk).or_else(|_| Life::open(disk)).unwrap();
        let (before, now) = (&self.life.past, &life.past);
        assert!(before.appended.starts_with(&now.appended), "{now:?} after {before:?}");
        assert!(now.appended.len() >= before.durable, "{now:?} after {before:?}");
        self.life = life;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_happens_what_was_durable_is_there_in_order(
        acts in prop::collection::vec(act(), 1..80),
        seed in any::<u64>(),
    ) {
        let life = Life::open(&MemoryDisk::new()).unwrap();
        let mut lives = Lives { life, chance: Chance(seed) };
        for act in acts {
            lives.act(act);
        }
        lives.act(Act::Power);
    }
}
