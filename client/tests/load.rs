//! The program `bolillero load` against an office on the loopback that keeps to the protocol, or
//! does not: what it reports, and what it says of a wrong answer.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

mod office;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bolillero_protocol::chain::Head;
use bolillero_protocol::message::{Code, Receipt, Reply};
use serde_json::Value;

use office::{Fault, Office, Served, bodies, packet, refusal, rows};

/// No test takes longer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// No bet of these loads is on this number.
const NOBODYS_NUMBER: &str = "1";

fn load(served: &Served, options: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("bolillero"));
    let server = served.address.to_string();
    command.args(["load", "--server", &server, "--winning-number", NOBODYS_NUMBER]);
    command.args(["--batch-bytes", "700"]).args(options);
    command
}

fn finish(command: Command) -> Output {
    assert_cmd::Command::from_std(command).timeout(TIME_MAX).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_dialect_sends_all_bets_and_tells_what_it_measured() {
    let dialects: [(&str, &[&str]); 3] = [
        ("session", &[]),
        ("base", &["--base"]),
        ("connection-per-request", &["--connection-per-request"]),
    ];
    // Answers as they come, and byte by byte.
    for ((name, options), write_size_max) in dialects.into_iter().flat_map(|d| [(d, 9999), (d, 1)])
    {
        let served = Served::new(Office { write_size_max, busy_answers: 3, ..Office::default() });
        let options = [options, &["--agencies", "3", "--bets", "400", "--json"]].concat();
        let output = finish(load(&served, &options));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["dialect"], name);
        assert_eq!(report["winners"], 0);
        assert_eq!(report["bets"], 400);
        let stored: Vec<_> = (1..=3).flat_map(|agency| served.bodies(agency)).collect();
        assert_eq!(report["batches"], stored.len());
        let bets = (1..=3).map(|agency| served.office.lock().unwrap().lane(agency).last().0);
        assert_eq!(bets.sum::<u64>(), 400);
        let per_request = name == "connection-per-request";
        assert_eq!(report["connections_per_second"].is_f64(), per_request);
        for field in ["p50", "p99", "p999", "max"] {
            assert!(report["latency_us"][field].as_f64().unwrap() > 0.0, "{report}");
        }
        for field in ["seconds", "bets_per_second", "batches_per_second", "megabytes_per_second"] {
            assert!(report[field].as_f64().unwrap() > 0.0, "{report}");
        }
        for field in ["bytes", "client_cpu_seconds", "finish_seconds", "draw_seconds", "window"] {
            assert!(report[field].is_number(), "{report}");
        }
    }
}

#[test]
fn agencies_left_open_are_not_finished_and_a_person_reads_lines() {
    let served = Served::new(Office::default());
    let output = finish(load(
        &served,
        &["--leave-open", "--agencies", "2", "--bets", "100", "--first-agency", "7"],
    ));
    assert!(output.status.success(), "{output:?}");
    let lines = text(&output.stdout);
    assert!(lines.contains("sent          100 bets in "), "{lines}");
    assert!(lines.contains(" receipts with their heads; the agencies are left open\n"), "{lines}");
    let lanes = &served.office.lock().unwrap().lanes;
    assert_eq!(lanes.keys().collect::<Vec<_>>(), [&7, &8]);
    assert!(lanes.values().all(|lane| !lane.finished));
}

