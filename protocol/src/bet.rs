//! One bet and a batch of them: valid, or nothing. Knows no packet and no lane.
//!
//! ```text
//! batch   n#  then for i in 0..n:  @i#  id#  first name#  last name#  document#  birth date#  number#
//! ```
//!
//! [`Batch::validate`] follows that grammar in place, without an allocation per bet; most bets it knows
//! at a glance. [`Bets`] reads what was validated before: it looks at shape only, so that a ledger can
//! be read by rules that have changed since.

use self::grammar::{
    birth_date, document, has_too_many_digits, marker, name, number, number_up_to,
    short_number_up_to,
};
use self::plain::Opening;
pub use self::stored::{Bets, BetsOn, bets_announced};
use crate::error::{BetProblem, Malformed};
use crate::list::{Items, SEPARATOR, parse_number, push_item};

mod grammar;
mod plain;
mod stored;

/// The most agencies that a draw can have.
pub const AGENCIES_MAX: u32 = 65_535;
/// The longest first or last name, in characters.
pub const NAME_LENGTH_MAX: usize = 64;
/// The longest document number, in digits.
pub const DOCUMENT_LENGTH_MAX: usize = 12;
/// The highest number that can be bet on.
pub const NUMBER_MAX: u16 = 9999;

/// A number that can be bet on and drawn: 0 to 9999. Only [`Number::parse`] and [`Number::new`] make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u16);

impl Number {
    /// A number from its value.
    #[must_use]
    pub fn new(value: u16) -> Option<Self> {
        (value <= NUMBER_MAX).then_some(Self(value))
    }

    /// A number from plain digits, with any number of leading zeros: a ledger may hold more than an
    /// office takes today.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (length, value) = number_up_to(text.as_bytes(), u32::from(NUMBER_MAX))?;
        let value = u16::try_from(value).ok()?;
        (length == text.len()).then_some(Self(value))
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

/// A bet as its bettor gave it. The fields are text, kept as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bet<'a> {
    /// The id of the agency that took it.
    pub agency: &'a str,
    /// First name, 1 to 64 characters.
    pub first_name: &'a str,
    /// Last name, 1 to 64 characters.
    pub last_name: &'a str,
    /// Document number, 1 to 12 digits; leading zeros belong to it.
    pub document: &'a str,
    /// Day of birth, `YYYY-MM-DD`.
    pub birth_date: &'a str,
    /// The number bet on, 0 to 9999, with or without leading zeros.
    pub number: &'a str,
}

impl<'a> Bet<'a> {
    /// Takes the six items of a bet. Looks at their number only.
    ///
    /// # Errors
    /// [`Malformed::Missing`] names the first item that is not there.
    pub fn read(items: &mut Items<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            agency: items.next("id")?,
            first_name: items.next("first name")?,
            last_name: items.next("last name")?,
            document: items.next("document")?,
            birth_date: items.next("birth date")?,
            number: items.next("number")?,
        })
    }

    /// Checks every field but the agency's id by the rules that every office holds it to. An office
    /// of today also refuses a number of more than [`NUMBER_LENGTH_MAX`](crate::list::NUMBER_LENGTH_MAX)
    /// digits; earlier ones stored it, so a file with one can still be cut as it was then.
    ///
    /// # Errors
    /// [`BetProblem`] of the first field that is not valid.
    pub fn check_fields(&self) -> Result<(), BetProblem> {
        type LengthOf = fn(&[u8]) -> Option<usize>;
        let any_number: LengthOf =
            |bytes| number_up_to(bytes, u32::from(NUMBER_MAX)).map(|(length, _)| length);
        let fields: [(&str, LengthOf, BetProblem); 5] = [
            (self.first_name, name, BetProblem::Name("first name")),
            (self.last_name, name, BetProblem::Name("last name")),
            (self.document, document, BetProblem::Document),
            (self.birth_date, birth_date, BetProblem::BirthDate),
            (self.number, any_number, BetProblem::Number),
        ];
        for (text, length_of, problem) in fields {
            if length_of(text.as_bytes()) != Some(text.len()) {
                return Err(problem);
            }
        }
        Ok(())
    }

    /// The number bet on. `None` only in a ledger written by other rules.
    #[must_use]
    pub fn number(&self) -> Option<Number> {
        Number::parse(self.number)
    }

    fn push_items(&self, out: &mut Vec<u8>) {
        let texts = [self.agency, self.first_name, self.last_name];
        for text in texts.into_iter().chain([self.document, self.birth_date, self.number]) {
            out.extend_from_slice(text.as_bytes());
            out.push(SEPARATOR);
        }
    }
}

/// A batch of valid bets of one agency. Only [`Batch::validate`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    body: &'a [u8],
    bets: u32,
    agency: u32,
}

