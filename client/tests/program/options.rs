//! What was typed: help, usage errors, and where settings come from.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bolillero_protocol::bet::Bets;
use tempfile::tempdir;

use crate::office::{Office, Served, rows};
use crate::setting::{Setting, finish, log, program, stderr, stdout};

type Help = (&'static str, &'static [(&'static str, &'static str)]);

const SERVER: [(&str, &str); 3] = [
    (
        "--server",
        "else CLI_SERVER_ADDRESS, or server.address in the file [default: 127.0.0.1:12345]",
    ),
    ("--log-level", "else CLI_LOG_LEVEL, or log.level in the file [default: INFO]"),
    ("--config", "[default: client/config.yaml, if it is there]"),
];
const TLS: [(&str, &str); 5] = [
    ("--tls", "needs --ca"),
    ("--ca", "none is built in [default: none]"),
    ("--cert", "needs --key [default: none]"),
    ("--key", "[default: none]"),
    ("--server-name", "[default: the server's host]"),
];
const ID: (&str, &str) = ("--id", "1 to 65535; else CLI_ID [default: none, it is needed]");
const TIMEOUTS: [(&str, &str); 3] = [
    ("--connect-timeout", "[default: 2m, and 10s while the host name cannot be resolved]"),
    ("--reply-timeout", "[default: 30s]"),
    ("--peer-timeout", "[default: 30s]"),
];
const SLICES: [(&str, &str); 2] = [("--window", "[default: 4]"), ("--slice", "[default: 1MiB]")];

/// The options of each command beside those above, in the order of the help, with the default or
/// what says that there is none.
const HELP: &[Help] = &[
    (
        "agency",
        &[
            ("--bets", "[default: .data/agency-ID.csv]"),
            ("--batch-bets-max", "else CLI_BATCH_MAXAMOUNT, or batch.maxAmount in the file"),
            ("--cut-before", "[default: none]"),
            ("--allow-empty", "else that is an error"),
            ("--winners", "[default: none, winners are only counted]"),
            ("--window", "[default: 16]"),
            ("--base", "cannot resume after a kill"),
            ("--text", "cannot resume after a kill"),
            ("--draw", "[default: whichever it holds]"),
        ],
    ),
    (
        "bet",
        &[
            ("--first-name", "else NOMBRE [default: none, it is needed]"),
            ("--last-name", "else APELLIDO [default: none, it is needed]"),
            ("--document", "else DOCUMENTO [default: none, it is needed]"),
            ("--birth-date", "else NACIMIENTO [default: none, it is needed]"),
            ("--number", "else NUMERO [default: none, it is needed]"),
            ("--env-file", "[default: .env or else client/.env, if it is there]"),
        ],
    ),
    (
        "echo",
        &[
            ("--amount", "else CLI_LOOP_AMOUNT, or loop.amount in the file [default: 5]"),
            ("--period", "else CLI_LOOP_PERIOD, or loop.period in the file [default: 5s]"),
        ],
    ),
    ("probe", &[("--service", "[default: lottery]"), ("--timeout", "[default: 5s]")]),
    ("files ls", &[("--long", "before its name")]),
    (
        "files get",
        &[
            ("--all", "all files"),
            ("--output", "[default: .]"),
            ("--force", "Replace files"),
            ("--no-verify", "SHA256SUMS"),
        ],
    ),
    ("files cat", &[]),
    ("room", &[("--name", "1 to 24 letters"), ("--until", "[default: none]")]),
    ("pki init", &[("--dir", "made when missing"), ("--days", "[default: 3650]")]),
    (
        "pki server",
        &[
            ("--dir", "Directory of the authority"),
            ("--name", "[default: localhost 127.0.0.1 ::1]"),
            ("--days", "[default: 365]"),
        ],
    ),
    (
        "pki agency",
        &[
            ("--dir", "Directory of the authority"),
            ("--id", "1 to 65535"),
            ("--days", "[default: 365]"),
        ],
    ),
    (
        "generate",
        &[
            ("--output", "Directory to write"),
            ("--agencies", "[default: 5]"),
            ("--bets", "[default: 20000]"),
            ("--seed", "[default: 7574]"),
        ],
    ),
    (
        "load",
        &[
            ("--server", "Where the central office listens"),
            ("--agencies", "[default: 5]"),
            ("--first-agency", "[default: 1]"),
            ("--bets", "[default: 1000000]"),
            ("--window", "[default: 16]"),
            ("--batch-bytes", "[default: 8000]"),
            ("--base", "without sessions"),
            ("--connection-per-request", "implies --base"),
            ("--leave-open", "neither finish"),
            ("--winning-number", "[default: 7574]"),
            ("--seed", "[default: 7574]"),
            ("--timeout", "[default: 60s]"),
            ("--json", "one JSON object"),
            ("--phases", "Tell on stderr"),
        ],
    ),
];

