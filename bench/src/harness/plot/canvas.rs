//! A picture to draw on, in points; colours and sizes that all pictures share.

use std::fmt::Display;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) const INK: RGBColor = RGBColor(31, 41, 55);
pub(super) const FAINT: RGBColor = RGBColor(107, 114, 128);
pub(super) const RULE: RGBColor = RGBColor(229, 231, 235);
pub(super) const REFERENCE: RGBColor = RGBColor(203, 208, 216);
pub(super) const MAIN_REFERENCE: RGBColor = RGBColor(139, 148, 163);
/// The drivers, in their order.
pub(super) const OURS: [RGBColor; 3] =
    [RGBColor(15, 118, 110), RGBColor(37, 99, 175), RGBColor(180, 95, 40)];
pub(super) const OURS_BASE: RGBColor = RGBColor(110, 170, 163);

pub(super) const SMALL: f64 = 11.5;
pub(super) const NORMAL: f64 = 13.0;
const TITLE: f64 = 18.0;
/// plotters divides the sizes of SVG text by this.
const TEXT_SCALE: f64 = 1.24;

#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a picture of a size; returns it as SVG.
pub(super) fn picture(
    size: (f64, f64),
    draw: impl FnOnce(&Canvas<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    let size = (pixel(size.0).unsigned_abs(), pixel(size.1).unsigned_abs());
    let canvas = Canvas { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
    canvas.area.fill(&WHITE).map_err(failed)?;
    draw(&canvas)?;
    canvas.area.present().map_err(failed)?;
    drop(canvas);
    Ok(svg)
}

impl Canvas<'_> {
    /// What it shows, under which conditions.
    pub(super) fn head(&self, title: &str, conditions: &[&str]) -> anyhow::Result<()> {
        let style = ("sans-serif", TITLE * TEXT_SCALE).into_font().style(FontStyle::Bold);
        self.draw_text(title, (24.0, 26.0), &style.color(&INK), HPos::Left)?;
        for (line, y) in conditions.iter().zip([48.0, 64.0, 80.0]) {
            self.text(line, (24.0, y), SMALL, FAINT, Align::Left)?;
        }
        Ok(())
    }

    /// Text whose middle line is at y.
    pub(super) fn text(
        &self,
        text: &str,
        at: (f64, f64),
        size: f64,
        color: RGBColor,
        align: Align,
    ) -> anyhow::Result<()> {
        let align = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = ("sans-serif", size * TEXT_SCALE).into_font();
        self.draw_text(text, at, &style.color(&color), align)
    }

    fn draw_text(
        &self,
        text: &str,
        at: (f64, f64),
        style: &TextStyle<'_>,
        align: HPos,
    ) -> anyhow::Result<()> {
        let style = style.pos(Pos::new(align, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), point(at), style)).map_err(failed)
    }

    pub(super) fn line(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        width: u32,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = points.iter().map(|at| point(*at)).collect();
        self.area.draw(&PathElement::new(points, color.stroke_width(width))).map_err(failed)
    }

    pub(super) fn bar(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        color: RGBColor,
    ) -> anyhow::Result<()> {
        self.area.draw(&Rectangle::new([point(from), point(to)], color.filled())).map_err(failed)
    }

    pub(super) fn dot(&self, at: (f64, f64), radius: f64, color: RGBColor) -> anyhow::Result<()> {
        self.area.draw(&Circle::new(point(at), pixel(radius), color.filled())).map_err(failed)
    }

    pub(super) fn ring(&self, at: (f64, f64), radius: f64, color: RGBColor) -> anyhow::Result<()> {
        self.dot(at, radius, WHITE)?;
        self.area
            .draw(&Circle::new(point(at), pixel(radius), color.stroke_width(2)))
            .map_err(failed)
    }
}

fn failed(error: impl Display) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

fn point((x, y): (f64, f64)) -> (i32, i32) {
    (pixel(x), pixel(y))
}

#[allow(clippy::cast_possible_truncation, reason = "a picture is some thousand points wide")]
fn pixel(length: f64) -> i32 {
    length.round() as i32
}
