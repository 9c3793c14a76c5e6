//! Names the encoding of text that is not UTF-8, and the command that converts it. All of it is a
//! guess: from a byte order mark, from NUL bytes, from a byte that is a letter in another encoding.

use std::fmt;

/// An encoding, and what `iconv -f` calls it. Shown as its name and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    name: &'static str,
    iconv: &'static str,
}

const fn encoding(name: &'static str, iconv: &'static str) -> Encoding {
    Encoding { name, iconv }
}

const LATIN_1: Encoding = encoding("Latin-1", "latin1");
const WINDOWS_1252: Encoding = encoding("Windows-1252", "cp1252");
const UTF_16_LE: Encoding = encoding("UTF-16 (little-endian)", "utf-16le");
const UTF_16_BE: Encoding = encoding("UTF-16 (big-endian)", "utf-16be");
/// Byte order marks; the longer ones first, since one of them begins with a shorter one.
const MARKS: [(&[u8], Encoding); 4] = [
    (b"\xff\xfe\0\0", encoding("UTF-32 (little-endian)", "utf-32")),
    (b"\0\0\xfe\xff", encoding("UTF-32 (big-endian)", "utf-32")),
    (b"\xff\xfe", encoding("UTF-16 (little-endian)", "utf-16")),
    (b"\xfe\xff", encoding("UTF-16 (big-endian)", "utf-16")),
];
/// Latin letters and digits in UTF-16 are one NUL in two bytes; names in other scripts make that
/// fewer. One NUL in this many bytes is taken for UTF-16.
const NUL_ONE_IN: usize = 8;

/// The encoding of these bytes, which stand at `offset` in their file, if it has 16 or 32 bits for a
/// character.
pub(crate) fn find_wide(bytes: &[u8], offset: u64) -> Option<Encoding> {
    let mark = MARKS.iter().find(|(mark, _)| offset == 0 && bytes.starts_with(mark));
    if let Some((_, encoding)) = mark {
        return Some(*encoding);
    }
    let nul_at = |odd: u64| {
        let nuls = (offset..).zip(bytes).filter(|(at, byte)| **byte == 0 && at % 2 == odd);
        nuls.count()
    };
    let (even, odd) = (nul_at(0), nul_at(1));
    let (most, least) = (even.max(odd), even.min(odd));
    let is_wide = most > 0 && most * NUL_ONE_IN >= bytes.len() && most > 4 * least;
    is_wide.then_some(if odd > even { UTF_16_LE } else { UTF_16_BE })
}

/// Explains a byte that is not UTF-8, in the column `column` where there is one. Where the file has
/// other text in UTF-8 (`saw_utf8`) the byte is damage, and no encoding is guessed.
pub(crate) fn explain_byte(byte: u8, column: Option<&str>, saw_utf8: bool) -> String {
    let column = column.map(|column| format!(" ({column})")).unwrap_or_default();
    let is_not = format!("byte 0x{byte:02X} is not UTF-8{column}");
    match find_letter(byte).filter(|_| !saw_utf8) {
        Some((encoding, letter)) => {
            let Encoding { name, iconv } = encoding;
            format!("{is_not}; the file looks like {name} (\"{letter}\"): {}", how_to(iconv))
        }
        None => format!("{is_not}: save the file as UTF-8"),
    }
}

