//! What a connection still has to write. Knows no session and no deadline.

use std::io::{self, ErrorKind, Write};

use bolillero_protocol::byte_queue::{ByteQueue, HEAP_BYTES_MAX};

/// Bytes in the order they leave.
#[derive(Default)]
pub(super) struct Output {
    /// What sessions append to. The first `written` bytes have left already.
    bytes: Vec<u8>,
    written: usize,
    /// All there is between turns, where that is much: memory that goes back to the system with the
    /// connection. Then `bytes` is empty.
    parked: ByteQueue,
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
        Self { bytes, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written + self.parked.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a session appends.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        if !self.parked.is_empty() {
            self.bytes.extend_from_slice(self.parked.bytes());
            self.parked = ByteQueue::default();
        }
        &mut self.bytes
    }

    /// One write of all there is.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<Progress> {
        let parked = self.parked.bytes();
        let bytes = if parked.is_empty() { &self.bytes[self.written..] } else { parked };
        match socket.write(bytes) {
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
    /// is over `kept_max`. Parks what does not leave and is in a large buffer.
    pub(super) fn return_to(&mut self, spare: &mut Vec<u8>, kept_max: usize) {
        if self.bytes.capacity() > UNPARKED_CAPACITY_MAX {
            self.parked.append(&self.bytes[self.written..]);
        } else if self.bytes.len() > self.written {
            return;
        }
        let buffer = std::mem::take(&mut self.bytes);
        self.written = 0;
        if spare.capacity() == 0 && buffer.capacity() <= kept_max {
            *spare = buffer;
        }
    }

    fn leave(&mut self, count: usize) {
        if !self.parked.is_empty() {
            self.parked.take(count);
            self.parked.release();
            return;
        }
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

/// How large a buffer a connection keeps between turns. A piece of a list of winners, and what a
/// turn usually leaves unsent, is within it.
const UNPARKED_CAPACITY_MAX: usize = 2 * HEAP_BYTES_MAX;

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
    fn a_large_buffer_is_parked_between_turns_and_its_bytes_keep_their_order() {
        let given: Vec<u8> = (0..200_000u32).flat_map(u32::to_be_bytes).collect();
        let mut socket = Narrow { room: 0, taken: Vec::new() };
        let (mut output, mut spare) = (Output::default(), Vec::new());
        for (turn, bytes) in given.chunks(300_000).enumerate() {
            output.borrow_from(&mut spare);
            let unsent = output.len();
            assert_eq!(output.tail().len(), unsent, "a session sees all that has not left");
            output.tail().extend_from_slice(bytes);
            // Of the first turn one byte is left, which does not need the memory of all.
            socket.room = if turn == 0 { bytes.len() - 1 } else { 1000 };
            output.write_to(&mut socket).unwrap();
            output.return_to(&mut spare, 16);
            assert_eq!((output.bytes.capacity(), spare.capacity()), (0, 0), "turn {turn}");
            assert_eq!(output.parked.capacity() > HEAP_BYTES_MAX, turn > 0, "turn {turn}");
            // A turn that only writes.
            socket.room = 1000;
            output.borrow_from(&mut spare);
            output.write_to(&mut socket).unwrap();
            output.return_to(&mut spare, 16);
        }
        socket.room = given.len();
        output.write_to(&mut socket).unwrap();
        assert!(output.is_empty() && socket.taken == given);
        assert_eq!(output.parked.capacity(), 0);
    }

    #[test]
    fn a_buffer_with_bytes_stays_with_its_connection() {
        let mut spare = Vec::new();
        let mut output = Output::new(b"owed".to_vec());
        output.return_to(&mut spare, 16);
        assert_eq!((output.len(), spare.capacity()), (4, 0));
    }
}
