//! `bolillero generate` as a program: the sample in `.data/` is what it makes, and what it refuses.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

fn generate(output: &Path, options: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("bolillero").unwrap();
    command.arg("generate").arg("--output").arg(output).args(options).assert()
}

#[test]
fn the_committed_sample_is_what_generate_makes() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("made/when/missing");
    let made =
        generate(&output, &["--agencies", "5", "--bets", "1000", "--seed", "7574"]).success();
    let said = String::from_utf8_lossy(&made.get_output().stdout).into_owned();
    let expected = format!(
        "wrote 5 files, agency-1.csv to agency-5.csv, to {}: 1000 bets each, 227.00 KiB in all, \
         seed 7574\n",
        output.display()
    );
    assert_eq!(said, expected);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.data");
    for agency in 1..=5 {
        let name = format!("agency-{agency}.csv");
        let (ours, theirs) = (fs::read(output.join(&name)), fs::read(committed.join(&name)));
        assert!(
            ours.unwrap() == theirs.unwrap(),
            "{name} differs: its rows may never change for a seed"
        );
    }
    assert_eq!(fs::read_dir(&output).unwrap().count(), 5, "no temporary file stays");
}

#[test]
fn the_sample_has_winners_of_its_favourite_number_in_every_file() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.data");
    for agency in 1..=5 {
        let file = fs::read_to_string(committed.join(format!("agency-{agency}.csv"))).unwrap();
        assert_eq!(file.lines().count(), 1000);
        assert!(file.lines().any(|row| row.ends_with(",7574")));
    }
}

#[test]
fn a_sample_of_fewer_agencies_is_not_mixed_with_a_larger_one() {
    let directory = tempfile::tempdir().unwrap();
    let sample = |agencies| generate(directory.path(), &["--agencies", agencies, "--bets", "1"]);
    sample("3").success();
    sample("3").success();
    let refused = sample("2").failure().code(1);
    let error = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(error.contains("agency-3.csv is there from an earlier sample"), "{error}");
    sample("4").success();
}

#[test]
fn what_cannot_be_meant_is_refused_as_usage() {
    let directory = tempfile::tempdir().unwrap();
    for agencies in ["0", "65536", "many"] {
        let refused = generate(directory.path(), &["--agencies", agencies]).failure().code(2);
        let error = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(error.contains("--agencies"), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = generate(&file, &["--bets", "1"]).failure().code(1);
    let error = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(error.starts_with("bolillero: writing ") && error.contains("agency-1.csv"), "{error}");
}
