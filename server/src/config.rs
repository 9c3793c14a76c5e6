//! What the options, the environment and the file mean, checked before a socket or a ledger is
//! opened. Every error names the value and where it came from.
//!
//! Flag > environment > file > default. `SERVER_IP` is the name clients know the server by, not an
//! address to bind: it is not looked at.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bolillero_protocol::bet::{AGENCIES_MAX, Number};
use bolillero_protocol::tlv::REQUEST_LENGTH_MAX;
use configparser::ini::Ini;
use log::LevelFilter;

use crate::args::ServeArgs;
use crate::driver::Driver;
use crate::ledger::Sizes;
use crate::ledger::committer::Pace;
use crate::limits::Limits;
use crate::lottery::session::SessionLimits;
use crate::lottery::winners::readers_default;

/// The file that is read when none is named, if it is there.
pub const CONFIG_FILE_DEFAULT: &str = "server/config.ini";
/// The port where nothing names one.
pub const PORT_DEFAULT: u16 = 12345;
/// The backlog where nothing names one.
pub const BACKLOG_DEFAULT: i32 = 1024;
/// The most workers that can be asked for.
pub const WORKERS_MAX: usize = 1024;
/// The most readers that can be asked for.
pub const READERS_MAX: usize = 64;
/// The shortest deadline that can be asked for: what checks them is not finer.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// The longest time that can be asked for.
pub const TIME_MAX: Duration = Duration::from_hours(366 * 24);
/// The longest `--peer-timeout`: the kernel probes a silent peer after 32,767 seconds at most.
pub const PEER_TIMEOUT_MAX: Duration = Duration::from_hours(12);

/// All that a server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections that the kernel keeps waiting.
    pub backlog: i32,
    /// Where the ledger and the published results are.
    pub data_dir: PathBuf,
    /// How many agencies the draw has.
    pub agencies: u32,
    /// The number that wins.
    pub winning_number: Number,
    /// Where connections are turned.
    pub driver: Driver,
    /// The limits of all connections.
    pub limits: Limits,
    /// The limits of the lottery's sessions.
    pub session: SessionLimits,
    /// Bytes queued for the ledger.
    pub ledger_queue_bytes_max: usize,
    /// Bytes of a ledger file.
    pub segment_size: u64,
    /// How long the committer waits for what.
    pub pace: Pace,
    /// Threads that read the ledger for the winners.
    pub readers: usize,
    /// How long the draw's answers wait after its log line.
    pub announce_delay: Duration,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Its name, as it is logged at start.
    pub log_level_name: &'static str,
}

impl Config {
    /// Finds out what was meant. `environment` gives the value of a variable.
    ///
    /// # Errors
    /// The first value that means nothing, and where it came from.
    pub fn new(
        args: &ServeArgs,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let file = read_file(args.config.as_deref())?;
        let sources = Sources { environment: &environment, file };
        let port = sources.get("SERVER_PORT", parse_port)?.unwrap_or(PORT_DEFAULT);
        let file_backlog = sources.get("SERVER_LISTEN_BACKLOG", parse_backlog)?;
        let file_level = sources.get("LOGGING_LEVEL", parse_level)?;
        let flag_level = args.log_level.as_deref().map(|text| flag("log-level", text, parse_level));
        let (log_level, log_level_name) =
            flag_level.transpose()?.or(file_level).unwrap_or((LevelFilter::Info, "INFO"));
        let config = Self {
            listen: parse_listen(args.listen.as_deref().unwrap_or("127.0.0.1"), port)?,
            backlog: args.backlog.or(file_backlog).unwrap_or(BACKLOG_DEFAULT),
            data_dir: args.data_dir.clone(),
            agencies: args.agencies,
            winning_number: Number::new(args.winning_number).with_context(|| {
                format!("--winning-number {}: not 0 to 9999", args.winning_number)
            })?,
            driver: args.driver,
            limits: driver_limits(args)?,
            session: session_limits(args)?,
            ledger_queue_bytes_max: size_flag("ledger-queue", &args.ledger_queue)?,
            segment_size: size_flag("segment-size", &args.segment_size)?,
            pace: Pace {
                mark_delay: time_flag("mark-delay", &args.mark_delay)?,
                linger_time_max: time_flag("linger-max", &args.linger_max)?,
            },
            readers: readers(args)?,
            announce_delay: time_flag("announce-delay", &args.announce_delay)?,
            log_level,
            log_level_name,
        };
        config.check(args)?;
        Ok(config)
    }

