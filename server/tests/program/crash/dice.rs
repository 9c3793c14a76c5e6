//! Numbers from a seed: the same seed, the same numbers, on every machine. Not for secrets.

/// A sequence of numbers (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence of `seed` for one of its users: each has its own, so that none depends on how
    /// often another is asked.
    pub(super) fn new(seed: u64, user: u32) -> Self {
        let mut dice = Self(seed);
        dice.0 = dice.next() ^ u64::from(user);
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `n` - 1.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}
