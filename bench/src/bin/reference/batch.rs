//! Says whether a batch is valid, field by field. Keeps nothing of it.

use memchr::memchr;

use crate::packets::{BATCH, Packet, READY};

/// Whether the packet is accepted. A batch is appended to `batches`, which is left alone otherwise.
pub(crate) fn take(packet: &Packet<'_>, batches: &mut Vec<u8>) -> bool {
    match packet.opcode {
        BATCH if is_valid(packet.data) => batches.extend_from_slice(packet.data),
        READY => {}
        _ => return false,
    }
    true
}

fn is_valid(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| check(text).is_some())
}

/// `n#`, then n times `@i#id#first name#last name#document#birth date#number#`.
fn check(text: &str) -> Option<()> {
    let mut fields = Fields(text);
    let n_bets = number(fields.next()?)?;
    for index in 0..n_bets {
        let marker = fields.next()?.strip_prefix('@')?;
        let is_marker = number(marker)? == index && (marker.len() == 1 || !marker.starts_with('0'));
        let is_bet = is_marker
            && number(fields.next()?).is_some()
            && is_name(fields.next()?)
            && is_name(fields.next()?)
            && is_document(fields.next()?)
            && is_date(fields.next()?)
            && number(fields.next()?)? <= 9999;
        is_bet.then_some(())?;
    }
    fields.0.is_empty().then_some(())
}

/// What is left of a list of items, each followed by `#`.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let end = memchr(b'#', self.0.as_bytes())?;
        let field = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(field)
    }
}

fn number(field: &str) -> Option<u64> {
    if field.is_empty() || field.len() > 19 {
        return None;
    }
    field.bytes().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

fn is_name(field: &str) -> bool {
    let is_plain = field.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let n_characters = if is_plain { field.len() } else { field.chars().count() };
    (1..=64).contains(&n_characters) && (is_plain || !field.chars().any(char::is_control))
}

fn is_document(field: &str) -> bool {
    (1..=12).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_digit())
}

/// `YYYY-MM-DD`, a day that exists.
fn is_date(field: &str) -> bool {
    let Ok([y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]) = <[u8; 10]>::try_from(field.as_bytes())
    else {
        return false;
    };
    if ![y1, y2, y3, y4, m1, m2, d1, d2].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let pair = |tens: u8, ones: u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let (year, month, day) = (pair(y1, y2) * 100 + pair(y3, y4), pair(m1, m2), pair(d1, d2));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn a_batch_is_valid_as_a_whole_or_not_at_all() {
        let good = "2#@0#1#Ana#Paz#30000000#1992-02-29#0#@1#1#Íñigo#Paz#007#1990-01-01#9999#";
        assert!(is_valid(good.as_bytes()));
        assert!(is_valid(b"0#"));
        let spoiled = [
            ("2#@0", "3#@0"),
            ("2#@0", "1#@0"),
            ("@1#", "@01#"),
            ("@1#", "@2#"),
            ("#1#Ana", "#x#Ana"),
            ("Ana", ""),
            ("Ana", "A\u{85}a"),
            ("Ana", "A\na"),
            ("#30000000", "#1234567890123"),
            ("30000000", "3000-000"),
            ("1992-02-29", "1991-02-29"),
            ("1992-02-29", "1992-13-01"),
            ("1992-02-29", "1992-02-00"),
            ("9999#", "10000#"),
            ("9999#", "9999"),
            ("9999#", "#"),
        ];
        for (from, to) in spoiled {
            let bad = good.replacen(from, to, 1);
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
        assert!(!is_valid(b"1#@0#1#\xff#Paz#1#1990-01-01#0#"));
    }
}
