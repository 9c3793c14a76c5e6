//! The benchmark: what is measured, in which order, and what is told of it. Measures nothing itself.

pub(crate) mod args;
mod rows;
mod tls;
mod timed;
mod draw;
mod idle;
mod figure;
mod side;
mod files;
mod handshakes;
mod room;
mod run;
mod load;
mod audit;
mod trace;
mod process;
mod proc;
mod disk;
mod network;
mod machine;
mod stats;
mod cost;
mod marks;
mod report;
mod plot;

use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::Context as _;

use self::args::{Args, Bench};
use self::disk::Disk;
use self::report::Report;

/// Measures the rows that were asked for, and writes reports and pictures after each of them: what a
/// later failure leaves behind is whole.
///
/// # Errors
/// What could not be run, or ran wrong.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let bench = Bench::new(args)?;
    process::end_all_on_signals()?;
    let mut disk = Disk::new(&bench)?;
    let mut report = Report::new(&bench);
    let begin = Instant::now();
    for row in rows::timed(&bench) {
        let measured = timed::measure(&bench, &row, &mut disk);
        report.rows.push(measured.with_context(|| format!("row {}", row.name))?);
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::DRAW) {
        report.draw = Some(draw::measure(&bench, &mut disk).context("row draw-restart-memory")?);
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::IDLE) {
        report.idle = idle::measure(&bench, &mut disk).context("row idle")?;
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::FILES) {
        report.files = Some(files::measure(&bench, &disk).context("row files")?);
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::FILES_TLS) {
        let measured = files::measure_tls(&bench, &disk);
        report.files_tls = Some(measured.context("row files-tls")?);
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::HANDSHAKES) {
        report.handshakes = handshakes::measure(&bench, &mut disk).context("row handshakes")?;
        write(&bench, &mut report, begin)?;
    }
    if bench.takes(rows::ROOM) {
        report.room = room::measure(&bench, &mut disk).context("row room")?;
        write(&bench, &mut report, begin)?;
    }
    io::stdout().write_all(report.text().as_bytes()).context("writing to stdout")
}

fn write(bench: &Bench, report: &mut Report, begin: Instant) -> anyhow::Result<()> {
    report.seconds = begin.elapsed().as_secs_f64();
    report.write(&bench.out)?;
    plot::write(&bench.out, report)
}

/// A line for whoever waits.
fn progress(line: &str) {
    // Where stderr is closed nobody waits.
    let _ = writeln!(io::stderr(), "{line}");
}
