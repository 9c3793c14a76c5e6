//! The section of the files. Measures nothing.

use super::super::figure::Figure;
use super::super::files::FilesReport;
use super::super::marks;
use super::sections::{MIB, told};
use super::table::Section;
use super::{significant, with_unit};

pub(super) fn section(title: &str, report: &FilesReport) -> Section {
    let FilesReport { file_bytes, slice_bytes, window, .. } = report;
    let mut heads = vec!["what", "server", "a second", "min", "max", "ratio"];
    heads.extend(["mark (must / good / superb)", "CPU s/GB, s/M", "CPU ratio", "client busy"]);
    heads.extend(["RSS MiB", "mark (must / good / superb)"]);
    Section {
        title: title.to_owned(),
        lines: vec![
            format!(
                "A file of {} MiB in memory. Slices: {} MiB each, {window} in flight on one \
                 connection, counted in bytes of the file. Size: asked again with every reply.",
                file_bytes >> 20,
                slice_bytes >> 20,
            ),
            "Ratios to plain loops: stream reads and writes the file, reply and replies say the \
             same to every line."
                .to_owned(),
            "The client runs in this program; busy is its share of one core.".to_owned(),
        ],
        heads,
        rows: report.figures.iter().map(cells).collect(),
        notes: Vec::new(),
    }
}

fn cells(figure: &Figure) -> Vec<String> {
    let speed = |figure: f64, unit: &str| format!("{}{unit}", with_unit(figure));
    // The worst of the rounds counts.
    let memory = figure.memory_max_bytes.max / MIB;
    vec![
        figure.work.clone(),
        figure.server.clone(),
        speed(figure.per_second.median, figure.unit),
        with_unit(figure.per_second.min),
        with_unit(figure.per_second.max),
        format!("{:.2}", figure.ratio.median),
        told(figure.marks, figure.ratio.median),
        significant(figure.cpu_seconds),
        format!("{:.2}", figure.cpu_ratio),
        format!("{:.2}", figure.client_busy),
        significant(memory),
        told(figure.marks.map(|_| marks::FILES_MIB), memory),
    ]
}
