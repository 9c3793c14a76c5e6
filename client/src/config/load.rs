//! What `bolillero generate` and `bolillero load` are told: by options only.

use std::path::PathBuf;
use std::time::Duration;

use bolillero_protocol::bet::{AGENCIES_MAX, Number};
use bolillero_protocol::tlv::{HEADER_SIZE, REQUEST_LENGTH_MAX};

use super::{Tls, UsageError, address, check, time_flag, usage, window};
use crate::args::{GenerateArgs, LoadArgs};
use crate::connect::Address;
use crate::generate::Plan;
use crate::load;

/// The most bets of a load.
pub const LOAD_BETS_MAX: u64 = 100_000_000;
/// The sizes that a load's packets may be limited to: the least has room for any bet that is made,
/// the most is what a server can be told to take.
pub const LOAD_PACKET_SIZES: std::ops::RangeInclusive<usize> =
    256..=REQUEST_LENGTH_MAX as usize + HEADER_SIZE;

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
    /// Its TLS, if it is to be spoken.
    pub tls: Option<Tls>,
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
        let server =
            address(&args.server).map_err(|problem| usage("server", &args.server, problem))?;
        Ok(Self {
            tls: Tls::new(&args.tls, &server)?,
            server,
            window: window(args.window)?,
            leave_open: args.leave_open,
            timeout: time_flag("timeout", &args.timeout)?,
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
