//! A row of the speed of bets: every server in every round, in turns, and what follows from it.

use anyhow::Context as _;
use serde::Serialize;

use super::args::Bench;
use super::cost::{Series, TlsCost};
use super::disk::Disk;
use super::load::LoadReport;
use super::marks::{self, Marks};
use super::progress;
use super::rows::{Channel, Grows, Row, Server, Work};
use super::run::{self, Sample};
use super::stats::Spread;
use super::trace::{self, Calls};

/// Runs that count calls do a tenth of the work.
const TRACED_SHARE: u64 = 10;

/// What a row found.
#[derive(Debug, Serialize)]
pub(crate) struct RowReport {
    pub(crate) name: String,
    pub(crate) work: Work,
    pub(crate) reference: &'static str,
    pub(crate) scale: Option<Grows>,
    pub(crate) servers: Vec<ServerReport>,
    /// What TLS costs ours, where servers are spoken to with and without it.
    pub(crate) tls: Vec<TlsCost>,
    /// What could not be found out, and why.
    pub(crate) notes: Vec<String>,
}

/// What the rounds of one server come to. Medians, where no spread is given.
#[derive(Debug, Serialize)]
pub(crate) struct ServerReport {
    pub(crate) name: String,
    pub(crate) ours: bool,
    /// Bets a second, or connections a second where each request has its own.
    pub(crate) throughput: Spread,
    /// To the row's reference in the same round, under TLS to the reference under TLS.
    pub(crate) ratio: Spread,
    pub(crate) cpu_ratio: f64,
    pub(crate) marks: Option<Marks>,
    pub(crate) latency_p50_us: Spread,
    pub(crate) latency_p99_us: Spread,
    pub(crate) megabytes_per_second: f64,
    pub(crate) cpu_seconds_per_million: f64,
    pub(crate) switches_per_batch: Option<f64>,
    pub(crate) memory_max_bytes: f64,
    pub(crate) sync_append_us: f64,
    pub(crate) sync_filled_us: f64,
    pub(crate) calls_per_batch: Option<Calls>,
    pub(crate) samples: Vec<Sample>,
}

/// Measures a row.
pub(crate) fn measure(bench: &Bench, row: &Row, disk: &mut Disk) -> anyhow::Result<RowReport> {
    let mut samples: Vec<Vec<Sample>> = row.servers.iter().map(|_| Vec::new()).collect();
    let n_servers = row.servers.len();
    for round in 0..row.rounds {
        for turn in 0..n_servers {
            let turn = (round as usize + turn) % n_servers;
            let server = row.servers[turn];
            let sample = run::measure(bench, &row.work, server, round + 1, disk)
                .with_context(|| format!("{}, round {}", server.name(), round + 1))?;
            tell(row, server, &sample);
            samples[turn].push(sample);
        }
    }
    let all = samples.iter().flatten();
    let (runs, unsettled) = (all.clone().count(), all.filter(|run| !run.probe.settled).count());
    let mut report = RowReport::new(row, samples);
    if unsettled > 0 {
        let how = "found the disk much slower than at its best, and went on";
        report.notes.push(format!("{unsettled} of {runs} runs {how} after a wait"));
    }
    if row.traced {
        count_calls(bench, row, disk, &mut report);
    }
    Ok(report)
}

fn tell(row: &Row, server: Server, sample: &Sample) {
    let (unit, throughput) = (row.work.unit(), row.work.throughput(&sample.load));
    let (name, round, rounds) = (server.name(), sample.round, row.rounds);
    let sync = sample.probe.filled_us.p50;
    progress(&format!(
        "{:<22} {name:<14} round {round}/{rounds} {throughput:>12.0} {unit}, sync {sync:.0} us",
        row.name
    ));
}

/// Ours and the row's reference, once each. A count that fails is noted: the row is whole without it.
fn count_calls(bench: &Bench, row: &Row, disk: &mut Disk, report: &mut RowReport) {
    if !trace::is_installed() {
        report.notes.push("strace is not installed: system calls were not counted".to_owned());
        return;
    }
    let work = Work { bets: row.work.bets / TRACED_SHARE, ..row.work };
    for (server, found) in row.servers.iter().zip(&mut report.servers) {
        if server.is_ours() || *server == Server::Reference(row.reference, Channel::Plain) {
            progress(&format!("{:<22} {:<14} system calls", row.name, found.name));
            match run::count_calls(bench, &work, *server, disk) {
                Ok(calls) => found.calls_per_batch = Some(calls),
                Err(error) => report.notes.push(format!("{}, strace: {error:#}", found.name)),
            }
        }
    }
}

