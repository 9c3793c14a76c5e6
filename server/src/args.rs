//! What was typed on the command line: strings and options. What they mean is found in
//! [`crate::config`].

#![allow(rustdoc::broken_intra_doc_links)] // The comments on options are the text of --help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::driver::Driver;
use crate::limits::IPV6_PREFIX_LENGTH_DEFAULT;
use crate::lottery::live::SESSIONS_PER_AGENCY_MAX_DEFAULT;

/// The central office of a lottery: keeps every bet it acknowledged, draws once, tells the winners.
///
/// Exit codes: 0 success, 1 failure, 2 usage, 4 damaged ledger, 5 disk failed.
#[derive(Debug, Parser)]
#[command(name = "bolillero-server", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take bets, do the draw, tell the winners
    Serve(Box<ServeArgs>),
    /// Serve the files of a directory over HFTP, without a lottery
    Files(Box<FilesArgs>),
    /// Answer every line with the same line: to try a network and a client without a lottery
    Echo(Box<EchoArgs>),
    /// Tell by the exit code whether a server on this machine takes connections: 0 or 1
    Health(HealthArgs),
    /// Write all stored bets as CSV: agency, first name, last name, document, birth date, number
    ///
    /// Names are what bettors gave. Spreadsheet programs execute a cell that begins with = + - @, a tab
    /// or a carriage return: give --for-spreadsheets for an export that is to be opened in one.
    Export(ExportArgs),
    /// Check a whole ledger: every checksum, every lane's chain, the draw
    Verify(VerifyArgs),
    /// Save what is sound of a damaged ledger into a new directory, and tell what is lost
    ///
    /// Works on a copy, or on the data directory of a server that is stopped; changes nothing in it.
    /// A lane is kept up to its first missing batch: numbers and checksums prove it whole. The output
    /// is the data directory of a server, which is started on it with the same options as before.
    ///
    /// Exit codes: 0 nothing is lost, 4 something is, as told, or nothing can be kept; else as for all
    /// commands.
    Repair(RepairArgs),
}

/// Options of `serve`.
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "the brackets are for the help, which shows them"
)]
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where agencies connect: HOST[:PORT]; port 0 takes a free one [default: 127.0.0.1:12345]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub listen: Option<String>,
    /// Where agencies that speak the text dialect connect, if any: HOST[:PORT]; port 0 takes a free
    /// one [default port: 12346]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub listen_text: Option<String>,
    /// Where files are fetched over HFTP, if at all: HOST[:PORT]; port 0 takes a free one
    /// [default port: 19500]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub files: Option<String>,
    /// The files that are fetched there; made when missing. Without it: the published results
    /// [default: DATA_DIR/published]
    #[arg(long, value_name = "DIR", requires = "files")]
    pub files_dir: Option<PathBuf>,
    /// The room where operators talk.
    #[command(flatten)]
    pub room: RoomArgs,
    /// Services that let in also who shows no certificate, where --tls-client-ca asks for one
    #[arg(
        long,
        value_name = "SERVICE",
        value_enum,
        value_delimiter = ',',
        requires = "tls_client_ca"
    )]
    pub tls_anyone: Vec<OpenService>,
    /// Where the ledger and the published results are; made when missing. Only the server's user may
    /// read what is made there
    #[arg(long, value_name = "DIR", default_value = ".data/central")]
    pub data_dir: PathBuf,
    /// Publish the results in this directory, for a web server for example; made when missing. Every
    /// user of this machine may read what is made there [default: DATA_DIR/published]
    #[arg(long, value_name = "DIR")]
    pub published: Option<PathBuf>,
    /// The agencies are 1 to N; 0: nothing is ever drawn
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub agencies: u32,
    /// The number that wins, 0 to 9999
    #[arg(long, value_name = "NUMBER", default_value_t = 7574)]
    pub winning_number: u16,
    /// The longest data of a request, at most 1MiB
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub max_packet: String,
    /// Requests of a connection that may be unanswered; further ones wait unread
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_unanswered: usize,
    /// Memory for winners that peers have not taken, of all connections; above it long lists wait
    /// their turn. At least 64KiB
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub winners_unsent_max: String,
    /// Open sessions (HELLO) of one agency, replaced ones that have not closed yet included, at least
    /// 2; at the limit the oldest is closed and the new one answered busy
    #[arg(long, value_name = "N", default_value_t = SESSIONS_PER_AGENCY_MAX_DEFAULT)]
    pub max_sessions_per_agency: usize,
    /// Memory for the last batches of all agencies together, so that a batch sent again gets its
    /// receipt again; at most 128 batches an agency, at least 8
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub remembered_max: String,
    /// From a packet's first byte to its last
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub packet_timeout: String,
    /// Without a packet or a command, while nothing is owed
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub idle_timeout: String,
    /// Bytes queued for the ledger, of all connections; above it nothing more is read
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub ledger_queue: String,
    /// Size of a ledger file; three are kept allocated
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub segment_size: String,
    /// How long after the last bet the ledger's end is marked
    #[arg(long, value_name = "TIME", default_value = "100ms")]
    pub mark_delay: String,
    /// Threads that read the ledger for the winners [default: as many as cores, at most 8]
    #[arg(long, value_name = "N")]
    pub readers: Option<usize>,
    /// Longest wait for more bets to sync at once, and never longer than a sync; 0s: none
    #[arg(long, value_name = "TIME", default_value = "1ms")]
    pub linger_max: String,
    /// Between the log line of the draw and the first answer, for tools that merge logs
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub announce_delay: String,
    /// Longest wait of the winners' announcement for the files with the results; 0s: none
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub publish_wait: String,
    /// Start although the published results contradict the ledger, for example after it was restored
    /// from an older copy; the results are moved into a directory superseded-DRAW-N beside them
    #[arg(long)]
    pub ignore_published: bool,
    /// What the file service keeps to.
    #[command(flatten)]
    pub file_limits: FileLimitArgs,
    /// How connections are held.
    #[command(flatten)]
    pub connections: ConnectionArgs,
}

