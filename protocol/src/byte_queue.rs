//! Bytes that wait: appended at the end, taken from the front. Knows nothing of what they mean.

use memmap2::MmapMut;

/// The most bytes that a queue keeps on the heap: a request as long as is read by default, with its
/// header.
pub const HEAP_BYTES_MAX: usize = (64 << 10) + 8;
/// An empty queue gives back its memory when it is more than this, in bytes.
pub const KEPT_BYTES_MAX: usize = 512;

/// Bytes in the order in which they came.
///
/// Up to [`HEAP_BYTES_MAX`] bytes lie on the heap. More lie in a mapping of their own, which goes
/// back to the system when they are taken or dropped. Freed heap memory would not: an allocator
/// keeps what lies below memory in use, and glibc's raises its own threshold for mappings with each
/// large block that is freed. A thousand connections that gathered half a megabyte each would leave
/// that behind for good.
///
/// Memory is at most twice the most bytes that waited at once since the queue was empty, or
/// [`KEPT_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct ByteQueue {
    store: Store,
    /// Where the bytes that were not taken begin.
    start: usize,
}

#[derive(Debug)]
enum Store {
    Heap(Vec<u8>),
    /// The first `length` bytes of a mapping.
    Mapped {
        map: MmapMut,
        length: usize,
    },
}

impl Default for Store {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl ByteQueue {
    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.bytes().len() - self.start
    }

    /// Whether no byte waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.store.bytes()[self.start..]
    }

    /// The bytes that wait, for a reader that decrypts in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.start;
        &mut self.store.bytes_mut()[start..]
    }

    /// Appends bytes. Moves those that wait to the front, over what was taken.
    pub fn append(&mut self, bytes: &[u8]) {
        self.store.remove_front(self.start);
        self.start = 0;
        self.store.append(bytes);
    }

    /// Takes the first `count` bytes, and returns them. Their memory is kept until the next call.
    ///
    /// # Panics
    /// When fewer bytes wait.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start += count;
        &self.store.bytes()[start..self.start]
    }

    /// Gives back the memory of an empty queue, if it is much.
    pub fn release(&mut self) {
        if !self.is_empty() {
            return;
        }
        self.start = 0;
        match &mut self.store {
            Store::Heap(bytes) if bytes.capacity() <= KEPT_BYTES_MAX => bytes.clear(),
            store => *store = Store::default(),
        }
    }

    /// How many bytes lie in its memory, with those that were taken and not overwritten.
    #[cfg(test)]
    pub(crate) fn occupied(&self) -> usize {
        self.store.bytes().len()
    }

    /// How many bytes of memory it has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.store {
            Store::Heap(bytes) => bytes.capacity(),
            Store::Mapped { map, .. } => map.len(),
        }
    }
}

impl Store {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped { map, length } => &map[..*length],
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped { map, length } => &mut map[..*length],
        }
    }

    fn remove_front(&mut self, count: usize) {
        match self {
            Self::Heap(bytes) => drop(bytes.drain(..count)),
            Self::Mapped { map, length } => {
                map.copy_within(count..*length, 0);
                *length -= count;
            }
        }
    }

    fn append(&mut self, added: &[u8]) {
        let needed = self.bytes().len() + added.len();
        match self {
            Self::Heap(bytes) if needed <= HEAP_BYTES_MAX => bytes.extend_from_slice(added),
            Self::Mapped { map, length } if needed <= map.len() => {
                map[*length..needed].copy_from_slice(added);
                *length = needed;
            }
            _ => self.append_to_larger(added),
        }
    }

    /// Moves all bytes into a larger mapping. Where the system gives none, into the heap.
    fn append_to_larger(&mut self, added: &[u8]) {
        let bytes = self.bytes();
        let needed = bytes.len() + added.len();
        let larger = needed.max(2 * bytes.len());
        *self = match MmapMut::map_anon(larger) {
            Ok(mut map) => {
                map[..bytes.len()].copy_from_slice(bytes);
                map[bytes.len()..needed].copy_from_slice(added);
                Self::Mapped { map, length: needed }
            }
            Err(_) => Self::Heap([bytes, added].concat()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came_wherever_they_lie() {
        let stream: Vec<u8> = (0..400_000u32).flat_map(u32::to_be_bytes).collect();
        for (appended, taken) in [(1000, 999), (70_000, 30_000), (500_000, 1), (300_000, 299_000)] {
            let (mut queue, mut left, mut waited_max) = (ByteQueue::default(), Vec::new(), 0);
            for piece in stream.chunks(appended) {
                queue.append(piece);
                waited_max = waited_max.max(queue.len());
                assert!(queue.capacity() <= (2 * waited_max).max(KEPT_BYTES_MAX));
                let count = taken.min(queue.len());
                left.extend_from_slice(queue.take(count));
            }
            left.extend_from_slice(queue.bytes());
            assert!(left == stream, "{appended} appended, {taken} taken");
        }
    }

    #[test]
    fn more_than_the_heap_is_for_lies_in_a_mapping_that_ends_when_it_is_empty() {
        let mut queue = ByteQueue::default();
        queue.append(&[1; HEAP_BYTES_MAX]);
        assert!(matches!(queue.store, Store::Heap(_)));
        queue.append(&[2]);
        assert!(matches!(queue.store, Store::Mapped { .. }));
        queue.take(HEAP_BYTES_MAX);
        queue.release();
        assert_eq!(queue.bytes(), [2]);
        assert_eq!(queue.bytes_mut(), [2]);
        queue.take(1);
        queue.release();
        assert_eq!((queue.capacity(), queue.is_empty()), (0, true));
    }
}
