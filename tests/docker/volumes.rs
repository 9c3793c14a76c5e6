//! What is mounted: files that have to be there, and where the ledger lives.

use std::fs;

use crate::deployment::{Deployment, export, follow, inspect};
use crate::engine::{docker, succeeded};
use crate::inputs::Inputs;

const VOLUME: &str = "bolillero_acceptance_test";

fn stored_bets() -> usize {
    String::from_utf8(export()).unwrap().lines().count()
}

#[test]
fn a_named_volume_outlives_down_and_an_unnamed_one_starts_anew() {
    for (name, left) in [("", 0), (VOLUME, 3)] {
        let environment = [("TP0_MODE", "single"), ("BOLILLERO_VOLUME", name)];
        let deployment = Deployment::with_environment(&environment, 3);
        deployment.up(&[]);
        deployment.finish();
        assert_eq!(stored_bets(), 3);
        let volume = inspect("server", "{{(index .Mounts 0).Name}} {{(index .Mounts 1).Name}}");
        succeeded(deployment.make(&["docker-compose-down"]));
        let there = docker(&["volume", "ls", "--quiet"]);
        assert_eq!(there.lines().any(|line| line == volume.trim()), left > 0, "{volume}: {there}");
        deployment.up(&["server"]);
        follow("server").wait_for("action: listen");
        assert_eq!(stored_bets(), left);
    }
}

#[test]
fn a_file_that_is_missing_is_an_error_and_no_directory() {
    for file in ["server/config.ini", "client/config.yaml", ".data/agency-1.csv"] {
        let deployment = Deployment::lottery(&Inputs::find(), 100);
        fs::remove_file(deployment.path(file)).unwrap();
        let output = deployment.compose(&["up", "-d"]);
        assert!(!output.status.success(), "{file}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(file), "{said}");
        assert!(!deployment.path(file).exists(), "{file}");
    }
}

#[test]
fn a_bad_row_is_mended_by_an_edit_of_the_mounted_file() {
    let inputs = Inputs::find();
    let deployment = Deployment::lottery(&inputs, 100);
    let path = deployment.path(".data/agency-1.csv");
    let good = fs::read_to_string(&path).unwrap();
    // In the middle of a batch.
    let row = good.lines().nth(150).unwrap();
    fs::write(&path, good.replacen(row, "no row", 1)).unwrap();
    deployment.up(&[]);
    assert_eq!(deployment.exit_codes(&deployment.clients[..1]), [1]);
    fs::write(&path, &good).unwrap();
    deployment.up(&[]);
    assert_eq!(deployment.exit_codes(&deployment.clients), vec![0; inputs.files.len()]);
    assert!(export() == inputs.exported(), "the ledger is not the files");
}
