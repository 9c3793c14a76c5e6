//! What the options mean: addresses, durations, limits. Every check is here, and before a socket
//! opens.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bolillero_protocol::bet::{AGENCIES_MAX, Number};
use bolillero_protocol::message::DrawId;
use bolillero_protocol::tlv::{HEADER_SIZE, REQUEST_LENGTH_MAX};
use log::LevelFilter;

use crate::args::{AgencyArgs, GenerateArgs, LoadArgs};
use crate::batches::Limits;
use crate::connect::{Address, Office, Pauses};
use crate::generate::Plan;
use crate::load;

/// The most batches on their way at once. An office takes 64; more wait unread.
pub const WINDOW_MAX: usize = 1024;
/// The most bets of a load.
pub const LOAD_BETS_MAX: u64 = 100_000_000;
/// The sizes that a load's packets may be limited to: the least has room for any bet that is made,
/// the most is what a server can be told to take.
pub const LOAD_PACKET_SIZES: std::ops::RangeInclusive<usize> =
    256..=REQUEST_LENGTH_MAX as usize + HEADER_SIZE;
/// The shortest and the longest duration that an option may ask for.
const DURATIONS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);

/// An option that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("--{option} {value}: {problem}")]
pub struct UsageError {
    option: &'static str,
    value: String,
    problem: String,
}

/// What `bolillero agency` is to do.
#[derive(Debug)]
pub struct AgencyConfig {
    /// The agency's number.
    pub id: u32,
    /// The file of bets.
    pub bets: PathBuf,
    /// How the file is cut.
    pub limits: Limits,
    /// Batches on their way at once.
    pub window: usize,
    /// How to speak to the office.
    pub dialect: Dialect,
    /// The draw expected, if one is.
    pub draw: Option<DrawId>,
    /// Where the office is, and how long to wait for it.
    pub office: Office,
    /// Least severe lines shown.
    pub log_level: LevelFilter,
}

/// How to speak to the office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Opcodes 5, 6 and 9 to 12: every batch is stored exactly once.
    Session,
    /// Opcodes 1 to 8.
    Base,
}

impl Dialect {
    /// Its name in a log line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Base => "base",
        }
    }
}

/// What `bolillero generate` is to do.
#[derive(Debug)]
pub struct GenerateConfig {
    /// Where the files go.
    pub output: PathBuf,
    /// What is in them.
    pub plan: Plan,
}

/// What `bolillero load` is to do.
#[derive(Debug)]
pub struct LoadConfig {
    /// Where the office is.
    pub server: Address,
    /// What is sent.
    pub plan: load::Plan,
    /// Batches of an agency on their way at once.
    pub window: usize,
    /// Whether the agencies are left as they are after the last batch.
    pub leave_open: bool,
    /// The longest time without any progress.
    pub timeout: Duration,
    /// Whether the report is JSON.
    pub json: bool,
    /// Whether to tell the phases, and to wait for a word after each.
    pub phases: bool,
}

impl AgencyConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] names the first that cannot be meant.
    pub fn new(args: AgencyArgs) -> Result<Self, UsageError> {
        let agencies = format!("an agency's number is 1 to {AGENCIES_MAX}");
        Ok(Self {
            id: check("id", args.id, (1..=AGENCIES_MAX).contains(&args.id), &agencies)?,
            bets: args.bets,
            limits: Limits {
                bets_max: args.batch_bets_max.map(bets_of_batch).transpose()?,
                cut_before: args.cut_before,
            },
            window: window(args.window)?,
            dialect: if args.base { Dialect::Base } else { Dialect::Session },
            draw: args.draw.map(draw_id).transpose()?,
            office: Office {
                server: address(&args.server)?,
                connect_timeout: duration("connect-timeout", &args.connect_timeout)?,
                reply_timeout: duration("reply-timeout", &args.reply_timeout)?,
                peer_timeout: duration("peer-timeout", &args.peer_timeout)?,
                pauses: Pauses::default(),
            },
            log_level: log_level(&args.log_level)?,
        })
    }
}

