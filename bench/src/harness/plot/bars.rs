//! A row as bars of throughput beside the latencies, a line for each server.

use plotters::style::{RGBColor, WHITE};

use super::super::report::{milliseconds, with_unit};
use super::super::stats::Spread;
use super::super::timed::{RowReport, ServerReport};
use super::axis::Axis;
use super::canvas::{
    Align, Canvas, FAINT, INK, MAIN_REFERENCE, NORMAL, OURS, OURS_BASE, REFERENCE, RULE, SMALL,
    picture,
};

const WIDTH: f64 = 1080.0;
const HEADS: f64 = 106.0;
const TOP: f64 = 136.0;
const LINE: f64 = 32.0;
/// Between references and ours.
const GAP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// Where names end, and bars begin and end; behind them stand their figures.
const NAMES: f64 = 138.0;
const BARS: (f64, f64) = (148.0, 500.0);
const RATIOS: f64 = 622.0;
const LATENCIES: (f64, f64) = (700.0, 1010.0);
/// What is answered without a sync.
const UNSYNCED: [&str; 2] = ["null", "append"];

pub(super) fn draw(row: &RowReport, machine: &str) -> anyhow::Result<String> {
    let height = place(row, row.servers.len()) - LINE / 2.0 + BOTTOM;
    let rounds = row.servers.iter().map(|server| server.samples.len()).max().unwrap_or_default();
    picture((WIDTH, height), |canvas| {
        let unit = row.work.unit();
        let title = format!("{}: {unit} and latency", row.name);
        canvas.head(&title, &[&row.work.conditions(), machine])?;
        let rounds = match rounds {
            1 => "one round".to_owned(),
            rounds => format!("median of {rounds} rounds, line: min to max"),
        };
        canvas.text(&format!("{unit}, {rounds}"), (BARS.0, HEADS), NORMAL, INK, Align::Left)?;
        let ratio = format!("to {}", row.reference);
        canvas.text(&ratio, (RATIOS, HEADS), NORMAL, INK, Align::Right)?;
        let latency = "acknowledgement of a batch, ms: ● p50  ○ p99";
        canvas.text(latency, (LATENCIES.0 - 40.0, HEADS), NORMAL, INK, Align::Left)?;
        draw_bars(canvas, row)?;
        draw_latencies(canvas, row, height - BOTTOM + 8.0)
    })
}

fn draw_bars(canvas: &Canvas<'_>, row: &RowReport) -> anyhow::Result<()> {
    // Those that sync nothing may be ten times as fast: their bars are cut.
    let durable = row.servers.iter().filter(|server| !UNSYNCED.contains(&server.name.as_str()));
    let axis = Axis::linear(durable.map(|server| server.throughput.max), BARS.0, BARS.1);
    for (index, server) in row.servers.iter().enumerate() {
        let y = place(row, index);
        let ink = if server.ours || is_reference(row, server) { INK } else { FAINT };
        canvas.text(&server.name, (NAMES, y), NORMAL, ink, Align::Right)?;
        let bar = (server.throughput, server.samples.len() > 1);
        let end = draw_bar(canvas, bar, (&axis, BARS), y, color(row, index))?;
        let figure = with_unit(server.throughput.median);
        canvas.text(&figure, (end + 8.0, y), NORMAL, ink, Align::Left)?;
        let ratio = format!("{:.2} ×", server.ratio.median);
        canvas.text(&ratio, (RATIOS, y), NORMAL, ink, Align::Right)?;
    }
    Ok(())
}

/// A bar, with a whisker where there were several rounds. Returns where both have ended.
pub(super) fn draw_bar(
    canvas: &Canvas<'_>,
    (spread, has_rounds): (Spread, bool),
    (axis, bars): (&Axis, (f64, f64)),
    y: f64,
    color: RGBColor,
) -> anyhow::Result<f64> {
    let [median, min, max] =
        [spread.median, spread.min, spread.max].map(|figure| axis.place(figure));
    if median > bars.1 {
        canvas.bar((bars.0, y - 9.0), (bars.1, y + 9.0), color)?;
        for x in [bars.1 - 18.0, bars.1 - 12.0] {
            canvas.line(&[(x - 4.0, y + 11.0), (x + 4.0, y - 11.0)], WHITE, 3)?;
        }
        return Ok(bars.1);
    }
    let max = max.min(bars.1);
    canvas.bar((bars.0, y - 9.0), (median, y + 9.0), color)?;
    if has_rounds {
        canvas.line(&[(min, y), (max, y)], INK, 1)?;
        for end in [min, max] {
            canvas.line(&[(end, y - 4.0), (end, y + 4.0)], INK, 1)?;
        }
    }
    Ok(max.max(median))
}

fn draw_latencies(canvas: &Canvas<'_>, row: &RowReport, bottom: f64) -> anyhow::Result<()> {
    let all = row.servers.iter().flat_map(latencies);
    let axis = Axis::logarithmic(all, LATENCIES.0, LATENCIES.1);
    for tick in axis.ticks() {
        let x = axis.place(tick);
        canvas.line(&[(x, TOP - LINE / 2.0), (x, bottom)], RULE, 1)?;
        canvas.text(&short_milliseconds(tick), (x, bottom + 12.0), SMALL, FAINT, Align::Middle)?;
    }
    for (index, server) in row.servers.iter().enumerate() {
        let y = place(row, index);
        let color = color(row, index);
        let [p50, p99] = latencies(server);
        let (left, right) = (axis.place(p50), axis.place(p99));
        canvas.line(&[(left, y), (right, y)], color, 3)?;
        canvas.ring((right, y), 5.0, color)?;
        canvas.dot((left, y), 6.0, color)?;
        canvas.text(&milliseconds(p50), (left - 10.0, y), SMALL, INK, Align::Right)?;
        canvas.text(&milliseconds(p99), (right + 10.0, y), SMALL, INK, Align::Left)?;
    }
    Ok(())
}

fn latencies(server: &ServerReport) -> [f64; 2] {
    [server.latency_p50_us.median, server.latency_p99_us.median]
}

/// A tick as `0.5` or `10`: it is round.
fn short_milliseconds(microseconds: f64) -> String {
    ((microseconds * 1e3).round() / 1e6).to_string()
}

fn color(row: &RowReport, index: usize) -> RGBColor {
    let server = &row.servers[index];
    if server.ours {
        // Lighter under TLS, and in the dialect of deployed clients where others of ours speak sessions.
        let is_light = |server: &ServerReport| {
            let base = server.name.ends_with(" base") && row.tls.is_empty();
            base || server.name.ends_with(" TLS")
        };
        let both = row.servers.iter().any(|server| server.ours && !is_light(server));
        return if is_light(server) && both { OURS_BASE } else { OURS[0] };
    }
    if is_reference(row, server) { MAIN_REFERENCE } else { REFERENCE }
}

/// Over any channel.
fn is_reference(row: &RowReport, server: &ServerReport) -> bool {
    server.name.strip_suffix(" TLS").unwrap_or(&server.name) == row.reference
}

fn place(row: &RowReport, index: usize) -> f64 {
    let first_of_ours = row.servers.iter().position(|server| server.ours);
    let gap = if first_of_ours.is_some_and(|first| index >= first) { GAP } else { 0.0 };
    TOP + LINE * index as f64 + gap
}
