//! What a guest may call itself: such that nobody is taken for another, for the server or for a
//! guest without a name.

use super::SERVER;

/// The longest name, in characters, each of which is a byte.
pub const NAME_LENGTH_MAX: usize = 24;

/// 1 to 24 of `A-Z a-z 0-9 - _`. Not digits alone, which would be a guest's number, and not the
/// server's.
///
/// ```
/// use bolillero_protocol::room::Name;
///
/// assert_eq!(Name::parse("ana_2").unwrap().as_str(), "ana_2");
/// assert!(Name::parse("2").is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Name(String);

impl Name {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = text.len() <= NAME_LENGTH_MAX && text.bytes().all(is_of_name);
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        (fits && !is_number && !text.eq_ignore_ascii_case(SERVER)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names that differ in capitals alone are one.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters_digits_hyphens_and_underscores_and_nobody_elses() {
        let longest = "a".repeat(NAME_LENGTH_MAX);
        for name in ["a", "Ana", "ana-2", "_", "-", "2b", "Servers", &longest] {
            assert_eq!(Name::parse(name).map(|name| name.0).as_deref(), Some(name));
        }
        let too_long = "a".repeat(NAME_LENGTH_MAX + 1);
        for text in ["", "2", "007", "Server", "sErVeR", "a b", "a\n", "ñ", "a.b", &too_long] {
            assert_eq!(Name::parse(text), None, "{text:?}");
        }
        assert_eq!(Name::parse("Ana"), Name::parse("aNA"));
        assert_ne!(Name::parse("Ana"), Name::parse("Ani"));
    }
}