/// The text of a file, or why it is none.
pub(crate) fn read_text(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = find_wide(&bytes, 0) {
        return Err(format!("is {encoding}"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (text, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line}: {}", explain_byte(rest[0], None, !text.is_ascii()))
    })
}

/// What a byte is in an encoding of 8 bits, if that is to be expected in a name.
fn find_letter(byte: u8) -> Option<(Encoding, char)> {
    let letter = match byte {
        0xAA | 0xBA | 0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8.. => {
            return Some((LATIN_1, char::from(byte)));
        }
        0x8A => 'Š',
        0x8C => 'Œ',
        0x8E => 'Ž',
        0x91 => '‘',
        0x92 => '’',
        0x93 => '“',
        0x94 => '”',
        0x96 => '–',
        0x97 => '—',
        0x9A => 'š',
        0x9C => 'œ',
        0x9E => 'ž',
        0x9F => 'Ÿ',
        _ => return None,
    };
    Some((WINDOWS_1252, letter))
}

fn how_to(iconv: &str) -> String {
    format!("save it as UTF-8, for example by `iconv -f {iconv} -t utf-8`")
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, how_to(self.iconv))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "Begoña,Peña,30000001,1990-01-01,7\r\n";

    fn utf_16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    #[test]
    fn sixteen_bits_are_found_by_their_mark_or_by_their_nuls_wherever_the_bytes_begin() {
        for text in [ROW, "\u{feff}Ana,Paz,1,1990-01-01,7", "Иван,Петров,30000001,1990-01-01,7"]
        {
            let (little, big) = (utf_16(text, u16::to_le_bytes), utf_16(text, u16::to_be_bytes));
            let marked = text.starts_with('\u{feff}');
            let names = |encoding: Option<Encoding>| encoding.map(|e| (e.name, e.iconv));
            let iconv = |plain| if marked { "utf-16" } else { plain };
            let expected = Some(("UTF-16 (little-endian)", iconv("utf-16le")));
            assert_eq!(names(find_wide(&little, 0)), expected, "{text}");
            let expected = Some(("UTF-16 (big-endian)", iconv("utf-16be")));
            assert_eq!(names(find_wide(&big, 0)), expected, "{text}");
            assert_eq!(find_wide(&little[3..], 3), Some(UTF_16_LE), "{text}");
            assert_eq!(find_wide(&big[3..], 3), Some(UTF_16_BE), "{text}");
        }
        assert_eq!(find_wide(b"\xff\xfe\0\0A\0\0\0", 0).unwrap().name, "UTF-32 (little-endian)");
        for text in [ROW.as_bytes(), b"", b"\xff\xf1", &[0; 100], b"Ana\0Paz,30000001,1990-01-01"] {
            assert_eq!(find_wide(text, 0), None, "{text:?}");
        }
    }

    #[test]
    fn a_byte_is_explained_by_the_letter_that_it_is_elsewhere() {
        let how_to =
            |iconv| format!("save it as UTF-8, for example by `iconv -f {iconv} -t utf-8`");
        let latin = format!(
            "byte 0xF1 is not UTF-8 (last name); the file looks like Latin-1 (\"ñ\"): {}",
            how_to("latin1")
        );
        assert_eq!(explain_byte(0xF1, Some("last name"), false), latin);
        let windows = format!(
            "byte 0x92 is not UTF-8; the file looks like Windows-1252 (\"’\"): {}",
            how_to("cp1252")
        );
        assert_eq!(explain_byte(0x92, None, false), windows);
        for (byte, saw_utf8) in [(0xF1, true), (0x81, false), (0xF7, false)] {
            let plain = format!("byte 0x{byte:02X} is not UTF-8: save the file as UTF-8");
            assert_eq!(explain_byte(byte, None, saw_utf8), plain);
        }
    }

    #[test]
    fn a_file_is_text_or_its_encoding_and_line_are_named() {
        assert_eq!(read_text(b"NOMBRE=Ana\n".to_vec()), Ok("NOMBRE=Ana\n".to_owned()));
        let error = read_text(b"NOMBRE=Ana\nAPELLIDO=Pe\xf1a\n".to_vec()).unwrap_err();
        assert!(error.starts_with("line 2: byte 0xF1 is not UTF-8; the file looks"), "{error}");
        let error = read_text(utf_16("NOMBRE=Ana", u16::to_le_bytes)).unwrap_err();
        assert!(error.starts_with("is UTF-16 (little-endian): save it as UTF-8"), "{error}");
    }
}
