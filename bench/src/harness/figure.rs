//! What a server does in a second, and what that costs it: runs in turns, and what follows from them.
//! Knows no protocol.

use std::process::id;
use std::time::Instant;

use serde::Serialize;

use super::cost::Series;
use super::marks::Marks;
use super::proc::{Memory, Used};
use super::run::Running;
use super::stats::Spread;

/// What one run found.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Of the server, for a fixed amount.
    pub(crate) cpu_seconds: f64,
    /// Processors that the clients took; near 1 for each of their threads it is they that are measured.
    pub(crate) client_busy: f64,
    pub(crate) memory_max_bytes: f64,
}

/// What the rounds of one server come to. Medians, where no spread is given.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) work: String,
    pub(crate) server: String,
    pub(crate) unit: &'static str,
    pub(crate) per_second: Spread,
    /// To the reference in the same round.
    pub(crate) ratio: Spread,
    pub(crate) marks: Option<Marks>,
    /// Of the server, for a fixed amount.
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_ratio: f64,
    pub(crate) client_busy: f64,
    pub(crate) memory_max_bytes: Spread,
    pub(crate) samples: Vec<Sample>,
}

impl Sample {
    /// Of a run that does so much, and what its costs are told for.
    pub(crate) fn of(
        running: &Running,
        (amount, told_for): (u64, f64),
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

/// Every server in every round; who begins changes.
pub(crate) fn in_turns(
    rounds: u32,
    servers: usize,
    mut run: impl FnMut(usize) -> anyhow::Result<Sample>,
) -> anyhow::Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); servers];
    for round in 0..rounds as usize {
        for turn in 0..servers {
            let turn = (round + turn) % servers;
            samples[turn].push(run(turn)?);
        }
    }
    Ok(samples)
}

impl Figure {
    /// `reference`: what it is compared with, round by round.
    pub(crate) fn new(
        (work, server, unit): (String, String, &'static str),
        samples: &[Sample],
        reference: &[Sample],
        marks: Option<Marks>,
    ) -> Self {
        let spread = |figure: fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(figure)).expect("a row has a round")
        };
        let ratio = |figure: fn(&Sample) -> f64| {
            let ratios =
                samples.iter().zip(reference).map(|(sample, to)| figure(sample) / figure(to));
            Spread::of(ratios).expect("a row has a round")
        };
        Self {
            work,
            server,
            unit,
            per_second: spread(|sample| sample.per_second),
            ratio: ratio(|sample| sample.per_second),
            marks,
            cpu_seconds: spread(|sample| sample.cpu_seconds).median,
            cpu_ratio: ratio(|sample| sample.cpu_seconds).median,
            client_busy: spread(|sample| sample.client_busy).median,
            memory_max_bytes: spread(|sample| sample.memory_max_bytes),
            samples: samples.to_vec(),
        }
    }
}

/// For what TLS costs.
pub(crate) fn series(samples: &[Sample]) -> Series {
    Series {
        per_second: samples.iter().map(|sample| sample.per_second).collect(),
        cpu_seconds: samples.iter().map(|sample| sample.cpu_seconds).collect(),
    }
}

/// What costs are told for, if it is not a gigabyte.
pub(crate) const MILLION: f64 = 1e6;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Of three rounds: figures a second, and processor time.
    pub(crate) fn samples(figures: [(f64, f64); 3]) -> Vec<Sample> {
        let sample = |(per_second, cpu_seconds)| Sample {
            per_second,
            cpu_seconds,
            client_busy: 0.5,
            memory_max_bytes: 1.0,
        };
        figures.map(sample).to_vec()
    }

    #[test]
    fn a_ratio_is_to_the_reference_of_the_same_round() {
        let reference = samples([(100.0, 1.0), (10.0, 2.0), (1000.0, 1.0)]);
        let ours = samples([(50.0, 3.0), (9.0, 2.0), (2000.0, 2.0)]);
        let names = (String::new(), String::new(), "/s");
        let figure = Figure::new(names, &ours, &reference, None);
        assert_eq!((figure.ratio.median, figure.ratio.min, figure.ratio.max), (0.9, 0.5, 2.0));
        assert_eq!((figure.per_second.median, figure.cpu_ratio), (50.0, 2.0));
    }

    #[test]
    fn everyone_has_every_round_and_who_begins_changes() {
        let mut turns = Vec::new();
        let measured = in_turns(3, 2, |turn| {
            turns.push(turn);
            Ok(samples([(turn as f64, 1.0); 3])[0])
        });
        assert_eq!(turns, [0, 1, 1, 0, 0, 1]);
        let per_second = |samples: &Vec<Sample>| samples.iter().map(|one| one.per_second).sum();
        let sums: Vec<f64> = measured.unwrap().iter().map(per_second).collect();
        assert_eq!(sums, [0.0, 3.0]);
    }
}
