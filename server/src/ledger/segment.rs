//! A segment: its header, its groups, and what its end looks like. Knows no other segment.
//!
//! ```text
//! segment, from byte 0 of its file            group, behind the header or the group before it
//!  0  magic "BOLILLER"                         0  length of the records u32
//!  8  format u32: 1 or 2                       4  group number u64
//! 12  segment number u32                      12  CRC-32C of bytes 0..12 u32
//! 16  number of its first group u64           16  records
//! 24  draw id, 8 bytes                         …  CRC-32C of the records u32
//! 32  CRC-32C of bytes 0..32 u32
//! 36  groups, then zeros to the end of the file
//! ```
//! Numbers are big-endian. A group takes 20 bytes beside its records, and at most 16 MiB in all. One
//! without records is a mark: it says that the group before it was whole. Twelve zeros have another
//! checksum than zero, so zeros are no group. Every later format keeps these 36 bytes.
//!
//! Format 2 differs from 1 in the kinds of records only: it may hold alarms. A start rewrites the last
//! segment in the newest format, so that no record stands in a segment older than its kind.

mod salvage;

use std::io;
use std::sync::Arc;

use bolillero_protocol::message::DrawId;
use byteorder::{BigEndian, ByteOrder};
use crc32c::crc32c;

use super::disk::{File, read_full_at};
use super::record::Records;

/// Bytes before a segment's first group.
pub const SEGMENT_HEADER_SIZE: usize = 36;
/// Bytes of a group before its records.
pub const GROUP_HEADER_SIZE: usize = 16;
/// Bytes of a group beside its records; the size of a mark.
pub const GROUP_OVERHEAD: usize = GROUP_HEADER_SIZE + 4;
/// The largest group, in bytes, all included.
pub const GROUP_SIZE_MAX: usize = 16 << 20;
/// The format this version writes, and the newest it reads. It reads every earlier one.
pub const FORMAT: u32 = 2;

const MAGIC: &[u8; 8] = b"BOLILLER";
/// How much is read at once when looking for zeros or for a group behind a bad one.
const SEARCH_WINDOW: usize = 1 << 20;
const READ_AHEAD: usize = 256 << 10;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Segments are numbered 1, 2, 3 …
    pub segment: u32,
    /// The number of its first group.
    pub first_group: u64,
    /// The draw the ledger is of.
    pub draw: DrawId,
}

/// Why a segment's header is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// No segment of a ledger, or a damaged one.
    Damaged,
    /// Written by a version that knows more.
    Newer(u32),
}

impl SegmentHeader {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_SIZE] {
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        BigEndian::write_u32(&mut bytes[8..12], FORMAT);
        BigEndian::write_u32(&mut bytes[12..16], self.segment);
        BigEndian::write_u64(&mut bytes[16..24], self.first_group);
        bytes[24..32].copy_from_slice(&self.draw.0);
        let crc = crc32c(&bytes[..32]);
        BigEndian::write_u32(&mut bytes[32..], crc);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER_SIZE>() else {
            return Err(BadHeader::Damaged);
        };
        if &bytes[..8] != MAGIC || BigEndian::read_u32(&bytes[32..]) != crc32c(&bytes[..32]) {
            return Err(BadHeader::Damaged);
        }
        let format = BigEndian::read_u32(&bytes[8..12]);
        match format {
            1..=FORMAT => {}
            0 => return Err(BadHeader::Damaged),
            newer => return Err(BadHeader::Newer(newer)),
        }
        let mut draw = [0; 8];
        draw.copy_from_slice(&bytes[24..32]);
        Ok(Self {
            segment: BigEndian::read_u32(&bytes[12..16]),
            first_group: BigEndian::read_u64(&bytes[16..24]),
            draw: DrawId(draw),
        })
    }
}

/// Leaves room at the front of an empty buffer for the header that [`seal_group`] writes.
pub fn begin_group(buffer: &mut Vec<u8>) {
    buffer.resize(GROUP_HEADER_SIZE, 0);
}

/// Makes a group of a buffer that [`begin_group`] began and records were appended to.
pub fn seal_group(buffer: &mut Vec<u8>, number: u64) {
    let length = u32::try_from(buffer.len() - GROUP_HEADER_SIZE).expect("a group is under 16 MiB");
    BigEndian::write_u32(&mut buffer[..4], length);
    BigEndian::write_u64(&mut buffer[4..12], number);
    let header_crc = crc32c(&buffer[..12]);
    BigEndian::write_u32(&mut buffer[12..GROUP_HEADER_SIZE], header_crc);
    let records_crc = crc32c(&buffer[GROUP_HEADER_SIZE..]);
    buffer.extend_from_slice(&records_crc.to_be_bytes());
}

struct GroupHeader {
    length: usize,
    number: u64,
}

