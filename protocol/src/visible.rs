//! Which characters of a peer's text can be shown. The others have no look of their own, and change that
//! of the text around them: they steer a terminal, turn the direction of writing, end a line, or hide.
//!
//! By the Unicode Character Database 16.0: general categories Cc, Cf, Zl and Zp (`UnicodeData.txt`), and
//! `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`).

use std::borrow::Cow;
use std::fmt::Write as _;

/// The characters that are no control characters (Cc) and yet not to be shown, in order.
#[rustfmt::skip]
const HIDDEN: [(char, char); 25] = [
    ('\u{ad}', '\u{ad}'),          // soft hyphen
    ('\u{34f}', '\u{34f}'),        // combining grapheme joiner
    ('\u{600}', '\u{605}'),        // Arabic signs before numbers
    ('\u{61c}', '\u{61c}'),        // Arabic letter mark: a direction
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),      // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),      // Mongolian variation selectors
    ('\u{200b}', '\u{200f}'),      // of no width; directions
    ('\u{2028}', '\u{202e}'),      // line and paragraph separator; directions
    ('\u{2060}', '\u{206f}'),      // of no width; directions
    ('\u{3164}', '\u{3164}'),      // Hangul filler
    ('\u{fe00}', '\u{fe0f}'),      // variation selectors
    ('\u{feff}', '\u{feff}'),      // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),      // Hangul filler
    ('\u{fff0}', '\u{fffb}'),      // interlinear annotations
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),    // joiners of hieroglyphs
    ('\u{1bca0}', '\u{1bca3}'),    // shorthand controls
    ('\u{1d173}', '\u{1d17a}'),    // beams of music
    ('\u{e0000}', '\u{e0fff}'),    // tags, variation selectors, and what is reserved beside them
];

/// Whether a character has a look of its own, or is a plain blank, and leaves its neighbours as they are.
#[must_use]
pub fn is_visible(c: char) -> bool {
    if c < HIDDEN[0].0 {
        return !c.is_control();
    }
    !HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Appends a character, or its number where it is not visible: `\u202e`, above U+FFFF `\u{e0041}`.
pub fn push(out: &mut String, c: char) {
    // Writing to a string does not fail.
    let _ = match u32::from(c) {
        _ if is_visible(c) => return out.push(c),
        number @ ..=0xffff => write!(out, "\\u{number:04x}"),
        number => write!(out, "\\u{{{number:x}}}"),
    };
}

/// Text in which every character is visible: the others are written as [`push`] writes them.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push(&mut escaped, c));
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_are_in_order_and_apart() {
        assert!(HIDDEN.iter().all(|(first, last)| first <= last));
        assert!(HIDDEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn ordinary_text_of_any_script_is_visible() {
        for text in [
            "",
            "Santiago Lionel, D'Elia",
            "Ñandú Muñoz Ibáñez ¡qué tal!",
            "Mun\u{303}oz",
            "Αθήνα Київ Ереван",
            "שלום مرحبا",
            "नमस्ते สวัสดี",
            "漢字\u{3000}かな 한국어",
            "a\u{a0}b\u{2003}c",
            "\u{fffd} • … — ½ € 😀",
        ] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_steers_turns_ends_or_hides_is_written_as_its_number() {
        for (text, escaped) in [
            ("\0\u{1b}[2J\u{7f}\u{9b}2J\n\r\t", r"\u0000\u001b[2J\u007f\u009b2J\u000a\u000d\u0009"),
            ("\u{85}\u{2028}\u{2029}", r"\u0085\u2028\u2029"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}", r"\u202a\u202b\u202c\u202d\u202e"),
            ("\u{2066}\u{2067}\u{2068}\u{2069}", r"\u2066\u2067\u2068\u2069"),
            ("\u{200e}\u{200f}\u{61c}", r"\u200e\u200f\u061c"),
            (
                "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}",
                r"\u200b\u200c\u200d\u2060\ufeff\u00ad",
            ),
            ("\u{34f}\u{115f}\u{180e}\u{3164}\u{ffa0}", r"\u034f\u115f\u180e\u3164\uffa0"),
            ("a\u{fe0f}\u{e0100}", r"a\ufe0f\u{e0100}"),
            ("\u{e0001}\u{e0041}\u{e007f}\u{e0fff}", r"\u{e0001}\u{e0041}\u{e007f}\u{e0fff}"),
            (
                "\u{fff9}\u{600}\u{110bd}\u{13430}\u{1d173}",
                r"\ufff9\u0600\u{110bd}\u{13430}\u{1d173}",
            ),
        ] {
            assert_eq!(escape(text), escaped);
        }
    }
}