#[test]
fn help_names_every_option_with_its_default() {
    for (command, own) in HELP {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let output = finish(program(&words));
        assert!(output.status.success(), "{output:?}");
        let groups: &[&[(&str, &str)]] = match *command {
            "agency" | "bet" | "echo" => &[&[ID], &SERVER, &TLS, &TIMEOUTS, own],
            "probe" => &[own, &SERVER, &TLS],
            "files ls" => &[&TIMEOUTS, &TLS, own],
            "files get" | "files cat" => &[&TIMEOUTS, &TLS, own, &SLICES],
            "room" => &[own, &TIMEOUTS, &TLS],
            "load" => &[own, &TLS],
            _ => &[own],
        };
        let expected = groups.concat();
        let help = stdout(&output);
        let mut options: Vec<String> = Vec::new();
        for line in help.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match options.last_mut() {
                _ if line.starts_with("--") => options.push(line.to_owned()),
                Some(option) => *option += &format!(" {line}"),
                None => {}
            }
        }
        let named: Vec<_> =
            options.iter().map(|option| option.split(' ').next().unwrap()).collect();
        assert_eq!(named, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{command}");
        for (option, (_, said)) in options.iter().zip(expected) {
            assert!(option.contains(said), "{command} {option}: {said}");
        }
    }
    let help = [&["--help"][..], &["files", "--help"], &["pki", "--help"]];
    let help = help.map(|words| stdout(&finish(program(words)))).concat();
    for (command, _) in HELP {
        let command = command.rsplit(' ').next().unwrap();
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
    }
    assert!(help.contains("Exit codes: 0 done, or asked to stop, 1 failure, 2 usage, "), "{help}");
}

#[test]
fn what_cannot_be_meant_is_refused_before_a_socket_opens() {
    let cases: [(&str, &[&str]); 16] = [
        ("agency", &["--window", "0"]),
        ("agency", &["--window", "1025"]),
        ("agency", &["--batch-bets-max", "0"]),
        ("agency", &["--connect-timeout", "soon"]),
        ("agency", &["--reply-timeout", "0s"]),
        ("agency", &["--peer-timeout", "25h"]),
        ("agency", &["--draw", "abc"]),
        ("agency", &["--log-level", "loud"]),
        ("agency", &["--unknown", "1"]),
        ("agency", &["--id", "0"]),
        ("echo", &["--amount", "many"]),
        ("echo", &["--period", "5"]),
        ("bet", &["--birth-date", "2001-02-29"]),
        ("bet", &["--env-file", "/nowhere/.env"]),
        ("probe", &["--timeout", "0s"]),
        ("probe", &["--service", "ftp"]),
    ];
    let served = Served::new(Office::default());
    let address = served.address.to_string();
    let run = |command: &str, server: &str, options: &[&str]| {
        let mut program = program(&[&[command, "--server", server], options].concat());
        for variable in ["NOMBRE", "APELLIDO"] {
            program.env(variable, "Ana");
        }
        program.envs([("CLI_ID", "1"), ("DOCUMENTO", "1"), ("NACIMIENTO", "1990-01-01")]);
        program.env("NUMERO", "7");
        finish(if command == "probe" { without_id(program) } else { program })
    };
    for (command, options) in cases {
        let output = run(command, &address, options);
        assert_eq!(output.status.code(), Some(2), "{options:?} {output:?}");
        let named = stderr(&output).contains(options[0]) || stderr(&output).contains(options[1]);
        assert!(named && stdout(&output).is_empty(), "{output:?}");
    }
    for server in ["nowhere", "host:0", ":1"] {
        for command in ["agency", "bet", "echo", "probe"] {
            let output = run(command, server, &[]);
            assert_eq!(output.status.code(), Some(2), "{server} {output:?}");
            assert!(stderr(&output).contains(&format!("--server {server}: ")), "{output:?}");
        }
    }
    assert_eq!(served.office.lock().unwrap().requests, 0);
}

