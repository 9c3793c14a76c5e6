//! What happened in a run, in order, with the time of its clock. Knows nothing of what it means.

use std::fmt::Arguments;

/// The clock of a run, in milliseconds, and what happened by it.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) now: u64,
    pub(crate) lines: Vec<String>,
}

impl Events {
    pub(crate) fn note(&mut self, what: Arguments<'_>) {
        self.lines.push(format!("{:>7} {what}", self.now));
    }
}
