//! Where the next record goes, and whether there is room for it. Knows sizes only, no file.
//!
//! A batch or an alarm is taken only while a whole spare segment stands behind it. That reserve is for hello,
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
/// A segment with less left than this is not gone on in before the segment after the next is there:
/// many connections may be let in at once.
const ALMOST_FULL_SIZE: u64 = 2 << 20;

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

    /// Whether a batch may soon find no place though the next spare segment is only being prepared.
    pub(super) fn awaits_spare(&self) -> bool {
        self.spares == 0 || self.spares == 1 && self.left < ALMOST_FULL_SIZE
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
            Kind::Batch | Kind::Alarm => return self.spares > 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: Kind, body: &[u8]) -> Record<'_> {
        Record { kind, agency: 1, epoch: 1, seq: 1, n: 1, body }
    }

    fn space(sizes: Sizes, spares: u32) -> Space {
        let mut space = Space::new(sizes, 1, sizes.segment - SEGMENT_HEADER_SIZE as u64);
        space.spares = spares;
        space
    }

    #[test]
    fn a_record_goes_where_there_is_place_for_it_and_a_mark() {
        const NEW: Result<Place, NoRoom> = Ok(Place::NewGroup);
        let sizes = Sizes { segment: 1000, batch_body_max: 100, agencies: 1 };
        let full = GROUP_SIZE_MAX - 4 - 35;
        // What is left, spares, the size of the open group: where it goes, and what is left then.
        let rows = [
            (75, 1, None, NEW, (1, 20)),
            (74, 1, None, Err(NoRoom), (1, 74)),
            (74, 2, None, NEW, (2, 1000 - 36 - 55)),
            (55, 1, Some(100), Ok(Place::OpenGroup), (1, 20)),
            (54, 1, Some(100), Err(NoRoom), (1, 54)),
            (54, 2, Some(100), NEW, (2, 1000 - 36 - 55)),
            (900, 1, Some(full), Ok(Place::OpenGroup), (1, 900 - 35)),
            (900, 1, Some(full + 1), NEW, (1, 900 - 55)),
            (900, 0, None, Err(NoRoom), (1, 900)),
        ];
        // What leaves the reserve alone.
        for kind in [Kind::Batch, Kind::Alarm] {
            for (left, spares, open, expected, after) in rows {
                let mut space = space(sizes, spares);
                space.left = left;
                assert_eq!(space.place(&record(kind, &[0; 10]), open), expected, "{left}");
                assert_eq!((space.segment, space.left), after, "{left} left, {spares} spares");
            }
        }
    }

    #[test]
    fn what_must_follow_a_record_keeps_its_room_where_no_spare_is_left() {
        let sizes = Sizes { segment: 1000, batch_body_max: 100, agencies: 2 };
        let (finishes, draw) = (2 * 65, 65 + 82);
        let rows = [
            (Kind::Hello, 0, 65 + finishes + draw),
            (Kind::Finish, 0, 65 + draw),
            (Kind::Draw, 82, draw),
        ];
        for (kind, body, needed) in rows {
            for (left, expected) in [(needed, Ok(Place::NewGroup)), (needed - 1, Err(NoRoom))] {
                let mut space = space(sizes, 0);
                space.left = left;
                let body = vec![0; body];
                assert_eq!(space.place(&record(kind, &body), None), expected, "{kind:?} {left}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn after_anything_that_was_taken_every_finish_and_the_draw_find_room(
            agencies in 0..5_u32,
            batch_body_max in 0..300_u64,
            larger in 0..300_u64,
            spares in 0..3_u32,
            // 0 a hello, else a batch; each in a group of its own, with a mark behind it.
            taken in prop::collection::vec(0..300_usize, 0..60),
        ) {
            let sizes = Sizes { segment: 0, batch_body_max, agencies };
            let sizes = Sizes { segment: sizes.segment_size_min() + larger, ..sizes };
            let mut space = space(sizes, spares);
            for size in taken {
                let body = vec![0; size];
                let kind = if size == 0 { Kind::Hello } else { Kind::Batch };
                if space.place(&record(kind, &body), None).is_ok() {
                    prop_assert!(space.place_mark());
                }
            }
            for _ in 0..agencies {
                prop_assert_eq!(space.place(&record(Kind::Finish, b""), None), Ok(Place::NewGroup));
                space.place_mark();
            }
            let body = vec![0; 2 + 40 * agencies as usize];
            prop_assert_eq!(space.place(&record(Kind::Draw, &body), None), Ok(Place::NewGroup));
            prop_assert!(space.place_mark());
        }

        #[test]
        fn every_batch_fits_a_segment_of_the_smallest_size(
            batch_body_max in 0..3000_usize,
            agencies in 0..50_u32,
        ) {
            let sizes = Sizes { segment: 0, batch_body_max: batch_body_max as u64, agencies };
            let sizes = Sizes { segment: sizes.segment_size_min(), ..sizes };
            let body = vec![0; batch_body_max];
            let mut space = space(sizes, 2);
            space.left = 0;
            prop_assert_eq!(space.place(&record(Kind::Batch, &body), None), Ok(Place::NewGroup));
        }
    }
}