fn without_id(mut command: Command) -> Command {
    command.env_remove("CLI_ID");
    command
}

#[test]
fn an_agency_that_nobody_names_is_asked_for() {
    for command in ["agency", "bet", "echo"] {
        let output = finish(program(&[command]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = "bolillero: no agency is named: give its number with --id N or in CLI_ID\n";
        assert_eq!(stderr(&output), said);
    }
}

/// The program in `directory`, with the id that a container gets.
fn deployed(directory: &Path, options: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = program(options);
    command.current_dir(directory).env("CLI_ID", "1").envs(environment.iter().copied());
    finish(command)
}

#[test]
fn a_deployment_is_told_all_by_its_file_and_its_environment() {
    let directory = tempdir().unwrap();
    fs::create_dir_all(directory.path().join("client")).unwrap();
    fs::create_dir_all(directory.path().join(".data")).unwrap();
    fs::write(directory.path().join(".data/agency-1.csv"), rows(95)).unwrap();
    let served = Served::new(Office::default());
    let file = format!(
        "server:\n  address: \"{}\"\nloop:\n  amount: 3\n  period: \"250ms\"\nlog:\n  level: \
         \"DEBUG\"\nbatch:\n  maxAmount: 10",
        served.address
    );
    fs::write(directory.path().join("client/config.yaml"), file).unwrap();
    let output = deployed(directory.path(), &["agency"], &[]);
    assert!(output.status.success(), "{output:?}");
    let first = format!(
        "INFO     action: config | result: success | client_id: 1 | server_address: {} | \
         loop_amount: 3 | loop_period: 250ms | log_level: DEBUG | bets: .data/agency-1.csv | ",
        served.address
    );
    assert!(log(&output)[0].starts_with(&first), "{output:?}");
    for field in log(&output)[0].split(" | ") {
        assert!(field.contains(": "), "{field}");
    }
    let sizes = |served: &Served| -> Vec<_> {
        served.bodies(1).iter().map(|body| Bets::read(body).unwrap().count()).collect()
    };
    assert_eq!(sizes(&served), [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);

    let other = Served::new(Office::default());
    let address = other.address.to_string();
    let environment = [("CLI_SERVER_ADDRESS", &*address), ("CLI_BATCH_MAXAMOUNT", "40")];
    let output = deployed(directory.path(), &["agency", "--batch-bets-max", "50"], &environment);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sizes(&other), [50, 45]);
}

#[test]
fn a_file_that_means_nothing_ends_it_with_a_word_on_how_to_mend_it() {
    let directory = tempdir().unwrap();
    fs::create_dir_all(directory.path().join("client")).unwrap();
    for (file, said) in [
        ("batch:\n  maxAmount: 0", "batch.maxAmount = \"0\" in client/config.yaml, line 2: is not"),
        ("batch:\n  maxAmount: many", "\"many\" in client/config.yaml, line 2: is not a number of"),
        ("batch:\n  maxAmount: [1]", "batch.maxAmount in client/config.yaml, line 2: is a list"),
        ("server:\n\taddress: a:1", "reading client/config.yaml: line 2: "),
    ] {
        fs::write(directory.path().join("client/config.yaml"), file).unwrap();
        let output = deployed(directory.path(), &["agency"], &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    // What looks at no file is not disturbed by it.
    let output = deployed(directory.path(), &["generate", "--output", "x", "--bets", "1"], &[]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_level_decides_what_is_logged() {
    for (level, shown) in [("debug", true), ("INFO", true), ("warning", false), ("Critical", false)]
    {
        let setting = Setting::new(Office::default(), &rows(1));
        let output = setting.agency(&["--log-level", level]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(!log(&output).is_empty(), shown, "{level}");
    }
}
