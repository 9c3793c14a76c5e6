//! The marks that a ratio or a figure has to reach, and which it reaches.

use serde::Serialize;

use super::rows::Driver;

/// Three marks, each harder than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Marks {
    pub(crate) must: f64,
    pub(crate) good: f64,
    pub(crate) superb: f64,
    /// Whether a lower figure is the better one.
    lower: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Missed,
    Must,
    Good,
    Superb,
}

/// Throughput as a ratio to the row's reference: row, driver, marks.
const SPEED: [(&str, Driver, Marks); 10] = [
    ("5x1", Driver::Events, at_least(0.9, 1.2, 1.45)),
    ("5x1", Driver::Pool, at_least(0.75, 1.05, 1.3)),
    ("5x16", Driver::Events, at_least(0.8, 1.05, 1.35)),
    ("5x16", Driver::Pool, at_least(0.8, 1.05, 1.25)),
    ("500x1", Driver::Events, at_least(0.8, 1.1, 1.5)),
    ("500x1", Driver::Pool, at_least(0.8, 1.05, 1.2)),
    ("50x1", Driver::Events, at_least(0.8, 1.05, 1.3)),
    ("50x1", Driver::Pool, at_least(0.8, 1.05, 1.3)),
    ("per-request", Driver::Events, at_least(0.6, 0.8, 0.95)),
    ("per-request", Driver::Pool, at_least(0.6, 0.8, 0.95)),
];

/// Of a plain loop's throughput: slices as they are.
pub(crate) const FILES_RAW: Marks = at_least(0.8, 0.9, 1.0);
/// Of a plain loop's throughput, in bytes of the file: slices in base64.
pub(crate) const FILES_BASE64: Marks = at_least(0.5, 0.7, 0.9);
/// Of a bare loop's replies: the size of a file.
pub(crate) const FILES_METADATA: Marks = at_least(0.6, 0.75, 0.9);
/// MiB resident, after all of it.
pub(crate) const FILES_MIB: Marks = at_most(32.0, 16.0, 8.0);

/// Of its throughput without TLS ours keeps so much of what the reference keeps: what it spends
/// beside the library may take at most 15 %.
pub(crate) const TLS_KEPT: Marks = at_least(0.87, 0.95, 1.0);
/// Processor time that TLS adds to ours, of what it adds to the reference.
pub(crate) const TLS_ADDED: Marks = at_most(1.15, 1.0, 0.85);
/// Of a bare loop's connections, each with a handshake.
pub(crate) const HANDSHAKES: Marks = at_least(0.87, 0.95, 1.0);
/// Of a bare loop's messages delivered.
pub(crate) const ROOM: Marks = at_least(0.5, 0.7, 0.9);

/// Seconds from the last agency's readiness to the last winners, 10 million bets.
pub(crate) const DRAW_SECONDS: Marks = at_most(1.0, 0.3, 0.15);
/// Seconds from start to listening, 10 million bets stored.
pub(crate) const RESTART_SECONDS: Marks = at_most(3.0, 1.5, 0.7);
/// MiB resident, 10 million bets stored.
pub(crate) const STORED_MIB: Marks = at_most(64.0, 32.0, 16.0);
/// KiB resident for each idle connection.
pub(crate) const IDLE_KIB: Marks = at_most(32.0, 4.0, 1.0);
/// The same under TLS, whose state is the library's.
pub(crate) const IDLE_TLS_KIB: Marks = at_most(64.0, 16.0, 8.0);

/// The marks of a row for a driver; there are none for threads, which are for debugging.
pub(crate) fn speed(row: &str, driver: Driver) -> Option<Marks> {
    SPEED.iter().find(|(name, of, _)| *name == row && *of == driver).map(|(_, _, marks)| *marks)
}

const fn at_least(must: f64, good: f64, superb: f64) -> Marks {
    Marks { must, good, superb, lower: false }
}

const fn at_most(must: f64, good: f64, superb: f64) -> Marks {
    Marks { must, good, superb, lower: true }
}

impl Marks {
    /// The highest mark that is reached.
    pub(crate) fn level(&self, figure: f64) -> Level {
        let reaches = |mark: f64| if self.lower { figure <= mark } else { figure >= mark };
        let levels =
            [(self.superb, Level::Superb), (self.good, Level::Good), (self.must, Level::Must)];
        levels.iter().find(|(mark, _)| reaches(*mark)).map_or(Level::Missed, |(_, level)| *level)
    }

    /// `good (0.8 / 1.05 / 1.25)`: what is reached, of what there is to reach.
    pub(crate) fn told(&self, figure: f64) -> String {
        let Self { must, good, superb, .. } = self;
        format!("{} ({must} / {good} / {superb})", self.level(figure).name())
    }
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Must => "must",
            Self::Good => "good",
            Self::Superb => "superb",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_mark_reached_counts() {
        use Level::{Good, Missed, Must, Superb};
        let up = at_least(0.8, 1.05, 1.25);
        for (ratio, level) in
            [(0.79, Missed), (0.8, Must), (1.05, Good), (1.24, Good), (2.0, Superb)]
        {
            assert_eq!(up.level(ratio), level, "{ratio}");
        }
        for (seconds, level) in [(1.01, Missed), (1.0, Must), (0.3, Good), (0.15, Superb)] {
            assert_eq!(DRAW_SECONDS.level(seconds), level, "{seconds}");
        }
    }

    #[test]
    fn marks_rise_and_every_row_of_speed_has_them() {
        for (row, driver, marks) in SPEED {
            assert!(marks.must < marks.good && marks.good < marks.superb, "{row} {driver:?}");
            assert_eq!(speed(row, driver), Some(marks));
        }
        assert_eq!(speed("5x1", Driver::Threads), None);
    }
}
