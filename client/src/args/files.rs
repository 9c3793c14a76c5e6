//! What was typed behind `bolillero files`.

#![allow(rustdoc::broken_intra_doc_links)] // The comments on options are the text of --help.

use std::path::PathBuf;

use clap::Subcommand;

use super::TlsArgs;

/// What can be done with files of a server.
#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// Tell the names of all files, one a line
    Ls(LsArgs),
    /// Fetch files, whole and checked, into a directory; goes on where an earlier run ended
    Get(GetArgs),
    /// Write the bytes of files to stdout, one file behind the other
    Cat(CatArgs),
}

/// Where a file server is, and how patiently to wait for it.
#[derive(Debug, clap::Args)]
pub struct FileServerArgs {
    /// Where the file server listens; the port is 19500 unless it is given
    #[arg(value_name = "HOST[:PORT]")]
    pub server: String,
    /// Longest time without a connection on which the server gives something new
    /// [default: 2m, and 10s while the host name cannot be resolved]
    #[arg(long, value_name = "TIME")]
    pub connect_timeout: Option<String>,
    /// Longest wait for an answer, and for each 16 KiB of a slice
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub reply_timeout: String,
    /// Time after which a peer that vanished is noticed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub peer_timeout: String,
    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// How the bytes of files are asked for.
#[derive(Debug, clap::Args)]
pub struct SliceArgs {
    /// Slices of a file on their way at once, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub window: usize,
    /// Bytes of a slice, 1 to 1GiB
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub slice: String,
}

/// Options of `bolillero files ls`.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Where.
    #[command(flatten)]
    pub server: FileServerArgs,
    /// Tell the size of each in bytes, before its name
    #[arg(long)]
    pub long: bool,
}

/// What follows the options of `bolillero files get`.
const PARTS: &str = "What has come of a file is in NAME.part until it is whole, and beside it in \
    NAME.part.origin which file that is. A run that ends early, also by a signal, leaves both and \
    has the exit code 1; the next one goes on from there. A file that is there stays, with the exit \
    code 0, if it has the SHA-256 that is published, or the same bytes where none is. SHA256SUMS is \
    brought up to date where the server's has all of its lines. Any other file that is there is an \
    error without --force.";

/// Options of `bolillero files get`.
#[derive(Debug, clap::Args)]
#[command(after_help = PARTS)]
pub struct GetArgs {
    /// Where.
    #[command(flatten)]
    pub server: FileServerArgs,
    /// The files to fetch
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub names: Vec<String>,
    /// Fetch all files that the server lists
    #[arg(long)]
    pub all: bool,
    /// Directory to fetch them to; made when missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// Do without the checksums in the server's SHA256SUMS
    #[arg(long)]
    pub no_verify: bool,
    /// How.
    #[command(flatten)]
    pub slices: SliceArgs,
}

/// Options of `bolillero files cat`.
#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// Where.
    #[command(flatten)]
    pub server: FileServerArgs,
    /// The files to write
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How.
    #[command(flatten)]
    pub slices: SliceArgs,
}
