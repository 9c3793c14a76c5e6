//! What every command that works for an agency is told, by the names that deployments use.

use std::path::Path;
use std::time::Duration;

use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_protocol::list::parse_number;
use bolillero_protocol::log_line;
use log::LevelFilter;

use super::sources::{Environment, Key, Sources, read_file};
use super::{
    CONNECT_TIMEOUT_DEFAULT, RESOLVE_TIMEOUT_DEFAULT, Tls, UsageError, address, deadline, time,
    time_flag, yaml,
};
use crate::args::{ClientArgs, ServerArgs};
use crate::connect::{Address, AddressSource, Listener, Office, Pauses};

/// The file that is read when none is named, if it is there.
pub const CONFIG_FILE_DEFAULT: &str = "client/config.yaml";
/// The most messages of a loop.
pub const LOOP_AMOUNT_MAX: u32 = 1_000_000_000;

/// The values where no source has one.
const SERVER_DEFAULT: &str = "127.0.0.1:12345";
const LOOP_AMOUNT_DEFAULT: u32 = 5;

const ID: Key = Key { option: "id", variable: "CLI_ID", file: None };
const SERVER: Key =
    Key { option: "server", variable: "CLI_SERVER_ADDRESS", file: Some("server.address") };
const LOG_LEVEL: Key =
    Key { option: "log-level", variable: "CLI_LOG_LEVEL", file: Some("log.level") };
const CONNECT_TIMEOUT: Key =
    Key { option: "connect-timeout", variable: "CLI_CONNECT_TIMEOUT", file: None };
const LOOP_AMOUNT: Key =
    Key { option: "amount", variable: "CLI_LOOP_AMOUNT", file: Some("loop.amount") };
const LOOP_PERIOD: Key =
    Key { option: "period", variable: "CLI_LOOP_PERIOD", file: Some("loop.period") };

/// Whom to work for, where, and how patiently.
#[derive(Debug)]
pub struct ClientConfig {
    /// The agency's number.
    pub id: u32,
    /// Where the office is, and how long to wait for it.
    pub office: Office,
    /// How many messages `bolillero echo` sends.
    pub loop_amount: u32,
    /// Its pause between two.
    pub loop_period: Period,
    /// What is logged.
    pub log_level: LogLevel,
}

/// A pause, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// How long it is.
    pub time: Duration,
    written: String,
}

/// The least severe lines shown, and how that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel {
    /// What is shown.
    pub filter: LevelFilter,
    written: String,
}

/// What was typed for the loop, where that can be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoopOptions<'a> {
    pub(super) amount: Option<&'a str>,
    pub(super) period: Option<&'a str>,
}

impl ClientConfig {
    /// What the options mean beside `sources`. `sought` is what is looked for at the address.
    pub(super) fn new(
        args: &ClientArgs,
        sought: Listener,
        typed: LoopOptions<'_>,
        sources: &Sources<'_>,
    ) -> Result<Self, UsageError> {
        let id = sources.get(&ID, args.id.as_deref(), agency)?.ok_or_else(|| UsageError {
            setting: "no agency is named".to_owned(),
            problem: "give its number with --id N or in CLI_ID".to_owned(),
        })?;
        let amount = sources.get(&LOOP_AMOUNT, typed.amount, loop_amount)?;
        let period = sources.get(&LOOP_PERIOD, typed.period, Period::parse)?;
        let connect = sources.get(&CONNECT_TIMEOUT, args.connect_timeout.as_deref(), deadline)?;
        let (server, source) = server(&args.server, sources)?;
        Ok(Self {
            id,
            office: Office {
                tls: Tls::new(&args.server.tls, &server)?,
                server,
                source,
                sought,
                connect_timeout: connect.unwrap_or(CONNECT_TIMEOUT_DEFAULT),
                resolve_timeout: connect.unwrap_or(RESOLVE_TIMEOUT_DEFAULT),
                reply_timeout: time_flag("reply-timeout", &args.reply_timeout)?,
                peer_timeout: time_flag("peer-timeout", &args.peer_timeout)?,
                pauses: Pauses::default(),
            },
            loop_amount: amount.unwrap_or(LOOP_AMOUNT_DEFAULT),
            loop_period: period.unwrap_or_default(),
            log_level: log_level(&args.server, sources)?,
        })
    }

