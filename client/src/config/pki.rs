//! What `bolillero pki` is told: by options only.

use std::path::PathBuf;
use std::time::Duration;

use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_tls::rustls::pki_types::ServerName;

use super::{UsageError, check, usage};
use crate::args::PkiCommand;

/// The most days that an authority is good for.
pub const AUTHORITY_DAYS_MAX: u32 = 3650;
/// The most days that a certificate is good for: what clients commonly take.
pub const CERTIFICATE_DAYS_MAX: u32 = 825;

/// What `bolillero pki` is to do.
#[derive(Debug)]
pub struct PkiConfig {
    /// The directory of the authority.
    pub dir: PathBuf,
    /// How long what is made is good for.
    pub time: Duration,
    /// What is made.
    pub task: PkiTask,
}

/// What can be made.
#[derive(Debug)]
pub enum PkiTask {
    /// An authority.
    Init,
    /// A server's certificate.
    Server {
        /// The names and addresses that it is reached by.
        names: Vec<String>,
    },
    /// Agencies' certificates.
    Agencies {
        /// Their numbers, each once.
        ids: Vec<u32>,
    },
}

impl PkiConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] names the first that cannot be meant.
    pub fn new(command: PkiCommand) -> Result<Self, UsageError> {
        Ok(match command {
            PkiCommand::Init(args) => {
                let time = days(args.days, AUTHORITY_DAYS_MAX)?;
                Self { dir: args.dir, time, task: PkiTask::Init }
            }
            PkiCommand::Server(args) => {
                let names = each_once(args.name.into_iter().map(server_name))?;
                let time = days(args.days, CERTIFICATE_DAYS_MAX)?;
                Self { dir: args.dir, time, task: PkiTask::Server { names } }
            }
            PkiCommand::Agency(args) => {
                let ids = each_once(args.id.into_iter().map(agency))?;
                let time = days(args.days, CERTIFICATE_DAYS_MAX)?;
                Self { dir: args.dir, time, task: PkiTask::Agencies { ids } }
            }
        })
    }
}

fn days(days: u32, most: u32) -> Result<Duration, UsageError> {
    let days = check("days", days, (1..=most).contains(&days), &format!("is not 1 to {most}"))?;
    Ok(Duration::from_hours(24) * days)
}

fn server_name(name: String) -> Result<String, UsageError> {
    let good = ServerName::try_from(name.as_str()).is_ok();
    let problem = "is no name of a host and no address; a port is no part of it";
    if good { Ok(name) } else { Err(usage("name", name, problem)) }
}

fn agency(id: u32) -> Result<u32, UsageError> {
    let limits = format!("an agency's number is 1 to {AGENCIES_MAX}");
    check("id", id, (1..=AGENCIES_MAX).contains(&id), &limits)
}

fn each_once<T: PartialEq>(
    values: impl Iterator<Item = Result<T, UsageError>>,
) -> Result<Vec<T>, UsageError> {
    let mut seen = Vec::new();
    for value in values {
        let value = value?;
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    Ok(seen)
}
