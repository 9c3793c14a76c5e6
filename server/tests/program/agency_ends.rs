//! How an agency ends against the real server: killed and started again, with another file, beside
//! another client of its own, and at an office of another draw.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::tempdir;

use crate::inputs::Inputs;
use crate::office::{
    Office, Port, count, export, field, finish_agencies, serve, start_agencies, start_agency,
    verify,
};
use crate::process::{Ended, Process};

const STORED: &str = "action: apuesta_recibida | result: success";
const DRAWN: &str = "action: sorteo | result: success";

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn an_agency_killed_after_any_number_of_batches_ends_with_the_same_result() {
    let inputs = Inputs::find();
    let bets = if inputs.is_dataset { "300" } else { "10" };
    for seed in 1..=6 {
        let mut chance = Chance(seed);
        let window = ["1", "3", "16"][usize::try_from(seed % 3).unwrap()];
        let options = ["--batch-bets-max", bets, "--window", window];
        let directory = tempdir().unwrap();
        let mut office = Office::start(directory.path(), &["--agencies", "1"]);
        let start = |office: &Office| start_agency(office.address, 1, &inputs.files[0], &options);
        let mut drawn = false;
        while !drawn {
            let agency = start(&office);
            let mut left = 1 + chance.below(40);
            office.process.wait_until("batch or draw", |line| {
                left -= u64::from(line.contains(STORED));
                drawn = line.contains(DRAWN);
                drawn || left == 0
            });
            // It may have ended by itself meanwhile; a kill is a kill all the same.
            agency.kill();
        }
        let winners = finish_agencies(vec![start(&office)]);
        assert_eq!(winners, inputs.winners()[..1], "seed {seed}");
        let ended = office.stop();
        assert_eq!(count(&ended.lines, DRAWN), 1, "seed {seed}");
        let exported = export(directory.path());
        assert!(inputs.exported().starts_with(&exported), "seed {seed}");
        let rows = exported.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(rows, fs::read_to_string(&inputs.files[0]).unwrap().lines().count());
        verify(directory.path());
    }
}

/// A file of `rows` bets of one agency.
fn file_of(path: PathBuf, rows: std::ops::Range<u32>) -> PathBuf {
    fs::write(&path, rows_of(rows)).unwrap();
    path
}

fn rows_of(rows: std::ops::Range<u32>) -> String {
    rows.map(|row| format!("Ana,Paz,{},1990-01-01,{row}\r\n", 30_000_000 + row)).collect()
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in said {
        assert!(ended.stderr.contains(part), "no {part:?}: {ended:?}");
    }
    let last = ended.lines.last().unwrap();
    assert!(last.contains("action: agency | result: fail | error: "), "{last}");
    assert_eq!(count(&ended.lines, "in_progress"), 0, "it tried again: {ended:?}");
}

#[test]
fn a_file_that_is_not_the_one_that_was_begun_ends_with_3_and_stores_nothing() {
    let (directory, files) = (tempdir().unwrap(), tempdir().unwrap());
    let file = file_of(files.path().join("bets.csv"), 0..100);
    let mut office = Office::start(directory.path(), &["--agencies", "2"]);
    let agency = start_agency(office.address, 1, &file, &["--batch-bets-max", "10"]);
    // From then on a longer file is another one, too.
    office.process.wait_for("action: agencia_lista");
    agency.kill();
    let before = export(directory.path());

    let changed = files.path().join("changed.csv");
    fs::write(&changed, rows_of(0..100).replacen("Ana", "Eva", 1)).unwrap();
    let shorter = file_of(files.path().join("shorter.csv"), 0..95);
    let longer = file_of(files.path().join("longer.csv"), 0..111);
    let cases: [(&Path, &str); 4] =
        [(&changed, "10"), (&shorter, "10"), (&longer, "10"), (&file, "9")];
    for (file, batch) in cases {
        let ended = start_agency(office.address, 1, file, &["--batch-bets-max", batch]).end();
        let what_to_do =
            ["Start again with the file and the values used then", "verify its ledger"];
        assert_ended(&ended, 3, &what_to_do);
        assert!(export(directory.path()) == before, "{}", file.display());
    }
    // Each has told the office, which keeps that.
    let told = verify(directory.path());
    assert!(told.contains("\nalarms          4: ") && told.contains(", 4 alarms\n"), "{told}");
    // And the one that was begun goes on.
    let mut agency = start_agency(office.address, 1, &file, &["--batch-bets-max", "10"]);
    agency.wait_for("action: apuestas_enviadas | result: success | cantidad: 100");
    agency.kill();
    office.stop();
}

