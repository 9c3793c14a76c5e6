//! Writes records as a new ledger, from group 1 on. Knows no old one, and serves nobody: what it
//! writes is there once [`Rewriter::finish`] has returned.

use std::io;
use std::sync::Arc;

use bolillero_protocol::message::DrawId;

use super::committer::segment_name;
use super::disk::{Disk, File};
use super::last_group::{self, LastGroup};
use super::record::Record;
use super::segment::{
    GROUP_OVERHEAD, GROUP_SIZE_MAX, SEGMENT_HEADER_SIZE, SegmentHeader, begin_group, seal_group,
};

/// A ledger being written.
pub struct Rewriter<'a> {
    disk: &'a dyn Disk,
    draw: DrawId,
    /// Bytes from which on a segment is full.
    segment_size: u64,
    /// The last segment, once there is one, and how much of it is written.
    current: Option<(Arc<dyn File>, u64)>,
    segment: u32,
    next_group: u64,
    /// The open group; empty when there is none.
    group: Vec<u8>,
}

impl<'a> Rewriter<'a> {
    /// A ledger of `draw` in segments of about `segment_size` bytes.
    #[must_use]
    pub fn new(disk: &'a dyn Disk, draw: DrawId, segment_size: u64) -> Self {
        let (segment, next_group) = (0, 1);
        Self { disk, draw, segment_size, current: None, segment, next_group, group: Vec::new() }
    }

    /// Appends a record to the open group.
    ///
    /// # Errors
    /// What the disk fails with.
    pub fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let overhead = if self.group.is_empty() { GROUP_OVERHEAD } else { 4 };
        if self.group.len() + record.size() + overhead > GROUP_SIZE_MAX {
            self.end_group()?;
        }
        if self.group.is_empty() {
            begin_group(&mut self.group);
        }
        record.encode(&mut self.group);
        Ok(())
    }

    /// Writes the open group, if there is one.
    ///
    /// # Errors
    /// What the disk fails with.
    pub fn end_group(&mut self) -> io::Result<()> {
        if self.group.is_empty() { Ok(()) } else { self.write_group() }
    }

    /// Writes the open group, and a mark behind it.
    ///
    /// # Errors
    /// What the disk fails with.
    pub fn mark(&mut self) -> io::Result<()> {
        self.end_group()?;
        begin_group(&mut self.group);
        self.write_group()
    }

    /// Ends the ledger with a mark, makes it durable, and saves which group is its last.
    ///
    /// # Errors
    /// What the disk fails with.
    pub fn finish(mut self) -> io::Result<()> {
        self.mark()?;
        if let Some((file, _)) = &self.current {
            file.sync()?;
        }
        self.disk.sync_directory()?;
        let last = LastGroup { draw: self.draw, number: self.next_group - 1 };
        last_group::create(self.disk, last).map(drop)
    }

    fn write_group(&mut self) -> io::Result<()> {
        seal_group(&mut self.group, self.next_group);
        let size = self.group.len() as u64;
        let (file, offset) = match self.current.take() {
            Some((file, offset)) if offset + size <= self.segment_size => (file, offset),
            full => self.next_segment(full)?,
        };
        file.write_at(offset, &self.group)?;
        self.current = Some((file, offset + size));
        self.next_group += 1;
        self.group.clear();
        Ok(())
    }

    fn next_segment(
        &mut self,
        full: Option<(Arc<dyn File>, u64)>,
    ) -> io::Result<(Arc<dyn File>, u64)> {
        if let Some((file, _)) = full {
            file.sync()?;
        }
        self.segment += 1;
        let (segment, first_group, draw) = (self.segment, self.next_group, self.draw);
        let file = self.disk.create(&segment_name(segment))?;
        file.write_at(0, &SegmentHeader { segment, first_group, draw }.encode())?;
        Ok((file, SEGMENT_HEADER_SIZE as u64))
    }
}
