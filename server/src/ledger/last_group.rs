//! The file that says how far a ledger is durable. Without it a loss at the very end looks like a
//! ledger that never went further. Knows no segment's bytes.
//!
//! ```text
//! last-group.bin, 8192 bytes: one slot at byte 0, one at byte 4096, zeros behind each
//!  0  magic "BOLILAST"
//!  8  format u32: 1
//! 12  draw id, 8 bytes
//! 20  number of a group that is durable, and with it all groups before it u64
//! 28  CRC-32C of bytes 0..28 u32
//! ```
//! Numbers are big-endian. A save overwrites the slot with the smaller number, then syncs, so a torn
//! write leaves the other slot. A reader takes the larger number of the slots that hold. Each slot has
//! a block of its own, so damage to one block leaves the other. Every later format keeps these 32 bytes.
//!
//! The number is never larger than that of the last durable group. It may be smaller: the file is
//! saved at each mark, at each new segment, and once a second while groups are written.

use std::io;
use std::sync::Arc;

use bolillero_protocol::message::DrawId;
use byteorder::{BigEndian, ByteOrder};
use crc32c::crc32c;

use super::committer::segment_name;
use super::disk::{Disk, File, TEMPORARY, read_full_at};
use super::reader::{ReadError, Tail, io_error};

/// The file's name in the ledger's directory.
pub const LAST_GROUP_FILE: &str = "last-group.bin";

/// Where each slot begins. A disk writes no more than such a block at once.
const SLOTS: [u64; 2] = [0, 4096];
const SIZE: usize = 8192;
const SLOT_SIZE: usize = 32;
const MAGIC: &[u8; 8] = b"BOLILAST";
/// The format of this file, which is not that of the segments.
const LAST_GROUP_FORMAT: u32 = 1;
/// How often both slots are read before neither is believed: a server may be writing one of them.
const TRIES: usize = 3;

/// What the file says: this group of this draw is durable, and all groups before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastGroup {
    /// The draw that the ledger is of.
    pub draw: DrawId,
    /// The group's number.
    pub number: u64,
}

/// What one slot holds.
enum SlotContent {
    Holds(LastGroup),
    /// Written by a version that knows more.
    Newer(u32),
    Bad,
}

