//! The form of a log line. Deployed tools parse it, so it is a protocol too. Writes nothing itself.
//!
//! ```text
//! 2024-08-21 22:11:15 INFO     action: sorteo | result: success
//! ```

use std::fmt::Write as _;

use chrono::{DateTime, Local};

/// Appends date, time and level, up to where the message begins. The time is local, as deployed tools expect.
pub fn push_prefix(out: &mut String, time: DateTime<Local>, level: &str) {
    // Writing to a string does not fail.
    let _ = write!(out, "{} {level:<8} ", time.format("%Y-%m-%d %H:%M:%S"));
}

/// A value for a log line: what could be read as another field or another line becomes a space.
#[must_use]
pub fn value(text: &str) -> String {
    text.chars().map(|c| if c == '|' || c.is_control() { ' ' } else { c }).collect()
}
