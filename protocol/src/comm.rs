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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that is interrupted before every piece, which is at most `piece` bytes, and ends after `left`.
    struct Choppy {
        bytes: Vec<u8>,
        piece: usize,
        left: usize,
        interrupted: bool,
        writes: Vec<usize>,
    }

    fn choppy(bytes: &[u8], piece: usize, left: usize) -> Choppy {
        Choppy { bytes: bytes.to_vec(), piece, left, interrupted: false, writes: Vec::new() }
    }

    impl Choppy {
        fn next_size(&mut self, wanted: usize) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let size = wanted.min(self.piece).min(self.left);
            self.left -= size;
            Ok(size)
        }
    }

    impl Read for Choppy {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.next_size(buffer.len())?;
            buffer[..size].copy_from_slice(&self.bytes[..size]);
            self.bytes.drain(..size);
            Ok(size)
        }
    }

    impl Write for Choppy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = self.next_size(bytes.len())?;
            self.bytes.extend_from_slice(&bytes[..size]);
            self.writes.push(bytes.len());
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_read_is_whole_or_the_end() {
        let mut buffer = [0; 10];
        read_whole(&mut choppy(b"0123456789ab", 3, 12), &mut buffer).unwrap();
        assert_eq!(&buffer, b"0123456789");
        let error = read_whole(&mut choppy(b"0123456789", 3, 9), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_write_is_whole_in_segments_or_an_error() {
        let mut stream = choppy(b"", 3, 100);
        write_whole(&mut stream, b"0123456789", 4).unwrap();
        assert_eq!(stream.bytes, b"0123456789");
        assert_eq!(stream.writes, [4, 4, 4, 1], "never more than a segment is offered");
        let mut stream = choppy(b"", 3, 100);
        write_whole(&mut stream, b"01", 0).unwrap();
        assert_eq!(stream.writes, [1, 1]);
        let error = write_whole(&mut choppy(b"", 3, 9), b"0123456789", 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