/// A service for which a client need not be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OpenService {
    /// The published files
    Files,
    /// The room where operators talk
    Room,
}

/// Options of `echo`.
#[derive(Debug, Clone, Args)]
pub struct EchoArgs {
    /// Where clients connect: HOST[:PORT]; port 0 takes a free one [default: 127.0.0.1:12345]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub listen: Option<String>,
    /// The longest line, its end not counted; a longer one closes its connection
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub max_line: String,
    /// How long a line may take, counted from the one before
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub line_timeout: String,
    /// How connections are held.
    #[command(flatten)]
    pub connections: ConnectionArgs,
}

/// Options of the room.
#[derive(Debug, Clone, Args)]
pub struct RoomArgs {
    /// Where operators talk, if anywhere: HOST[:PORT]; port 0 takes a free one
    /// [default port: 5001]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub room: Option<String>,
    /// Let guests of the room come without TLS, also where all else needs it: for a network that you
    /// trust
    #[arg(long)]
    pub room_plaintext: bool,
    /// Guests at a time
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub room_capacity: usize,
    /// The last messages that are kept, and told when asked for
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub room_history: usize,
    /// Objects that may wait to be sent to a guest; who takes too few is dropped
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub room_queue: usize,
    /// Objects that a guest may send at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub room_burst: u32,
    /// How long until a guest may send one more than that
    #[arg(long, value_name = "TIME", default_value = "200ms")]
    pub room_refill: String,
    /// From an object's first byte to its last
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub room_object_timeout: String,
}

/// Options of `files`. The short ones are those of deployed scripts.
#[derive(Debug, Clone, Args)]
pub struct FilesArgs {
    /// Where clients connect: HOST[:PORT], instead of address and port
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["address", "port"])]
    pub listen: Option<String>,
    /// The address to listen on [default: 0.0.0.0, all of this machine's]
    #[arg(short, long, value_name = "HOST")]
    pub address: Option<String>,
    /// The port to listen on; 0 takes a free one [default: 19500]
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<String>,
    /// The directory whose files are served; made when missing
    #[arg(short, long, visible_alias = "dir", value_name = "DIR", default_value = "testdata")]
    pub datadir: PathBuf,
    /// Without a command, while nothing is owed
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub idle_timeout: String,
    /// What the service keeps to.
    #[command(flatten)]
    pub limits: FileLimitArgs,
    /// How connections are held.
    #[command(flatten)]
    pub connections: ConnectionArgs,
}

