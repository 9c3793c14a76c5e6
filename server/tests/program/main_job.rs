//! The main job on real input: bets in, one draw, winners out, and all of it again after a crash.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::for_every_driver;
use crate::inputs::Inputs;
use crate::office::{
    Office, Port, assert_healthy_log, bets_received, count, export, finish_agencies, serve,
    start_agencies, start_agency, verify,
};
use crate::process::Process;
use crate::wire::{ACK, CLOSE, batch, packet};

/// What the server may have resident at most.
pub(crate) const MEMORY_MAX: u64 = 32 << 20;
/// Room for all bets, in little space.
pub(crate) const SEGMENT_SIZE: &str = "8MiB";
const STORED: &str = "action: apuesta_recibida | result: success";
const DRAWN: &str = "action: sorteo | result: success";

for_every_driver! {
    sessions_bring_every_bet_and_get_their_winners
    base_clients_bring_every_bet_and_get_their_winners
    twenty_agencies_are_served
    agencies_resume_by_themselves_after_every_kill
}

fn sessions_bring_every_bet_and_get_their_winners(driver: &str) {
    run(&Inputs::find(), &["--driver", driver], &[]);
}

fn base_clients_bring_every_bet_and_get_their_winners(driver: &str) {
    run(&Inputs::find(), &["--driver", driver], &["--base"]);
}

fn twenty_agencies_are_served(driver: &str) {
    let directory = tempdir().unwrap();
    let inputs = Inputs::find().split(4, directory.path());
    run(&inputs, &["--driver", driver, "--workers", "1"], &[]);
}

/// One whole run, with one file and one process for each agency.
pub(crate) fn run(inputs: &Inputs, server_options: &[&str], agency_options: &[&str]) {
    let directory = tempdir().unwrap();
    let data_dir = directory.path();
    let agencies = inputs.files.len().to_string();
    let options = ["--agencies", &agencies, "--segment-size", SEGMENT_SIZE];
    let office = Office::start(data_dir, &[&options, server_options].concat());
    let processes = start_agencies(office.address, &inputs.files, agency_options);
    assert_eq!(finish_agencies(processes), inputs.winners());
    let memory_max = office.process.memory_max();
    assert!(memory_max < MEMORY_MAX, "{memory_max} bytes were resident");
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(bets_received(&ended.lines), inputs.bets());
    assert_eq!(count(&ended.lines, DRAWN), 1);
    check_record(data_dir, inputs);
}

/// Everything is in the ledger, once, and in the order of the files.
pub(crate) fn check_record(data_dir: &Path, inputs: &Inputs) {
    let exported = export(data_dir);
    assert!(exported == inputs.exported(), "the export of {} bytes differs", exported.len());
    let report = verify(data_dir);
    let winners: u64 = inputs.winners().iter().sum();
    assert!(report.contains(&format!("drawn           {winners} winners\n")), "{report}");
    assert!(report.contains(&format!("bets            {} in ", inputs.bets())), "{report}");
}

fn agencies_resume_by_themselves_after_every_kill(driver: &str) {
    kill_again_and_again(&["--driver", driver], start_agencies);
}

/// Agencies at work, started by `start_agencies`, whose server dies under them.
pub(crate) fn kill_again_and_again(
    server_options: &[&str],
    start_agencies: impl FnOnce(SocketAddr, &[PathBuf], &[&str]) -> Vec<Process>,
) {
    // A kill after so many batches of each life.
    let kills = [1, 37, 80, 2];
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let listen = port.address().to_string();
    let options = ["--listen", &listen, "--segment-size", "256KiB"];
    let options = [&options[..], server_options].concat();
    let start = || Office::listening(Process::start(serve(directory.path(), &options)));
    let mut office = start();
    let draw = office.recovered("draw");
    let batch = if inputs.is_dataset { "150" } else { "10" };
    let options = ["--batch-bets-max", batch, "--window", "4"];
    let agencies = start_agencies(office.address, &inputs.files, &options);
    let mut lines = Vec::new();
    for kill_after in kills {
        // On a loaded machine a life may be over before its kill: then nothing more will come.
        if office.recovered("finished") == "5" {
            break;
        }
        let mut batches = 0;
        office.process.wait_until("batch or draw", |line| {
            batches += usize::from(line.contains(STORED));
            batches == kill_after || line.contains(DRAWN)
        });
        let killed = office.process.kill();
        assert_eq!(killed.signal, Some(Signal::KILL.as_raw()));
        lines.extend(killed.lines);
        office = start();
        assert_eq!(office.recovered("draw"), draw);
    }
    assert_eq!(finish_agencies(agencies), inputs.winners());
    lines.extend(office.stop().lines);
    assert_healthy_log(&lines);
    // A kill between the draw's sync and its line loses the line.
    assert!(count(&lines, DRAWN) <= 1);
    check_record(directory.path(), &inputs);
}

