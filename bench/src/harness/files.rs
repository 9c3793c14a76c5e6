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
use self::work::Work;
use super::args::Bench;
use super::cost::TlsCost;
use super::disk::Disk;
use super::figure::{Figure, Sample, in_turns};
use super::report::with_unit;
use super::rows::Channel;
use super::side::{BOTH, PLAIN, Side, Subject};
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
    pub(crate) figures: Vec<Figure>,
    /// What TLS costs ours, where that is measured.
    pub(crate) tls: Vec<TlsCost>,
}

/// All that is asked of a file server, without TLS.
pub(crate) fn measure(bench: &Bench, disk: &Disk) -> anyhow::Result<FilesReport> {
    measure_works(bench, disk, &WORKS, &PLAIN)
}

/// Slices as they are, with and without TLS.
pub(crate) fn measure_tls(bench: &Bench, disk: &Disk) -> anyhow::Result<FilesReport> {
    measure_works(bench, disk, &[Work::Fetch(Form::Raw)], &BOTH)
}

fn measure_works(
    bench: &Bench,
    disk: &Disk,
    works: &[Work],
    sides: &[Side],
) -> anyhow::Result<FilesReport> {
    let directory = disk.clear()?;
    fs::create_dir(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let content =
        Content::write(&directory, if bench.quick { FILE_BYTES_QUICK } else { FILE_BYTES })?;
    // It is in memory then: the disk is not what is measured.
    audit::read_all(&directory)?;
    let (mut figures, mut tls) = (Vec::new(), Vec::new());
    for &work in works {
        let (reference, unit) = (work.reference(), work.unit());
        let subject = Subject { work: work.name(), reference, unit };
        let samples = measure_work(bench, work, &content, sides);
        let samples = samples.with_context(|| work.name())?;
        let marks = |channel| (channel == Channel::Plain).then(|| work.marks());
        figures.extend(subject.figures(sides, &samples, marks));
        tls.extend(subject.costs(sides, &samples));
    }
    disk.clear()?;
    let file_bytes = content.size;
    Ok(FilesReport { file_bytes, slice_bytes: SLICE_BYTES, window: fetch::WINDOW, figures, tls })
}

fn measure_work(
    bench: &Bench,
    work: Work,
    content: &Content,
    sides: &[Side],
) -> anyhow::Result<Vec<Vec<Sample>>> {
    let mut compared = 0;
    in_turns(bench.rounds, sides.len(), |turn| {
        let side = sides[turn];
        // Everyone's first run compares every byte.
        let in_full = compared < sides.len();
        compared += 1;
        let sample = work.run(bench, side, content, in_full);
        let sample = sample.with_context(|| side.name(work.reference()))?;
        tell(work, side, &sample);
        Ok(sample)
    })
}

fn tell(work: Work, side: Side, sample: &Sample) {
    let (name, server, unit) = (work.name(), side.name(work.reference()), work.unit());
    let speed = with_unit(sample.per_second);
    progress(&format!("files {name:<16} {server:<16} {speed:>12}{unit}"));
}
