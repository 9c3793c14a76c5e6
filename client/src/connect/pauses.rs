//! How long to pause between tries. Knows no clock: it says how long, others wait.

use std::time::Duration;

/// Pauses that grow by doubling, each somewhere in its upper half, so that clients do not come back
/// in step.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first, at most.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(3) }
    }
}

/// Where in a row of pauses.
#[derive(Debug)]
pub(super) struct Pausing {
    pauses: Pauses,
    next: Duration,
}

impl Pausing {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self { pauses, next: pauses.first }
    }

    pub(super) fn next(&mut self) -> Duration {
        let most = self.next.min(self.pauses.longest);
        self.next = most * 2;
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_are_jittered_in_their_upper_half() {
        let ms = Duration::from_millis;
        let mut pausing = Pausing::new(Pauses { first: ms(100), longest: ms(500) });
        for most in [100, 200, 400, 500, 500, 500] {
            let pause = pausing.next();
            assert!(ms(most / 2) <= pause && pause <= ms(most), "{pause:?} of {most}");
        }
    }
}
