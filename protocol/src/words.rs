//! Words of messages that people read. Knows no message.

use std::fmt;

/// A count with its noun: `1 bet`, `2 bets`, `0 agencies`, `3 batches`.
#[must_use]
pub fn counted<N: Copy + fmt::Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) {
        return format!("{count} {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) => format!("{count} {stem}ies"),
        None if noun.ends_with("ch") => format!("{count} {noun}es"),
        None => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        for (count, noun, expected) in [
            (0_u64, "bet", "0 bets"),
            (1, "bet", "1 bet"),
            (2, "bet", "2 bets"),
            (1, "batch", "1 batch"),
            (11, "batch", "11 batches"),
            (1, "agency", "1 agency"),
            (21, "agency", "21 agencies"),
        ] {
            assert_eq!(counted(count, noun), expected);
        }
        assert_eq!(counted(1_usize, "byte"), "1 byte");
    }
}
