//! One run: a server, what clients do with it, and what that took.

use anyhow::Context as _;

use super::super::args::Bench;
use super::super::figure::{MILLION, Sample};
use super::super::marks::{self, Marks};
use super::super::rows::Reference;
use super::super::run::{self, Running};
use super::super::side::Side;
use super::super::tls::{Stream, connect_over};
use super::ask::Askers;
use super::content::{Content, Form, Replies, SLICE_BYTES};
use super::fetch::{Check, fetch};

/// Replies that are asked for, in all: a second or two for each.
const REPLIES_ALONE: usize = 50_000;
const REPLIES_TOGETHER: usize = 200_000;
/// What costs are told for, if it is not a million replies.
const GIGABYTE: f64 = 1e9;

/// What clients do with a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// One fetches the file.
    Fetch(Form),
    /// So many ask for its size.
    Ask { clients: usize },
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
        side: Side,
        content: &Content,
        in_full: bool,
    ) -> anyhow::Result<Sample> {
        let running = start(bench, self, side, content)?;
        let sample = match self {
            Self::Fetch(form) => {
                // The reference knows no slices.
                let form = if side.is_ours() { form } else { Form::Plain };
                let replies = Replies::new(content, form);
                let connect = || connect_over(bench, side.channel(), &running.address);
                measure_fetch(&running, connect, &replies, in_full)?
            }
            Self::Ask { clients } => measure_asking(&running, content, clients)?,
        };
        if side.is_ours() {
            running.stop()?;
        }
        Ok(sample)
    }
}

fn start(bench: &Bench, work: Work, side: Side, content: &Content) -> anyhow::Result<Running> {
    match side {
        Side::Reference(channel) => {
            run::start_reference(bench, (work.reference(), channel), &content.path)
        }
        Side::Ours(driver, channel) => {
            let mut command = run::ours(bench, &content.directory, "files");
            command.args(["--driver", driver.name(), "--dir"]).arg(&content.directory);
            run::add_tls(bench, channel, &mut command);
            run::listen_ours(command, "files")
        }
    }
}

fn measure_fetch(
    running: &Running,
    connect: impl Fn() -> anyhow::Result<Box<dyn Stream>>,
    replies: &Replies<'_>,
    in_full: bool,
) -> anyhow::Result<Sample> {
    if in_full {
        fetch(&mut *connect()?, replies, Check::Every).context("comparing every byte")?;
    }
    let socket = &mut *connect()?;
    let size = replies.count() * SLICE_BYTES;
    Sample::of(running, (size as u64, GIGABYTE), || fetch(socket, replies, Check::Spots))
}

/// Every reply is short, and compared whole.
fn measure_asking(running: &Running, content: &Content, clients: usize) -> anyhow::Result<Sample> {
    let askers = Askers::connect(&running.address, clients)?;
    let (request, reply) = content.size_asked();
    let count = if clients == 1 { REPLIES_ALONE } else { REPLIES_TOGETHER };
    Sample::of(running, (count as u64, MILLION), || askers.ask(count, &request, &reply))
}