    /// The sizes that decide about room in the ledger.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            segment: self.segment_size,
            batch_body_max: u64::from(self.session.packet_length_max),
            agencies: self.agencies,
        }
    }

    fn check(&self, args: &ServeArgs) -> anyhow::Result<()> {
        ensure!(self.agencies <= AGENCIES_MAX, "--agencies {}: not 0 to 65535", self.agencies);
        ensure!((1..=65_535).contains(&self.backlog), "--backlog {}: not 1 to 65535", self.backlog);
        let segment_size_min = self.sizes().segment_size_min();
        ensure!(
            self.segment_size >= segment_size_min,
            "--segment-size {}: at least {segment_size_min} bytes are needed for {} agencies and --max-packet {}",
            args.segment_size,
            args.agencies,
            args.max_packet,
        );
        ensure!(self.ledger_queue_bytes_max > 0, "--ledger-queue 0: nothing could be stored");
        Ok(())
    }
}

fn readers(args: &ServeArgs) -> anyhow::Result<usize> {
    let readers = args.readers.unwrap_or_else(readers_default);
    ensure!((1..=READERS_MAX).contains(&readers), "--readers {readers}: not 1 to {READERS_MAX}");
    Ok(readers)
}

fn driver_limits(args: &ServeArgs) -> anyhow::Result<Limits> {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = args.workers.unwrap_or_else(cores);
    ensure!((1..=WORKERS_MAX).contains(&workers), "--workers {workers}: not 1 to {WORKERS_MAX}");
    ensure!(args.max_connections > 0, "--max-connections 0: nobody could connect");
    let connections_per_address_max =
        args.max_connections_per_address.unwrap_or(args.max_connections);
    ensure!(
        connections_per_address_max > 0,
        "--max-connections-per-address 0: nobody could connect"
    );
    let peer_time_max = deadline_flag("peer-timeout", &args.peer_timeout)?;
    ensure!(
        peer_time_max <= PEER_TIMEOUT_MAX,
        "--peer-timeout {}: more than 12h",
        args.peer_timeout
    );
    Ok(Limits {
        workers,
        connections_max: args.max_connections,
        connections_per_address_max,
        output_bytes_max: output_bytes_max(args)?,
        output_time_max: deadline_flag("output-timeout", &args.output_timeout)?,
        drain_time_max: time_flag("drain-timeout", &args.drain_timeout)?,
        peer_time_max,
        busy_time: time_flag("busy-delay", &args.busy_delay)?,
        ..Limits::default()
    })
}

fn session_limits(args: &ServeArgs) -> anyhow::Result<SessionLimits> {
    let packet_length_max: u32 = size_flag("max-packet", &args.max_packet)?;
    ensure!(
        (1..=REQUEST_LENGTH_MAX).contains(&packet_length_max),
        "--max-packet {}: not 1 byte to 1MiB",
        args.max_packet
    );
    ensure!(args.max_unanswered > 0, "--max-unanswered 0: nothing could be asked");
    Ok(SessionLimits {
        packet_length_max,
        packet_time_max: deadline_flag("packet-timeout", &args.packet_timeout)?,
        idle_time_max: deadline_flag("idle-timeout", &args.idle_timeout)?,
        unanswered_max: args.max_unanswered,
        output_bytes_max: output_bytes_max(args)?,
    })
}

fn output_bytes_max(args: &ServeArgs) -> anyhow::Result<usize> {
    let bytes_max = size_flag("max-output", &args.max_output)?;
    ensure!(bytes_max > 0, "--max-output 0: nothing could be answered");
    Ok(bytes_max)
}

/// Environment and file: the values that deployments set without touching the command line.
struct Sources<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<(PathBuf, Ini)>,
}

impl Sources<'_> {
    /// A key's value, from the environment or else from the file.
    fn get<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let (text, source) = if let Some(text) = (self.environment)(key) {
            (text, "the environment".to_owned())
        } else if let Some((path, ini)) = &self.file
            && let Some(text) = ini.get("DEFAULT", key)
        {
            (text, path.display().to_string())
        } else {
            return Ok(None);
        };
        let parsed = parse(text.trim());
        parsed.map(Some).with_context(|| format!("{key} = {text:?} in {source}"))
    }
}