impl LastGroup {
    fn encode(&self) -> [u8; SLOT_SIZE] {
        let mut bytes = [0; SLOT_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        BigEndian::write_u32(&mut bytes[8..12], LAST_GROUP_FORMAT);
        bytes[12..20].copy_from_slice(&self.draw.0);
        BigEndian::write_u64(&mut bytes[20..28], self.number);
        let crc = crc32c(&bytes[..28]);
        BigEndian::write_u32(&mut bytes[28..], crc);
        bytes
    }

    fn decode(bytes: &[u8]) -> SlotContent {
        let Some(bytes) = bytes.first_chunk::<SLOT_SIZE>() else { return SlotContent::Bad };
        if &bytes[..8] != MAGIC || BigEndian::read_u32(&bytes[28..]) != crc32c(&bytes[..28]) {
            return SlotContent::Bad;
        }
        match BigEndian::read_u32(&bytes[8..12]) {
            LAST_GROUP_FORMAT => {}
            0 => return SlotContent::Bad,
            newer => return SlotContent::Newer(newer),
        }
        let mut draw = [0; 8];
        draw.copy_from_slice(&bytes[12..20]);
        SlotContent::Holds(Self { draw: DrawId(draw), number: BigEndian::read_u64(&bytes[20..28]) })
    }

    /// Checks that a ledger that ends with `tail` is of the same draw and reaches this group.
    ///
    /// # Errors
    /// [`ReadError::Damaged`]
    pub fn check(&self, tail: &Tail) -> Result<(), ReadError> {
        self.check_draw(tail.header.draw)?;
        if tail.next_group > self.number {
            return Ok(());
        }
        Err(ReadError::Damaged {
            file: segment_name(tail.header.segment),
            offset: tail.offset,
            what: format!("group {} is missing, {}", tail.next_group, self.name_claim()),
        })
    }

    /// Checks that segments of `draw` belong to this file.
    pub(super) fn check_draw(&self, draw: DrawId) -> Result<(), ReadError> {
        if self.draw == draw {
            return Ok(());
        }
        let what = format!(
            "it is of draw {}, the segments are of draw {draw}: files of two ledgers were mixed; \
             where the segments are the right ones, remove this file",
            self.draw
        );
        Err(damaged(what))
    }

    /// The error for a directory that has this file and no segment.
    pub(super) fn without_segments(&self) -> ReadError {
        let what = format!("it is missing, with all other segments, {}", self.name_claim());
        ReadError::Damaged { file: segment_name(1), offset: 0, what }
    }

    fn name_claim(&self) -> String {
        format!("though groups up to {} were durable, as {LAST_GROUP_FILE} says", self.number)
    }
}

/// Reads what the file says. `None` when there is no such file: then nothing is known about the end
/// of the ledger.
///
/// # Errors
/// [`ReadError::Damaged`] where neither slot holds.
pub fn read(disk: &dyn Disk) -> Result<Option<LastGroup>, ReadError> {
    let failed = |source| io_error(LAST_GROUP_FILE, source);
    let file = match disk.open(LAST_GROUP_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    for _ in 0..TRIES {
        let mut last: Option<LastGroup> = None;
        for offset in SLOTS {
            let mut bytes = [0; SLOT_SIZE];
            let length = read_full_at(&*file, offset, &mut bytes).map_err(failed)?;
            match LastGroup::decode(&bytes[..length]) {
                SlotContent::Bad => {}
                SlotContent::Newer(format) => {
                    return Err(ReadError::Newer { file: LAST_GROUP_FILE.to_owned(), format });
                }
                SlotContent::Holds(found) => {
                    last = last.filter(|last| last.number >= found.number).or(Some(found));
                }
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Err(damaged(NEITHER.to_owned()))
}

const NEITHER: &str = "neither of its two slots can be read, so nobody knows where the ledger should \
    end; without this file the ledger is opened as far as it reaches";

fn damaged(what: String) -> ReadError {
    ReadError::Damaged { file: LAST_GROUP_FILE.to_owned(), offset: 0, what }
}

/// Makes the file, durably, in the place of one that is there. Returns a handle to write it by.
///
/// # Errors
/// What the disk fails with. A file that was there is as it was.
pub(super) fn create(disk: &dyn Disk, last: LastGroup) -> io::Result<Arc<dyn File>> {
    let temporary = format!("last-group{TEMPORARY}");
    let make = || {
        let file = disk.create(&temporary)?;
        let mut bytes = [0; SIZE];
        for slot in SLOTS {
            let start = usize::try_from(slot).expect("inside the file");
            bytes[start..start + SLOT_SIZE].copy_from_slice(&last.encode());
        }
        // All of it is written, so that a later save needs no room and changes no metadata.
        file.write_at(0, &bytes)?;
        file.sync()?;
        disk.rename(&temporary, LAST_GROUP_FILE)?;
        disk.sync_directory()?;
        Ok(file)
    };
    make().inspect_err(|_| {
        // Its space may be what is missing elsewhere. If it stays, the next start removes it.
        let _ = disk.remove(&temporary);
    })
}

/// Keeps the file of a ledger that is being written.
pub(super) struct LastGroupFile {
    disk: Arc<dyn Disk>,
    draw: DrawId,
    /// `None` until this process has made the file anew: what it finds may be in the page cache only,
    /// and a torn write beside that could leave no slot at all.
    file: Option<Arc<dyn File>>,
    /// The slot to write next.
    next_slot: usize,
    /// The largest number saved.
    saved: u64,
    /// The last save failed, and that was logged.
    fails: bool,
}

impl LastGroupFile {
    pub(super) fn new(disk: Arc<dyn Disk>, draw: DrawId) -> Self {
        Self { disk, draw, file: None, next_slot: 0, saved: 0, fails: false }
    }

    /// Saves that group `number` is durable, if it is a later one than was saved. A failure is logged
    /// once, and the ledger goes on: the file then says less than is durable, as it may.
    pub(super) fn save(&mut self, number: u64) {
        if number <= self.saved {
            return;
        }
        match self.try_save(LastGroup { draw: self.draw, number }) {
            Ok(()) => {
                self.saved = number;
                if self.fails {
                    log::info!("action: save_last_group | result: success | group: {number}");
                }
                self.fails = false;
            }
            Err(error) => {
                if !self.fails {
                    log::error!(
                        "action: save_last_group | result: fail | error: writing \
                         {LAST_GROUP_FILE}: {error} | hint: bets are stored as before; until this \
                         succeeds a loss at the ledger's end may go unnoticed"
                    );
                }
                self.fails = true;
            }
        }
    }

    fn try_save(&mut self, last: LastGroup) -> io::Result<()> {
        let Some(file) = &self.file else {
            self.file = Some(create(&*self.disk, last)?);
            return Ok(());
        };
        file.write_at(SLOTS[self.next_slot], &last.encode())?;
        file.sync()?;
        // Only now: after a failure the other slot is still the one that holds.
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::memory::{Done, MemoryDisk};

    const DRAW: DrawId = DrawId(*b"the draw");

    fn last(number: u64) -> LastGroup {
        LastGroup { draw: DRAW, number }
    }

    /// A file whose slots have these bytes.
    fn with_slots(slots: [&[u8]; 2]) -> MemoryDisk {
        let mut bytes = vec![0; SIZE];
        bytes[..slots[0].len()].copy_from_slice(slots[0]);
        bytes[4096..4096 + slots[1].len()].copy_from_slice(slots[1]);
        MemoryDisk::with_files(&[(LAST_GROUP_FILE.to_owned(), bytes)].into())
    }

    #[test]
    fn a_slot_has_the_documented_bytes() {
        let bytes = b"BOLILAST\0\0\0\x01the draw\0\0\0\0\0\0\x01\x2c";
        assert_eq!(last(300).encode()[..28], *bytes);
        assert_eq!(last(300).encode()[28..], crc32c(bytes).to_be_bytes());
    }

    #[test]
    fn the_larger_number_of_the_slots_that_hold_is_taken() {
        let (one, two) = (last(1).encode(), last(2).encode());
        let torn = [&two[..20], &[0; 12]].concat();
        let rows: [([&[u8]; 2], Option<u64>); 7] = [
            ([&one, &two], Some(2)),
            ([&two, &one], Some(2)),
            ([&one, &torn], Some(1)),
            ([&torn, &one], Some(1)),
            ([&[], &two], Some(2)),
            ([&torn, &torn], None),
            ([&[], &[]], None),
        ];
        for (slots, expected) in rows {
            match read(&with_slots(slots)) {
                Ok(found) => assert_eq!(found.map(|found| found.number), expected, "{slots:?}"),
                Err(ReadError::Damaged { file, .. }) => {
                    assert_eq!((file.as_str(), None), (LAST_GROUP_FILE, expected), "{slots:?}");
                }
                Err(error) => panic!("{slots:?}: {error}"),
            }
        }
        assert_eq!(read(&MemoryDisk::new()).unwrap(), None);
    }

    #[test]
    fn a_flip_of_any_bit_of_a_slot_leaves_the_other() {
        let (one, two) = (last(1).encode(), last(2).encode());
        for bit in 0..SLOT_SIZE * 8 {
            let mut flipped = two;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = read(&with_slots([&flipped, &one])).unwrap();
            assert_eq!(found, Some(last(1)), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_and_never_guessed() {
        let mut newer = last(1).encode();
        newer[11] = 2;
        let crc = crc32c(&newer[..28]).to_be_bytes();
        newer[28..].copy_from_slice(&crc);
        let error = read(&with_slots([&newer, &last(1).encode()])).err().unwrap();
        assert!(matches!(error, ReadError::Newer { format: 2, .. }), "{error}");
    }

    #[test]
    fn a_save_that_is_torn_or_fails_leaves_what_was_saved_before() {
        let disk = MemoryDisk::new();
        let mut file = LastGroupFile::new(Arc::new(disk.clone()), DRAW);
        file.save(1);
        let mut saved = 1;
        for (number, done) in (2..).zip([Done::Nothing, Done::Half, Done::All].repeat(4)) {
            // The write fails, then the sync, then neither.
            let fails = number % 3;
            disk.fail_call(usize::try_from(fails).unwrap(), io::ErrorKind::Other, done);
            file.save(number);
            disk.forget_faults();
            saved = if fails == 2 { number } else { saved };
            for part in 0..5 {
                let left = disk.files_after_power_loss(&mut |limit| part % limit);
                let found = read(&MemoryDisk::with_files(&left)).unwrap().unwrap();
                assert!((saved..=number).contains(&found.number), "{found:?}, saved {saved}");
            }
        }
        file.save(99);
        let durable = MemoryDisk::with_files(&disk.durable_files());
        assert_eq!(read(&durable).unwrap(), Some(last(99)));
    }

    #[test]
    fn a_save_after_the_first_needs_no_room_and_no_name() {
        let disk = MemoryDisk::new();
        let mut file = LastGroupFile::new(Arc::new(disk.clone()), DRAW);
        disk.limit_room(100, io::ErrorKind::StorageFull);
        file.save(1);
        assert_eq!((read(&disk).unwrap(), disk.files().len()), (None, 0));
        disk.free_room();
        file.save(2);
        disk.limit_room(disk.used(), io::ErrorKind::StorageFull);
        disk.forget_calls();
        file.save(3);
        assert_eq!(read(&disk).unwrap(), Some(last(3)));
        file.save(3);
        file.save(2);
        assert_eq!(disk.durable_files().len(), 1);
        let writes = disk
            .calls()
            .iter()
            .filter(|call| matches!(call, crate::ledger::memory::Call::Write(..)))
            .count();
        assert_eq!(writes, 1, "no number is saved twice, and none goes back");
    }
}
