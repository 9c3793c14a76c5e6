//! The whole office at once, over TLS, as `make run-office` shows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::inputs::Inputs;

#[test]
fn all_services_are_had_over_tls_by_whom_they_are_for() {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let data = directory.path().join("with a blank");
    fs::create_dir(&data).unwrap();
    for (id, file) in (1..).zip(&inputs.files) {
        fs::copy(file, data.join(format!("agency-{id}.csv"))).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/run-office.sh");
    let programs = Path::new(env!("CARGO_BIN_EXE_bolillero-server")).parent().unwrap();
    let run = Command::new(script).arg(programs).arg(&data).output().unwrap();
    let [shown, errors] = [run.stdout, run.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(run.status.success(), "{shown}{errors}");
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
        assert!(shown.lines().any(|shown| shown.starts_with(&line)), "no {line:?} in\n{shown}");
    }
    assert_eq!(errors, "");
}
