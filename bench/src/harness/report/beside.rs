//! A table of figures beside those of their reference. Measures nothing.

use super::super::figure::Figure;
use super::sections::{MIB, told};
use super::table::Section;
use super::{significant, with_unit};

/// `work`: what the figures are told apart by. `cost`: what processor time is told for.
pub(super) fn beside(work: &'static str, cost: &'static str, figures: &[Figure]) -> Section {
    let mut heads = vec![work, "server", "a second", "min", "max", "ratio"];
    heads.extend(["mark (must / good / superb)", cost, "CPU ratio", "client busy", "RSS MiB"]);
    Section { heads, rows: figures.iter().map(cells).collect(), ..Section::default() }
}

fn cells(figure: &Figure) -> Vec<String> {
    let speed = figure.per_second;
    vec![
        figure.work.clone(),
        figure.server.clone(),
        format!("{}{}", with_unit(speed.median), figure.unit),
        with_unit(speed.min),
        with_unit(speed.max),
        format!("{:.2}", figure.ratio.median),
        told(figure.marks, figure.ratio.median),
        significant(figure.cpu_seconds),
        format!("{:.2}", figure.cpu_ratio),
        format!("{:.2}", figure.client_busy),
        // The worst of the rounds counts.
        significant(figure.memory_max_bytes.max / MIB),
    ]
}
