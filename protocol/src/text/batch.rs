//! A batch of the text dialect, and the same batch in opcode 3's form. Looks at its shape only:
//! whether the bets are valid is for [`crate::bet::Batch::validate`] to say, of that form.
//!
//! ```text
//! id,first name,last name,document,birth date,number;id,…;     n#@0#id#…#number#@1#id#…
//! ```

use super::frame::FRAME_LENGTH_MAX;
use crate::bet::Bets;
use crate::error::{BetProblem, Malformed};
use crate::list::{self, SEPARATOR, push_item};

/// The longest body that a frame of valid bets is put into, in bytes: each bet gets its marker.
pub const BODY_LENGTH_MAX: usize =
    COUNT_SIZE_MAX + 1 + FRAME_LENGTH_MAX + BETS_MAX * MARKER_SIZE_MAX;
/// The most valid bets in a frame. The last needs no `;`.
const BETS_MAX: usize = (FRAME_LENGTH_MAX + 1) / BET_SIZE_MIN;
/// The shortest bet.
const BET_SIZE_MIN: usize = "1,A,B,1,1990-01-01,1;".len();
const MARKER_SIZE_MAX: usize = "@9999#".len();
const COUNT_SIZE_MAX: usize = "9999#".len();
const _: () = assert!(BETS_MAX <= 9999);

/// What stands between two fields, and between two bets. It may also stand behind the last bet.
const FIELD_END: u8 = b',';
const BET_END: u8 = b';';
const FIELDS: [&str; 6] = ["id", "first name", "last name", "document", "birth date", "number"];

/// Puts a batch into opcode 3's form. A frame without text is a batch of no bets.
///
/// ```
/// use bolillero_protocol::text::body_of;
///
/// let body = body_of(b"1,Ana,Paz,30000000,1990-01-01,7574;")?;
/// assert_eq!(body, b"1#@0#1#Ana#Paz#30000000#1990-01-01#7574#");
/// # Ok::<(), bolillero_protocol::error::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] names the first bet that is not six fields, or has a `#` in one.
pub fn body_of(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    let bets = bets_announced(text);
    let markers = (bets as usize).min(BETS_MAX) * MARKER_SIZE_MAX;
    let mut body = Vec::with_capacity(COUNT_SIZE_MAX + text.len() + markers);
    push_item(&mut body, bets);
    for (index, bet) in (0..bets).zip(text.split(|&byte| byte == BET_END)) {
        push_bet(index, bet, &mut body).map_err(|problem| Malformed::Bet { index, problem })?;
    }
    Ok(body)
}

/// How many bets a batch says it has, whether or not they are any.
#[must_use]
pub fn bets_announced(text: &[u8]) -> u32 {
    let ends = memchr::memchr_iter(BET_END, text).count();
    let is_open = text.last().is_some_and(|&byte| byte != BET_END);
    u32::try_from(ends + usize::from(is_open)).unwrap_or(u32::MAX)
}

fn push_bet(index: u32, bet: &[u8], body: &mut Vec<u8>) -> Result<(), BetProblem> {
    body.push(b'@');
    push_item(body, index);
    let mut fields = bet.split(|&byte| byte == FIELD_END);
    for name in FIELDS {
        let field = fields.next().ok_or(BetProblem::Missing(name))?;
        if field.contains(&SEPARATOR) {
            return Err(BetProblem::Separator(name));
        }
        body.extend_from_slice(field);
        body.push(SEPARATOR);
    }
    fields.next().map_or(Ok(()), |_| Err(BetProblem::Leftover))
}

