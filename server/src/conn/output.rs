//! What a connection still has to write. Knows no session and no deadline.

use std::io::{self, ErrorKind, Write};

/// Bytes in the order they leave, of which the first `written` have left already.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
}

/// How far a write came.
pub(super) enum Progress {
    /// The socket took this many bytes.
    Wrote(usize),
    /// The socket is full.
    Blocked,
}

impl Output {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, written: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a session appends.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// One write of all there is.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<Progress> {
        match socket.write(&self.bytes[self.written..]) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.leave(count);
                Ok(Progress::Wrote(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Progress::Blocked),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Progress::Wrote(0)),
            Err(error) => Err(error),
        }
    }

    /// Takes over the thread's empty buffer when it has none of its own. So an idle connection has
    /// none.
    pub(super) fn borrow_from(&mut self, spare: &mut Vec<u8>) {
        if self.bytes.capacity() == 0 {
            std::mem::swap(&mut self.bytes, spare);
        }
    }

    /// Gives an empty buffer back to the thread, or to the allocator when the thread has one or it
    /// is over `kept_max`.
    pub(super) fn return_to(&mut self, spare: &mut Vec<u8>, kept_max: usize) {
        if !self.is_empty() {
            return;
        }
        let buffer = std::mem::take(self).bytes;
        if spare.capacity() == 0 && buffer.capacity() <= kept_max {
            *spare = buffer;
        }
    }

    fn leave(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
        } else if self.written > self.bytes.len() / 2 {
            // A reader that is always a little behind would otherwise let the written part grow for
            // ever. Each byte is moved at most once for each byte that left.
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes and no more.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stays_behind_does_not_make_the_buffer_grow() {
        let mut output = Output::default();
        let mut socket = Narrow { room: 0, taken: Vec::new() };
        let mut given = Vec::new();
        for round in 0..10_000u32 {
            output.tail().extend_from_slice(&round.to_be_bytes());
            given.extend_from_slice(&round.to_be_bytes());
            // Always one byte behind: it is never empty, so it is never simply cleared.
            socket.room = output.len() - 1;
            output.write_to(&mut socket).unwrap();
        }
        assert!(output.tail().capacity() < 64, "capacity {}", output.tail().capacity());
        assert_eq!(socket.taken, given[..given.len() - 1]);
    }

    #[test]
    fn an_empty_buffer_returns_to_its_thread_and_a_large_one_to_the_allocator() {
        let mut spare = Vec::with_capacity(16);
        let mut output = Output::default();
        output.borrow_from(&mut spare);
        assert_eq!((spare.capacity(), output.tail().capacity()), (0, 16));
        output.return_to(&mut spare, 16);
        assert_eq!((spare.capacity(), output.tail().capacity()), (16, 0));

        output.borrow_from(&mut spare);
        output.tail().reserve_exact(17);
        output.return_to(&mut spare, 16);
        assert_eq!((spare.capacity(), output.tail().capacity()), (0, 0));
    }

    #[test]
    fn a_buffer_with_bytes_stays_with_its_connection() {
        let mut spare = Vec::new();
        let mut output = Output::new(b"owed".to_vec());
        output.return_to(&mut spare, 16);
        assert_eq!((output.len(), spare.capacity()), (4, 0));
    }
}
