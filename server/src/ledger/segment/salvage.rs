//! Reading on in a segment behind what is no group, and in one whose header is lost. Only for
//! repair: nobody else may read past damage.

use std::io;
use std::sync::Arc;

use bolillero_protocol::message::DrawId;

use super::{GROUP_HEADER_SIZE, GroupHeader, SegmentHeader, SegmentReader};
use crate::ledger::disk::File;

impl SegmentReader {
    /// Opens a segment whose header does not hold. Finds no group until it is told where one stands.
    ///
    /// # Errors
    /// A failed read.
    pub fn open_headless(file: Arc<dyn File>, segment: u32) -> io::Result<Self> {
        let size = file.size()?;
        let header = SegmentHeader { segment, first_group: u64::MAX, draw: DrawId([0; 8]) };
        let next_group = header.first_group;
        let buffer = Vec::new();
        Ok(Self { file, header, size, offset: 0, next_group, buffer, buffer_offset: 0 })
    }

    /// Goes on with the group at `offset`, where [`SegmentReader::end`] found a valid one.
    ///
    /// # Errors
    /// A failed read.
    pub fn go_on_at(&mut self, offset: u64) -> io::Result<()> {
        let header = GroupHeader::decode(self.bytes_at(offset, GROUP_HEADER_SIZE)?);
        let header = header.ok_or_else(|| io::Error::other("it did not read the same twice"))?;
        (self.offset, self.next_group) = (offset, header.number);
        Ok(())
    }

    /// Bytes in the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}
