//! Pictures of the measurements: one of each row with bars in it, and one of how it scales.

mod canvas;
mod axis;
mod bars;
mod figures;
mod lines;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::figure::Figure;
use super::files::FilesReport;
use super::report::Report;
use super::rows::{FILES, FILES_TLS, Grows, HANDSHAKES, ROOM};

/// Writes `NAME.svg` for each row that was measured, but for those of single figures.
pub(crate) fn write(out: &Path, report: &Report) -> anyhow::Result<()> {
    let machine = report.machine_line();
    for row in report.rows.iter().filter(|row| row.scale.is_none()) {
        save(out, &row.name, &bars::draw(row, &machine)?)?;
    }
    let rows = report.rows.iter().filter(|row| row.scale == Some(Grows::Agencies));
    let rows: Vec<_> = rows.collect();
    // One point is no line.
    if rows.len() > 1 {
        save(out, "scale", &lines::draw(&rows, &machine)?)?;
    }
    let room = report.room.iter().flat_map(|room| &room.figures).collect();
    for (name, title, costs, figures) in [
        (FILES, "Files over HFTP", "CPU s/GB, s/M", of(&report.files)),
        (FILES_TLS, "Files over HFTP, with and without TLS", "CPU s/GB", of(&report.files_tls)),
        (HANDSHAKES, "TLS handshakes", "CPU s/M", report.handshakes.iter().collect()),
        (ROOM, "Messages of the room delivered", "CPU s/M", room),
    ] {
        if !figures.is_empty() {
            save(out, name, &figures::draw(title, costs, &figures, &machine)?)?;
        }
    }
    Ok(())
}

fn of(files: &Option<FilesReport>) -> Vec<&Figure> {
    files.iter().flat_map(|files| &files.figures).collect()
}

fn save(out: &Path, name: &str, picture: &str) -> anyhow::Result<()> {
    let path = out.join(name).with_extension("svg");
    fs::write(&path, picture).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::samples;
    use super::super::rows::Work;
    use super::super::stats::Spread;
    use super::super::timed::{RowReport, ServerReport};
    use super::*;

    fn server(name: &str, throughput: f64) -> ServerReport {
        let spread = |figure| Spread { median: figure, min: figure * 0.9, max: figure * 1.1 };
        ServerReport {
            name: name.to_owned(),
            ours: name.starts_with("ours"),
            throughput: spread(throughput),
            ratio: spread(1.0),
            cpu_ratio: 1.0,
            marks: None,
            latency_p50_us: spread(1e9 / throughput),
            latency_p99_us: spread(2e9 / throughput),
            megabytes_per_second: 1.0,
            cpu_seconds_per_million: 1.0,
            switches_per_batch: None,
            memory_max_bytes: 1.0,
            sync_append_us: 1.0,
            sync_filled_us: 1.0,
            calls_per_batch: None,
            samples: Vec::new(),
        }
    }

    fn row(agencies: u32, window: u32, servers: &[(&str, f64)]) -> RowReport {
        let (bets, batch_bytes, connection_per_request) = (1_000_000, 8000, false);
        RowReport {
            name: format!("{agencies}x{window}"),
            work: Work { agencies, window, bets, batch_bytes, connection_per_request },
            reference: "pipe",
            scale: Some(Grows::Agencies),
            servers: servers.iter().map(|(name, throughput)| server(name, *throughput)).collect(),
            tls: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_row_shows_every_server_and_its_figure() {
        let servers =
            [("null", 4e7), ("pipe", 5e6), ("ours pool", 6.54e6), ("ours pool base", 7e6)];
        let picture = bars::draw(&row(5, 16, &servers), "two cores").unwrap();
        for text in
            ["null", "pipe", "ours pool", "ours pool base", "6.54 M", "to pipe", "two cores"]
        {
            assert!(picture.contains(&format!("\n{text}\n")), "{text}");
        }
    }

    #[test]
    fn figures_of_one_work_stand_together() {
        let figure = |work: &str, server: &str, speed| {
            let samples = samples([(speed, 2.5); 3]);
            Figure::new((work.to_owned(), server.to_owned(), "/s"), &samples, &samples, None)
        };
        let all = [("full", "accept", 1000.0), ("full", "ours pool TLS", 950.0)];
        let all = [&all[..], &[("resumed", "accept", 7000.0)]].concat();
        let all: Vec<_> =
            all.into_iter().map(|(work, server, speed)| figure(work, server, speed)).collect();
        let all: Vec<&Figure> = all.iter().collect();
        let picture = figures::draw("Handshakes", "CPU s/M", &all, "two cores").unwrap();
        for text in ["full, /s", "resumed, /s", "ours pool TLS", "7.00 k", "950", "2.50"] {
            assert!(picture.contains(&format!("\n{text}\n")), "{text}");
        }
        assert_eq!(picture.matches("\nfull, /s\n").count(), 1);
    }

    #[test]
    fn a_line_that_ends_early_says_where() {
        let (few, many) = ([("pipe", 3e5), ("ours threads", 4e5)], [("pipe", 2e6)]);
        let rows = [row(1, 1, &few), row(100, 1, &few), row(500, 1, &many), row(1, 16, &few)];
        let picture = lines::draw(&rows.iter().collect::<Vec<_>>(), "two cores").unwrap();
        assert!(picture.contains("ours threads, to 100") && picture.contains("\npipe\n"));
    }
}