fn read_file(named: Option<&Path>) -> anyhow::Result<Option<(PathBuf, Ini)>> {
    let path = named.unwrap_or(Path::new(CONFIG_FILE_DEFAULT));
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let mut ini = Ini::new_cs();
    ini.set_default_section("DEFAULT");
    if let Err(error) = ini.load(path) {
        bail!("reading {}: {error}", path.display());
    }
    Ok(Some((path.to_owned(), ini)))
}

fn parse_listen(text: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let resolve = || {
        let (host, port) = split_host(text, port)?;
        ensure!(!host.is_empty(), "no host");
        (host, port).to_socket_addrs()?.next().context("the name has no address")
    };
    resolve().with_context(|| format!("--listen {text}: not HOST or HOST:PORT"))
}

/// Host and port of `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT`.
fn split_host(text: &str, port: u16) -> anyhow::Result<(&str, u16)> {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, parse_port(digits)?)),
            None if rest.is_empty() => Ok((host, port)),
            None => bail!("{rest:?} behind the address"),
        };
    }
    match text.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') => Ok((host, parse_port(digits)?)),
        _ => Ok((text, port)),
    }
}

fn parse_port(text: &str) -> anyhow::Result<u16> {
    text.parse().ok().context("not a port, 0 to 65535")
}

fn parse_backlog(text: &str) -> anyhow::Result<i32> {
    let backlog = text.parse().ok().filter(|backlog| (1..=65_535).contains(backlog));
    backlog.context("not a number of connections, 1 to 65535")
}

/// The level, and the name under which deployed tools know it. There are no critical lines of our
/// own: what ends the server is logged as an error and must be seen.
fn parse_level(text: &str) -> anyhow::Result<(LevelFilter, &'static str)> {
    match text.to_ascii_uppercase().as_str() {
        "DEBUG" => Ok((LevelFilter::Debug, "DEBUG")),
        "INFO" => Ok((LevelFilter::Info, "INFO")),
        "WARNING" | "WARN" => Ok((LevelFilter::Warn, "WARNING")),
        "ERROR" => Ok((LevelFilter::Error, "ERROR")),
        "CRITICAL" => Ok((LevelFilter::Error, "CRITICAL")),
        _ => bail!("not debug, info, warning, error or critical"),
    }
}

fn flag<T>(name: &str, text: &str, parse: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    parse(text).with_context(|| format!("--{name} {text}"))
}

fn time_flag(name: &str, text: &str) -> anyhow::Result<Duration> {
    let parse = |text: &str| humantime::parse_duration(text).ok().filter(|time| *time <= TIME_MAX);
    flag(name, text, |text| parse(text).context("not a time like 250ms, 60s or 10m, up to a year"))
}

/// A time after which a connection is closed.
fn deadline_flag(name: &str, text: &str) -> anyhow::Result<Duration> {
    let time = time_flag(name, text)?;
    ensure!(time >= TIMEOUT_MIN, "--{name} {text}: at least 10ms");
    Ok(time)
}

fn size_flag<T: TryFrom<u64>>(name: &str, text: &str) -> anyhow::Result<T> {
    let size =
        flag(name, text, |text| parse_size(text).context("not a size like 512, 64KiB or 1MiB"))?;
    T::try_from(size).ok().with_context(|| format!("--{name} {text}: too large"))
}

