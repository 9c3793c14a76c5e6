//! An office, a file of bets, and the program to run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::office::{Office, Served};

/// No test takes longer.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(30);

/// Options of a bet that can be taken.
pub(crate) const BET: [&str; 5] = [
    "--first-name=Ana",
    "--last-name=Paz",
    "--document=30000001",
    "--birth-date=1990-01-01",
    "--number=7",
];

/// An office, a file of bets, and a client to run.
pub(crate) struct Setting {
    pub(crate) served: Served,
    directory: TempDir,
}

impl Setting {
    pub(crate) fn new(office: Office, file: &str) -> Self {
        let setting = Self { served: Served::new(office), directory: tempfile::tempdir().unwrap() };
        fs::write(setting.file(), file).unwrap();
        setting
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("bets.csv")
    }

    pub(crate) fn agency(&self, options: &[&str]) -> Output {
        finish(agency(&self.file(), &self.served.address.to_string(), options))
    }
}

pub(crate) fn finish(command: Command) -> Output {
    assert_cmd::Command::from_std(command).timeout(TIME_MAX).output().unwrap()
}

pub(crate) fn agency(file: &Path, server: &str, options: &[&str]) -> Command {
    let mut command = program(&["agency", "--id", "1", "--server", server, "--bets"]);
    command.arg(file).args(options);
    command
}

/// The variables that the program looks at.
const VARIABLES: [&str; 12] = [
    "CLI_ID",
    "CLI_CONNECT_TIMEOUT",
    "CLI_SERVER_ADDRESS",
    "CLI_LOOP_AMOUNT",
    "CLI_LOOP_PERIOD",
    "CLI_LOG_LEVEL",
    "CLI_BATCH_MAXAMOUNT",
    "NOMBRE",
    "APELLIDO",
    "DOCUMENTO",
    "NACIMIENTO",
    "NUMERO",
];

/// The program, without what the test's own environment would tell it.
pub(crate) fn program(options: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("bolillero"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.args(options);
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The log without its times.
pub(crate) fn log(output: &Output) -> Vec<String> {
    stdout(output).lines().map(|line| line[20..].to_owned()).collect()
}