#[test]
fn phases_wait_for_a_word_and_stdout_has_the_report_only() {
    let served = Served::new(Office::default());
    let mut command = load(&served, &["--phases", "--json", "--agencies", "1", "--bets", "100"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut stdin = client.stdin.take().unwrap();
    let mut lines = BufReader::new(client.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "phase: sending");
    assert_eq!(served.office.lock().unwrap().batches_seen, 0);
    stdin.write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap(), "phase: sent");
    let bets = served.office.lock().unwrap().lane(1).last().0;
    assert_eq!((bets, served.office.lock().unwrap().lane(1).finished), (100, false));
    drop(stdin);
    let mut stdout = String::new();
    client.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(client.wait().unwrap().success());
    assert_eq!(stdout.lines().count(), 1);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert!(report["draw_seconds"].is_f64());
}

#[test]
fn a_wrong_answer_ends_the_load_and_is_told_by_agency_and_batch() {
    let receipt = packet(&Reply::Receipt(Receipt { seq: 1, bets: 9, head: Head::EMPTY }));
    let [ack, busy] = [packet(&Reply::Ack), packet(&Reply::Busy)];
    let mut no_room = Vec::new();
    refusal(Code::Storage, Some(2), "no room", &mut no_room);
    let surplus = Fault::Answer([ack.clone(), ack].concat());
    let finish = usize::MAX;
    let cases: [(&[&str], usize, Fault, &[&str]); 12] = [
        (&[], 0, Fault::Last(busy.clone()), &["hello: expected a welcome", "--max-connections"]),
        (&[], 0, Fault::Last(packet(&Reply::Corrupt)), &["hello", "came \"corrupt", "--base"]),
        (&[], 0, Fault::Drop, &["connection ended before the answer to the session's hello"]),
        (&[], 1, Fault::Answer(receipt), &["agency 1, batch 1 of ", "(12) \"1#", "#9#0000"]),
        (&[], 2, Fault::Answer(no_room), &["batch 2 of ", "error (4) \"STORAGE#2#no room#\""]),
        (&[], 3, Fault::Drop, &["connection ended before the answer to batch 3 of "]),
        (
            &["--timeout", "300ms"],
            2,
            Fault::Silent,
            &["no progress for 300ms: agency 1 waits ", "to batch 2 of "],
        ),
        (&["--base"], 0, surplus.clone(), &["batch 2 of ", "expected nothing, came an ack"]),
        (&["--base"], 1, Fault::Last(busy), &["batch 2 of ", "\"busy\" (8)", "connections"]),
        (&["--connection-per-request"], 0, surplus, &["batch 1 of ", "expected nothing"]),
        (&["--connection-per-request"], 4, Fault::Drop, &["batch 5 of ", "closed it"]),
        (
            &["--base", "--timeout", "300ms"],
            finish,
            Fault::Silent,
            &["ready for the draw", "--leave-open"],
        ),
    ];
    let plan = ["--agencies", "1", "--bets", "100", "--window", "1"];
    let requests = {
        let served = Served::new(Office::default());
        assert!(self::finish(load(&served, &[&plan[..], &["--base"]].concat())).status.success());
        served.office.lock().unwrap().requests
    };
    for (options, request, fault, said) in cases {
        let request = if request == finish { requests - 2 } else { request };
        let served = Served::new(Office::with_faults([(request, fault.clone())]));
        let output = self::finish(load(&served, &[options, &plan].concat()));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{fault:?} {error}");
        assert!(error.starts_with("bolillero: ") && output.stdout.is_empty(), "{output:?}");
        for said in said {
            assert!(error.contains(said), "{said:?} is not in {error}");
        }
    }
}

#[test]
fn a_ledger_that_is_not_empty_and_winners_of_another_number_are_told() {
    let mut stored = Office::default();
    stored.lane(2).push(&bodies(&rows(9), 0)[0]);
    let winners = Office { winners: b"30000001#".to_vec(), ..Office::default() };
    let cases = [
        (stored, "agency 2, the session's hello: ", "a load needs a server with a fresh one"),
        (winners, "the question for winners: expected winners (7) \"#\", came", "--winning-number"),
    ];
    for (office, what, hint) in cases {
        let output = finish(load(&Served::new(office), &["--agencies", "2", "--bets", "10"]));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = text(&output.stderr);
        assert!(error.contains(what) && error.contains(hint), "{error}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_a_socket_opens() {
    let cases: [&[&str]; 12] = [
        &["--agencies", "0"],
        &["--agencies", "65536"],
        &["--first-agency", "0"],
        &["--first-agency", "65532", "--agencies", "5"],
        &["--bets", "0"],
        &["--bets", "4", "--agencies", "5"],
        &["--bets", "100000001"],
        &["--window", "0"],
        &["--batch-bytes", "255"],
        &["--timeout", "never"],
        &["--server", "nowhere"],
        &["--unknown"],
    ];
    let served = Served::new(Office::default());
    for options in cases {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("bolillero"));
        let server = served.address.to_string();
        let server = if options[0] == "--server" { &[][..] } else { &["--server", &server] };
        command.arg("load").args(server).args(options);
        let output = finish(command);
        assert_eq!(output.status.code(), Some(2), "{options:?} {output:?}");
        assert!(text(&output.stderr).contains(options[0]), "{output:?}");
    }
    let output = finish(load(&served, &["--winning-number", "10000"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(served.office.lock().unwrap().requests, 0);
}

#[test]
fn help_names_every_option_with_its_default() {
    let mut program = Command::new(assert_cmd::cargo::cargo_bin!("bolillero"));
    let help = text(&program.args(["load", "--help"]).output().unwrap().stdout);
    let options = ["server", "agencies", "first-agency", "bets", "window", "batch-bytes", "base"];
    let more = ["connection-per-request", "leave-open", "winning-number", "seed", "json", "phases"];
    for option in options.into_iter().chain(more) {
        assert!(help.contains(&format!("--{option}")), "{option}\n{help}");
    }
    for default in ["16", "8000", "1000000", "60s", "7574"] {
        assert!(help.contains(&format!("[default: {default}]")), "{default}\n{help}");
    }
    assert!(help.contains("all agencies of the server's draw"), "{help}");
}