/// A number of bytes: plain, or in KiB, MiB or GiB.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    /// What is meant by options, environment and file. No file: none was named, and none is there.
    fn config(
        options: &str,
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("config.ini");
        let typed = format!("bolillero-server serve {options}");
        let mut typed: Vec<&str> = typed.split_whitespace().collect();
        if let Some(text) = file {
            std::fs::write(&path, text)?;
            typed.extend(["--config", path.to_str().expect("a temporary directory")]);
        }
        let Command::Serve(args) = Cli::try_parse_from(typed)?.command else { bail!("not serve") };
        let find = |name: &str| environment.iter().find(|(key, _)| *key == name);
        Config::new(&args, |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    const FILE: &str = "[DEFAULT]\nSERVER_PORT = 1001\nSERVER_IP = server\n\
        SERVER_LISTEN_BACKLOG = 11\nLOGGING_LEVEL = WARNING\nSOMETHING_ELSE = x";
    const ENVIRONMENT: &[(&str, &str)] =
        &[("SERVER_PORT", "1002"), ("SERVER_LISTEN_BACKLOG", "12"), ("LOGGING_LEVEL", "error")];
    const FLAGS: &str = "--listen 127.0.0.1:1003 --backlog 13 --log-level Debug";

    #[test]
    fn a_flag_is_before_the_environment_before_the_file_before_the_default() {
        let rows = [
            ("", &[][..], None, 12345, 1024, "INFO"),
            ("", &[], Some(FILE), 1001, 11, "WARNING"),
            ("", ENVIRONMENT, None, 1002, 12, "ERROR"),
            ("", ENVIRONMENT, Some(FILE), 1002, 12, "ERROR"),
            (FLAGS, ENVIRONMENT, Some(FILE), 1003, 13, "DEBUG"),
            (FLAGS, &[], None, 1003, 13, "DEBUG"),
            // Each value has its own source.
            ("--backlog 13", &ENVIRONMENT[..1], Some(FILE), 1002, 13, "WARNING"),
        ];
        for (options, environment, file, port, backlog, level) in rows {
            let config = config(options, environment, file).unwrap();
            let found = (config.listen.port(), config.backlog, config.log_level_name);
            assert_eq!(found, (port, backlog, level), "{options:?} {environment:?} {file:?}");
        }
    }

    #[test]
    fn a_file_is_taken_as_deployments_have_it() {
        let rows = [
            ("[DEFAULT]\nSERVER_PORT = 7\n", 7),
            ("[DEFAULT]\nSERVER_PORT = 7", 7),
            ("[DEFAULT]\r\nSERVER_PORT=7\r\n", 7),
            ("SERVER_PORT = 7\n", 7),
            ("# a comment\n[DEFAULT]\n; another\nSERVER_PORT: 7\n", 7),
            ("[DEFAULT]\nSERVER_PORT = 0\n", 0),
            ("[OTHER]\nSERVER_PORT = 7\n", PORT_DEFAULT),
            ("[DEFAULT]\nUNKNOWN = 7\n", PORT_DEFAULT),
            ("", PORT_DEFAULT),
        ];
        for (file, port) in rows {
            assert_eq!(config("", &[], Some(file)).unwrap().listen.port(), port, "{file:?}");
        }
    }

    #[test]
    fn addresses_are_host_or_host_and_port() {
        let rows = [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1", "127.0.0.1:1002"),
            ("0.0.0.0", "0.0.0.0:1002"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:1002"),
            ("::1", "[::1]:1002"),
            ("::", "[::]:1002"),
        ];
        for (typed, meant) in rows {
            let config = config(&format!("--listen {typed}"), &ENVIRONMENT[..1], None).unwrap();
            assert_eq!(config.listen.to_string(), meant, "{typed}");
        }
        let localhost = config("--listen localhost:9", &[], None).unwrap().listen;
        assert!(localhost.ip().is_loopback() && localhost.port() == 9, "{localhost}");
    }

    #[test]
    fn levels_are_taken_in_any_case() {
        let rows = [
            ("debug", LevelFilter::Debug, "DEBUG"),
            ("Info", LevelFilter::Info, "INFO"),
            ("WARNING", LevelFilter::Warn, "WARNING"),
            ("warn", LevelFilter::Warn, "WARNING"),
            ("error", LevelFilter::Error, "ERROR"),
            ("cRITICAL", LevelFilter::Error, "CRITICAL"),
        ];
        for (typed, level, name) in rows {
            let config = config("", &[("LOGGING_LEVEL", typed)], None).unwrap();
            assert_eq!((config.log_level, config.log_level_name), (level, name));
        }
    }

    #[test]
    fn what_means_nothing_is_told_with_its_name_its_value_and_its_source() {
        let in_file = |line: &str| format!("[DEFAULT]\n{line}\n");
        for (key, value) in [
            ("SERVER_PORT", "65536"),
            ("SERVER_PORT", "-1"),
            ("SERVER_PORT", "http"),
            ("SERVER_LISTEN_BACKLOG", "0"),
            ("SERVER_LISTEN_BACKLOG", "65536"),
            ("SERVER_LISTEN_BACKLOG", "many"),
            ("LOGGING_LEVEL", "loud"),
        ] {
            let named = format!("{key} = {value:?} in ");
            let error = config("", &[(key, value)], Some(FILE)).unwrap_err();
            assert!(format!("{error:#}").starts_with(&format!("{named}the environment: not ")));
            let file = in_file(&format!("{key} = {value}"));
            let error = format!("{:#}", config("", &[], Some(&file)).unwrap_err());
            assert!(error.starts_with(&named), "{error}");
            assert!(error.contains("config.ini: not "), "{error}");
        }
        let error = config("--config /nowhere/config.ini", &[], None).unwrap_err();
        assert!(error.to_string().starts_with("reading /nowhere/config.ini: "), "{error}");
    }

    #[test]
    fn a_flag_that_means_nothing_is_told_with_its_value() {
        for (flag, values) in [
            ("--listen", &["127.0.0.1:65536", "127.0.0.1:", ":80", "[::1]80", "[::1]:x"][..]),
            ("--agencies", &["65536"]),
            ("--winning-number", &["10000", "65535"]),
            ("--workers", &["0", "1025"]),
            ("--max-connections", &["0"]),
            ("--max-connections-per-address", &["0"]),
            ("--max-packet", &["0", "1025KiB", "2MiB", "x", "1kb", "64 K", ""]),
            ("--max-output", &["0", "x"]),
            ("--max-unanswered", &["0"]),
            ("--ledger-queue", &["0", "x", "99999999999999999999", "99999999999GiB"]),
            ("--segment-size", &["0", "64KiB", "x"]),
            ("--backlog", &["0", "65536"]),
            ("--packet-timeout", &["0s", "9ms", "60", "x", "300000000000years"]),
            ("--idle-timeout", &["0s", "x", "367days"]),
            ("--output-timeout", &["0s", "x"]),
            ("--peer-timeout", &["0s", "x", "13h"]),
            ("--drain-timeout", &["x", "5"]),
            ("--busy-delay", &["x"]),
            ("--mark-delay", &["x"]),
            ("--linger-max", &["x", "1"]),
            ("--readers", &["0", "65"]),
            ("--announce-delay", &["x", "1e9s"]),
            ("--log-level", &["loud", "5"]),
        ] {
            for value in values {
                let error = Config::new(&typed(flag, value), |_| None).unwrap_err();
                let error = format!("{error:#}");
                assert!(error.starts_with(&format!("{flag} {value}: ")), "{flag} {value}: {error}");
            }
        }
    }

    fn typed(flag: &str, value: &str) -> ServeArgs {
        let typed = ["bolillero-server", "serve", flag, value];
        let Command::Serve(args) = Cli::parse_from(typed).command else { panic!("not serve") };
        *args
    }

    #[test]
    fn an_address_has_as_many_connections_as_there_are_in_all_unless_told_otherwise() {
        for (typed, per_address) in [
            ("", 10_000),
            ("--max-connections 7", 7),
            ("--max-connections 7 --max-connections-per-address 3", 3),
            ("--max-connections-per-address 3", 3),
        ] {
            let limits = config(typed, &[], None).unwrap().limits;
            assert_eq!(limits.connections_per_address_max, per_address, "{typed}");
        }
    }

    #[test]
    fn sizes_and_times_have_units() {
        let typed = "--max-packet 8KiB --segment-size 2MiB --ledger-queue 1GiB --max-output 100 \
            --idle-timeout 10m --drain-timeout 0s --packet-timeout 250ms --peer-timeout 12h";
        let config = config(typed, &[], None).unwrap();
        assert_eq!(config.session.packet_length_max, 8 << 10);
        assert_eq!(config.segment_size, 2 << 20);
        assert_eq!(config.ledger_queue_bytes_max, 1 << 30);
        assert_eq!((config.session.output_bytes_max, config.limits.output_bytes_max), (100, 100));
        assert_eq!(config.session.idle_time_max, Duration::from_mins(10));
        assert_eq!(config.limits.drain_time_max, Duration::ZERO);
        assert_eq!(config.session.packet_time_max, Duration::from_millis(250));
        assert_eq!(config.limits.peer_time_max, PEER_TIMEOUT_MAX);
    }
}
