//! What is told of the measurements: tables on stdout and as Markdown, everything as JSON.

mod figures;
mod sections;
mod beside;
mod files;
mod tls;
mod room;
mod table;

pub(crate) use self::figures::{milliseconds, significant, with_unit};

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::args::Bench;
use super::draw::DrawReport;
use super::figure::Figure;
use super::files::FilesReport;
use super::idle::IdleReport;
use super::machine::{Machine, Version};
use super::room::RoomReport;
use super::timed::RowReport;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: Version,
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    /// How long it all took.
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<RowReport>,
    pub(crate) draw: Option<DrawReport>,
    pub(crate) idle: Vec<IdleReport>,
    pub(crate) files: Option<FilesReport>,
    pub(crate) files_tls: Option<FilesReport>,
    pub(crate) handshakes: Vec<Figure>,
    pub(crate) room: Vec<RoomReport>,
}

impl Report {
    pub(crate) fn new(bench: &Bench) -> Self {
        Self {
            version: Version::found(bench),
            machine: Machine::found(bench),
            rounds: bench.rounds,
            quick: bench.quick,
            seconds: 0.0,
            rows: Vec::new(),
            draw: None,
            idle: Vec::new(),
            files: None,
            files_tls: None,
            handshakes: Vec::new(),
            room: Vec::new(),
        }
    }

    /// Writes `report.json` and `report.md`.
    pub(crate) fn write(&self, out: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self).context("the report as JSON")?;
        for (name, text) in [("report.json", json), ("report.md", self.markdown())] {
            let path = out.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// The tables, for a terminal.
    pub(crate) fn text(&self) -> String {
        let sections = sections::of(self);
        sections.iter().map(|section| section.text() + "\n").collect()
    }

    fn markdown(&self) -> String {
        let sections = sections::of(self);
        sections.iter().map(|section| section.markdown() + "\n").collect()
    }

    /// One line on what it was measured on.
    pub(crate) fn machine_line(&self) -> String {
        let Machine { processor, cores, kernel, filesystem, .. } = &self.machine;
        format!("{cores} cores of {processor}, Linux {kernel}, {filesystem}")
    }
}