impl GenerateConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] when there are no agencies, or more than a draw can have.
    pub fn new(args: GenerateArgs) -> Result<Self, UsageError> {
        let limits = format!("a draw has 1 to {AGENCIES_MAX} agencies");
        let good = (1..=AGENCIES_MAX).contains(&args.agencies);
        let agencies = check("agencies", args.agencies, good, &limits)?;
        let plan = Plan { agencies, bets: args.bets, seed: args.seed };
        Ok(Self { output: args.output, plan })
    }
}

impl LoadConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] names the first that cannot be meant.
    pub fn new(args: &LoadArgs) -> Result<Self, UsageError> {
        Ok(Self {
            server: address(&args.server)?,
            window: window(args.window)?,
            leave_open: args.leave_open,
            timeout: duration("timeout", &args.timeout)?,
            json: args.json,
            phases: args.phases,
            plan: load_plan(args)?,
        })
    }
}

fn load_plan(args: &LoadArgs) -> Result<load::Plan, UsageError> {
    let &LoadArgs { agencies, first_agency, bets, batch_bytes, winning_number, seed, .. } = args;
    let limits = format!("a draw has 1 to {AGENCIES_MAX} agencies");
    check("agencies", agencies, (1..=AGENCIES_MAX).contains(&agencies), &limits)?;
    let limits = format!("the agencies' numbers are 1 to {AGENCIES_MAX}");
    let firsts = 1..=AGENCIES_MAX + 1 - agencies;
    check("first-agency", first_agency, firsts.contains(&first_agency), &limits)?;
    let limits = format!("is not 1 for each of {agencies} agencies, to {LOAD_BETS_MAX} in all");
    check("bets", bets, (u64::from(agencies)..=LOAD_BETS_MAX).contains(&bets), &limits)?;
    let sizes = LOAD_PACKET_SIZES;
    let limits = format!("is not {} to {}", sizes.start(), sizes.end());
    check("batch-bytes", batch_bytes, sizes.contains(&batch_bytes), &limits)?;
    let winning_number = Number::new(winning_number)
        .ok_or_else(|| usage("winning-number", winning_number, "is not 0 to 9999"))?;
    let dialect = match (args.connection_per_request, args.base) {
        (true, _) => load::Dialect::ConnectionPerRequest,
        (false, true) => load::Dialect::Base,
        (false, false) => load::Dialect::Session,
    };
    Ok(load::Plan { dialect, first_agency, agencies, bets, batch_bytes, winning_number, seed })
}

fn check<T: fmt::Display>(
    option: &'static str,
    value: T,
    good: bool,
    problem: &str,
) -> Result<T, UsageError> {
    if good { Ok(value) } else { Err(usage(option, value, problem)) }
}

fn usage(option: &'static str, value: impl fmt::Display, problem: impl Into<String>) -> UsageError {
    UsageError { option, value: value.to_string(), problem: problem.into() }
}

fn window(batches: usize) -> Result<usize, UsageError> {
    let limits = format!("the window is 1 to {WINDOW_MAX} batches");
    check("window", batches, (1..=WINDOW_MAX).contains(&batches), &limits)
}

fn bets_of_batch(bets: u32) -> Result<NonZeroU32, UsageError> {
    NonZeroU32::new(bets).ok_or_else(|| usage("batch-bets-max", bets, "a batch has 1 bet or more"))
}

fn draw_id(text: String) -> Result<DrawId, UsageError> {
    DrawId::parse(&text).ok_or_else(|| usage("draw", text, "a draw's id is 16 hex digits"))
}

fn address(text: &str) -> Result<Address, UsageError> {
    Address::parse(text)
        .ok_or_else(|| usage("server", text, "is not HOST:PORT with a port 1 to 65535"))
}

fn duration(option: &'static str, text: &str) -> Result<Duration, UsageError> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        usage(option, text, format!("{error}; write for example 500ms, 30s, 2m"))
    })?;
    if DURATIONS.contains(&duration) {
        return Ok(duration);
    }
    Err(usage(option, text, "is not 1ms to 24h"))
}

fn log_level(text: &str) -> Result<LevelFilter, UsageError> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(LevelFilter::Debug),
        "info" => Ok(LevelFilter::Info),
        "warning" | "warn" => Ok(LevelFilter::Warn),
        "error" | "critical" => Ok(LevelFilter::Error),
        _ => Err(usage("log-level", text, "is not debug, info, warning, error or critical")),
    }
}
