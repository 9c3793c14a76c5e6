//! The references that the server is measured against: a page each, as fast as such a page can be
//! without preallocated files, checksums or hashes.

mod packets;
mod batch;
mod link;
mod blocking;
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
mod room;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bolillero_tls::Identity;
use bolillero_tls::server::{Admission, ServerFiles, ServerTls};
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use clients::Clients;
use link::Tls;

/// A small server to measure Bolillero against. Takes opcodes 3 and 5, answers each with 2; the
/// last four answer lines instead. Runs until it is killed.
#[derive(Parser)]
#[command(name = "reference")]
struct Args {
    /// Which server to be
    kind: Kind,
    /// Where to listen, HOST:PORT; port 0 takes a free one, which the first line on stdout names
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where batches are appended; null, accept, accepts and room leave it alone, stream sends it, reply and
    /// replies tell its size
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    /// Speak TLS, with this certificate; reply and replies speak none
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
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
    /// As accept, by eight threads
    Accepts,
    /// One connection after the other; sends the file to whoever says anything
    Stream,
    /// One connection after the other; answers every line with the file's size, found out once
    Reply,
    /// Event loop; answers as reply does
    Replies,
    /// Event loop; passes every line on to all others
    Room,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    raise_descriptor_limit();
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    run(&args, listener)
}

fn run(args: &Args, listener: TcpListener) -> anyhow::Result<()> {
    let tls = tls(args)?;
    let file = || open(&args.file);
    let clients = |listener| Clients::new(listener, tls.clone());
    match args.kind {
        Kind::Null => null::run(clients(listener)?)?,
        Kind::Append => append::run(clients(listener)?, file()?)?,
        Kind::SyncEach => sync_each::run(clients(listener)?, file()?)?,
        Kind::Group => group::run(clients(listener)?, file()?)?,
        Kind::Pipe => pipe::run(clients(listener)?, file()?)?,
        Kind::Accept => accept::run(&listener, tls.as_ref(), 1)?,
        Kind::Accepts => accept::run(&listener, tls.as_ref(), accept::THREADS)?,
        Kind::Stream => stream::run(&listener, tls.as_ref(), open_to_read(&args.file)?)?,
        Kind::Reply => reply::run(&listener, &size_of(&args.file)?)?,
        Kind::Replies => replies::run(listener, &size_of(&args.file)?)?,
        Kind::Room => room::run(listener, tls.as_ref())?,
    }
    Ok(())
}

/// What the server's own handshakes keep to, so that nothing but the loop around them differs.
fn tls(args: &Args) -> anyhow::Result<Option<Tls>> {
    let Some((cert, key)) = args.tls_cert.clone().zip(args.tls_key.clone()) else {
        return Ok(None);
    };
    let files = ServerFiles { identity: Identity { cert, key }, client_ca: None };
    Ok(Some(ServerTls::load(&files)?.config(Admission::Anyone)))
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
