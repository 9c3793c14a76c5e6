//! Why an office refuses what a session asks: the list inside opcode 4. Decides nothing about it.

use super::{RequestError, opcode};
use crate::error::Malformed;
use crate::list::{Items, SEPARATOR, parse_number, push_item};
use crate::tlv;

/// Why a session's request was refused: opcode 4's list `code#seq#text#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What kind of refusal. `None`: a code this library does not know.
    pub code: Option<Code>,
    /// The batch that was refused, if it was a batch.
    pub seq: Option<u64>,
    /// Why, for a person.
    pub text: &'a str,
}

/// The codes of a session's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request means nothing, or may not come now.
    Malformed,
    /// Another agency than this connection's, or another draw than this office's.
    Refused,
    /// A newer session works this lane.
    Fenced,
    /// Another batch is stored under this number.
    Conflict,
    /// Stored long ago: the office does not remember this batch any more.
    Old,
    /// The agency has finished, or the draw is done.
    Closed,
    /// Batches before this one are missing.
    Gap,
    /// There is no room on the disk at present.
    Storage,
    /// The agency's totals are not the office's.
    Mismatch,
    /// A version of sessions that the office does not speak.
    Version,
}

impl Code {
    const NAMES: [(Self, &'static str); 10] = [
        (Self::Malformed, "MALFORMED"),
        (Self::Refused, "REFUSED"),
        (Self::Fenced, "FENCED"),
        (Self::Conflict, "CONFLICT"),
        (Self::Old, "OLD"),
        (Self::Closed, "CLOSED"),
        (Self::Gap, "GAP"),
        (Self::Storage, "STORAGE"),
        (Self::Mismatch, "MISMATCH"),
        (Self::Version, "VERSION"),
    ];

    /// The code as it travels.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(code, _)| *code == self);
        named.expect("every code has a name").1
    }
}

impl<'a> Refusal<'a> {
    /// Reads the text of opcode 4 in a session.
    ///
    /// # Errors
    /// [`RequestError`] when it is not the list `code#seq#text#`.
    pub fn parse(text: &'a str) -> Result<Self, RequestError> {
        let mut items = Items::parse(text.as_bytes())?;
        let name = items.next("code")?;
        let code = Code::NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code);
        let seq = match items.next("seq")? {
            "-" => None,
            digits => Some(parse_number(digits).ok_or(Malformed::NotANumber("seq"))?),
        };
        let text = items.next("text")?;
        items.finish("text")?;
        Ok(Self { code, seq, text })
    }

    /// Appends it as an opcode 4. What of the text cannot travel in a list is replaced by a space.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let cannot_travel = |c: char| c == char::from(SEPARATOR) || c.is_control();
        tlv::encode_with(opcode::ERROR, out, |out| {
            push_item(out, self.code.map_or("UNKNOWN", Code::name));
            match self.seq {
                Some(seq) => push_item(out, seq),
                None => push_item(out, "-"),
            }
            push_item(out, self.text.replace(cannot_travel, " "));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Corrupt;

    #[test]
    fn a_refusal_is_a_list_of_three() {
        let missing = |item| Err(Malformed::Missing(item).into());
        let check = |text, expected: Result<Refusal<'_>, RequestError>| {
            assert_eq!(Refusal::parse(text), expected, "{text:?}");
        };
        let gap = Refusal { code: Some(Code::Gap), seq: Some(7), text: "the next is 3" };
        check("GAP#7#the next is 3#", Ok(gap));
        check("GAP#-##", Ok(Refusal { seq: None, text: "", ..gap }));
        check("gap#7##", Ok(Refusal { code: None, text: "", ..gap }));
        check("GAP#", missing("seq"));
        check("GAP#7#", missing("text"));
        check("GAP##x#", Err(Malformed::NotANumber("seq").into()));
        check("GAP#7#x#y#", Err(Malformed::Leftover("text").into()));
        check("why", Err(Corrupt::NotAList.into()));
    }
}
