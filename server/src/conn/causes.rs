//! Why a connection is turned. Plain bits, so that a driver can keep them in one atomic word.

/// Why a connection is turned: a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Causes(u32);

impl Causes {
    /// No reason at all.
    pub const NONE: Self = Self(0);
    /// The socket may have bytes, or its end.
    pub const READABLE: Self = Self(1);
    /// The peer sends no more than what has arrived.
    pub const ENDED: Self = Self(1 << 7);
    /// The socket may take bytes.
    pub const WRITABLE: Self = Self(1 << 1);
    /// The socket is beyond use in both directions, apart from bytes that had arrived.
    pub const BROKEN: Self = Self(1 << 2);
    /// Another thread has news for the session.
    pub const MAIL: Self = Self(1 << 3);
    /// A clock of this connection has run out.
    pub const DEADLINE: Self = Self(1 << 4);
    /// The server stops.
    pub const SHUTDOWN: Self = Self(1 << 5);
    /// The server's patience is over.
    pub const ABORT: Self = Self(1 << 6);

    /// The set with these bits. The inverse of [`Causes::bits`].
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The set as bits, all below bit 16.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// These and `others`.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether `cause` is among them.
    #[must_use]
    pub const fn has(self, cause: Self) -> bool {
        self.0 & cause.0 != 0
    }
}
