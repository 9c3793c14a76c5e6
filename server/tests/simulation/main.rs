//! The whole office under faults, in one thread and from one seed: the real sessions, lottery, committer, preparer, drawer
//! and recovery, over a disk, connections and a clock that are simulated. No socket, no thread, no time.
//!
//! ```text
//! agency    what a client does            line     a connection and its session     machine  the server, its disk
//! faults    what fails                    world    who is next, one step at a time
//! model     what was promised             stored   what is on disk                   events   what happened
//! ```
//! `SEEDS=n` runs that many seeds, `SEED=n` that one, and prints what happened. That the simulation finds what it is
//! there for is shown by `make mutants`.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

#[path = "../support/chance.rs"]
mod chance;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "it is shared: not every test target uses all of it")]
mod wire;

mod agency;
mod line;
mod machine;
mod faults;
mod world;
mod model;
mod stored;
mod events;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::World;

const SEEDS: u64 = 200;
/// How many of the last events a failure shows.
const EVENTS_SHOWN: usize = 40;

/// What happened in a run, and why it failed if it did.
struct Ran {
    events: Vec<String>,
    failed: Option<String>,
}

fn run(seed: u64) -> Ran {
    let mut world = World::new(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let events = std::mem::take(&mut world.events.lines);
    let failed = ran.err().map(|panic| {
        // What panicked may stand under a lock, and dropping the rest would end the process.
        std::mem::forget(world);
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    });
    Ran { events, failed }
}

fn print(lines: &[String]) {
    let mut out = std::io::stderr().lock();
    for line in lines {
        writeln!(out, "{line}").unwrap();
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn report(seed: u64, ran: &Ran, failed: &str) -> ! {
    let last = &ran.events[ran.events.len().saturating_sub(EVENTS_SHOWN)..];
    print(last);
    panic!("seed {seed} fails: {failed}\n(SEED={seed} make simulate runs it again)");
}

/// Runs seeds, each in one thread, and returns the first that failed: those before it have all been begun.
fn run_all(seeds: u64) -> Option<(u64, Ran)> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None::<(u64, Ran)>));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failed.lock().unwrap().is_some() {
                        return;
                    }
                    let ran = run(seed);
                    let mut failed = failed.lock().unwrap();
                    let is_first = failed.as_ref().is_none_or(|(other, _)| seed < *other);
                    if ran.failed.is_some() && is_first {
                        *failed = Some((seed, ran));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn whatever_fails_every_promise_is_kept_and_everybody_comes_to_the_end() {
    if let Some(seed) = number("SEED") {
        let ran = run(seed);
        print(&ran.events);
        assert!(ran.failed.is_none(), "seed {seed} fails: {}", ran.failed.unwrap());
        return;
    }
    if let Some((seed, ran)) = run_all(number("SEEDS").unwrap_or(SEEDS)) {
        report(seed, &ran, ran.failed.as_deref().unwrap());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        let [once, again] = [run(seed), run(seed)];
        let differs = once.events.iter().zip(&again.events).find(|(once, again)| once != again);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.events.len(), again.events.len(), "seed {seed}");
    }
}
