//! What was typed: help, usage errors, and where values come from.

use std::fs;
use std::process::Command;

use tempfile::tempdir;

use crate::office::{Office, count, field, serve, server_program};
use crate::process::{Ended, Process};

fn run(options: &[&str]) -> Ended {
    let mut command = server_program();
    command.args(options);
    Process::start(command).end()
}

#[test]
fn help_names_every_option_with_its_default() {
    for (command, parts) in HELP {
        let expected = parts.concat();
        let ended = run(&[command, "--help"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        // Behind a short name stands the long one: `-p, --port`.
        let options = ended.lines.iter().filter_map(|line| {
            let line = line.trim();
            let short = line.strip_prefix('-').and_then(|line| line.get(3..));
            line.strip_prefix("--").or(short?.strip_prefix("--"))
        });
        let named = options.map(|option| option.split_whitespace().next().unwrap());
        let named: Vec<&str> = named.filter(|name| *name != "help").collect();
        let all: Vec<&str> = expected.iter().map(|(name, _)| &name[2..]).collect();
        assert_eq!(named, all, "{command}");
        let joined = ended.lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        for (name, default) in expected {
            let with_value = joined.rsplit_once(&format!("{name} <"));
            let (_, of_option) = with_value.or(joined.rsplit_once(&format!("{name} "))).unwrap();
            let of_option = of_option.split(" --").next().unwrap();
            assert!(of_option.contains(default), "{name}: {of_option}");
        }
    }
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    let ended = run(&["--help"]);
    assert_eq!(ended.code, Some(0));
    let codes = "Exit codes: 0 success, 1 failure, 2 usage, 4 damaged ledger, 5 disk failed.";
    assert!(ended.lines.iter().any(|line| line == codes), "{:#?}", ended.lines);
}

type Help = (&'static str, &'static [&'static [(&'static str, &'static str)]]);

/// Every option, in the order of the help, with its default or what says that it has none.
const HELP: &[Help] = &[
    ("serve", &[SERVE, FILE_LIMITS, CONNECTIONS, TLS]),
    ("files", &[FILES, FILE_LIMITS, CONNECTIONS, TLS]),
    ("echo", &[ECHO, CONNECTIONS, TLS]),
    ("health", &[HEALTH]),
    ("export", &[EXPORT]),
    ("verify", &[&[("--data-dir", "The data directory"), ("--json", "One JSON object")]]),
    ("repair", &[REPAIR]),
];

const SERVE: &[(&str, &str)] = &[
    ("--listen", "[default: 127.0.0.1:12345]"),
    ("--listen-text", "[default port: 12346]"),
    ("--files", "[default port: 19500]"),
    ("--files-dir", "[default: DATA_DIR/published]"),
    ("--room", "[default port: 5001]"),
    ("--room-plaintext", "without TLS"),
    ("--room-capacity", "[default: 3]"),
    ("--room-history", "[default: 50]"),
    ("--room-queue", "[default: 256]"),
    ("--room-burst", "[default: 10]"),
    ("--room-refill", "[default: 200ms]"),
    ("--room-object-timeout", "[default: 60s]"),
    ("--tls-anyone", "who shows no certificate"),
    ("--data-dir", "[default: .data/central]"),
    ("--published", "[default: DATA_DIR/published]"),
    ("--agencies", "[default: 5]"),
    ("--winning-number", "[default: 7574]"),
    ("--max-packet", "[default: 64KiB]"),
    ("--max-unanswered", "[default: 64]"),
    ("--winners-unsent-max", "[default: 16MiB]"),
    ("--max-sessions-per-agency", "[default: 8]"),
    ("--remembered-max", "[default: 64MiB]"),
    ("--packet-timeout", "[default: 60s]"),
    ("--idle-timeout", "[default: 10m]"),
    ("--ledger-queue", "[default: 64MiB]"),
    ("--segment-size", "[default: 64MiB]"),
    ("--mark-delay", "[default: 100ms]"),
    ("--readers", "[default: as many as cores, at most 8]"),
    ("--linger-max", "[default: 1ms]"),
    ("--announce-delay", "[default: 0s]"),
    ("--publish-wait", "[default: 2s]"),
    ("--ignore-published", "contradict the ledger"),
];

const EXPORT: &[(&str, &str)] = &[
    ("--data-dir", "The data directory"),
    ("--output", "[default: stdout]"),
    ("--for-spreadsheets", "For reading only"),
];

const TLS: &[(&str, &str)] = &[
    ("--tls-cert", "PEM"),
    ("--tls-key", "PEM"),
    ("--tls-client-ca", "PEM"),
    ("--tls-handshake-timeout", "[default: 5s]"),
];

const FILES: &[(&str, &str)] = &[
    ("--listen", "instead of address and port"),
    ("--address", "[default: 0.0.0.0,"),
    ("--port", "[default: 19500]"),
    ("--datadir", "[default: testdata]"),
    ("--idle-timeout", "[default: 10m]"),
];

const FILE_LIMITS: &[(&str, &str)] = &[
    ("--max-command", "[default: 8MiB]"),
    ("--command-timeout", "[default: 60s]"),
    ("--max-listing", "[default: 2MiB]"),
    ("--listing-memory", "[default: 32MiB]"),
    ("--file-readers", "[default: 2]"),
];

const ECHO: &[(&str, &str)] = &[
    ("--listen", "[default: 127.0.0.1:12345]"),
    ("--max-line", "[default: 64KiB]"),
    ("--line-timeout", "[default: 60s]"),
];

const CONNECTIONS: &[(&str, &str)] = &[
    ("--driver", "[default: pool]"),
    ("--workers", "[default: as many as cores]"),
    ("--max-connections", "[default: 10000]"),
    ("--max-connections-per-address", "[default: all but 64 or a sixteenth,"),
    ("--ipv6-prefix-length", "[default: 64]"),
    ("--busy-delay", "[default: 1s]"),
    ("--max-output", "[default: 1MiB]"),
    ("--output-timeout", "[default: 60s]"),
    ("--peer-timeout", "[default: 30s]"),
    ("--drain-timeout", "[default: 5s]"),
    ("--backlog", "[default: 1024]"),
    ("--log-level", "[default: info]"),
    ("--config", "[default: server/config.ini, if it is there]"),
];

const HEALTH: &[(&str, &str)] = &[
    ("--listen", "[default: 127.0.0.1:12345]"),
    ("--timeout", "[default: 2s]"),
    ("--config", "[default: server/config.ini, if it is there]"),
];

const REPAIR: &[(&str, &str)] = &[
    ("--data-dir", "better a copy of it"),
    ("--output", "[default: none, only tell]"),
    ("--dry-run", "Only tell"),
    ("--agencies", "first group is lost"),
    ("--winning-number", "first group is lost"),
];

#[test]
fn what_means_nothing_is_a_usage_error_and_makes_nothing() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("data");
    for (options, said) in [
        (&["--winning-number", "10000"][..], &["--winning-number 10000", "0 to 9999"][..]),
        (&["--winning-number", "x"], &["--winning-number", "'x'"]),
        (&["--agencies", "65536"], &["--agencies 65536"]),
        (&["--driver", "fast"], &["--driver", "fast", "pool"]),
        (&["--max-packet", "2MiB"], &["--max-packet 2MiB", "1MiB"]),
        (&["--segment-size", "10KiB"], &["--segment-size", "bytes are needed"]),
        (&["--idle-timeout", "soon"], &["--idle-timeout soon", "250ms"]),
        (&["--listen", "127.0.0.1:x"], &["--listen 127.0.0.1:x", "port"]),
        (&["--config", "/nowhere/config.ini"], &["/nowhere/config.ini"]),
        (&["--speed", "high"], &["--speed"]),
    ] {
        let ended = Process::start(serve(&data_dir, options)).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for part in said {
            assert!(ended.stderr.contains(part), "{:?} does not say {part:?}", ended.stderr);
        }
        assert_eq!(ended.lines.len(), 0, "{ended:?}");
    }
    assert!(!data_dir.exists());
    for options in [&[][..], &["verify"], &["draw"]] {
        assert_eq!(run(options).code, Some(2));
    }
}

/// As deployments have it: the course's file, overridden by the environment, overridden by flags.
#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("config.ini");
    fs::write(&file, "[DEFAULT]\nSERVER_PORT = 0\nSERVER_LISTEN_BACKLOG = 5\nLOGGING_LEVEL = INFO")
        .unwrap();
    let start = |options: &[&str], environment: &[(&str, &str)]| {
        let mut command: Command = server_program();
        command.args(["serve", "--segment-size", "1MiB", "--config", file.to_str().unwrap()]);
        command.arg("--data-dir").arg(directory.path().join("data")).args(options);
        command.envs(environment.iter().copied());
        Process::start(command)
    };
    let backlog = |process: Process| {
        let office = Office::listening(process);
        let lines = office.stop().lines;
        assert_eq!(field(&lines[0], "port"), "0");
        field(&lines[0], "listen_backlog").to_owned()
    };
    let variable = ("SERVER_LISTEN_BACKLOG", "6");
    assert_eq!(backlog(start(&[], &[])), "5");
    assert_eq!(backlog(start(&[], &[variable])), "6");
    assert_eq!(backlog(start(&["--backlog", "7"], &[variable])), "7");
    let ended = start(&[], &[("LOGGING_LEVEL", "loud")]).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("LOGGING_LEVEL = \"loud\" in the environment"), "{ended:?}");
}

#[test]
fn the_level_decides_what_is_logged() {
    for (level, levels) in [("debug", 2), ("WARNING", 0), ("error", 0), ("Critical", 0)] {
        let directory = tempdir().unwrap();
        let port = crate::office::Port::reserve();
        let listen = port.address().to_string();
        let mut process =
            Process::start(serve(directory.path(), &["--listen", &listen, "--log-level", level]));
        if level == "debug" {
            process.wait_for("action: listen");
            let mut wire = crate::wire::Wire::connect(port.address());
            wire.exchange(&crate::wire::packet(3, "0#"), &crate::wire::ACK);
            process.wait_for("action: accept");
        } else {
            // What is logged with the group of a record is no exception.
            let mut wire = crate::stdout::connect_when_it_listens(&port);
            wire.exchange(&crate::wire::packet(5, "1#"), &crate::wire::ACK);
        }
        process.signal(rustix::process::Signal::TERM);
        let ended = process.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let seen = ["DEBUG ", "INFO "].iter().filter(|level| count(&ended.lines, level) > 0);
        assert_eq!(seen.count(), levels, "{level}: {ended:?}");
    }
}
