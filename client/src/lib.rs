//! The agency's side of Bolillero: sends a file of bets, asks for the winners, makes sample files,
//! and loads an office with bets of many agencies at once.
//!
//! ```text
//! args      what was typed                          config    what it means; every check
//! source    CSV -> bets, with line numbers          batches   how a file is cut
//! dialogue  what a conversation is, sans-IO         agency    sessions: exactly once, resumes
//!                                                   base      opcodes 1 to 8: for older offices
//! connect   an agency's socket and clock            generate  sample files
//! load      many agencies at once, and how fast     load/sockets  their sockets
//! log       the lines that deployed tools parse     progress  the bar on a terminal
//! ```

#![forbid(unsafe_code)]

pub mod args;
pub mod config;
pub mod source;

pub mod batches;

pub mod dialogue;

pub mod agency;
pub mod base;

pub mod connect;

pub mod generate;

pub mod load;

mod log;
mod progress;

use std::fs::File;
use std::io::BufReader;

use anyhow::Context as _;
use bolillero_protocol::log_line;

use crate::agency::{Session, Terms};
use crate::args::{Args, Command};
use crate::base::Base;
use crate::batches::Batches;
use crate::config::{AgencyConfig, Dialect, GenerateConfig, LoadConfig, UsageError};
use crate::dialogue::{Dialogue, Stop};
use crate::source::Source;

/// The program: what was typed, done.
///
/// # Errors
/// Whatever ended it; [`exit_code`] says what a caller is told.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Agency(args) => run_agency(&AgencyConfig::new(args)?),
        Command::Generate(args) => run_generate(&GenerateConfig::new(args)?),
        Command::Load(args) => load::run(&LoadConfig::new(&args)?),
    }
}

/// The exit code that goes with an error: 1 failure, 2 usage, 3 chain mismatch, 6 fenced.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() {
        return 2;
    }
    error.downcast_ref().map_or(1, Stop::exit_code)
}

fn run_agency(config: &AgencyConfig) -> anyhow::Result<()> {
    log::start(config.log_level);
    ::log::info!("action: config | result: success | {}", log_line_of(config));
    let outcome = serve_file(config);
    match &outcome {
        Ok(()) => ::log::info!("action: exit | result: success"),
        Err(error) => {
            let error = log_line::value(&format!("{error:#}"));
            ::log::error!("action: agency | result: fail | error: {error}");
        }
    }
    outcome
}

fn serve_file(config: &AgencyConfig) -> anyhow::Result<()> {
    let name = config.bets.display().to_string();
    let file = File::open(&config.bets).with_context(|| format!("reading {name}"))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let source = Source::new(BufReader::new(file), &name, config.id);
    let batches = Batches::new(source, config.limits.clone());
    match config.dialect {
        Dialect::Base => converse(config, &mut Base::new(config.id, &name, batches), bytes),
        Dialect::Session => {
            let terms = Terms { agency: config.id, window: config.window, draw: config.draw };
            converse(config, &mut Session::new(terms, batches), bytes)
        }
    }
}

fn converse(config: &AgencyConfig, dialogue: &mut impl Dialogue, bytes: u64) -> anyhow::Result<()> {
    let bar = progress::bytes_of_file(bytes);
    connect::converse(&config.office, dialogue, &mut |progress| bar.set_position(progress.bytes))?;
    bar.finish_and_clear();
    Ok(())
}

fn run_generate(config: &GenerateConfig) -> anyhow::Result<()> {
    let bar = progress::bets(u64::from(config.plan.agencies).saturating_mul(config.plan.bets));
    for agency in 1..=config.plan.agencies {
        let path = config.output.join(generate::file_name(agency));
        generate::write_file(&config.plan, agency, &path, &mut |bets| bar.inc(bets))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn log_line_of(config: &AgencyConfig) -> String {
    format!(
        "client_id: {} | server_address: {} | bets: {} | dialect: {} | batch_bets_max: {} \
         | window: {}",
        config.id,
        log_line::value(&config.office.server.to_string()),
        log_line::value(&config.bets.display().to_string()),
        config.dialect.name(),
        config.limits.bets_max.map_or_else(|| "-".to_owned(), |max| max.to_string()),
        config.window,
    )
}
