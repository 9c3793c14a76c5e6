//! One run: a server, what clients do with it, and what that took.

use std::process::id;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use super::super::args::Bench;
use super::super::marks::{self, Marks};
use super::super::proc::{Memory, Used};
use super::super::rows::{Driver, Reference};
use super::super::run::{self, Running};
use super::ask::{Askers, connect};
use super::content::{Content, Form, Replies, SLICE_BYTES};
use super::fetch::{Check, fetch};

/// Who takes part in each work.
pub(super) const SERVERS: [Server; 3] =
    [Server::Reference, Server::Ours(Driver::Pool), Server::Ours(Driver::Events)];

/// Replies that are asked for, in all: a second or two for each.
const REPLIES_ALONE: usize = 50_000;
const REPLIES_TOGETHER: usize = 200_000;
/// What costs are told for: a gigabyte, or a million replies.
const GIGABYTE: f64 = 1e9;
const MILLION: f64 = 1e6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// The one of the work.
    Reference,
    Ours(Driver),
}

/// What clients do with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// One fetches the file.
    Fetch(Form),
    /// So many ask for its size.
    Ask { clients: usize },
}

/// What one run found.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// Bytes of the file, or replies.
    pub(super) per_second: f64,
    /// Of the server, for a gigabyte or for a million replies.
    pub(super) cpu_seconds: f64,
    /// The share of one processor that the client took.
    pub(super) client_busy: f64,
    pub(super) memory_max_bytes: f64,
}

impl Server {
    pub(super) fn name(self, work: Work) -> String {
        match self {
            Self::Reference => work.reference().name().to_owned(),
            Self::Ours(driver) => format!("ours {}", driver.name()),
        }
    }
}

impl Work {
    pub(super) fn name(self) -> String {
        match self {
            Self::Fetch(Form::Base64) => "slices, base64".to_owned(),
            Self::Fetch(Form::Plain | Form::Raw) => "slices, raw".to_owned(),
            Self::Ask { clients: 1 } => "size, 1 client".to_owned(),
            Self::Ask { clients } => format!("size, {clients} clients"),
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Fetch(_) => "B/s",
            Self::Ask { .. } => "/s",
        }
    }

    pub(super) fn reference(self) -> Reference {
        match self {
            Self::Fetch(_) => Reference::Stream,
            Self::Ask { clients: 1 } => Reference::Reply,
            Self::Ask { .. } => Reference::Replies,
        }
    }

    pub(super) fn marks(self) -> Marks {
        match self {
            Self::Fetch(Form::Base64) => marks::FILES_BASE64,
            Self::Fetch(Form::Plain | Form::Raw) => marks::FILES_RAW,
            Self::Ask { .. } => marks::FILES_METADATA,
        }
    }

    /// Starts a server, and measures it once. With `in_full` every byte is compared once before.
    pub(super) fn run(
        self,
        bench: &Bench,
        server: Server,
        content: &Content,
        in_full: bool,
    ) -> anyhow::Result<Sample> {
        let running = start(bench, self, server, content)?;
        let sample = match self {
            Self::Fetch(form) => {
                // The reference knows no slices.
                let form = if server == Server::Reference { Form::Plain } else { form };
                measure_fetch(&running, &Replies::new(content, form), in_full)?
            }
            Self::Ask { clients } => measure_asking(&running, content, clients)?,
        };
        if server != Server::Reference {
            running.stop()?;
        }
        Ok(sample)
    }
}

fn start(bench: &Bench, work: Work, server: Server, content: &Content) -> anyhow::Result<Running> {
    match server {
        Server::Reference => run::start_reference(bench, work.reference(), &content.path),
        Server::Ours(driver) => {
            let mut command = run::ours(bench, &content.directory, "files");
            command.args(["--driver", driver.name(), "--dir"]).arg(&content.directory);
            run::listen_ours(command, "files")
        }
    }
}

fn measure_fetch(
    running: &Running,
    replies: &Replies<'_>,
    in_full: bool,
) -> anyhow::Result<Sample> {
    if in_full {
        let socket = &mut connect(&running.address)?;
        fetch(socket, replies, Check::Every).context("comparing every byte")?;
    }
    let socket = &mut connect(&running.address)?;
    let size = replies.count() * SLICE_BYTES;
    Sample::of(running, (size, GIGABYTE), || fetch(socket, replies, Check::Spots))
}

/// Every reply is short, and compared whole.
fn measure_asking(running: &Running, content: &Content, clients: usize) -> anyhow::Result<Sample> {
    let askers = Askers::connect(&running.address, clients)?;
    let (request, reply) = content.size_asked();
    let count = if clients == 1 { REPLIES_ALONE } else { REPLIES_TOGETHER };
    Sample::of(running, (count, MILLION), || askers.ask(count, &request, &reply))
}

impl Sample {
    /// Of a run that moves so much, and what its costs are told for.
    fn of(
        running: &Running,
        (amount, told_for): (usize, f64),
        run: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let pid = running.process.id();
        let (server, client) = (Used::read(pid)?, Used::read(id())?);
        let begin = Instant::now();
        run()?;
        let seconds = begin.elapsed().as_secs_f64();
        let memory = Memory::read(pid)?;
        let server = server.until(&Used::read(pid)?, memory);
        let client = client.until(&Used::read(id())?, memory);
        let amount = amount as f64;
        Ok(Self {
            per_second: amount / seconds,
            cpu_seconds: server.cpu_seconds * told_for / amount,
            client_busy: client.cpu_seconds / seconds,
            memory_max_bytes: memory.max as f64,
        })
    }
}
