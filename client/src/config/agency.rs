//! What `bolillero agency` is told.

use std::num::NonZeroU32;
use std::path::PathBuf;

use bolillero_protocol::list::parse_number;
use bolillero_protocol::log_line;
use bolillero_protocol::message::DrawId;

use super::client::{LoopOptions, sources};
use super::sources::{Environment, Key};
use super::{ClientConfig, UsageError, usage, window};
use crate::args::AgencyArgs;
use crate::batches::Limits;
use crate::connect::Listener;
use crate::winners::WinnersOutput;

/// The most batches on their way at once. An office takes 64; more wait unread.
pub const WINDOW_MAX: usize = 1024;

const BATCH_BETS_MAX: Key = Key {
    option: "batch-bets-max",
    variable: "CLI_BATCH_MAXAMOUNT",
    file: Some("batch.maxAmount"),
};

/// What `bolillero agency` is to do.
#[derive(Debug)]
pub struct AgencyConfig {
    /// Whom to work for, and where.
    pub client: ClientConfig,
    /// The file of bets.
    pub bets: PathBuf,
    /// Whether an agency without a bet takes part in the draw.
    pub allow_empty: bool,
    /// Where the winners' documents are written, if anywhere.
    pub winners: Option<WinnersOutput>,
    /// How the file is cut.
    pub limits: Limits,
    /// Batches on their way at once.
    pub window: usize,
    /// How to speak to the office.
    pub dialect: Dialect,
    /// The draw expected, if one is.
    pub draw: Option<DrawId>,
}

/// How to speak to the office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Opcodes 5, 6 and 9 to 12: every batch is stored exactly once.
    Session,
    /// Opcodes 1 to 8.
    Base,
    /// Frames of text.
    Text,
}

impl Dialect {
    /// Its name in a log line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Base => "base",
            Self::Text => "text",
        }
    }
}

impl AgencyConfig {
    /// Finds out what was meant.
    ///
    /// # Errors
    /// [`UsageError`] names the first setting that cannot be meant.
    pub fn new(args: AgencyArgs, environment: &Environment<'_>) -> Result<Self, UsageError> {
        let sources = sources(&args.client.server, environment)?;
        let sought = if args.text { Listener::TextOffice } else { Listener::Office };
        let client = ClientConfig::new(&args.client, sought, LoopOptions::default(), &sources)?;
        let bets_max =
            sources.get(&BATCH_BETS_MAX, args.batch_bets_max.as_deref(), bets_of_batch)?;
        let bets_default = || PathBuf::from(format!(".data/agency-{}.csv", client.id));
        Ok(Self {
            bets: args.bets.unwrap_or_else(bets_default),
            allow_empty: args.allow_empty,
            winners: args.winners.map(winners_output),
            limits: Limits { bets_max, cut_before: args.cut_before },
            window: window(args.window)?,
            dialect: match (args.base, args.text) {
                (true, _) => Dialect::Base,
                (false, true) => Dialect::Text,
                (false, false) => Dialect::Session,
            },
            draw: args.draw.map(draw_id).transpose()?,
            client,
        })
    }

    /// Its fields in the first log line.
    #[must_use]
    pub fn log_fields(&self) -> String {
        format!(
            "{} | bets: {} | dialect: {} | batch_bets_max: {} | window: {}",
            self.client.log_fields(),
            log_line::value(&self.bets.display().to_string()),
            self.dialect.name(),
            self.limits.bets_max.map_or_else(|| "-".to_owned(), |max| max.to_string()),
            self.window,
        )
    }
}

fn bets_of_batch(text: &str) -> Result<NonZeroU32, String> {
    let bets = parse_number(text).and_then(NonZeroU32::new);
    bets.ok_or_else(|| "is not a number of bets, 1 or more".to_owned())
}

fn winners_output(path: PathBuf) -> WinnersOutput {
    if path.as_os_str() == "-" { WinnersOutput::Stdout } else { WinnersOutput::File(path) }
}

fn draw_id(text: String) -> Result<DrawId, UsageError> {
    DrawId::parse(&text).ok_or_else(|| usage("draw", text, "a draw's id is 16 hex digits"))
}
