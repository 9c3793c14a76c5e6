//! What is mounted: files that have to be there, and where the ledger lives.

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
        std::fs::remove_file(deployment.path(file)).unwrap();
        let output = deployment.compose(&["up", "-d"]);
        assert!(!output.status.success(), "{file}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(file), "{said}");
        assert!(!deployment.path(file).exists(), "{file}");
    }
}