/// Options of every command that serves files.
#[derive(Debug, Clone, Args)]
pub struct FileLimitArgs {
    /// The longest command for files; it takes no memory
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub max_command: String,
    /// From a command's first byte to its last
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub command_timeout: String,
    /// The longest listing, at most 64MiB; a directory with more to list is answered with an error
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    pub max_listing: String,
    /// Memory of all listings that are being sent, equal ones counted once; above it one more is
    /// answered with an error
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub listing_memory: String,
    /// Threads that wait for the disk where files are not in memory
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub file_readers: usize,
}

/// Options of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Where the server listens; one that does on all addresses is asked on loopback
    /// [default: 127.0.0.1:12345]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub listen: Option<String>,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: String,
    /// File with SERVER_PORT under [DEFAULT]; the environment goes before it
    /// [default: server/config.ini, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of every command that takes connections.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// Where connections are turned
    #[arg(long, value_enum, default_value_t = Driver::Pool)]
    pub driver: Driver,
    /// Threads of the driver `pool` [default: as many as cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Connections at once; then accepting pauses, and newcomers are told that the office is busy
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Connections at once from one address; its newcomers are then told that the office is busy. A
    /// connection with an agency's certificate counts for the agency instead, under the same limit;
    /// this machine's own (loopback) do not count [default: all but 64 or a sixteenth, whichever is
    /// more, and at least two for each agency]
    #[arg(long, value_name = "N")]
    pub max_connections_per_address: Option<usize>,
    /// Leading bits of an IPv6 address that make one address of a whole network for that limit, 1 to
    /// 128; an IPv4 address behind a NAT64 (64:ff9b::/96) is always one of its own
    #[arg(long, value_name = "BITS", default_value_t = IPV6_PREFIX_LENGTH_DEFAULT)]
    pub ipv6_prefix_length: u8,
    /// How long a newcomer waits for a place before it is told so
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub busy_delay: String,
    /// Answers a connection may leave untaken; further ones wait
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub max_output: String,
    /// A peer that takes none of its answers for so long is closed
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub output_timeout: String,
    /// A peer that vanished without a word is noticed after this
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub peer_timeout: String,
    /// On SIGTERM: how long what had arrived may take to be finished
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub drain_timeout: String,
    /// Connections that the kernel keeps waiting to be accepted [default: 1024]
    #[arg(long, value_name = "N")]
    pub backlog: Option<i32>,
    /// debug, info, warning, error or critical, in any case [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// File with SERVER_PORT, SERVER_IP, SERVER_LISTEN_BACKLOG, LOGGING_LEVEL under [DEFAULT];
    /// the environment goes before it, flags before both [default: server/config.ini, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whether over TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Options of every command that takes connections: how they are secured.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Take connections over TLS, and no others, with the certificate in this file; behind it those
    /// between it and its authority. PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of that certificate. PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let in only who shows a certificate of the authority in this file. One for the lottery names
    /// an agency, bolillero://agency/N, and speaks for no other. PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// How long a handshake may take
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub tls_handshake_timeout: String,
}

/// Options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The data directory of a server, which may be running
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where to write; only the user of this command may read the file [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write a ' before what a spreadsheet program would execute. For reading only: names are no longer
    /// what was bet
    #[arg(long)]
    pub for_spreadsheets: bool,
}

/// Options of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The data directory of a server, which may be running
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// One JSON object instead of lines for a person
    #[arg(long)]
    pub json: bool,
}

/// Options of `repair`.
#[derive(Debug, Clone, Args)]
pub struct RepairArgs {
    /// The data directory with the damaged ledger; better a copy of it
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The data directory to make; one that is there must be empty [default: none, only tell]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Only tell what would be kept and lost
    #[arg(long)]
    pub dry_run: bool,
    /// The agencies of the draw, where the ledger's first group is lost
    #[arg(long, value_name = "N", requires = "winning_number")]
    pub agencies: Option<u32>,
    /// The number that wins, where the ledger's first group is lost
    #[arg(long, value_name = "NUMBER", requires = "agencies")]
    pub winning_number: Option<u16>,
}
