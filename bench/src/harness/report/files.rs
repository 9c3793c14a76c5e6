//! The section of the files. Measures nothing.

use super::super::files::FilesReport;
use super::super::marks;
use super::beside::beside;
use super::sections::{MIB, told};
use super::table::Section;

pub(super) fn section(title: &str, report: &FilesReport) -> Section {
    let FilesReport { file_bytes, slice_bytes, window, .. } = report;
    let Section { mut heads, mut rows, .. } = beside("what", "CPU s/GB, s/M", &report.figures);
    heads.push("mark (must / good / superb)");
    for (row, figure) in rows.iter_mut().zip(&report.figures) {
        let mark = figure.marks.map(|_| marks::FILES_MIB);
        row.push(told(mark, figure.memory_max_bytes.max / MIB));
    }
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
        rows,
        notes: Vec::new(),
    }
}
