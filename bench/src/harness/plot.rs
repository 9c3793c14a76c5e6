//! Pictures of the measurements: one of each row, and one of how it scales.

mod canvas;
mod axis;
mod bars;
mod lines;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::report::Report;
use super::rows::Grows;

/// Writes `NAME.svg` for each row that was measured.
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
    Ok(())
}

fn save(out: &Path, name: &str, picture: &str) -> anyhow::Result<()> {
    let path = out.join(name).with_extension("svg");
    fs::write(&path, picture).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
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
    fn a_line_that_ends_early_says_where() {
        let (few, many) = ([("pipe", 3e5), ("ours threads", 4e5)], [("pipe", 2e6)]);
        let rows = [row(1, 1, &few), row(100, 1, &few), row(500, 1, &many), row(1, 16, &few)];
        let picture = lines::draw(&rows.iter().collect::<Vec<_>>(), "two cores").unwrap();
        assert!(picture.contains("ours threads, to 100") && picture.contains("\npipe\n"));
    }
}
