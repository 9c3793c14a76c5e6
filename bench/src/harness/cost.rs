//! What TLS costs ours, beside what it costs a reference: the library, and a bare loop around it.
//! Measures nothing.

use serde::Serialize;

use super::stats::Spread;

/// What the reference spends on TLS is told from noise where it is more than this share of all else.
const TOLD_SHARE_MIN: f64 = 0.1;

/// What one server did, round by round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    pub(crate) per_second: Vec<f64>,
    /// Of the server, for a fixed amount of work.
    pub(crate) cpu_seconds: Vec<f64>,
}

/// What TLS costs one server of ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TlsCost {
    pub(crate) server: String,
    /// Throughput under TLS, of that without.
    pub(crate) ours: Spread,
    pub(crate) reference: Spread,
    /// The one by the other, in the same round: 1 where ours keeps as much as the reference does.
    pub(crate) kept: Spread,
    /// Processor time that TLS adds to the server, for the same amount of work. Medians.
    pub(crate) added_seconds: f64,
    pub(crate) reference_added_seconds: f64,
    /// The one by the other. Nothing where the reference's is too little to be told from noise.
    pub(crate) added_ratio: Option<f64>,
}

impl TlsCost {
    /// Of ours and of the reference, each first without TLS, then with it.
    pub(crate) fn new(server: String, ours: [&Series; 2], reference: [&Series; 2]) -> Self {
        let ours_keeps = shares(ours);
        let reference_keeps = shares(reference);
        let kept =
            ours_keeps.iter().zip(&reference_keeps).map(|(ours, reference)| ours / reference);
        let (ours_added, reference_added) = (added(ours), added(reference));
        let base = spread(reference[0].cpu_seconds.iter().copied()).median;
        let is_told = reference_added > base * TOLD_SHARE_MIN;
        Self {
            server,
            kept: spread(kept),
            ours: spread(ours_keeps.iter().copied()),
            reference: spread(reference_keeps.iter().copied()),
            added_seconds: ours_added,
            reference_added_seconds: reference_added,
            added_ratio: is_told.then(|| ours_added / reference_added),
        }
    }
}

fn shares([plain, tls]: [&Series; 2]) -> Vec<f64> {
    plain.per_second.iter().zip(&tls.per_second).map(|(plain, tls)| tls / plain).collect()
}

fn added([plain, tls]: [&Series; 2]) -> f64 {
    let pairs = plain.cpu_seconds.iter().zip(&tls.cpu_seconds);
    spread(pairs.map(|(plain, tls)| tls - plain)).median
}

fn spread(figures: impl Iterator<Item = f64>) -> Spread {
    Spread::of(figures).expect("a row has a round")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(per_second: [f64; 3], cpu_seconds: [f64; 3]) -> Series {
        Series { per_second: per_second.to_vec(), cpu_seconds: cpu_seconds.to_vec() }
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        let plain = series([100.0, 10.0, 1000.0], [1.0, 5.0, 1.0]);
        let tls = series([80.0, 8.0, 800.0], [1.5, 5.5, 1.5]);
        let reference_tls = series([50.0, 5.0, 500.0], [3.0, 7.0, 3.0]);
        let cost = TlsCost::new("ours".to_owned(), [&plain, &tls], [&plain, &reference_tls]);
        assert_eq!((cost.ours.min, cost.ours.max), (0.8, 0.8));
        assert_eq!((cost.kept.min, cost.kept.max), (1.6, 1.6));
        assert_eq!((cost.added_seconds, cost.reference_added_seconds), (0.5, 2.0));
        assert_eq!(cost.added_ratio, Some(0.25));
    }

    #[test]
    fn what_costs_nothing_has_no_ratio() {
        let plain = series([1.0; 3], [1.0; 3]);
        let cost = TlsCost::new("ours".to_owned(), [&plain, &plain], [&plain, &plain]);
        assert_eq!((cost.kept.median, cost.added_ratio), (1.0, None));
    }
}
