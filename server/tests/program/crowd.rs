//! A crowd that wants little or never enough holds nobody up. What it takes of others' time is told,
//! not judged: that depends on the machine.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::tempdir;

use crate::for_every_driver;
use crate::inputs::Inputs;
use crate::main_job::{SEGMENT_SIZE, check_record};
use crate::office::{Office, assert_healthy_log, finish_agencies, start_agencies};
use crate::tell;
use crate::wire::{BUSY, CLOSE, Wire, packet};

for_every_driver! {
    five_hundred_slow_and_silent_connections_hold_nobody_up
    two_peers_that_never_pause_leave_a_third_its_turn
}

const SLOW: usize = 250;
const SILENT: usize = 250;

fn five_hundred_slow_and_silent_connections_hold_nobody_up(driver: &str) {
    raise_descriptor_limit();
    let inputs = Inputs::find();
    let directories = [tempdir().unwrap(), tempdir().unwrap()];
    let [alone, among] = directories.each_ref().map(|directory| start(driver, directory.path()));
    let time_alone = main_job(&alone, &inputs);
    alone.stop();

    let silent = silent(&among);
    let slow = slow(&among);
    let (over, until) = mpsc::channel::<()>();
    let (slow, time_among) = thread::scope(|scope| {
        let trickle = scope.spawn(move || trickle(slow, &until));
        let time = main_job(&among, &inputs);
        drop(over);
        (trickle.join().unwrap(), time)
    });
    assert_healthy_log(&among.stop().lines);
    for mut wire in silent.into_iter().chain(slow) {
        wire.expect_last(&CLOSE);
    }
    for directory in &directories {
        check_record(directory.path(), &inputs);
    }
    let ratio = time_among.as_secs_f64() / time_alone.as_secs_f64();
    tell(&format!(
        "five agencies among 500 slow and silent connections, {driver}: {time_among:.2?}, \
         {ratio:.2} times as long as alone"
    ));
}

fn start(driver: &str, data_dir: &Path) -> Office {
    let options = ["--driver", driver, "--workers", "2", "--segment-size", SEGMENT_SIZE];
    Office::start(data_dir, &options)
}

fn main_job(office: &Office, inputs: &Inputs) -> Duration {
    // Small batches make of the sample a job that lasts longer than the agencies' own start.
    let batch = if inputs.is_dataset { "150" } else { "1" };
    let options = ["--batch-bets-max", batch, "--window", "4"];
    let begun = Instant::now();
    let agencies = start_agencies(office.address, &inputs.files, &options);
    assert_eq!(finish_agencies(agencies), inputs.winners());
    begun.elapsed()
}

/// Connections that stopped somewhere in a packet, or before it.
fn silent(office: &Office) -> Vec<Wire> {
    let beginnings = [&b""[..], b"\x03\0", b"\x03\0\0\x10\0", b"\x03\0\0\0\x40", b"\x09\0\0"];
    let connect = |bytes: &&[u8]| {
        let mut wire = office.connect();
        wire.send(bytes);
        wire
    };
    beginnings.iter().cycle().take(SILENT).map(connect).collect()
}

/// Connections that have announced a long packet.
fn slow(office: &Office) -> Vec<Wire> {
    let connect = || {
        let mut wire = office.connect();
        wire.send(b"\x03\0\0\xff\xff");
        wire
    };
    std::iter::repeat_with(connect).take(SLOW).collect()
}

/// Sends a byte on a few of them at a time, until it is told that this is over.
fn trickle(mut slow: Vec<Wire>, until: &mpsc::Receiver<()>) -> Vec<Wire> {
    let mut next = (0..SLOW).cycle();
    while until.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        for number in next.by_ref().take(10) {
            slow[number].send(b"1");
        }
    }
    slow
}

/// What a test's own 500 connections may go over where three run at once.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn two_peers_that_never_pause_leave_a_third_its_turn(driver: &str) {
    let directory = tempdir().unwrap();
    let office = start(driver, directory.path());
    let question = packet(6, "1#");
    let questions = question.repeat(1000);
    let is_over = AtomicBool::new(false);
    let flood = |mut wire: Wire| {
        while !is_over.load(Ordering::Acquire) {
            wire.send(&questions);
        }
        wire.half_close();
    };
    thread::scope(|scope| {
        let _over = End(&is_over);
        for _ in 0..2 {
            let mut reader = office.connect();
            let writer = Wire::over(reader.0.try_clone().unwrap());
            scope.spawn(move || flood(writer));
            scope.spawn(move || std::io::copy(&mut reader.0, &mut std::io::sink()).unwrap());
        }
        let mut third = office.connect();
        for _ in 0..100 {
            third.exchange(&question, &BUSY);
        }
    });
    assert_healthy_log(&office.stop().lines);
}

/// Ends the floods, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
