//! Reads batches that were validated before, and may have been by other rules: it looks at shape only.

use memchr::{memchr_iter, memmem, memrchr};

use super::{Bet, Number};
use crate::error::Malformed;
use crate::list::{Items, SEPARATOR, parse_number};

/// How many bets a batch says it has. Looks at nothing behind that. `None`: it says nothing.
#[must_use]
pub fn bets_announced(body: &[u8]) -> Option<u32> {
    let digits = body.split(|&byte| byte == SEPARATOR).next()?;
    parse_number(std::str::from_utf8(digits).ok()?)
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

/// Finds the bets on one number in many batches that were validated before.
///
/// It searches for the number's digits with a `#`, which are in few batches, and counts the `#` before
/// them: only as the last item of a bet are they the number bet on. Nothing else is read, which is many
/// times faster than to read bet by bet.
///
/// ```
/// use bolillero_protocol::bet::{BetsOn, Number};
///
/// let winning = BetsOn::new(Number::parse("7574").unwrap());
/// let body = b"2#@0#1#Ana#Paz#30000000#1990-01-01#7574#@1#1#Leo#Sosa#30000001#1990-01-01#33#";
/// let mut documents = Vec::new();
/// winning.for_each(body, |bet| documents.push(bet.document))?;
/// assert_eq!(documents, ["30000000"]);
/// # Ok::<(), bolillero_protocol::error::Malformed>(())
/// ```
#[derive(Debug, Clone)]
pub struct BetsOn {
    number: Number,
    digits: memmem::Finder<'static>,
}

/// The marker, and what [`Bet::read`] takes.
const ITEMS_PER_BET: usize = 7;

impl BetsOn {
    /// A search for the bets on `number`, with or without leading zeros.
    #[must_use]
    pub fn new(number: Number) -> Self {
        let digits = format!("{}{}", number.value(), char::from(SEPARATOR));
        Self { number, digits: memmem::Finder::new(&digits).into_owned() }
    }

    /// Hands each bet on the number in `body` to `found`, in order.
    ///
    /// # Errors
    /// [`Malformed`] when such a bet is not text.
    pub fn for_each<'a>(
        &self,
        body: &'a [u8],
        mut found: impl FnMut(Bet<'a>),
    ) -> Result<(), Malformed> {
        let mut separators = 0;
        let mut counted = 0;
        for at in self.digits.find_iter(body) {
            let end = at + self.digits.needle().len();
            separators += memchr_iter(SEPARATOR, &body[counted..end]).count();
            counted = end;
            // The first one ends the number of bets.
            let ends_a_bet = separators > 1 && (separators - 1).is_multiple_of(ITEMS_PER_BET);
            if let Some(bet) = ends_a_bet.then(|| last_bet(&body[..end])).flatten() {
                let bet = read_bet(bet)?;
                if bet.number() == Some(self.number) {
                    found(bet);
                }
            }
        }
        Ok(())
    }
}

/// The items of the bet that ends with `body`, without its marker.
fn last_bet(body: &[u8]) -> Option<&[u8]> {
    let mut begin = body.len() - 1;
    for _ in 1..ITEMS_PER_BET {
        begin = memrchr(SEPARATOR, &body[..begin])?;
    }
    Some(&body[begin + 1..])
}

fn read_bet(items: &[u8]) -> Result<Bet<'_>, Malformed> {
    let not_text = Malformed::Item { item: "a bet", expected: "text in UTF-8" };
    Bet::read(&mut Items::parse(items).map_err(|_| not_text)?)
}
