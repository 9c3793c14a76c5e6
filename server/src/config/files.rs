//! What a server is told of the files that it serves.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use bolillero_fs::Access;
use bolillero_protocol::hftp;

use super::Connections;
use super::address::{parse_port, resolve};
use super::sources::Sources;
use super::units::{deadline_flag, flag, size_flag};
use crate::args::{FileLimitArgs, FilesArgs, ServeArgs};
use crate::files::FilesLimits;
use crate::lottery::publish::PUBLISHED_DIRECTORY;

/// The most threads that can be asked for to wait for the disk.
pub const FILE_READERS_MAX: usize = 64;
/// The longest listing that can be asked for.
pub const LISTING_SIZE_MAX: usize = 64 << 20;
/// Deployed scripts start the server for clients of other machines.
const HOST_DEFAULT: &str = "0.0.0.0";

/// Which files are served, and where.
#[derive(Debug, Clone)]
pub struct FileService {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The directory that they are in.
    pub directory: PathBuf,
    /// Who on this machine may read it, where it is made.
    pub access: Access,
    /// What the service keeps to.
    pub limits: FilesLimits,
}

/// All that a server of nothing but files is told.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// What it serves.
    pub service: FileService,
    /// How connections are held, and what is logged.
    pub connections: Connections,
}

impl FileService {
    /// The files beside a lottery, if any are served.
    pub(super) fn beside(args: &ServeArgs) -> anyhow::Result<Option<Self>> {
        let limits = limits(&args.file_limits, &args.idle_timeout)?;
        let Some(listen) = &args.files else { return Ok(None) };
        let (directory, access) = match &args.files_dir {
            Some(directory) => (directory.clone(), Access::Owner),
            None => (published(args), published_access(args)),
        };
        let listen = resolve("files", listen, hftp::PORT_DEFAULT)?;
        Ok(Some(Self { listen, directory, access, limits }))
    }
}

/// Where the results of the lottery are published.
pub(super) fn published(args: &ServeArgs) -> PathBuf {
    args.published.clone().unwrap_or_else(|| args.data_dir.join(PUBLISHED_DIRECTORY))
}

/// A directory that is named is for a program of another user, a web server for example.
pub(super) fn published_access(args: &ServeArgs) -> Access {
    if args.published.is_some() { Access::Everybody } else { Access::Owner }
}

impl FilesConfig {
    /// As [`Config::new`](super::Config::new). The port is the options' only: `SERVER_PORT` is that of the lottery.
    ///
    /// # Errors
    /// The first value that means nothing, and where it came from.
    pub fn new(
        args: &FilesArgs,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let sources = Sources::open(args.connections.config.as_deref(), &environment)?;
        let service = FileService {
            listen: listen(args)?,
            directory: args.datadir.clone(),
            access: Access::Owner,
            limits: limits(&args.limits, &args.idle_timeout)?,
        };
        Ok(Self { service, connections: Connections::new(&args.connections, 0, &sources)? })
    }
}

fn listen(args: &FilesArgs) -> anyhow::Result<SocketAddr> {
    if let Some(text) = &args.listen {
        return resolve("listen", text, hftp::PORT_DEFAULT);
    }
    let port = args.port.as_deref().map(|text| flag("port", text, parse_port)).transpose()?;
    let host = args.address.as_deref().unwrap_or(HOST_DEFAULT);
    resolve("address", host, port.unwrap_or(hftp::PORT_DEFAULT))
}

fn limits(args: &FileLimitArgs, idle_timeout: &str) -> anyhow::Result<FilesLimits> {
    let readers = args.file_readers;
    ensure!(
        (1..=FILE_READERS_MAX).contains(&readers),
        "--file-readers {readers}: not 1 to {FILE_READERS_MAX}"
    );
    let command_bytes_max = size_flag("max-command", &args.max_command)?;
    ensure!(command_bytes_max > 0, "--max-command 0: nothing could be asked");
    let listing_bytes_max = size_flag("max-listing", &args.max_listing)?;
    ensure!(
        listing_bytes_max <= LISTING_SIZE_MAX,
        "--max-listing {}: more than 64MiB",
        args.max_listing
    );
    Ok(FilesLimits {
        command_bytes_max,
        command_time_max: deadline_flag("command-timeout", &args.command_timeout)?,
        idle_time_max: deadline_flag("idle-timeout", idle_timeout)?,
        readers,
        listing_bytes_max,
        listing_memory_bytes_max: size_flag("listing-memory", &args.listing_memory)?,
    })
}
