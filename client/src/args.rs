//! What was typed: options as text and numbers. What they mean, and whether they may be, is
//! `config`'s to say.

#![allow(rustdoc::broken_intra_doc_links)] // The comments on options are the text of --help.

mod files;
mod pki;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use files::{CatArgs, FileServerArgs, FilesCommand, GetArgs, LsArgs, SliceArgs};
pub use pki::{AgencyCertArgs, InitArgs, PkiCommand, ServerCertArgs};

/// The agency's side of Bolillero, a lottery's central office.
#[derive(Debug, Parser)]
#[command(name = "bolillero", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, or asked to stop, 1 failure, 2 usage, \
    3 the file and the office's record differ, 6 another client works this agency's lane.")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send an agency's bets, wait for the draw, count the winners
    Agency(AgencyArgs),
    /// Send one bet
    Bet(BetArgs),
    /// Send messages to an echo server, and compare what comes back
    Echo(EchoArgs),
    /// Find out whether a server is there and speaks as it should; stores nothing
    Probe(ProbeArgs),
    /// List, fetch or print the files that a server offers, such as the results of a draw
    Files {
        /// What to do with them.
        #[command(subcommand)]
        command: FilesCommand,
    },
    /// Talk in the room of a server, from a terminal or a script
    Room(RoomArgs),
    /// Make certificates for TLS: an authority, a server's, agencies'
    Pki {
        /// What to make.
        #[command(subcommand)]
        command: PkiCommand,
    },
    /// Write sample files of bets
    Generate(GenerateArgs),
    /// Load an empty office with made up bets of many agencies, check every answer, tell the speed
    Load(LoadArgs),
}

/// What follows the options that may stand elsewhere, too.
const SOURCES: &str = "A flag goes before the environment, the environment before the file, the \
    file before the default.";

/// Options that say where a server is: those of every command that a deployment runs.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Where the server listens; else CLI_SERVER_ADDRESS, or server.address in the file
    /// [default: 127.0.0.1:12345]
    #[arg(long, value_name = "HOST:PORT")]
    pub server: Option<String>,
    /// Least severe log lines to show: debug, info, warning, error or critical; else CLI_LOG_LEVEL,
    /// or log.level in the file [default: INFO]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// The file that may hold these settings, YAML [default: client/config.yaml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Options of TLS: those of every command that connects.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// Speak TLS; needs --ca
    #[arg(long)]
    pub tls: bool,
    /// The authority whose certificate the server must show, PEM; none is built in [default: none]
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca: Option<PathBuf>,
    /// The certificate to show to the server, PEM; needs --key [default: none]
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    pub cert: Option<PathBuf>,
    /// The private key of --cert, PEM [default: none]
    #[arg(long, value_name = "FILE", requires_all = ["tls", "cert"])]
    pub key: Option<PathBuf>,
    /// The name or address that the server's certificate must be for [default: the server's host]
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub server_name: Option<String>,
}

/// Options of every command that works for an agency.
#[derive(Debug, clap::Args)]
pub struct ClientArgs {
    /// The agency's number in the draw, 1 to 65535; else CLI_ID [default: none, it is needed]
    #[arg(long, value_name = "N")]
    pub id: Option<String>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Longest time without a connection that the server answers on; else CLI_CONNECT_TIMEOUT
    /// [default: 2m, and 10s while the host name cannot be resolved]
    #[arg(long, value_name = "TIME")]
    pub connect_timeout: Option<String>,
    /// Longest wait for an answer; the wait for the draw has no limit
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub reply_timeout: String,
    /// Time after which a peer that vanished is noticed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub peer_timeout: String,
}

/// Options of `bolillero agency`.
#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub struct AgencyArgs {
    /// Whose agency, and where its office is.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Bets to send: CSV rows of first name, last name, document, birth date, number
    /// [default: .data/agency-ID.csv]
    #[arg(long, value_name = "FILE")]
    pub bets: Option<PathBuf>,
    /// Most bets in a batch, 1 or more; else CLI_BATCH_MAXAMOUNT, or batch.maxAmount in the file
    /// [default: as many as fit in 8192 bytes]
    ///
    /// A file that was begun with one value has to be gone on with by the same.
    #[arg(long, value_name = "N")]
    pub batch_bets_max: Option<String>,
    /// End a batch before this line of the file: for a row that was mended after an earlier version
    /// stopped at it; may be given again for each such row [default: none]
    #[arg(long, value_name = "LINE")]
    pub cut_before: Vec<u64>,
    /// Take part in the draw without a bet if the file has none; else that is an error
    #[arg(long)]
    pub allow_empty: bool,
    /// Write the documents of the winners to this file, one a line, or to stdout if it is -; log
    /// lines go to stderr then [default: none, winners are only counted]
    #[arg(long, value_name = "FILE")]
    pub winners: Option<PathBuf>,
    /// Batches on their way at once, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub window: usize,
    /// Speak opcodes 1 to 8 only, for offices without sessions; cannot resume after a kill
    #[arg(long)]
    pub base: bool,
    /// Speak the text dialect, to an office that listens for it; cannot resume after a kill
    #[arg(long, conflicts_with_all = ["base", "draw"])]
    pub text: bool,
    /// The draw to take part in, 16 hex digits; the office refuses if it holds another
    /// [default: whichever it holds]
    #[arg(long, value_name = "ID")]
    pub draw: Option<String>,
}