#[test]
fn a_kill_after_the_last_mark_does_not_cost_the_draw() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let listen = port.address().to_string();
    let options = ["--listen", &listen];
    let mut office = Office::start(directory.path(), &options);
    let agencies = start_agencies(office.address, &inputs.files, &[]);
    let mut marks = 0;
    office.process.wait_until("five marks", |line| {
        marks += usize::from(line.contains("action: agencia_lista"));
        marks == 5
    });
    let mut lines = office.process.kill().lines;
    let office = Office::start(directory.path(), &options);
    assert_eq!(finish_agencies(agencies), inputs.winners());
    lines.extend(office.stop().lines);
    assert!(count(&lines, DRAWN) <= 1);
    check_record(directory.path(), &inputs);
}

#[test]
fn a_server_restarted_after_the_draw_tells_the_same_winners_without_drawing() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    let draw = office.recovered("draw");
    finish_agencies(start_agencies(office.address, &inputs.files, &[]));
    let report = verify(directory.path());
    assert_eq!(count(&office.stop().lines, DRAWN), 1);
    for options in [&[][..], &["--draw", &draw]] {
        let office = Office::start(directory.path(), &[]);
        assert_eq!(office.recovered("draw"), draw);
        let again = finish_agencies(start_agencies(office.address, &inputs.files, options));
        assert_eq!(again, inputs.winners());
        let lines = office.stop().lines;
        assert_healthy_log(&lines);
        assert_eq!((count(&lines, DRAWN), bets_received(&lines)), (0, 0));
    }
    check_record(directory.path(), &inputs);
    assert_ne!(verify(directory.path()), report, "sessions are counted");
}

#[test]
fn an_agency_that_is_run_twice_stores_nothing_twice() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let mut office = Office::start(directory.path(), &[]);
    // Before the draw: the first of them waits for it, and ends when the second works its lane.
    let first = start_agency(office.address, 1, &inputs.files[0], &[]);
    office.process.wait_for("action: agencia_lista");
    let stored = export(directory.path());
    let second = start_agency(office.address, 1, &inputs.files[0], &[]);
    assert_eq!(first.end().code, Some(6), "fenced");
    let rest = (2..).zip(&inputs.files[1..]);
    let others = rest.map(|(id, file)| start_agency(office.address, id, file, &[])).collect();
    let winners = inputs.winners();
    assert_eq!(finish_agencies(vec![second]), [winners[0]]);
    finish_agencies(others);
    // And after it.
    let third = start_agency(office.address, 1, &inputs.files[0], &[]);
    assert_eq!(finish_agencies(vec![third]), [winners[0]]);
    office.stop();
    assert!(inputs.exported().starts_with(&stored));
    check_record(directory.path(), &inputs);
}

#[test]
fn without_agencies_nothing_is_drawn_and_the_server_serves() {
    let directory = tempdir().unwrap();
    for _start in ["first", "again"] {
        let office = Office::start(directory.path(), &["--agencies", "0"]);
        let mut wire = office.connect();
        for request in [packet(5, "1#"), packet(6, "1#"), batch(1, 30_000_000, 1)] {
            wire.send(&request);
            let (opcode, text) = wire.packet();
            assert_eq!(opcode, 4, "{text}");
        }
        wire.exchange(&packet(3, "0#"), &ACK);
        let ended = office.stop();
        wire.expect_last(&CLOSE);
        assert_eq!(count(&ended.lines, "sorteo"), 0);
    }
    assert!(verify(directory.path()).contains("drawn           no (Open)"));
    assert_eq!(export(directory.path()), b"");
    assert!(!directory.path().join("published").exists());
}
