//! Figures beside their reference as bars: a line for each server, a group for each work.

use plotters::style::RGBColor;

use super::super::figure::Figure;
use super::super::report::{significant, with_unit};
use super::axis::Axis;
use super::bars::draw_bar;
use super::canvas::{
    Align, Canvas, FAINT, INK, MAIN_REFERENCE, NORMAL, OURS, OURS_BASE, REFERENCE, picture,
};

const WIDTH: f64 = 900.0;
const HEADS: f64 = 90.0;
const TOP: f64 = 120.0;
const LINE: f64 = 32.0;
/// Above each group stands what is measured.
const GROUP: f64 = 40.0;
const BOTTOM: f64 = 30.0;
/// Where names end, and bars begin and end; behind them stand their figures.
const NAMES: f64 = 158.0;
const BARS: (f64, f64) = (168.0, 600.0);
const RATIOS: f64 = 740.0;
const COSTS: f64 = 860.0;

/// `costs`: what processor time is told for. Figures of one work stand behind each other.
pub(super) fn draw(
    title: &str,
    costs: &str,
    figures: &[&Figure],
    machine: &str,
) -> anyhow::Result<String> {
    let groups: Vec<&[&Figure]> = figures.chunk_by(|one, other| one.work == other.work).collect();
    let height = TOP + LINE * figures.len() as f64 + GROUP * groups.len() as f64 + BOTTOM;
    picture((WIDTH, height), |canvas| {
        canvas.head(title, &[machine])?;
        for (text, x) in [("to reference", RATIOS), (costs, COSTS)] {
            canvas.text(text, (x, HEADS), NORMAL, INK, Align::Right)?;
        }
        let mut y = TOP;
        for group in groups {
            draw_group(canvas, group, y)?;
            y += GROUP + LINE * group.len() as f64;
        }
        Ok(())
    })
}

/// Each group has an axis of its own: their units may differ.
fn draw_group(canvas: &Canvas<'_>, group: &[&Figure], top: f64) -> anyhow::Result<()> {
    let axis = Axis::linear(group.iter().map(|figure| figure.per_second.max), BARS.0, BARS.1);
    let work = format!("{}, {}", group[0].work, group[0].unit);
    canvas.text(&work, (BARS.0, top), NORMAL, FAINT, Align::Left)?;
    for (index, figure) in group.iter().enumerate() {
        let y = top + 24.0 + LINE * index as f64;
        canvas.text(&figure.server, (NAMES, y), NORMAL, INK, Align::Right)?;
        let has_rounds = figure.samples.len() > 1;
        let end =
            draw_bar(canvas, (figure.per_second, has_rounds), (&axis, BARS), y, color(figure))?;
        let speed = with_unit(figure.per_second.median);
        canvas.text(&speed, (end + 8.0, y), NORMAL, INK, Align::Left)?;
        let ratio = format!("{:.2} ×", figure.ratio.median);
        canvas.text(&ratio, (RATIOS, y), NORMAL, INK, Align::Right)?;
        let cost = significant(figure.cpu_seconds);
        canvas.text(&cost, (COSTS, y), NORMAL, INK, Align::Right)?;
    }
    Ok(())
}

/// Under TLS lighter.
fn color(figure: &Figure) -> RGBColor {
    match (figure.server.starts_with("ours"), figure.server.ends_with(" TLS")) {
        (true, false) => OURS[0],
        (true, true) => OURS_BASE,
        (false, false) => MAIN_REFERENCE,
        (false, true) => REFERENCE,
    }
}