/// Options of `bolillero bet`.
#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub struct BetArgs {
    /// Whose agency, and where its office is.
    #[command(flatten)]
    pub client: ClientArgs,
    /// The bettor's first name, 1 to 64 characters; else NOMBRE [default: none, it is needed]
    #[arg(long, value_name = "NAME")]
    pub first_name: Option<String>,
    /// The bettor's last name, 1 to 64 characters; else APELLIDO [default: none, it is needed]
    #[arg(long, value_name = "NAME")]
    pub last_name: Option<String>,
    /// The bettor's document, 1 to 12 digits; else DOCUMENTO [default: none, it is needed]
    #[arg(long, value_name = "DIGITS")]
    pub document: Option<String>,
    /// The bettor's day of birth, YYYY-MM-DD; else NACIMIENTO [default: none, it is needed]
    #[arg(long, value_name = "DAY")]
    pub birth_date: Option<String>,
    /// The number bet on, 0 to 9999; else NUMERO [default: none, it is needed]
    #[arg(long, value_name = "N")]
    pub number: Option<String>,
    /// The file that may hold the bet, lines of KEY=VALUE [default: .env or else client/.env, if
    /// it is there]
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// Options of `bolillero echo`.
#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub struct EchoArgs {
    /// Whose agency, and where its server is.
    #[command(flatten)]
    pub client: ClientArgs,
    /// How many messages, each on a connection of its own; else CLI_LOOP_AMOUNT, or loop.amount in
    /// the file [default: 5]
    #[arg(long, value_name = "N")]
    pub amount: Option<String>,
    /// The pause between two messages, 0s to 24h; else CLI_LOOP_PERIOD, or loop.period in the file
    /// [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub period: Option<String>,
}

/// Options of `bolillero probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub struct ProbeArgs {
    /// What should be there
    #[arg(long, value_enum, default_value_t = Service::Lottery)]
    pub service: Service,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub timeout: String,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What a server may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// A central office
    Lottery,
    /// A server that answers each line with the same line
    Echo,
}

impl Service {
    /// Its name, as typed and as logged.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lottery => "lottery",
            Self::Echo => "echo",
        }
    }
}

/// What follows the options of `bolillero room`.
const TYPING: &str = "What is typed is said to everybody there; /who, /history [N], /help and /exit \
    are commands, and //x says /x. Where stdin or stdout is no terminal, lines are read and \
    written as they are: the end of the input leaves once the server has taken all of it, and the \
    exit code is 1 if it was not all taken. A connection that ends is not opened again.";

/// Options of `bolillero room`.
#[derive(Debug, clap::Args)]
#[command(after_help = TYPING)]
pub struct RoomArgs {
    /// Where the room is; the port is 5001 unless it is given
    #[arg(value_name = "HOST[:PORT]")]
    pub server: String,
    /// What the others are to know you by: 1 to 24 letters, digits, - or _, not a number
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Stay, also behind the end of the input, until a line with this text is shown, then leave
    /// [default: none]
    #[arg(long, value_name = "TEXT")]
    pub until: Option<String>,
    /// Longest time without a connection on which the room answers
    /// [default: 2m, and 10s while the host name cannot be resolved]
    #[arg(long, value_name = "TIME")]
    pub connect_timeout: Option<String>,
    /// Longest wait for an answer
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub reply_timeout: String,
    /// Time after which a peer that vanished is noticed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub peer_timeout: String,
    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Options of `bolillero generate`.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// Directory to write agency-1.csv, agency-2.csv, … to; made when missing
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// How many agencies, 1 to 65535: a file each
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub agencies: u32,
    /// Bets per agency
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub bets: u64,
    /// The same seed writes the same bytes; seed modulo 10000 is a favourite among the numbers
    #[arg(long, value_name = "N", default_value_t = 7574)]
    pub seed: u64,
}

/// Options of `bolillero load`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The server has to be fresh: its agencies have no bets yet. Unless --leave-open is \
    given, the draw is waited for, and it happens only once all agencies of the server's draw are \
    done: give the server as many as here."
)]
pub struct LoadArgs {
    /// Where the central office listens
    #[arg(long, value_name = "HOST:PORT")]
    pub server: String,
    /// How many agencies, each with a connection of its own, 1 to 65535
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub agencies: u32,
    /// The first agency's number; the others follow it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_agency: u32,
    /// Bets of all agencies together, dealt evenly, up to 100000000; each takes some 70 bytes of
    /// memory
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub bets: u64,
    /// Batches of an agency on their way at once, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub window: usize,
    /// Longest packet of a batch, header included, 256 to 1048581 bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8000)]
    pub batch_bytes: usize,
    /// Speak opcodes 1 to 8 only, without sessions
    #[arg(long)]
    pub base: bool,
    /// Send each request on a connection of its own, a window of them at once for each agency;
    /// implies --base
    #[arg(long)]
    pub connection_per_request: bool,
    /// End after the last batch: neither finish the agencies nor ask for winners
    #[arg(long)]
    pub leave_open: bool,
    /// The number that the server draws, 0 to 9999, to check the winners
    #[arg(long, value_name = "N", default_value_t = 7574)]
    pub winning_number: u16,
    /// The same seed makes the same bets: those of `bolillero generate`
    #[arg(long, value_name = "N", default_value_t = 7574)]
    pub seed: u64,
    /// Longest time without any progress
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: String,
    /// Write the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Tell on stderr `phase: sending` before the clock starts and `phase: sent` after it has
    /// stopped, and after each wait for a line on stdin
    #[arg(long)]
    pub phases: bool,
    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsArgs,
}
