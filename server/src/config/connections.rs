//! What every command that takes connections is told about them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bolillero_tls::server::Admission;
use log::LevelFilter;

use super::sources::Sources;
use super::tls::Tls;
use super::units::{deadline_flag, flag, size_flag, time_flag};
use crate::args::ConnectionArgs;
use crate::driver::Driver;
use crate::limits::{AddressLimits, Limits};
use crate::session::Service;

/// The backlog where nothing names one.
pub const BACKLOG_DEFAULT: i32 = 1024;
/// The most workers that can be asked for.
pub const WORKERS_MAX: usize = 1024;
/// The longest `--peer-timeout`: the kernel probes a silent peer after 32,767 seconds at most.
pub const PEER_TIMEOUT_MAX: Duration = Duration::from_hours(12);

/// How connections are held, and what is logged.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Where they are turned.
    pub driver: Driver,
    /// Their limits.
    pub limits: Limits,
    /// How many the kernel keeps waiting.
    pub backlog: i32,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Its name, as it is logged at start.
    pub log_level_name: &'static str,
    /// How services are reached over TLS, if they are.
    pub tls: Option<Tls>,
}

impl Connections {
    /// For a service of `agencies`; 0 where it has none.
    pub(super) fn new(
        args: &ConnectionArgs,
        agencies: u32,
        sources: &Sources<'_>,
    ) -> anyhow::Result<Self> {
        let file_backlog = sources.get("SERVER_LISTEN_BACKLOG", parse_backlog)?;
        let file_level = sources.get("LOGGING_LEVEL", parse_level)?;
        let flag_level = args.log_level.as_deref().map(|text| flag("log-level", text, parse_level));
        let (log_level, log_level_name) =
            flag_level.transpose()?.or(file_level).unwrap_or((LevelFilter::Info, "INFO"));
        let backlog = args.backlog.or(file_backlog).unwrap_or(BACKLOG_DEFAULT);
        ensure!(is_backlog(backlog), "--backlog {backlog}: not 1 to 65535");
        Ok(Self {
            driver: args.driver,
            limits: limits(args, agencies)?,
            backlog,
            log_level,
            log_level_name,
            tls: Tls::new(&args.tls)?,
        })
    }

    /// Has `service` reached over TLS, by whom `admission` lets in; as it is where there is no TLS.
    ///
    /// # Errors
    /// As [`Tls::secure`].
    pub fn secure(
        &self,
        service: Arc<dyn Service>,
        admission: Admission,
    ) -> anyhow::Result<Arc<dyn Service>> {
        match &self.tls {
            Some(tls) => Ok(Arc::new(tls.secure(service, admission)?)),
            None => Ok(service),
        }
    }
}

fn limits(args: &ConnectionArgs, agencies: u32) -> anyhow::Result<Limits> {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = args.workers.unwrap_or_else(cores);
    ensure!((1..=WORKERS_MAX).contains(&workers), "--workers {workers}: not 1 to {WORKERS_MAX}");
    ensure!(args.max_connections > 0, "--max-connections 0: nobody could connect");
    let output_bytes_max = size_flag("max-output", &args.max_output)?;
    ensure!(output_bytes_max > 0, "--max-output 0: nothing could be answered");
    let peer_time_max = deadline_flag("peer-timeout", &args.peer_timeout)?;
    ensure!(
        peer_time_max <= PEER_TIMEOUT_MAX,
        "--peer-timeout {}: more than 12h",
        args.peer_timeout
    );
    Ok(Limits {
        workers,
        connections_max: args.max_connections,
        addresses: address_limits(args, agencies)?,
        output_bytes_max,
        output_time_max: deadline_flag("output-timeout", &args.output_timeout)?,
        drain_time_max: time_flag("drain-timeout", &args.drain_timeout)?,
        peer_time_max,
        busy_time: time_flag("busy-delay", &args.busy_delay)?,
        ..Limits::default()
    })
}

fn address_limits(args: &ConnectionArgs, agencies: u32) -> anyhow::Result<AddressLimits> {
    let max = args.max_connections_per_address;
    ensure!(max != Some(0), "--max-connections-per-address 0: nobody could connect");
    let prefix = args.ipv6_prefix_length;
    ensure!((1..=128).contains(&prefix), "--ipv6-prefix-length {prefix}: not 1 to 128");
    // Agencies behind one NAT have a connection each, and another where they come again before the
    // first has ended. Where nobody knows who comes, one address may have half of all.
    let share_min = match usize::try_from(agencies)? {
        0 => args.max_connections.div_ceil(2),
        agencies => agencies.saturating_mul(2),
    };
    Ok(AddressLimits { max, share_min, ipv6_prefix_length: prefix, ..AddressLimits::default() })
}

fn is_backlog(connections: i32) -> bool {
    (1..=65_535).contains(&connections)
}

fn parse_backlog(text: &str) -> anyhow::Result<i32> {
    let backlog = text.parse().ok().filter(|&backlog| is_backlog(backlog));
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
