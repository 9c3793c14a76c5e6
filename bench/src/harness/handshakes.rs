//! Connections that shake hands, ask one thing and end: how many a second, beside a bare accept loop.
//! Half of the rows begin from nothing, half go on with a session from before.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, anyhow, ensure};
use bolillero_tls::rustls::ClientConfig;
use bolillero_tls::rustls::client::Resumption;
use serde::Serialize;

use super::args::Bench;
use super::disk::Disk;
use super::figure::{Figure, MILLION, Sample, in_turns};
use super::idle::{BUSY, QUESTION};
use super::marks;
use super::network;
use super::progress;
use super::report::with_unit;
use super::rows::Reference;
use super::run::{self, Running};
use super::side::{SECURED, Side, Subject};
use super::tls::Secure;

/// Clients at once, each a thread, as many as the bare loop has: they keep the processors busy, so
/// that what is measured is what a connection costs, not who waits for whom.
pub(crate) const CLIENTS: u64 = 8;
/// Of all clients, in one run.
const CONNECTIONS: [(Begin, u64); 2] = [(Begin::Full, 6_000), (Begin::Resumed, 12_000)];
/// Opcode 5 of agency 1 and its acknowledgement: as long as the question and its answer.
const READY: &[u8] = b"\x05\x00\x00\x00\x021#";
const ACK: &[u8] = b"\x02\x00\x00\x00\x00";

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Begin {
    /// With certificates, and keys that are agreed on anew.
    Full,
    /// With a ticket of the connection before.
    Resumed,
}

/// Every server in every round, in turns; first full handshakes, then resumed ones.
pub(crate) fn measure(bench: &Bench, disk: &mut Disk) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (begin, connections) in CONNECTIONS {
        let connections = bench.amount(connections);
        let work = begin.name().to_owned();
        let subject = Subject { work, reference: Reference::Accepts, unit: "/s" };
        let samples = in_turns(bench.rounds, SECURED.len(), |turn| {
            network::settle(connections);
            let (side, work) = (SECURED[turn], &subject.work);
            let name = side.name(subject.reference);
            let sample = run(bench, disk, side, begin, connections);
            let sample = sample.with_context(|| format!("{work} {name}"))?;
            let speed = with_unit(sample.per_second);
            progress(&format!("handshakes {work:<8} {name:<16} {speed:>12}/s"));
            Ok(sample)
        })?;
        figures.extend(subject.figures(&SECURED, &samples, |_| Some(marks::HANDSHAKES)));
    }
    Ok(figures)
}

fn run(
    bench: &Bench,
    disk: &mut Disk,
    side: Side,
    begin: Begin,
    connections: u64,
) -> anyhow::Result<Sample> {
    let running = start(bench, disk, side)?;
    let (question, answer) = if side.is_ours() { (QUESTION, BUSY) } else { (READY, ACK) };
    let clients = (0..CLIENTS).map(|_| {
        let config = config(bench, begin)?;
        let client = Client { address: &running.address, config, question, answer };
        // It makes what all later ones share, and brings the first ticket.
        client.converse()?;
        Ok(client)
    });
    let clients: Vec<Client<'_>> = clients.collect::<anyhow::Result<_>>()?;
    let each = connections / CLIENTS;
    let sample = Sample::of(&running, (each * CLIENTS, MILLION), || {
        thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter()
                .map(|client| scope.spawn(|| (0..each).try_for_each(|_| client.begin_as(begin))))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?)
        })
    })?;
    if side.is_ours() {
        running.stop()?;
    }
    disk.clear()?;
    Ok(sample)
}

fn start(bench: &Bench, disk: &mut Disk, side: Side) -> anyhow::Result<Running> {
    let (directory, _) = disk.settle()?;
    match side {
        Side::Reference(channel) => {
            let kind = (Reference::Accepts, channel);
            run::start_reference(bench, kind, &directory.join("none"))
        }
        Side::Ours(driver, channel) => {
            let mut command = run::serve(bench, &directory);
            command.args(["--driver", driver.name()]);
            run::add_tls(bench, channel, &mut command);
            run::listen_ours(command, "lottery")
        }
    }
}

fn config(bench: &Bench, begin: Begin) -> anyhow::Result<Arc<ClientConfig>> {
    let config = bench.certificates.client()?;
    if begin == Begin::Resumed {
        return Ok(config);
    }
    let mut forgetful = (*config).clone();
    forgetful.resumption = Resumption::disabled();
    Ok(Arc::new(forgetful))
}

/// Who connects again and again, and remembers its last session where it may.
struct Client<'a> {
    address: &'a str,
    config: Arc<ClientConfig>,
    question: &'static [u8],
    answer: &'static [u8],
}

impl Client<'_> {
    fn begin_as(&self, begin: Begin) -> anyhow::Result<()> {
        let begun = self.converse()?;
        ensure!(begun == begin, "a {} handshake was {}", begin.name(), begun.name());
        Ok(())
    }

    /// Connects, asks, reads the answer, ends. Says how it began.
    fn converse(&self) -> anyhow::Result<Begin> {
        let mut stream = Secure::new(&self.config, network::connect(self.address)?)?;
        stream.shake_hands()?;
        stream.write_all(self.question).context("asking")?;
        let mut answer = [0; BUSY.len()];
        stream.read_exact(&mut answer).context("waiting for an answer")?;
        ensure!(answer == self.answer, "the answer is {answer:?}, not {:?}", self.answer);
        let begun = if stream.is_resumed() { Begin::Resumed } else { Begin::Full };
        // The reference may have ended it already.
        let _ = stream.close();
        Ok(begun)
    }
}

impl Begin {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        }
    }
}
