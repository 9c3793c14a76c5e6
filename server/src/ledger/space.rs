//! Where the next record goes, and whether there is room for it. Knows sizes only, no file.
//!
//! A batch is taken only while a whole spare segment stands behind it. That reserve is for hello,
//! finish and draw; a hello leaves room in it for every finish and the draw, a finish for the draw.

use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_protocol::tlv::REQUEST_LENGTH_MAX;
use thiserror::Error;

use super::record::{Kind, RECORD_HEADER_SIZE, Record};
use super::segment::{GROUP_OVERHEAD, GROUP_SIZE_MAX, SEGMENT_HEADER_SIZE};

/// There is no place on the disk for a record at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no room on the disk at present")]
pub struct NoRoom;

/// The sizes that decide about room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of a segment.
    pub segment: u64,
    /// The largest body of a batch.
    pub batch_body_max: u64,
    /// How many agencies may finish.
    pub agencies: u32,
}

impl Sizes {
    /// The smallest segment in which every record has its place, and which suffices as the reserve.
    #[must_use]
    pub fn segment_size_min(&self) -> u64 {
        SEGMENT_HEADER_SIZE as u64 + alone(self.batch_body_max).max(self.reserve())
    }

    /// What has to find room even when no batch does: a hello, every finish and the draw.
    pub(super) fn reserve(&self) -> u64 {
        alone(0) + self.finishes() + self.draw()
    }

    fn draw(&self) -> u64 {
        alone(2 + u64::from(DRAW_BODY_PER_AGENCY) * u64::from(self.agencies))
    }

    fn finishes(&self) -> u64 {
        u64::from(self.agencies) * alone(0)
    }
}

const DRAW_BODY_PER_AGENCY: u32 = 8 + 32;

/// The most bytes that a record takes: in a group of its own, with a mark behind it.
const fn alone(body: u64) -> u64 {
    body + (RECORD_HEADER_SIZE + 2 * GROUP_OVERHEAD) as u64
}

/// What is left of the segment that groups are placed in, and of the spare ones behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    sizes: Sizes,
    /// The segment that the last placed group is in.
    pub(super) segment: u32,
    /// Bytes of it behind that group.
    left: u64,
    /// Prepared segments that nothing is placed in yet.
    pub(super) spares: u32,
}

/// Where a record was given its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the group that is open for appending.
    OpenGroup,
    /// In a new group of [`Space::segment`].
    NewGroup,
}

impl Space {
    pub(super) fn new(sizes: Sizes, segment: u32, left: u64) -> Self {
        Self { sizes, segment, left, spares: 0 }
    }

    /// Gives a record its place. `open` is the size of the group open for appending, if there is one.
    pub(super) fn place(
        &mut self,
        record: &Record<'_>,
        open: Option<usize>,
    ) -> Result<Place, NoRoom> {
        let size = record.size() as u64;
        assert!(size + GROUP_OVERHEAD as u64 <= GROUP_SIZE_MAX as u64, "a record fits a group");
        let mut after = *self;
        let group_has_room =
            open.is_some_and(|open| open as u64 + size + 4 <= GROUP_SIZE_MAX as u64);
        let place = if group_has_room && after.take(size) {
            Place::OpenGroup
        } else if after.take(size + GROUP_OVERHEAD as u64)
            || after.next_segment() && after.take(size + GROUP_OVERHEAD as u64)
        {
            Place::NewGroup
        } else {
            return Err(NoRoom);
        };
        if !after.suffices_after(record.kind) {
            return Err(NoRoom);
        }
        *self = after;
        Ok(place)
    }

    /// Gives a mark its place, behind the last group.
    pub(super) fn place_mark(&mut self) -> bool {
        let fits = self.left >= GROUP_OVERHEAD as u64;
        if fits {
            self.left -= GROUP_OVERHEAD as u64;
        }
        fits
    }

    /// Takes bytes of the current segment, if a mark still fits behind them.
    fn take(&mut self, size: u64) -> bool {
        let fits = self.left >= size + GROUP_OVERHEAD as u64;
        if fits {
            self.left -= size;
        }
        fits
    }

    fn next_segment(&mut self) -> bool {
        if self.spares == 0 {
            return false;
        }
        self.spares -= 1;
        self.segment += 1;
        self.left = self.sizes.segment - SEGMENT_HEADER_SIZE as u64;
        true
    }

    /// Whether what has to follow a record of this kind still finds room after it.
    fn suffices_after(&self, kind: Kind) -> bool {
        let needed = match kind {
            Kind::Batch => return self.spares > 0,
            Kind::Hello => self.sizes.finishes() + self.sizes.draw(),
            Kind::Finish => self.sizes.draw(),
            Kind::Open | Kind::Draw => return true,
        };
        self.spares > 0 || self.left >= needed + GROUP_OVERHEAD as u64
    }
}

// Every record fits a group: the longest request, and the draw of the most agencies.
const _: () = {
    let overhead = RECORD_HEADER_SIZE + GROUP_OVERHEAD;
    assert!(REQUEST_LENGTH_MAX as usize + overhead < GROUP_SIZE_MAX);
    let draw = 2 + (DRAW_BODY_PER_AGENCY * AGENCIES_MAX) as usize;
    assert!(draw + overhead < GROUP_SIZE_MAX);
};
