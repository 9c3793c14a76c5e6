//! What a disk in memory was asked for.

/// One call that a disk was asked for. A file is named as it was at that time: one without a name yet
/// is `spare-1`, `spare-2` and so on, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The list of names.
    Names,
    /// A new file.
    Create(String),
    /// A new file without a name.
    CreateSpare,
    /// A name for such a file.
    GiveName(String, String),
    /// A file opened for reading.
    Open(String),
    /// A file opened for writing.
    OpenToWrite(String),
    /// Another name.
    Rename(String, String),
    /// A removed file.
    Remove(String),
    /// The directory's sync.
    SyncDirectory,
    /// A file's size.
    Size(String),
    /// Space for a file.
    Allocate(String, u64),
    /// A read at an offset.
    Read(String, u64),
    /// A write of some bytes at an offset.
    Write(String, u64, usize),
    /// A file's sync.
    Sync(String),
    /// No call: what a test noted in between.
    Note(String),
}