impl GroupHeader {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<GROUP_HEADER_SIZE>()?;
        if BigEndian::read_u32(&bytes[12..]) != crc32c(&bytes[..12]) {
            return None;
        }
        let length = BigEndian::read_u32(&bytes[..4]) as usize;
        let header = Self { length, number: BigEndian::read_u64(&bytes[4..12]) };
        (length + GROUP_OVERHEAD <= GROUP_SIZE_MAX).then_some(header)
    }
}

/// A whole, valid group.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Groups are numbered 1, 2, 3 … through all segments.
    pub number: u64,
    /// Where it begins in its file.
    pub offset: u64,
    /// Its records' bytes; none in a mark.
    pub bytes: &'a [u8],
}

impl<'a> Group<'a> {
    /// Its records.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::new(self.bytes)
    }

    /// Whether it only says that the group before it was whole.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Reads a segment group by group, holding at most one group in memory.
pub struct SegmentReader {
    file: Arc<dyn File>,
    header: SegmentHeader,
    size: u64,
    offset: u64,
    next_group: u64,
    /// The file's bytes from `buffer_offset` on, so that small groups share a read.
    buffer: Vec<u8>,
    buffer_offset: u64,
}

/// What lies behind the last valid group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Zeros, to the end of the file.
    Clean,
    /// Bytes which are no group, and no valid group behind them.
    Torn,
    /// Bytes which are no group, though a valid group stands behind them, at this offset.
    Followed(u64),
}

impl SegmentReader {
    /// Opens a segment.
    ///
    /// # Errors
    /// The outer error is a failed read, the inner one a header that does not hold.
    pub fn open(file: Arc<dyn File>) -> io::Result<Result<Self, BadHeader>> {
        let size = file.size()?;
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let length = read_full_at(&*file, 0, &mut bytes)?;
        Ok(SegmentHeader::decode(&bytes[..length]).map(|header| Self {
            file,
            header,
            size,
            offset: SEGMENT_HEADER_SIZE as u64,
            next_group: header.first_group,
            buffer: Vec::new(),
            buffer_offset: 0,
        }))
    }

    /// The segment's header.
    #[must_use]
    pub fn header(&self) -> SegmentHeader {
        self.header
    }

    /// The number that the next group has to have.
    #[must_use]
    pub fn next_group(&self) -> u64 {
        self.next_group
    }

    /// Where the next group begins, or the end of the last valid one.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next group, or `None` where no valid group of the right number stands.
    ///
    /// # Errors
    /// A failed read.
    pub fn read_group(&mut self) -> io::Result<Option<Group<'_>>> {
        let Some(header) = GroupHeader::decode(self.bytes_at(self.offset, GROUP_HEADER_SIZE)?)
        else {
            return Ok(None);
        };
        let size = header.length + GROUP_OVERHEAD;
        let (offset, number) = (self.offset, self.next_group);
        if header.number != number || !records_hold(self.bytes_at(offset, size)?, size) {
            return Ok(None);
        }
        self.offset += size as u64;
        self.next_group += 1;
        let bytes = &self.bytes_at(offset, size)?[GROUP_HEADER_SIZE..size - 4];
        Ok(Some(Group { number, offset, bytes }))
    }

    /// Goes on in `file`, which is this segment opened anew; says whether a valid group stands there
    /// where none was found. [`SegmentReader::read_group`] then returns it.
    ///
    /// # Errors
    /// A failed read.
    pub fn resume_in(&mut self, file: Arc<dyn File>) -> io::Result<bool> {
        self.size = file.size()?;
        self.file = file;
        self.buffer.clear();
        let (offset, next_group) = (self.offset, self.next_group);
        let found = self.read_group()?.is_some();
        (self.offset, self.next_group) = (offset, next_group);
        Ok(found)
    }

    /// What stands where [`SegmentReader::read_group`] found no group.
    ///
    /// # Errors
    /// A failed read.
    pub fn end(&mut self) -> io::Result<End> {
        let mut at = self.offset;
        while at < self.size {
            let window = self.bytes_at(at, SEARCH_WINDOW)?;
            if window.iter().any(|&byte| byte != 0) {
                return self.search_group();
            }
            if window.is_empty() {
                break;
            }
            at += window.len() as u64;
        }
        Ok(End::Clean)
    }

    /// Looks for a valid group at every byte behind the bad one.
    ///
    /// No peer can make a tear look like damage by what it sends: a group has zeros in its first
    /// bytes, and no batch holds a control character.
    fn search_group(&mut self) -> io::Result<End> {
        let mut at = self.offset + 1;
        while at + GROUP_OVERHEAD as u64 <= self.size {
            let window = self.bytes_at(at, SEARCH_WINDOW)?;
            let starts = window.len().saturating_sub(GROUP_HEADER_SIZE - 1);
            if starts == 0 {
                break;
            }
            let header_at = |start: usize| Some((start, GroupHeader::decode(&window[start..])?));
            let found: Vec<_> = (0..starts).filter_map(header_at).collect();
            for (start, header) in found {
                let (offset, size) = (at + start as u64, header.length + GROUP_OVERHEAD);
                if records_hold(self.bytes_at(offset, size)?, size) {
                    return Ok(End::Followed(offset));
                }
            }
            at += starts as u64;
        }
        Ok(End::Torn)
    }

    /// Up to `length` bytes from `offset` on; fewer only at the end of the file.
    fn bytes_at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let buffer_end = self.buffer_offset + self.buffer.len() as u64;
        if offset < self.buffer_offset || offset + length as u64 > buffer_end {
            let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.buffer.resize(length.max(READ_AHEAD).min(left), 0);
            let read = read_full_at(&*self.file, offset, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.buffer_offset = offset;
        }
        let start = usize::try_from(offset - self.buffer_offset).expect("inside the buffer");
        let end = self.buffer.len().min(start + length);
        Ok(&self.buffer[start.min(end)..end])
    }
}