impl RowReport {
    fn new(row: &Row, samples: Vec<Vec<Sample>>) -> Self {
        let series: Vec<Series> = samples.iter().map(|samples| series(row, samples)).collect();
        let of = |server: Server| {
            let index = row.servers.iter().position(|other| *other == server);
            &series[index.expect("a row has its reference, and who has TLS also without it")]
        };
        let reference = |channel| of(Server::Reference(row.reference, channel));
        let under_tls = row.servers.iter().filter(|server| server.channel() == Channel::Tls);
        let tls = under_tls.filter(|server| server.is_ours()).map(|server| {
            let ours = Channel::BOTH.map(|channel| of(server.over(channel)));
            TlsCost::new(server.name(), ours, Channel::BOTH.map(reference))
        });
        let tls = tls.collect();
        let servers = row.servers.iter().zip(samples).map(|(server, samples)| {
            ServerReport::new(row, *server, samples, reference(server.channel()))
        });
        Self {
            servers: servers.collect(),
            tls,
            name: row.name.clone(),
            work: row.work,
            reference: row.reference.name(),
            scale: row.scale,
            notes: Vec::new(),
        }
    }
}

impl ServerReport {
    /// `reference`: the row's, over the same channel.
    fn new(row: &Row, server: Server, samples: Vec<Sample>, reference: &Series) -> Self {
        let spread = |figure: &dyn Fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(figure)).expect("a row has a round")
        };
        let throughput = |sample: &Sample| row.work.throughput(&sample.load);
        let ratios = |figure: &dyn Fn(&Sample) -> f64, to: &[f64]| {
            let ratios = samples.iter().zip(to).map(|(sample, to)| figure(sample) / to);
            Spread::of(ratios).expect("a row has a round")
        };
        let switches = samples.iter().map(|sample| {
            sample.cost.context_switches.map(|count| count as f64 / sample.load.batches as f64)
        });
        let switches: Option<Vec<f64>> = switches.collect();
        Self {
            name: server.name(),
            ours: server.is_ours(),
            throughput: spread(&throughput),
            ratio: ratios(&throughput, &reference.per_second),
            cpu_ratio: ratios(&cpu_seconds_per_million, &reference.cpu_seconds).median,
            marks: match server {
                Server::Ours(driver, ..) => marks::speed(&row.name, driver),
                Server::Reference(..) => None,
            },
            latency_p50_us: spread(&|sample| sample.load.latency_us.p50),
            latency_p99_us: spread(&|sample| sample.load.latency_us.p99),
            megabytes_per_second: spread(&|sample| sample.load.megabytes_per_second).median,
            cpu_seconds_per_million: spread(&cpu_seconds_per_million).median,
            switches_per_batch: switches.and_then(Spread::of).map(|spread| spread.median),
            memory_max_bytes: spread(&|sample| sample.cost.memory.max as f64).median,
            sync_append_us: spread(&|sample| sample.probe.append_us.p50).median,
            sync_filled_us: spread(&|sample| sample.probe.filled_us.p50).median,
            calls_per_batch: None,
            samples,
        }
    }
}

fn series(row: &Row, samples: &[Sample]) -> Series {
    Series {
        per_second: samples.iter().map(|sample| row.work.throughput(&sample.load)).collect(),
        cpu_seconds: samples.iter().map(cpu_seconds_per_million).collect(),
    }
}

fn cpu_seconds_per_million(sample: &Sample) -> f64 {
    sample.cost.cpu_seconds * 1e6 / sample.load.bets as f64
}

impl Work {
    pub(crate) fn unit(&self) -> &'static str {
        if self.connection_per_request { "connections/s" } else { "bets/s" }
    }

    fn throughput(&self, load: &LoadReport) -> f64 {
        let connections = load.connections_per_second.filter(|_| self.connection_per_request);
        connections.unwrap_or(load.bets_per_second)
    }
}
