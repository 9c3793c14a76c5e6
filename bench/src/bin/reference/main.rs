//! The references that the server is measured against: a page each, as fast as such a page can be
//! without preallocated files, checksums or hashes.

mod packets;
mod batch;
mod client;
mod clients;
mod null;
mod append;
mod sync_each;
mod group;
mod pipe;
mod accept;
mod stream;
mod reply;
mod replies;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use clients::Clients;

/// A small server to measure Bolillero against. Takes opcodes 3 and 5, answers each with 2; the
/// last three answer lines instead. Runs until it is killed.
#[derive(Parser)]
#[command(name = "reference")]
struct Args {
    /// Which server to be
    kind: Kind,
    /// Where to listen, HOST:PORT; port 0 takes a free one, which the first line on stdout names
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where batches are appended; null and accept leave it alone, stream sends it, reply and
    /// replies tell its size
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Event loop; validates and stores nothing
    Null,
    /// Event loop; one write per round of readiness, no sync
    Append,
    /// Event loop; a write and a sync per batch
    SyncEach,
    /// Event loop; a write and a sync per round of readiness
    Group,
    /// Event loop that goes on reading while a second thread writes, syncs and answers
    Pipe,
    /// One packet per connection, one connection after the other; validates and stores nothing
    Accept,
    /// One connection after the other; sends the file to whoever says anything
    Stream,
    /// One connection after the other; answers every line with the file's size, found out once
    Reply,
    /// Event loop; answers as reply does
    Replies,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    raise_descriptor_limit();
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    match args.kind {
        Kind::Null => null::run(Clients::new(listener)?)?,
        Kind::Append => append::run(Clients::new(listener)?, open(&args.file)?)?,
        Kind::SyncEach => sync_each::run(Clients::new(listener)?, open(&args.file)?)?,
        Kind::Group => group::run(Clients::new(listener)?, open(&args.file)?)?,
        Kind::Pipe => pipe::run(Clients::new(listener)?, open(&args.file)?)?,
        Kind::Accept => accept::run(&listener)?,
        Kind::Stream => stream::run(&listener, open_to_read(&args.file)?)?,
        Kind::Reply => reply::run(&listener, &size_of(&args.file)?)?,
        Kind::Replies => replies::run(listener, &size_of(&args.file)?)?,
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.with_context(|| format!("opening {}", path.display()))
}

fn open_to_read(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("opening {}", path.display()))
}

/// What an HFTP server answers to `get_metadata`.
fn size_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = open_to_read(path)?.metadata()?.len();
    Ok(format!("0 OK\r\n{size}\r\n").into_bytes())
}

/// Failing is no failure: accepting says so where the limit is too low.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
