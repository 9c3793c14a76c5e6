//! What options, environment and files mean: addresses, durations, limits. Every check is here, and
//! before a socket opens.
//!
//! ```text
//! sources   flag > environment > file > default      client  what every agency's command is told
//! yaml      the file of settings                     agency, bet, echo, probe
//! env_file  the file of a bet                        load, files, room, pki, generate: options only
//! tls       whom to trust, and who we are
//! ```

mod env_file;
mod sources;
mod yaml;

mod tls;

mod agency;
mod bet;
mod client;
mod echo;
mod files;
mod load;
mod pki;
mod probe;
mod room;

use std::fmt;
use std::time::Duration;

use crate::args::TlsArgs;
use crate::connect::{Address, AddressSource, Listener, Office, Pauses};

pub use agency::{AgencyConfig, Dialect, WINDOW_MAX};
pub use bet::{BetConfig, ENV_FILES_DEFAULT};
pub use client::{CONFIG_FILE_DEFAULT, ClientConfig, LOOP_AMOUNT_MAX, LogLevel, Period};
pub use echo::EchoConfig;
pub use files::{FilesConfig, GetConfig, SLICE_SIZE_MAX, SLICES_MAX, Task};
pub use load::{GenerateConfig, LOAD_BETS_MAX, LOAD_PACKET_SIZES, LoadConfig};
pub use pki::{AUTHORITY_DAYS_MAX, CERTIFICATE_DAYS_MAX, PkiConfig, PkiTask};
pub use probe::ProbeConfig;
pub use room::RoomConfig;
pub use sources::{Environment, FILE_SIZE_MAX};
pub use tls::Tls;

/// The longest time that can be asked for.
pub const TIME_MAX: Duration = Duration::from_hours(24);
/// The shortest deadline that can be asked for.
pub const DEADLINE_MIN: Duration = Duration::from_millis(1);
/// The longest time without a connection that a server answers on, unless another is asked for.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_mins(2);
/// The longest time in which a host name cannot be resolved, unless a time to connect is asked for.
pub const RESOLVE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A setting that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct UsageError {
    /// Its name, its value and where it came from.
    setting: String,
    /// Why, and what would be right.
    problem: String,
}

/// An option that cannot be meant.
fn usage(option: &str, value: impl fmt::Display, problem: impl Into<String>) -> UsageError {
    UsageError { setting: format!("--{option} {value}"), problem: problem.into() }
}

fn check<T: fmt::Display>(
    option: &'static str,
    value: T,
    good: bool,
    problem: &str,
) -> Result<T, UsageError> {
    if good { Ok(value) } else { Err(usage(option, value, problem)) }
}

fn window(batches: usize) -> Result<usize, UsageError> {
    let limits = format!("the window is 1 to {WINDOW_MAX} batches");
    check("window", batches, (1..=WINDOW_MAX).contains(&batches), &limits)
}

fn time_flag(option: &'static str, text: &str) -> Result<Duration, UsageError> {
    deadline(text).map_err(|problem| usage(option, text, problem))
}

fn deadline(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time >= DEADLINE_MIN { Ok(time) } else { Err("is not 1ms to 24h".to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 500ms, 30s, 2m"))?;
    if time <= TIME_MAX { Ok(time) } else { Err("is more than 24h".to_owned()) }
}

/// Options that say how long to wait for a server: for a connection, an answer, a peer that
/// vanished.
struct TimeOptions<'a> {
    connect: Option<&'a str>,
    reply: &'a str,
    peer: &'a str,
}

/// A server whose port need not be told, and how long to wait for it.
fn office(
    server: &str,
    (sought, port): (Listener, u16),
    times: &TimeOptions<'_>,
    tls: &TlsArgs,
) -> Result<Office, UsageError> {
    let server = Address::parse_or_port(server, port).ok_or_else(|| UsageError {
        setting: format!("HOST[:PORT] {server}"),
        problem: "is no host, and no host with a port 1 to 65535".to_owned(),
    })?;
    let connect = times.connect.map(|text| time_flag("connect-timeout", text)).transpose()?;
    Ok(Office {
        tls: Tls::new(tls, &server)?,
        server,
        source: AddressSource::Typed("HOST[:PORT]"),
        sought,
        connect_timeout: connect.unwrap_or(CONNECT_TIMEOUT_DEFAULT),
        resolve_timeout: connect.unwrap_or(RESOLVE_TIMEOUT_DEFAULT),
        reply_timeout: time_flag("reply-timeout", times.reply)?,
        peer_timeout: time_flag("peer-timeout", times.peer)?,
        pauses: Pauses::default(),
    })
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).ok_or_else(|| "is not HOST:PORT with a port 1 to 65535".to_owned())
}
