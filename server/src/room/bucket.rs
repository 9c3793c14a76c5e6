//! How much a guest may send: a burst, then as much as time brings. Sees no clock: the time of one
//! more comes as news, of a wait that has a number.

/// What is left of a guest's burst.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    left: u32,
    /// How often time has brought one.
    refills: u64,
}

impl Bucket {
    pub(super) fn full(burst: u32) -> Self {
        Self { burst, left: burst, refills: 0 }
    }

    /// Takes one, if one is left.
    pub(super) fn take(&mut self) -> bool {
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }

    /// The number of the refill that is waited for, where one is: no two have the same.
    pub(super) fn awaited(&self) -> Option<u64> {
        (self.left < self.burst).then_some(self.refills)
    }

    /// The time of the refill that is waited for is over.
    pub(super) fn refill(&mut self) {
        self.left = (self.left + 1).min(self.burst);
        self.refills += 1;
    }
}
