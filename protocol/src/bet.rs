//! One bet and a batch of them: valid, or nothing. Knows no packet and no lane.
//!
//! ```text
//! batch   n#  then for i in 0..n:  @i#  id#  first name#  last name#  document#  birth date#  number#
//! ```
//!
//! [`Batch::validate`] follows that grammar byte by byte, in place, without an allocation per bet.
//! [`Bets`] reads what was validated before: it looks at shape only, so that a ledger can be read
//! by rules that have changed since.

use crate::error::{BetProblem, Malformed};
use crate::list::{Items, SEPARATOR, parse_number, push_item};

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

    /// A number from plain digits, with or without leading zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_digits(text.as_bytes())
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() {
            return None;
        }
        let mut value = 0_u16;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u16::from(digit - b'0');
            if value > NUMBER_MAX {
                return None;
            }
        }
        Some(Self(value))
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

    /// Checks every field but the agency's id by the rules an office holds it to.
    ///
    /// # Errors
    /// [`BetProblem`] of the first field that is not valid.
    pub fn check_fields(&self) -> Result<(), BetProblem> {
        check_name(self.first_name.as_bytes(), "first name")?;
        check_name(self.last_name.as_bytes(), "last name")?;
        check_document(self.document.as_bytes())?;
        check_birth_date(self.birth_date.as_bytes())?;
        Number::parse(self.number).map(|_| ()).ok_or(BetProblem::Number)
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
    /// Reads a batch of a draw with the agencies `1..=agencies`.
    ///
    /// # Errors
    /// [`Malformed`] names the index and the field of the first bet that is not valid.
    pub fn validate(body: &'a [u8], agencies: u32) -> Result<Self, Malformed> {
        let mut cursor = Cursor { bytes: body, at: 0 };
        let bets = cursor.count().ok_or(Malformed::NotANumber("the number of bets"))?;
        let mut agency = 0;
        for index in 0..bets {
            cursor
                .bet(index, agencies, &mut agency)
                .map_err(|problem| Malformed::Bet { index, problem })?;
        }
        if cursor.at < body.len() {
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
    parse_number(std::str::from_utf8(fields.next()?).ok()?)
}

/// A position in a batch that moves over one field at a time and never past the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn count(&mut self) -> Option<u32> {
        let digits = self.field()?;
        parse_number(std::str::from_utf8(digits).ok()?)
    }

    fn bet(&mut self, index: u32, agencies: u32, agency: &mut u32) -> Result<(), BetProblem> {
        self.marker(index)?;
        self.agency(agencies, agency)?;
        check_name(self.named("first name")?, "first name")?;
        check_name(self.named("last name")?, "last name")?;
        check_document(self.named("document")?)?;
        check_birth_date(self.named("birth date")?)?;
        let number = self.named("number")?;
        Number::from_digits(number).map(|_| ()).ok_or(BetProblem::Number)
    }

    fn marker(&mut self, index: u32) -> Result<(), BetProblem> {
        let marker = self.named("marker")?;
        let digits = marker.strip_prefix(b"@").ok_or(BetProblem::Marker)?;
        let plain = digits.len() == 1 || digits.first().is_some_and(|&digit| digit != b'0');
        if plain && small_number(digits) == Some(index) { Ok(()) } else { Err(BetProblem::Marker) }
    }

    /// The bet's agency must be one of the draw, and that of the bets before (0 before the first).
    fn agency(&mut self, agencies: u32, of_batch: &mut u32) -> Result<(), BetProblem> {
        let id = small_number(self.named("id")?);
        let id = id.filter(|id| (1..=agencies).contains(id));
        let id = id.ok_or(BetProblem::Agency { agencies })?;
        if *of_batch == 0 {
            *of_batch = id;
        }
        if id == *of_batch { Ok(()) } else { Err(BetProblem::OtherAgency) }
    }

    fn named(&mut self, name: &'static str) -> Result<&'a [u8], BetProblem> {
        self.field().ok_or(BetProblem::Missing(name))
    }

    /// The bytes up to the next `#`. The fields are too short for a vectorised search to pay.
    fn field(&mut self) -> Option<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let length = left.iter().position(|&byte| byte == SEPARATOR)?;
        self.at += length + 1;
        Some(&left[..length])
    }
}

/// A number of 1 to 9 digits.
fn small_number(digits: &[u8]) -> Option<u32> {
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0'))
    })
}

fn check_name(name: &[u8], field: &'static str) -> Result<(), BetProblem> {
    let mut seen = 0;
    let mut control = name.is_empty();
    for &byte in name {
        seen |= byte;
        control |= byte < b' ' || byte == 0x7f;
    }
    let fits =
        !control && (seen < 0x80 && name.len() <= NAME_LENGTH_MAX || check_unicode_name(name));
    if fits { Ok(()) } else { Err(BetProblem::Name(field)) }
}

/// The part of [`check_name`] that only names beyond ASCII need.
fn check_unicode_name(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    name.chars().count() <= NAME_LENGTH_MAX && !name.chars().any(char::is_control)
}

fn check_document(document: &[u8]) -> Result<(), BetProblem> {
    let fits = (1..=DOCUMENT_LENGTH_MAX).contains(&document.len());
    if fits && document.iter().all(u8::is_ascii_digit) { Ok(()) } else { Err(BetProblem::Document) }
}

/// `YYYY-MM-DD`, a day of the proleptic Gregorian calendar.
fn check_birth_date(date: &[u8]) -> Result<(), BetProblem> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return Err(BetProblem::BirthDate);
    };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(BetProblem::BirthDate);
    }
    let [y1, y2, y3, y4, m1, m2, d1, d2] = digits.map(|digit| u32::from(digit - b'0'));
    let year = y1 * 1000 + y2 * 100 + y3 * 10 + y4;
    let (month, day) = (m1 * 10 + m2, d1 * 10 + d2);
    // Every month has these days, so most dates need no calendar.
    let plain = (1..=12).contains(&month) && (1..=28).contains(&day);
    let year = i32::try_from(year).unwrap_or(0);
    if plain || chrono::NaiveDate::from_ymd_opt(year, month, day).is_some() {
        Ok(())
    } else {
        Err(BetProblem::BirthDate)
    }
}

/// Reads the bets of a batch that was validated before. An item is an error when the shape is broken.
#[derive(Debug, Clone)]
pub struct Bets<'a> {
    items: Items<'a>,
    bets: u32,
    index: u32,
}

impl<'a> Bets<'a> {
    /// The bets of a body.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a list that begins with a number.
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let not_a_list = Malformed::Item { item: "the batch", expected: "a list in UTF-8" };
        let mut items = Items::parse(body).map_err(|_| not_a_list)?;
        let bets = items.number("the number of bets")?;
        Ok(Self { items, bets, index: 0 })
    }

    /// How many bets the batch says it has.
    #[must_use]
    pub fn count_announced(&self) -> u32 {
        self.bets
    }

    fn read_bet(&mut self) -> Result<Bet<'a>, Malformed> {
        self.items.next("marker")?;
        let bet = Bet::read(&mut self.items)?;
        if self.index + 1 == self.bets {
            self.items.clone().finish("the last bet")?;
        }
        Ok(bet)
    }
}

impl<'a> Iterator for Bets<'a> {
    type Item = Result<Bet<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.bets {
            return None;
        }
        let bet = self.read_bet();
        self.index = if bet.is_ok() { self.index + 1 } else { self.bets };
        Some(bet)
    }
}

/// Builds a batch's body, bet by bet.
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
