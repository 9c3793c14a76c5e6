//! How long answers take: from the write that completed a request to the read that completed its
//! answer.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Digits that are kept of each time.
const DIGITS: u8 = 3;

/// The times of all answers.
pub(super) struct Latency {
    nanoseconds: Histogram<u64>,
}

/// What a report says of them, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Latency {
    pub(super) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).expect("an hour fits");
        let nanoseconds =
            Histogram::new_with_max(longest, DIGITS).expect("the bounds are in order");
        Self { nanoseconds }
    }

    pub(super) fn record(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.saturating_record(nanoseconds);
    }

    #[cfg(test)]
    pub(super) fn answers(&self) -> u64 {
        self.nanoseconds.len()
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        let at = |quantile| microseconds(self.nanoseconds.value_at_quantile(quantile));
        let max = microseconds(self.nanoseconds.max());
        Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max }
    }
}

fn microseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}