    /// Its fields in the first log line, which deployed tools read: nothing may come before or
    /// between them.
    #[must_use]
    pub fn log_fields(&self) -> String {
        format!(
            "client_id: {} | server_address: {} | loop_amount: {} | loop_period: {} \
             | log_level: {}",
            self.id,
            log_line::value(&self.office.server.to_string()),
            self.loop_amount,
            log_line::value(&self.loop_period.written),
            log_line::value(&self.log_level.written),
        )
    }
}

/// The environment, and the file that is named or there.
pub(super) fn sources<'a>(
    args: &ServerArgs,
    environment: &'a Environment<'a>,
) -> Result<Sources<'a>, UsageError> {
    let default = Path::new(CONFIG_FILE_DEFAULT);
    let path = args.config.as_deref().or_else(|| default.exists().then_some(default));
    let file = path.map(|path| read_file(path, yaml::read)).transpose()?;
    Ok(Sources { environment, file })
}

/// The server's address, and where that was found.
pub(super) fn server(
    args: &ServerArgs,
    sources: &Sources<'_>,
) -> Result<(Address, AddressSource), UsageError> {
    let typed = args.server.as_deref();
    let Some(found) = sources.find(&SERVER, typed)? else {
        return Ok((address(SERVER_DEFAULT).expect("is an address"), AddressSource::Default));
    };
    let source = match typed {
        Some(_) => AddressSource::Typed("--server"),
        None => AddressSource::Setting(found.place().to_owned()),
    };
    address(&found.text).map(|address| (address, source)).map_err(|problem| found.wrong(problem))
}

pub(super) fn log_level(args: &ServerArgs, sources: &Sources<'_>) -> Result<LogLevel, UsageError> {
    let found = sources.get(&LOG_LEVEL, args.log_level.as_deref(), LogLevel::parse)?;
    Ok(found.unwrap_or_default())
}

fn agency(text: &str) -> Result<u32, String> {
    let id = parse_number(text).filter(|id| (1..=AGENCIES_MAX).contains(id));
    id.ok_or_else(|| format!("an agency's number is 1 to {AGENCIES_MAX}"))
}

fn loop_amount(text: &str) -> Result<u32, String> {
    let amount = parse_number(text).filter(|amount| *amount <= LOOP_AMOUNT_MAX);
    amount.ok_or_else(|| format!("is not a number of messages, 0 to {LOOP_AMOUNT_MAX}"))
}

impl Default for Period {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), written: "5s".to_owned() }
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self { filter: LevelFilter::Info, written: "INFO".to_owned() }
    }
}

impl Period {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { time: time(text)?, written: text.to_owned() })
    }
}

