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

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn a_line_begins_as_deployed_tools_expect() {
        let time = Local.with_ymd_and_hms(2024, 8, 21, 22, 11, 5).unwrap();
        for (level, expected) in [
            ("INFO", "2024-08-21 22:11:05 INFO     "),
            ("CRITICAL", "2024-08-21 22:11:05 CRITICAL "),
        ] {
            let mut line = String::new();
            push_prefix(&mut line, time, level);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_value_is_one_field_of_one_line() {
        assert_eq!(value("a | b\r\nc\u{85}d ñ: 1"), "a   b  c d ñ: 1");
    }
}
