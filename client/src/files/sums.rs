//! What `SHA256SUMS` says, as `sha256sum` writes it. Knows no file and no server.
//!
//! ```text
//! | 64 hex digits | SP | SP or * | name | LF or CR LF |
//! ```

use std::collections::HashMap;

use bolillero_protocol::chain::parse_hex;

use super::Name;

/// A file's SHA-256.
pub(super) type Sum = [u8; 32];

/// The checksums that are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(HashMap<String, Sum>);

impl Sums {
    /// Reads a file of checksums. Where two lines name one file, the last one holds.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let mut sums = HashMap::new();
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                let (name, sum) = parse_line(line).ok_or(index + 1)?;
                sums.insert(name.to_owned(), sum);
            }
        }
        Ok(Self(sums))
    }

    /// Adds the checksum of a file that the file of checksums cannot name: its own.
    pub(super) fn add(&mut self, name: &Name, sum: Sum) {
        self.0.insert(name.as_str().to_owned(), sum);
    }

    /// Whether these hold all that `older` says.
    pub(super) fn extend(&self, older: &Self) -> bool {
        older.0.iter().all(|(name, sum)| self.0.get(name) == Some(sum))
    }

    /// The checksum of this file, if it is known.
    pub(super) fn of(&self, name: &Name) -> Option<Sum> {
        self.0.get(name.as_str()).copied()
    }
}

fn parse_line(line: &[u8]) -> Option<(&str, Sum)> {
    let line = std::str::from_utf8(line).ok()?;
    let (sum, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*']).filter(|name| !name.is_empty())?;
    Some((name, parse_hex(sum)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_checksum_and_a_name() {
        let sum = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";
        let known = |text: &str| {
            let sums = Sums::parse(text.as_bytes())?;
            Ok(sums.of(&Name::parse("a.csv").unwrap()).is_some())
        };
        for (text, expected) in [
            (String::new(), Ok(false)),
            (format!("{sum}  a.csv\n"), Ok(true)),
            (format!("{sum} *a.csv"), Ok(true)),
            (format!("{sum}  b.csv\r\n{sum}  a.csv\r\n\r\n"), Ok(true)),
            (format!("{sum}  b.csv\n"), Ok(false)),
            (format!("{sum}  dir/a.csv\n"), Ok(false)),
            (format!("{sum}  a.csv\n{sum} a.csv\n"), Err(2)),
            (format!("{sum}  \n"), Err(1)),
            (format!("\n{}  a.csv\n", &sum[1..]), Err(2)),
            ("a.csv\n".to_owned(), Err(1)),
            (format!("{sum}  a\u{fffd}.csv"), Ok(false)),
        ] {
            assert_eq!(known(&text), expected, "{text:?}");
        }
        assert_eq!(Sums::parse(b"\xff").unwrap_err(), 1);
    }

    #[test]
    fn sums_extend_those_that_they_repeat() {
        let line = |digit: char, name: &str| format!("{}  {name}\n", digit.to_string().repeat(64));
        let parse = |text: String| Sums::parse(text.as_bytes()).unwrap();
        let (a, b) = (line('0', "a"), line('1', "b"));
        let both = parse(a.clone() + &b);
        for (older, expected) in [
            (String::new(), true),
            (a.clone(), true),
            (b.clone() + &a, true),
            (line('2', "a"), false),
            (a + &b + &line('3', "c"), false),
        ] {
            assert_eq!(both.extend(&parse(older.clone())), expected, "{older}");
        }
    }
}
