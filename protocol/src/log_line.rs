//! The form of a log line. Deployed tools parse it, so it is a protocol too. Writes nothing itself.
//!
//! ```text
//! 2024-08-21 22:11:15 INFO     action: sorteo | result: success
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};

use crate::visible::{is_visible, push};

/// Appends date, time and level, up to where the message begins. The time is local, as deployed tools expect.
pub fn push_prefix(out: &mut String, time: DateTime<FixedOffset>, level: &str) {
    // Writing to a string does not fail.
    let _ = write!(out, "{} {level:<8} ", time.format("%Y-%m-%d %H:%M:%S"));
}

/// A value for a log line: as [`message`], and what could be read as another field becomes a blank.
#[must_use]
pub fn value(text: &str) -> String {
    message(text).replace('|', " ")
}

/// Text as one line of a log or a terminal: control characters become blanks, and others that are not
/// [visible](crate::visible) are escaped. All else stays as it is.
#[must_use]
pub fn message(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut line, if c.is_control() { ' ' } else { c });
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_begins_as_deployed_tools_expect() {
        let zone = FixedOffset::west_opt(3 * 3600).unwrap();
        let time = zone.with_ymd_and_hms(2024, 8, 21, 22, 11, 5).unwrap();
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
        for (text, shown) in [
            ("a | b\r\nc\u{85}d ñ: 1", "a   b  c d ñ: 1"),
            ("\u{202e}txt.exe\u{2066} | x", "\\u202etxt.exe\\u2066   x"),
            ("a\u{2028}b\u{200b}c\u{e0041}", "a\\u2028b\\u200bc\\u{e0041}"),
        ] {
            assert_eq!(value(text), shown);
            assert_eq!(value(shown), shown);
        }
    }

    #[test]
    fn a_message_keeps_its_fields() {
        assert_eq!(message("action: a | result: b\n\u{feff}"), "action: a | result: b \\ufeff");
        let ordinary = "action: receive_message | result: success | msg: [CLIENT 1] Message N°1";
        assert!(matches!(message(ordinary), Cow::Borrowed(same) if same == ordinary));
    }

    proptest! {
        #[test]
        fn whatever_the_text_only_visible_characters_are_left(text in any::<String>()) {
            prop_assert!(message(&text).chars().all(is_visible));
            let value = value(&text);
            prop_assert!(value.chars().all(is_visible) && !value.contains('|'));
            if text.chars().all(|c| is_visible(c) && c != '|') {
                prop_assert_eq!(value, text);
            }
        }

        #[test]
        fn what_is_not_visible_is_found_among_what_is(
            hidden in "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\u{fe0f}\u{3164}]{1,4}", around in "[a-z |ñ]{0,4}",
        ) {
            let text = format!("{around}{hidden}{around}");
            prop_assert!(message(&text).chars().all(is_visible));
            prop_assert!(!hidden.chars().any(is_visible));
        }
    }
}
