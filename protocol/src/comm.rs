//! Whole reads and whole writes over any stream. Knows no packet.

use std::io::{self, Read, Write};

/// The longest piece that [`write_whole`] hands to one `write`, unless told otherwise.
pub const SEGMENT_SIZE_DEFAULT: usize = 8192;

/// Fills `buffer` from `reader`, in however many reads it takes.
///
/// # Errors
/// `UnexpectedEof` when the stream ends first, and whatever `reader` fails with.
pub fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `bytes`, in pieces of at most `segment_size` bytes (at least one).
///
/// # Errors
/// `WriteZero` when `writer` takes no more, and whatever it fails with.
pub fn write_whole(writer: &mut impl Write, bytes: &[u8], segment_size: usize) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        let segment = &left[..left.len().min(segment_size.max(1))];
        match writer.write(segment) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => left = &left[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