impl LogLevel {
    fn parse(text: &str) -> Result<Self, String> {
        let filter = match text.to_ascii_lowercase().as_str() {
            "debug" => LevelFilter::Debug,
            "info" => LevelFilter::Info,
            "warning" | "warn" => LevelFilter::Warn,
            "error" | "critical" => LevelFilter::Error,
            _ => return Err("is not debug, info, warning, error or critical".to_owned()),
        };
        Ok(Self { filter, written: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use clap::Parser as _;

    use super::super::{AgencyConfig, EchoConfig};
    use super::*;
    use crate::args::{Args, Command};

    const FILE: &str = "server:\n  address: \"file:1\"\nloop:\n  amount: 11\n  period: \"1s\"\n\
        log:\n  level: \"WARNING\"\nbatch:\n  maxAmount: 101";
    const ENVIRONMENT: &[(&str, &str)] = &[
        ("CLI_ID", "2"),
        ("CLI_SERVER_ADDRESS", "environment:2"),
        ("CLI_LOOP_AMOUNT", "12"),
        ("CLI_LOOP_PERIOD", "250ms"),
        ("CLI_LOG_LEVEL", "debug"),
        ("CLI_BATCH_MAXAMOUNT", "102"),
    ];
    const FLAGS: &str = "--id 3 --server flag:3 --log-level ERROR";

    fn find(environment: &[(&str, &str)], name: &str) -> Option<OsString> {
        environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
    }

    /// What is typed, with a file where there is one. No other is there.
    fn typed(options: &str, file: Option<&str>) -> (Command, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        let mut typed: Vec<_> =
            ["bolillero"].into_iter().chain(options.split_whitespace()).collect();
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            typed.extend(["--config", path.to_str().unwrap()]);
        }
        (Args::try_parse_from(typed).unwrap().command, directory)
    }

    fn agency(
        options: &str,
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<AgencyConfig, String> {
        let (command, _directory) = typed(&format!("agency {options}"), file);
        let Command::Agency(args) = command else { panic!("not agency") };
        AgencyConfig::new(args, &|name| find(environment, name)).map_err(|error| error.to_string())
    }

    fn echo(options: &str, environment: &[(&str, &str)], file: Option<&str>) -> String {
        let (command, _directory) = typed(&format!("echo {options}"), file);
        let Command::Echo(args) = command else { panic!("not echo") };
        EchoConfig::new(&args, &|name| find(environment, name)).unwrap().client.log_fields()
    }

    fn fields(id: u32, server: &str, amount: u32, period: &str, level: &str) -> String {
        format!(
            "client_id: {id} | server_address: {server} | loop_amount: {amount} | \
             loop_period: {period} | log_level: {level}"
        )
    }

    #[test]
    fn a_flag_is_before_the_environment_before_the_file_before_the_default() {
        let default = fields(1, "127.0.0.1:12345", 5, "5s", "INFO");
        let file = fields(1, "file:1", 11, "1s", "WARNING");
        let environment = fields(2, "environment:2", 12, "250ms", "debug");
        let rows = [
            ("--id 1", &[][..], None, default, None),
            ("--id 1", &[], Some(FILE), file, Some(101)),
            ("", ENVIRONMENT, None, environment.clone(), Some(102)),
            ("", ENVIRONMENT, Some(FILE), environment, Some(102)),
            (FLAGS, ENVIRONMENT, Some(FILE), fields(3, "flag:3", 12, "250ms", "ERROR"), Some(102)),
            (
                "--batch-bets-max 103",
                ENVIRONMENT,
                Some(FILE),
                fields(2, "environment:2", 12, "250ms", "debug"),
                Some(103),
            ),
            // Each value has its own source.
            (
                "--server flag:3",
                &ENVIRONMENT[..1],
                Some(FILE),
                fields(2, "flag:3", 11, "1s", "WARNING"),
                Some(101),
            ),
        ];
        for (options, environment, file, logged, bets_max) in rows {
            let config = agency(options, environment, file).unwrap();
            assert_eq!(config.client.log_fields(), logged, "{options:?} {environment:?} {file:?}");
            assert_eq!(config.limits.bets_max.map(std::num::NonZero::get), bets_max);
        }
        let looped = echo("--amount 0 --period 1h30m", ENVIRONMENT, Some(FILE));
        assert_eq!(looped, fields(2, "environment:2", 0, "1h30m", "debug"));
    }

    #[test]
    fn a_name_that_does_not_resolve_is_given_less_time_unless_one_is_asked_for() {
        let asked = ("CLI_CONNECT_TIMEOUT", "3m");
        for (options, environment, connect, resolve) in [
            ("--id 1", &[][..], 120, 10),
            ("--id 1", &[asked], 180, 180),
            ("--id 1 --connect-timeout 2m", &[asked], 120, 120),
            ("--id 1 --connect-timeout 5s", &[], 5, 5),
        ] {
            let office = agency(options, environment, None).unwrap().client.office;
            let times = [office.connect_timeout, office.resolve_timeout];
            assert_eq!(times, [connect, resolve].map(Duration::from_secs), "{options}");
        }
        let error = agency("--id 1", &[("CLI_CONNECT_TIMEOUT", "0s")], None).unwrap_err();
        let said = "CLI_CONNECT_TIMEOUT = \"0s\" in the environment: is not 1ms to 24h";
        assert_eq!(error, said);
    }

    #[test]
    fn a_file_is_taken_as_deployments_have_it() {
        let rows = [
            ("", "127.0.0.1:12345", None),
            ("unknown: 1\nserver:\n  address: a:1\n  other: [x]\n", "a:1", None),
            ("\u{feff}server: {address: 'a:1'}\r\nbatch: {maxAmount: \"7\"}", "a:1", Some(7)),
            ("server:\nbatch:\n  maxAmount: 1\n", "127.0.0.1:12345", Some(1)),
            ("batch:\n  maxamount: 7\n", "127.0.0.1:12345", None),
        ];
        for (file, server, bets_max) in rows {
            let config = agency("--id 1", &[], Some(file)).unwrap();
            assert_eq!(config.client.office.server.to_string(), server, "{file:?}");
            assert_eq!(config.limits.bets_max.map(std::num::NonZero::get), bets_max, "{file:?}");
        }
        let committed = include_str!("../../config.yaml");
        let config = agency("--id 1", &[], Some(committed)).unwrap();
        assert_eq!(config.client.log_fields(), fields(1, "server:12345", 5, "5s", "INFO"));
        assert_eq!(config.limits.bets_max.map(std::num::NonZero::get), Some(100));
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_its_name_its_value_and_its_source() {
        let cases = [
            ("CLI_ID", "", &["0", "65536", "-1", "one", ""][..]),
            ("CLI_SERVER_ADDRESS", "server.address", &["nowhere", "a:0", ":1", ""]),
            ("CLI_LOOP_AMOUNT", "loop.amount", &["many", "-1", "1.5", "1000000001", ""]),
            ("CLI_LOOP_PERIOD", "loop.period", &["5", "soon", "25h", ""]),
            ("CLI_LOG_LEVEL", "log.level", &["loud", "5", ""]),
            ("CLI_BATCH_MAXAMOUNT", "batch.maxAmount", &["0", "many", "-1", ""]),
        ];
        for (variable, key, values) in cases {
            for value in values {
                let environment = [(variable, *value), ("CLI_ID", "1")];
                let error = agency("", &environment, Some(FILE)).unwrap_err();
                let named = format!("{variable} = {value:?} in the environment: ");
                assert!(error.starts_with(&named) && error.len() > named.len(), "{error}");
                let Some((section, name)) = key.split_once('.') else { continue };
                let file = format!("{section}:\n  {name}: {value}\n");
                let error = agency("--id 1", &[], Some(&file)).unwrap_err();
                assert!(error.starts_with(&format!("{key} = {value:?} in /")), "{error}");
                assert!(error.contains("config.yaml, line 2: "), "{error}");
            }
        }
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_told_with_what_it_is_and_what_to_write() {
        let rows = [
            ("batch:\n  maxAmount: [1, 2]\n", "batch.maxAmount in ", "line 2: is a list, not one"),
            ("batch:\n  maxAmount:\n    - 1\n", "batch.maxAmount in ", "is a list, not one value"),
            ("batch: 7\n", "batch in ", "line 1: is no section: write `maxAmount: VALUE` indented"),
            ("server:\n  - address: a:1\n", "server in ", "is no section: write `address: VALUE`"),
            ("loop:\n  amount: {n: 5}\n", "loop.amount in ", "is a section, not one value"),
            ("log:\n  level: &l INFO\nbatch:\n  maxAmount: *l\n", "batch.", "is an alias, not one"),
            ("batch:\n\tmaxAmount: 7\n", "reading /", "line 2: "),
            ("- batch\n", "reading /", "line 1: is not KEY: VALUE"),
        ];
        for (file, begin, said) in rows {
            let error = agency("--id 1", &[], Some(file)).unwrap_err();
            assert!(error.starts_with(begin) && error.contains(said), "{file:?}: {error}");
        }
        let error = agency("--id 1 --config /nowhere/config.yaml", &[], None).unwrap_err();
        assert!(error.starts_with("reading /nowhere/config.yaml: No such file"), "{error}");
        let long = "#".repeat(usize::try_from(super::super::FILE_SIZE_MAX).unwrap() + 1);
        let error = agency("--id 1", &[], Some(&long)).unwrap_err();
        assert!(error.contains("is longer than 65536 bytes"), "{error}");
    }

    #[test]
    fn an_agency_has_to_be_named_and_its_file_of_bets_follows_from_its_name() {
        let error = agency("", &ENVIRONMENT[1..], Some(FILE)).unwrap_err();
        assert!(error.contains("--id N") && error.contains("CLI_ID"), "{error}");
        let config = agency("", ENVIRONMENT, None).unwrap();
        assert_eq!(config.bets, Path::new(".data/agency-2.csv"));
        let config = agency("--bets x.csv", ENVIRONMENT, None).unwrap();
        assert_eq!(config.bets, Path::new("x.csv"));
    }

    #[test]
    fn a_variable_that_is_no_text_is_told() {
        let (command, _directory) = typed("agency", None);
        let Command::Agency(args) = command else { panic!("not agency") };
        let environment = |_: &str| Some(OsString::from_vec(vec![0xff]));
        let error = AgencyConfig::new(args, &environment).unwrap_err();
        assert_eq!(error.to_string(), "CLI_ID in the environment: is not UTF-8");
    }
}