#[test]
fn of_two_clients_in_one_lane_the_older_ends_with_6_and_nothing_is_stored_twice() {
    let (directory, files) = (tempdir().unwrap(), tempdir().unwrap());
    let mut office = Office::start(directory.path(), &["--agencies", "1"]);
    // The older one's rows come when the test says so.
    let pipe = files.path().join("pipe.csv");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let options = ["--batch-bets-max", "1", "--window", "1"];
    let older = start_agency(office.address, 1, &pipe, &options);
    let mut rows = File::options().write(true).open(&pipe).unwrap();
    rows.write_all(rows_of(0..5).as_bytes()).unwrap();
    office.process.wait_for(STORED);

    let file = file_of(files.path().join("bets.csv"), 0..50);
    let mut newer = start_agency(office.address, 1, &file, &options);
    newer.wait_for("action: apuestas_enviadas");
    // It may be gone already, told with one of its first rows.
    let _ = rows.write_all(rows_of(5..50).as_bytes());
    drop(rows);
    assert_ended(
        &older.end(),
        6,
        &["another client works for agency 1", "start one of them again"],
    );
    assert_eq!(finish_agencies(vec![newer]), [0]);
    office.stop();
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows_exported(0..50));
}

#[test]
fn a_client_that_waits_for_the_draw_ends_with_6_when_another_takes_its_lane() {
    let (directory, files) = (tempdir().unwrap(), tempdir().unwrap());
    let office = Office::start(directory.path(), &["--agencies", "2"]);
    let file = file_of(files.path().join("bets.csv"), 0..50);
    let mut older = start_agency(office.address, 1, &file, &[]);
    older.wait_for("action: apuestas_enviadas");
    let newer = start_agency(office.address, 1, &file, &[]);
    let ended = older.end();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("another client works for agency 1"), "{ended:?}");
    assert_eq!(count(&ended.lines, "action: connect"), 1, "it does not come back: {ended:?}");
    let other = start_agency(office.address, 2, &file, &[]);
    assert_eq!(finish_agencies(vec![newer, other]), [0, 0]);
    office.stop();
}

fn rows_exported(rows: std::ops::Range<u32>) -> String {
    rows_of(rows).lines().map(|row| format!("1,{row}\r\n")).collect()
}

#[test]
fn an_office_of_another_draw_is_told_at_once_and_takes_nothing() {
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let files = tempdir().unwrap();
    let file = file_of(files.path().join("bets.csv"), 0..50);
    let port = Port::reserve();
    let listen = port.address().to_string();
    let start = |data_dir: &Path| {
        let options = ["--agencies", "2", "--listen", &listen];
        Office::listening(Process::start(serve(data_dir, &options)))
    };
    let office = start(first.path());
    let draw = office.recovered("draw");
    let ended = start_agency(office.address, 1, &file, &["--draw", "0123456789abcdef"]).end();
    assert_ended(&ended, 1, &["REFUSED", &draw, "0123456789abcdef"]);

    // One that waits for its draw, and finds another in its place.
    let mut agency = start_agency(office.address, 1, &file, &[]);
    agency.wait_for("action: apuestas_enviadas");
    assert_eq!(office.process.kill().signal, Some(Signal::KILL.as_raw()));
    let office = start(second.path());
    let ended = agency.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&draw) && ended.stderr.contains(&office.recovered("draw")));
    office.stop();
    assert!(verify(second.path()).contains("bets            0 in 0 batches\n"));
}

#[test]
fn agencies_that_come_before_their_office_wait_for_it() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let mut agencies = start_agencies(port.address(), &inputs.files, &[]);
    for agency in &mut agencies {
        let waits = agency.wait_for("action: connect | result: in_progress");
        assert_eq!(field(&waits, "reason"), "connection refused");
    }
    let listen = port.address().to_string();
    let office = Office::start(directory.path(), &["--listen", &listen]);
    assert_eq!(finish_agencies(agencies), inputs.winners());
    office.stop();
}
