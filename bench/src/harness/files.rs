//! Files over HFTP beside plain loops, in turns: a file in slices by one client, its size asked by
//! one client and by many. Says what is measured, and what follows from it.

mod content;
mod fetch;
mod ask;
mod work;

use std::fs;

use anyhow::Context as _;
use serde::Serialize;

use self::content::{Content, Form, SLICE_BYTES};
use self::work::{SERVERS, Sample, Server, Work};
use super::args::Bench;
use super::disk::Disk;
use super::marks::Marks;
use super::report::with_unit;
use super::stats::Spread;
use super::{audit, progress};

const FILE_BYTES: usize = 1 << 30;
const FILE_BYTES_QUICK: usize = 256 << 20;
const WORKS: [Work; 4] = [
    Work::Fetch(Form::Raw),
    Work::Fetch(Form::Base64),
    Work::Ask { clients: 1 },
    Work::Ask { clients: 100 },
];

/// What the row found.
#[derive(Debug, Serialize)]
pub(crate) struct FilesReport {
    pub(crate) file_bytes: usize,
    pub(crate) slice_bytes: usize,
    /// Slices in flight.
    pub(crate) window: usize,
    pub(crate) figures: Vec<FilesFigure>,
}

/// What the rounds of one work come to with one server. Medians, where no spread is given.
#[derive(Debug, Serialize)]
pub(crate) struct FilesFigure {
    pub(crate) work: String,
    pub(crate) server: String,
    pub(crate) unit: &'static str,
    /// In bytes of the file, or in replies.
    pub(crate) per_second: Spread,
    /// To the work's reference in the same round.
    pub(crate) ratio: Spread,
    pub(crate) marks: Option<Marks>,
    /// Of the server: for a gigabyte, or for a million replies.
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_ratio: f64,
    /// The share of one processor that the client took; near 1 it is the client that is measured.
    pub(crate) client_busy: f64,
    pub(crate) memory_max_bytes: Spread,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) fn measure(bench: &Bench, disk: &Disk) -> anyhow::Result<FilesReport> {
    let directory = disk.clear()?;
    fs::create_dir(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let content =
        Content::write(&directory, if bench.quick { FILE_BYTES_QUICK } else { FILE_BYTES })?;
    // It is in memory then: the disk is not what is measured.
    audit::read_all(&directory)?;
    let mut figures = Vec::new();
    for work in WORKS {
        let measured = measure_work(bench, work, &content);
        figures.extend(measured.with_context(|| work.name())?);
    }
    disk.clear()?;
    let file_bytes = content.size;
    Ok(FilesReport { file_bytes, slice_bytes: SLICE_BYTES, window: fetch::WINDOW, figures })
}

/// Every server in every round, in turns.
fn measure_work(
    bench: &Bench,
    work: Work,
    content: &Content,
) -> anyhow::Result<impl Iterator<Item = FilesFigure>> {
    let mut samples = SERVERS.map(|_| Vec::new());
    for round in 0..bench.rounds {
        for turn in 0..SERVERS.len() {
            let turn = (round as usize + turn) % SERVERS.len();
            let server = SERVERS[turn];
            let sample = work
                .run(bench, server, content, round == 0)
                .with_context(|| format!("{}, round {}", server.name(work), round + 1))?;
            tell(bench, work, server, round, &sample);
            samples[turn].push(sample);
        }
    }
    let reference = samples[0].clone();
    let figures = SERVERS.into_iter().zip(samples);
    Ok(figures.map(move |(server, samples)| FilesFigure::new(work, server, samples, &reference)))
}

fn tell(bench: &Bench, work: Work, server: Server, round: u32, sample: &Sample) {
    let (name, server, rounds) = (work.name(), server.name(work), bench.rounds);
    let (speed, unit) = (with_unit(sample.per_second), work.unit());
    progress(&format!(
        "files {name:<16} {server:<14} round {}/{rounds} {speed:>12}{unit}",
        round + 1
    ));
}

impl FilesFigure {
    /// `reference`: what the work's reference did, round by round.
    fn new(work: Work, server: Server, samples: Vec<Sample>, reference: &[Sample]) -> Self {
        let spread = |figure: &dyn Fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(figure)).expect("a row has a round")
        };
        let ratio = |figure: &dyn Fn(&Sample) -> f64| {
            let ratios =
                samples.iter().zip(reference).map(|(sample, to)| figure(sample) / figure(to));
            Spread::of(ratios).expect("a row has a round")
        };
        Self {
            work: work.name(),
            server: server.name(work),
            unit: work.unit(),
            per_second: spread(&|sample| sample.per_second),
            ratio: ratio(&|sample| sample.per_second),
            marks: (server != Server::Reference).then(|| work.marks()),
            cpu_seconds: spread(&|sample| sample.cpu_seconds).median,
            cpu_ratio: ratio(&|sample| sample.cpu_seconds).median,
            client_busy: spread(&|sample| sample.client_busy).median,
            memory_max_bytes: spread(&|sample| sample.memory_max_bytes),
            samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Driver;
    use super::*;

    fn samples(figures: [(f64, f64); 3]) -> Vec<Sample> {
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
        let work = Work::Fetch(Form::Raw);
        let figure = FilesFigure::new(work, Server::Ours(Driver::Pool), ours, &reference);
        assert_eq!((figure.ratio.median, figure.ratio.min, figure.ratio.max), (0.9, 0.5, 2.0));
        assert_eq!((figure.per_second.median, figure.cpu_ratio), (50.0, 2.0));
        assert_eq!(figure.marks, Some(work.marks()));
    }

    #[test]
    fn every_reference_is_measured_first_and_has_no_marks() {
        for work in WORKS {
            assert_eq!(SERVERS[0], Server::Reference);
            let reference = samples([(1.0, 1.0); 3]);
            let figure = FilesFigure::new(work, SERVERS[0], reference.clone(), &reference);
            assert_eq!(figure.marks, None, "{}", figure.work);
            assert_eq!(figure.server, work.reference().name());
        }
    }
}
