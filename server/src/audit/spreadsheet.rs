//! Makes text harmless to spreadsheet programs, which take a cell for a formula where it begins with
//! certain characters, and execute it (OWASP, "CSV Injection"). Knows no row.

use std::borrow::Cow;

/// `text` with a `'` before each character that would begin a formula. Programs differ in what they take
/// for a separator, so a part behind any of them counts as a cell.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let mut harmless = String::new();
    let (mut copied, mut begins_cell) = (0, true);
    for (index, c) in text.char_indices() {
        if begins_cell && begins_formula(c) {
            harmless.push_str(&text[copied..index]);
            harmless.push('\'');
            copied = index;
        }
        // Blanks and quotes before a formula do not keep every program from seeing it.
        begins_cell = separates(c) || begins_cell && (c.is_whitespace() || c == '"');
    }
    if copied == 0 && harmless.is_empty() {
        return Cow::Borrowed(text);
    }
    harmless.push_str(&text[copied..]);
    Cow::Owned(harmless)
}

/// The last four are the full-width forms, which some programs take for the same.
fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠')
}

fn separates(c: char) -> bool {
    matches!(c, ',' | ';' | '|' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_as_a_formula() {
        for (text, expected) in [
            // Names as they are.
            ("Ana María", "Ana María"),
            ("D'Elia", "D'Elia"),
            ("Ana-Paz", "Ana-Paz"),
            ("a=b+c@d", "a=b+c@d"),
            ("Ñandú, Ana", "Ñandú, Ana"),
            ("'=1", "'=1"),
            ("", ""),
            (" ", " "),
            // Numbers and dates of bets.
            ("7574", "7574"),
            ("00030904465", "00030904465"),
            ("1999-03-17", "1999-03-17"),
            // What begins a formula.
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("\n=1", "'\n'=1"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠A1", "'＠A1"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("==1", "'==1"),
            // Behind blanks and quotes.
            (" =1", " '=1"),
            ("\u{a0}\u{3000}-1", "\u{a0}\u{3000}'-1"),
            ("\"=1\"", "\"'=1\""),
            // Behind what another program takes for a separator.
            ("Ana;=1", "Ana;'=1"),
            ("Ana; -1", "Ana; '-1"),
            ("Ana,+1,@x", "Ana,'+1,'@x"),
            ("Ana|=1", "Ana|'=1"),
            ("Ana\t=1", "Ana\t'=1"),
            ("Ana\"; \"=1", "Ana\"; \"'=1"),
            ("Ana = Paz", "Ana = Paz"),
        ] {
            assert_eq!(harmless(text), expected, "{text:?}");
            assert_eq!(harmless(expected), expected, "{text:?}: twice changes nothing more");
        }
    }
}
