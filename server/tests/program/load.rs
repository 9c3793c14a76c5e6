//! `bolillero load` against the real server: what it says it has verified is what the ledger has.

use tempfile::tempdir;

use crate::office::{Office, assert_healthy_log, bets_received, client_program, verify};
use crate::process::Process;

const BETS: u64 = 20_000;

#[test]
fn a_load_in_each_dialect_is_stored_drawn_and_told() {
    let dialects: [&[&str]; 3] = [&[], &["--base"], &["--connection-per-request"]];
    for dialect in dialects {
        let directory = tempdir().unwrap();
        let office = Office::start(directory.path(), &["--agencies", "7"]);
        let mut command = client_program();
        command.args(["load", "--server", &office.address.to_string(), "--agencies", "7"]);
        command.args(["--bets", &BETS.to_string(), "--window", "4"]).args(dialect);
        let load = Process::start(command).end();
        assert_eq!((load.code, load.stderr.as_str()), (Some(0), ""), "{load:?}");
        let verified = load.lines.last().unwrap();
        let winners = verified.strip_suffix(" winners of all agencies").unwrap();
        let winners = winners.rsplit(' ').next().unwrap();
        assert!(winners.parse::<u64>().unwrap() > 10, "{verified}");

        let ended = office.stop();
        assert_healthy_log(&ended.lines);
        assert_eq!(bets_received(&ended.lines), BETS);
        let report = verify(directory.path());
        assert!(report.contains(&format!("drawn           {winners} winners\n")), "{report}");
    }
}

#[test]
fn a_second_load_is_told_that_the_ledger_is_not_empty() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--agencies", "2"]);
    let load = || {
        let mut command = client_program();
        command.args(["load", "--server", &office.address.to_string(), "--leave-open"]);
        command.args(["--agencies", "2", "--bets", "100"]);
        Process::start(command).end()
    };
    assert_eq!(load().code, Some(0));
    let again = load();
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("the ledger is not empty"), "{}", again.stderr);
    office.stop();
}