impl<'a> Batch<'a> {
    /// Reads a batch `n#@0#…` of a draw with the agencies `1..=agencies`. Allocates nothing.
    ///
    /// ```
    /// use bolillero_protocol::bet::Batch;
    ///
    /// let batch = Batch::validate(b"1#@0#1#Ana#Paz#30000000#1990-01-01#7574#", 5)?;
    /// assert_eq!((batch.bets(), batch.agency()), (1, 1));
    /// let error = Batch::validate(b"1#@0#1#Ana#Paz#30000000#1990-02-30#7574#", 5).unwrap_err();
    /// assert_eq!(error.to_string(), "bet 0: birth date is not a calendar day YYYY-MM-DD");
    /// # Ok::<(), bolillero_protocol::error::Malformed>(())
    /// ```
    ///
    /// # Errors
    /// [`Malformed`] names the index and the field of the first bet that is not valid.
    pub fn validate(body: &'a [u8], agencies: u32) -> Result<Self, Malformed> {
        let mut cursor = Cursor { left: body };
        let bets = cursor.count().ok_or(Malformed::NotANumber("the number of bets"))?;
        let mut agency = 0;
        let mut opening = None;
        for index in 0..bets {
            match opening.and_then(|opening: Opening<'_>| opening.bet_end(cursor.left)) {
                Some(left) => cursor.left = left,
                None => cursor
                    .bet(index, agencies, &mut agency)
                    .map_err(|problem| Malformed::Bet { index, problem })?,
            }
            opening = match index {
                0 if bets > 1 => Opening::after_first(body),
                _ => opening.and_then(Opening::next),
            };
        }
        if !cursor.left.is_empty() {
            return Err(Malformed::Leftover("the last bet"));
        }
        Ok(Self { body, bets, agency })
    }

    /// The bytes it was read from: `n#@0#…`.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How many bets it has.
    #[must_use]
    pub fn bets(&self) -> u32 {
        self.bets
    }

    /// The agency of its bets; 0 when it has none.
    #[must_use]
    pub fn agency(&self) -> u32 {
        self.agency
    }
}

/// The id of a batch's first bet, whatever else may be wrong with the batch.
#[must_use]
pub fn first_agency(body: &[u8]) -> Option<u32> {
    let mut fields = body.split(|&byte| byte == SEPARATOR).skip(2);
    let field = fields.next()?;
    let (length, id) = short_number_up_to(field, u32::MAX)?;
    (length == field.len()).then_some(id)
}

/// What of a batch is still to be read. Moves over whole, valid fields and never past the end.
struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn count(&mut self) -> Option<u32> {
        let length = self.left.iter().position(|&byte| byte == SEPARATOR)?;
        let (digits, left) = self.left.split_at(length);
        self.left = &left[1..];
        parse_number(std::str::from_utf8(digits).ok()?)
    }

    fn bet(&mut self, index: u32, agencies: u32, agency: &mut u32) -> Result<(), BetProblem> {
        self.field("marker", BetProblem::Marker, |left| marker(left, index))?;
        self.agency(agencies, agency)?;
        self.field("first name", BetProblem::Name("first name"), name)?;
        self.field("last name", BetProblem::Name("last name"), name)?;
        self.field("document", BetProblem::Document, document)?;
        self.field("birth date", BetProblem::BirthDate, birth_date)?;
        self.field("number", BetProblem::Number, number)
    }

    /// The bet's agency must be one of the draw, and that of the bets before (0 before the first).
    fn agency(&mut self, agencies: u32, of_batch: &mut u32) -> Result<(), BetProblem> {
        let mut id = 0;
        self.field("id", BetProblem::Agency { agencies }, |left| {
            let (length, value) = short_number_up_to(left, agencies)?;
            id = value;
            (id > 0).then_some(length)
        })?;
        if *of_batch == 0 {
            *of_batch = id;
        }
        if id == *of_batch { Ok(()) } else { Err(BetProblem::OtherAgency) }
    }

    /// Moves over a field that is as long as `length_of` says, and over its `#`.
    #[inline]
    fn field(
        &mut self,
        name: &'static str,
        problem: BetProblem,
        length_of: impl FnOnce(&'a [u8]) -> Option<usize>,
    ) -> Result<(), BetProblem> {
        let field = length_of(self.left).and_then(|length| self.left.get(length..));
        match field {
            Some([SEPARATOR, left @ ..]) => {
                self.left = left;
                Ok(())
            }
            _ if !self.left.contains(&SEPARATOR) => Err(BetProblem::Missing(name)),
            _ if matches!(problem, BetProblem::Agency { .. } | BetProblem::Number)
                && has_too_many_digits(self.left) =>
            {
                Err(BetProblem::TooManyDigits(name))
            }
            _ => Err(problem),
        }
    }
}

/// Builds a batch's body `n#@0#…`, bet by bet. Checks no field: see [`Bet::check_fields`].
#[derive(Debug, Default, Clone)]
pub struct BatchBuilder {
    items: Vec<u8>,
    bets: u32,
}

impl BatchBuilder {
    /// Adds a bet if the body then has at most `size_max` bytes; says whether it did.
    #[must_use]
    pub fn push_within(&mut self, bet: &Bet<'_>, size_max: usize) -> bool {
        let before = self.items.len();
        self.items.push(b'@');
        push_item(&mut self.items, self.bets);
        bet.push_items(&mut self.items);
        let count_size = (self.bets + 1).to_string().len() + 1;
        let fits = count_size + self.items.len() <= size_max;
        if fits {
            self.bets += 1;
        } else {
            self.items.truncate(before);
        }
        fits
    }

    /// How many bets it has.
    #[must_use]
    pub fn bets(&self) -> u32 {
        self.bets
    }

    /// The body `n#@0#…`; the builder is empty again.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.items.len() + 8);
        push_item(&mut body, self.bets);
        body.append(&mut self.items);
        self.bets = 0;
        body
    }
}

/// Puts the items of a single bet (opcode 1) into the form of a batch of one.
#[must_use]
pub fn batch_of_one(items: &[u8]) -> Vec<u8> {
    [b"1#@0#".as_slice(), items].concat()
}
