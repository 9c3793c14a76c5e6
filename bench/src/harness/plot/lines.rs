//! How throughput and latency change with the agencies: a line for each server, its name at its end.

use plotters::style::RGBColor;

use super::super::timed::{RowReport, ServerReport};
use super::axis::Axis;
use super::canvas::{
    Align, Canvas, FAINT, INK, MAIN_REFERENCE, NORMAL, OURS, RULE, SMALL, picture,
};

const SIZE: (f64, f64) = (1100.0, 700.0);
const PANEL: (f64, f64) = (350.0, 220.0);
const LEFT: [f64; 2] = [70.0, 600.0];
const TOP: [f64; 2] = [126.0, 430.0];
/// Names at the ends of lines are at least so far apart.
const NAME_HEIGHT: f64 = 15.0;

/// A picture within the picture: one depth, one figure.
struct Panel<'a> {
    rows: Vec<&'a RowReport>,
    corner: (f64, f64),
    title: String,
    figure: fn(&ServerReport) -> f64,
    told: fn(f64) -> String,
    across: Axis,
    up: Axis,
}

pub(super) fn draw(rows: &[&RowReport], machine: &str) -> anyhow::Result<String> {
    let conditions = "medians; batches of at most 8000 bytes; agencies on a logarithmic axis";
    picture(SIZE, |canvas| {
        canvas.head("scale: bets/s and latency by agencies", &[conditions, machine])?;
        for (window, left) in [1, 16].into_iter().zip(LEFT) {
            let of_window = |row: &&&RowReport| row.work.window == window;
            let rows: Vec<&RowReport> = rows.iter().filter(of_window).copied().collect();
            let [top, low] = TOP;
            Panel::throughput(rows.clone(), window, (left, top)).draw(canvas)?;
            Panel::latency(rows, window, (left, low)).draw(canvas)?;
        }
        Ok(())
    })
}

impl<'a> Panel<'a> {
    fn throughput(rows: Vec<&'a RowReport>, window: u32, corner: (f64, f64)) -> Self {
        let figure = |server: &ServerReport| server.throughput.median;
        let figures = rows.iter().flat_map(|row| row.servers.iter().map(figure));
        let up = Axis::linear(figures, corner.1 + PANEL.1, corner.1);
        let title = format!("bets/s, {}", depth(window));
        Self { across: across(&rows, corner), title, figure, told: millions, up, rows, corner }
    }

    fn latency(rows: Vec<&'a RowReport>, window: u32, corner: (f64, f64)) -> Self {
        let figure = |server: &ServerReport| server.latency_p50_us.median;
        let figures = rows.iter().flat_map(|row| row.servers.iter().map(figure));
        let up = Axis::logarithmic(figures, corner.1 + PANEL.1, corner.1);
        let title = format!("acknowledgement p50, ms, {}", depth(window));
        Self { across: across(&rows, corner), title, figure, told: milliseconds, up, rows, corner }
    }

    fn draw(&self, canvas: &Canvas<'_>) -> anyhow::Result<()> {
        let (left, top) = self.corner;
        let (right, bottom) = (left + PANEL.0, top + PANEL.1);
        canvas.text(&self.title, (left, top - 18.0), NORMAL, INK, Align::Left)?;
        for tick in self.up.ticks() {
            let y = self.up.place(tick);
            canvas.line(&[(left, y), (right, y)], RULE, 1)?;
            canvas.text(&(self.told)(tick), (left - 8.0, y), SMALL, FAINT, Align::Right)?;
        }
        for row in &self.rows {
            let agencies = f64::from(row.work.agencies);
            let at = (self.across.place(agencies), bottom + 14.0);
            canvas.text(&agencies.to_string(), at, SMALL, FAINT, Align::Middle)?;
        }
        let at = (f64::midpoint(left, right), bottom + 32.0);
        canvas.text("agencies", at, SMALL, FAINT, Align::Middle)?;
        let mut ends = Vec::new();
        for (name, color) in self.names() {
            let points = self.points(&name);
            canvas.line(&points, color, 2)?;
            for at in &points {
                canvas.dot(*at, 3.0, color)?;
            }
            if let Some(end) = points.last() {
                // A line may end before the others.
                let ended = self.rows.iter().rev().find(|row| has(row, &name));
                let short = ended.filter(|_| end.0 < right - 1.0);
                let name =
                    short.map_or(name.clone(), |row| format!("{name}, to {}", row.work.agencies));
                ends.push((end.1, name, color));
            }
        }
        draw_names(canvas, right, ends)
    }

    /// Every server that is in any of the rows, in their order.
    fn names(&self) -> Vec<(String, RGBColor)> {
        let mut names: Vec<(String, RGBColor)> = Vec::new();
        for server in self.rows.iter().flat_map(|row| &row.servers) {
            if names.iter().all(|(name, _)| *name != server.name) {
                let n_ours = names.iter().filter(|(name, _)| name.starts_with("ours")).count();
                let color = if server.ours { OURS[n_ours % OURS.len()] } else { MAIN_REFERENCE };
                names.push((server.name.clone(), color));
            }
        }
        names
    }

    fn points(&self, name: &str) -> Vec<(f64, f64)> {
        let points = self.rows.iter().filter_map(|row| {
            let server = row.servers.iter().find(|server| server.name == name)?;
            let x = self.across.place(f64::from(row.work.agencies));
            Some((x, self.up.place((self.figure)(server))))
        });
        points.collect()
    }
}

fn across(rows: &[&RowReport], corner: (f64, f64)) -> Axis {
    let agencies = rows.iter().map(|row| f64::from(row.work.agencies));
    Axis::logarithmic(agencies, corner.0 + 8.0, corner.0 + PANEL.0)
}

fn depth(window: u32) -> String {
    format!("{window} batch{} in flight per agency", if window == 1 { "" } else { "es" })
}

fn has(row: &RowReport, name: &str) -> bool {
    row.servers.iter().any(|server| server.name == name)
}

/// At the height of the ends of their lines, pushed apart where they would overlap.
fn draw_names(
    canvas: &Canvas<'_>,
    right: f64,
    mut ends: Vec<(f64, String, RGBColor)>,
) -> anyhow::Result<()> {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut last = f64::MIN;
    for (y, name, color) in ends {
        last = y.max(last + NAME_HEIGHT);
        canvas.text(&name, (right + 10.0, last), SMALL, color, Align::Left)?;
    }
    Ok(())
}

/// A tick, which is round.
fn millions(figure: f64) -> String {
    match (figure / 1e3).round() / 1e3 {
        0.0 => "0".to_owned(),
        millions => format!("{millions} M"),
    }
}

/// A tick, which is round.
fn milliseconds(microseconds: f64) -> String {
    ((microseconds * 1e3).round() / 1e6).to_string()
}
