//! What the options, the environment and the file mean, checked before a socket or a ledger is
//! opened. Every error names the value and where it came from.
//!
//! Flag > environment > file > default. `SERVER_IP` is the name clients know the server by, not an
//! address to bind: it is read and not used.

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
use crate::limits::Limits;
use crate::lottery::session::SessionLimits;

/// The file that is read when none is named, if it is there.
pub const CONFIG_FILE_DEFAULT: &str = "server/config.ini";
/// The port where nothing names one.
pub const PORT_DEFAULT: u16 = 12345;
/// The backlog where nothing names one.
pub const BACKLOG_DEFAULT: i32 = 1024;
/// The most workers that can be asked for.
pub const WORKERS_MAX: usize = 1024;
/// The shortest deadline that can be asked for: what checks them is not finer.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(10);

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
    /// How long after the last group a mark is written.
    pub mark_delay: Duration,
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
            mark_delay: time_flag("mark-delay", &args.mark_delay)?,
            announce_delay: time_flag("announce-delay", &args.announce_delay)?,
            log_level,
            log_level_name,
        };
        config.check()?;
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

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.agencies <= AGENCIES_MAX, "--agencies {}: not 0 to 65535", self.agencies);
        ensure!((1..=65_535).contains(&self.backlog), "--backlog {}: not 1 to 65535", self.backlog);
        let segment_size_min = self.sizes().segment_size_min();
        ensure!(
            self.segment_size >= segment_size_min,
            "--segment-size {}: at least {segment_size_min} bytes are needed for {} agencies and --max-packet {}",
            self.segment_size,
            self.agencies,
            self.session.packet_length_max,
        );
        ensure!(self.ledger_queue_bytes_max > 0, "--ledger-queue 0: nothing could be stored");
        Ok(())
    }
}

fn driver_limits(args: &ServeArgs) -> anyhow::Result<Limits> {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = args.workers.unwrap_or_else(cores);
    ensure!((1..=WORKERS_MAX).contains(&workers), "--workers {workers}: not 1 to {WORKERS_MAX}");
    ensure!(args.max_connections > 0, "--max-connections 0: nobody could connect");
    Ok(Limits {
        workers,
        connections_max: args.max_connections,
        output_bytes_max: size_flag("max-output", &args.max_output)?,
        output_time_max: deadline_flag("output-timeout", &args.output_timeout)?,
        drain_time_max: time_flag("drain-timeout", &args.drain_timeout)?,
        peer_time_max: deadline_flag("peer-timeout", &args.peer_timeout)?,
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
        output_bytes_max: size_flag("max-output", &args.max_output)?,
    })
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
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address);
        }
        let host = text.trim_start_matches('[').trim_end_matches(']');
        let mut found = match text.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') => {
                (name, parse_port(digits)?).to_socket_addrs()?
            }
            _ => (host, port).to_socket_addrs()?,
        };
        found.next().context("the name has no address")
    };
    resolve().with_context(|| format!("--listen {text}: not HOST or HOST:PORT"))
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
    flag(name, text, |text| {
        humantime::parse_duration(text).context("not a time like 250ms, 60s or 10m")
    })
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
