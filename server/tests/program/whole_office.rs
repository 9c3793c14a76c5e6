//! The scripts of `make run` and `make run-office`: a whole office, and runs that fail.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::inputs::Inputs;
use crate::process::{Ended, Process};

#[test]
fn all_services_are_had_over_tls_by_whom_they_are_for() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let data = directory.path().join("with a blank");
    fs::create_dir(&data).unwrap();
    for (id, file) in (1..).zip(&inputs.files) {
        fs::copy(file, data.join(format!("agency-{id}.csv"))).unwrap();
    }
    let Ended { code, lines: shown, stderr: errors, .. } = run_script("run-office.sh", &data, &[]);
    assert_eq!(code, Some(0), "{shown:#?}{errors}");
    let mut expected: Vec<String> = [
        "   lottery-text: 127.0.0.1:",
        "   room: 127.0.0.1:",
        "   the office refused the bet: the certificate is agency 1's, this is for agency 2",
        "   ana sees  leo: thank you, ana",
        "   leo sees  ana: the draw is done, the results are published",
    ]
    .map(str::to_owned)
    .to_vec();
    for ((id, bets), winners) in (1..).zip(inputs.bets_of_each()).zip(inputs.winners()) {
        expected.push(format!("   agency {id}: {bets} bets, {winners} winners"));
        expected.push(format!("   winners-agency-{id}.csv: {winners} lines"));
    }
    for line in expected {
        assert!(shown.iter().any(|shown| shown.starts_with(&line)), "no {line:?} in {shown:#?}");
    }
    assert_eq!(errors, "");
}

#[test]
fn an_agency_that_fails_ends_the_run_with_its_message() {
    let directory = tempdir().unwrap();
    let row = "Ana,Paz,30000001,1990-01-01,7574\n";
    for (agency, rows) in [(1, row.repeat(3)), (2, format!("{row}Ana,Paz,x,1990-01-01,7574\n"))] {
        fs::write(directory.path().join(format!("agency-{agency}.csv")), rows).unwrap();
    }
    // Agency 1 waits for the draw, which agency 2's bad row prevents.
    for script in ["run.sh", "run-office.sh"] {
        let ended = run_script(script, directory.path(), &[]);
        assert_eq!(ended.code, Some(1), "{script}: {ended:?}");
        for part in ["agency 2 ended with exit code 1", "agency-2.csv", "line 2", "document"] {
            assert!(ended.stderr.contains(part), "{script}: no {part:?}: {ended:?}");
        }
    }
}

#[test]
fn a_server_that_does_not_start_ends_the_run_with_the_cause() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("agency-1.csv"), "Ana,Paz,30000001,1990-01-01,7574\n").unwrap();
    for script in ["run.sh", "run-office.sh"] {
        let ended = run_script(script, directory.path(), &["--drivr", "pool"]);
        assert_eq!(ended.code, Some(1), "{script}: {ended:?}");
        let cause = "unexpected argument '--drivr' found";
        assert!(ended.stderr.contains(cause), "{script}: {ended:?}");
    }
}

/// Runs a script of `scripts/` over a directory with bets, until it ends by itself.
fn run_script(script: &str, data: &Path, server_options: &[&str]) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(script);
    let programs = Path::new(env!("CARGO_BIN_EXE_bolillero-server")).parent().unwrap();
    let mut command = Command::new(script);
    command.arg(programs).arg(data).args(server_options);
    Process::start(command).end()
}