fn records_hold(group: &[u8], size: usize) -> bool {
    group.len() == size && {
        let (records, crc) = group[GROUP_HEADER_SIZE..].split_at(size - GROUP_OVERHEAD);
        BigEndian::read_u32(crc) == crc32c(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::memory::MemoryDisk;

    const HEADER: SegmentHeader =
        SegmentHeader { segment: 7, first_group: 300, draw: DrawId(*b"the draw") };

    fn reader(bytes: Vec<u8>) -> SegmentReader {
        use crate::ledger::disk::Disk as _;
        let disk = MemoryDisk::with_files(&[("segment".to_owned(), bytes)].into());
        SegmentReader::open(disk.open("segment").unwrap()).unwrap().unwrap()
    }

    fn group(number: u64, records: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        begin_group(&mut bytes);
        bytes.extend_from_slice(records);
        seal_group(&mut bytes, number);
        bytes
    }

    #[test]
    fn a_header_and_a_group_have_the_documented_bytes() {
        let header = b"BOLILLER\0\0\0\x02\0\0\0\x07\0\0\0\0\0\0\x01\x2cthe draw";
        assert_eq!(HEADER.encode()[..32], *header);
        assert_eq!(HEADER.encode()[32..], crc32c(header).to_be_bytes());
        let mark = b"\0\0\0\0\0\0\0\0\0\0\x01\x2c\x55\x3c\x6c\x24\0\0\0\0";
        assert_eq!(group(300, b""), mark);
        let full = group(300, b"123456789");
        assert_eq!(full[..12], *b"\0\0\0\x09\0\0\0\0\0\0\x01\x2c");
        // The check value of CRC-32C.
        assert_eq!(full[25..], [0xE3, 0x06, 0x92, 0x83]);
    }

    #[test]
    fn a_header_with_any_bit_changed_or_any_byte_missing_is_damaged() {
        let bytes = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(HEADER));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&changed), Err(BadHeader::Damaged), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(SegmentHeader::decode(&bytes[..length]), Err(BadHeader::Damaged));
        }
    }

    #[test]
    fn a_group_of_16_mib_is_read_and_none_larger() {
        for (size, expected) in [(GROUP_SIZE_MAX, true), (GROUP_SIZE_MAX + 1, false)] {
            let bytes = group(300, &vec![1; size - GROUP_OVERHEAD]);
            let mut reader = reader([&HEADER.encode()[..], &bytes].concat());
            assert_eq!(reader.read_group().unwrap().is_some(), expected, "{size}");
        }
    }

    #[test]
    fn a_group_behind_a_bad_one_is_found_wherever_it_stands() {
        let start = SEGMENT_HEADER_SIZE;
        let mark = group(9, b"");
        let near_window_end = (0..24).map(|before| start + 1 + SEARCH_WINDOW - before);
        for at in (start + 1..start + 9).chain(near_window_end) {
            let mut bytes = HEADER.encode().to_vec();
            bytes.resize(at, 0x55);
            bytes.extend_from_slice(&mark);
            let mut reader = reader(bytes.clone());
            assert!(reader.read_group().unwrap().is_none());
            assert_eq!(reader.end().unwrap(), End::Followed(at as u64));
            bytes.pop();
            assert_eq!(self::reader(bytes).end().unwrap(), End::Torn);
        }
    }

    #[test]
    fn only_zeros_to_the_end_of_the_file_are_a_clean_end() {
        for size in [0, 1, SEARCH_WINDOW - 1, SEARCH_WINDOW, 2 * SEARCH_WINDOW + 1] {
            let mut bytes = HEADER.encode().to_vec();
            bytes.resize(SEGMENT_HEADER_SIZE + size, 0);
            assert_eq!(reader(bytes.clone()).end().unwrap(), End::Clean, "{size}");
            if size > 0 {
                *bytes.last_mut().unwrap() = 1;
                assert_eq!(reader(bytes).end().unwrap(), End::Torn, "{size}");
            }
        }
    }
}