/// Puts a batch in opcode 3's form into that of the text dialect. No `;` follows the last bet: every
/// office reads that, and some fail on a bet that is empty.
///
/// ```
/// use bolillero_protocol::text::text_of;
///
/// let text = text_of(b"1#@0#1#Ana#Paz#30000000#1990-01-01#7574#")?;
/// assert_eq!(text, "1,Ana,Paz,30000000,1990-01-01,7574");
/// # Ok::<(), bolillero_protocol::error::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] when it is no batch, or the first bet of which a field cannot travel.
pub fn text_of(body: &[u8]) -> Result<String, Malformed> {
    let mut text = String::with_capacity(body.len());
    for (index, bet) in (0..).zip(Bets::read(body)?) {
        let bet = bet?;
        let values =
            [bet.agency, bet.first_name, bet.last_name, bet.document, bet.birth_date, bet.number];
        for (name, value) in FIELDS.into_iter().zip(values) {
            if !can_travel(value) {
                return Err(Malformed::Bet { index, problem: BetProblem::Separator(name) });
            }
            text.push_str(value);
            text.push(FIELD_END.into());
        }
        text.pop();
        text.push(BET_END.into());
    }
    text.pop();
    Ok(text)
}

/// Whether a value can travel as a field of the text dialect, and be stored.
#[must_use]
pub fn can_travel(value: &str) -> bool {
    list::can_travel(value) && !value.bytes().any(|byte| byte == FIELD_END || byte == BET_END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bet::Batch;

    const BET: &str = "1,Ana,Paz,30000000,1990-01-01,7574";
    const BODY: &str = "#1#Ana#Paz#30000000#1990-01-01#7574#";

    #[test]
    fn a_batch_of_six_fields_a_bet_is_put_into_the_form_that_is_stored() {
        let check = |text: &str, expected: String| {
            let body = String::from_utf8(body_of(text.as_bytes()).unwrap()).unwrap();
            assert_eq!(body, expected, "{text}");
        };
        check("", "0#".to_owned());
        check(BET, format!("1#@0{BODY}"));
        check(&format!("{BET};"), format!("1#@0{BODY}"));
        check(&format!("{BET};{BET}"), format!("2#@0{BODY}@1{BODY}"));
        check(&format!("{BET};{BET};"), format!("2#@0{BODY}@1{BODY}"));
        // Whether the bets are valid is not for this to say.
        check(",,,,,;", "1#@0#######".to_owned());
    }

    #[test]
    fn a_batch_of_another_shape_is_refused_with_index_and_field() {
        let bet = |problem| (0, problem);
        for (text, (index, problem)) in [
            (";".to_owned(), bet(BetProblem::Missing("first name"))),
            ("FINISHED".to_owned(), bet(BetProblem::Missing("first name"))),
            ("1,Ana,Paz,30000000,1990-01-01".to_owned(), bet(BetProblem::Missing("number"))),
            (format!("{BET},"), bet(BetProblem::Leftover)),
            (format!("{BET},{BET}"), bet(BetProblem::Leftover)),
            (BET.replace("Paz", "P#z"), bet(BetProblem::Separator("last name"))),
            // It would else be six items again.
            (BET.replace("Ana,Paz", "Ana#Paz"), bet(BetProblem::Separator("first name"))),
            (format!("{BET};;"), (1, BetProblem::Missing("first name"))),
            (format!(";{BET}"), (0, BetProblem::Missing("first name"))),
            (format!("{BET};{BET};1"), (2, BetProblem::Missing("first name"))),
        ] {
            let expected = Malformed::Bet { index, problem };
            assert_eq!(body_of(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn no_frame_of_valid_bets_is_put_into_a_longer_body_than_is_said() {
        let shortest = "1,A,B,1,1990-01-01,1;".repeat(BETS_MAX);
        let text = &shortest.as_bytes()[..FRAME_LENGTH_MAX.min(shortest.len())];
        let body = body_of(text).unwrap();
        assert_eq!(Batch::validate(&body, 1).map(|batch| batch.bets() as usize), Ok(BETS_MAX));
        assert!(body.len() <= BODY_LENGTH_MAX, "{} > {BODY_LENGTH_MAX}", body.len());
    }

    #[test]
    fn what_holds_a_separator_cannot_travel() {
        for value in ["Ana", "María José", "", "O'Neil", "李"] {
            assert!(can_travel(value), "{value}");
        }
        for value in ["Paz, hijo", "a;b", "a#b", "a\nb"] {
            assert!(!can_travel(value), "{value}");
            let body = format!("1#@0#1#Ana#{value}#1#1990-01-01#1#");
            assert!(text_of(body.as_bytes()).is_err(), "{value}");
        }
    }
}
