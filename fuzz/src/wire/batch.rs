//! Batches, beside the slow validator of the protocol's tests.

use bolillero_protocol::bet::{
    Batch, BatchBuilder, Bet, Bets, BetsOn, Number, bets_announced, first_agency,
};
use bolillero_protocol::error::Malformed;

use self::reference::reference;

#[path = "../../../protocol/tests/reference/mod.rs"]
mod reference;

const AGENCIES: u32 = 5;

/// A batch's body: judged as the reference judges it, and read as what it is.
pub fn batch(body: &[u8]) {
    let validated = Batch::validate(body, AGENCIES);
    let judged = validated.as_ref().map(|batch| (batch.bets(), batch.agency()));
    assert_eq!(judged.map_err(Malformed::clone), reference(body, AGENCIES));
    match validated {
        Ok(batch) => read_valid(&batch),
        Err(_) => read_anything(body),
    }
}

fn read_valid(batch: &Batch<'_>) {
    let body = batch.body();
    assert_eq!(bets_announced(body), Some(batch.bets()));
    let bets: Vec<Bet<'_>> = Bets::read(body)
        .expect("a valid batch is a list")
        .collect::<Result<_, _>>()
        .expect("a valid batch is read");
    assert_eq!(u32::try_from(bets.len()), Ok(batch.bets()));
    if !bets.is_empty() {
        assert_eq!(first_agency(body), Some(batch.agency()));
    }
    let mut builder = BatchBuilder::default();
    for bet in &bets {
        assert_eq!(bet.check_fields(), Ok(()));
        assert!(builder.push_within(bet, usize::MAX));
    }
    // The count may have leading zeros, which are not written.
    assert_eq!(behind_the_count(&builder.take()), behind_the_count(body));
    for bet in bets.iter().take(3) {
        check_bets_on(bet.number().expect("a valid bet is on a number"), body, &bets);
    }
    check_bets_on(Number::new(0).expect("0 is a number"), body, &bets);
}

fn check_bets_on(number: Number, body: &[u8], bets: &[Bet<'_>]) {
    let mut found = Vec::new();
    BetsOn::new(number).for_each(body, |bet| found.push(bet)).expect("a valid batch is text");
    let expected: Vec<_> =
        bets.iter().filter(|bet| bet.number() == Some(number)).copied().collect();
    assert_eq!(found, expected);
}

fn behind_the_count(body: &[u8]) -> &[u8] {
    let count = body.iter().position(|&byte| byte == b'#').expect("a count ends");
    &body[count..]
}

/// What a ledger may hold that was written by other rules: it ends, whatever it says of itself.
fn read_anything(body: &[u8]) {
    if let Ok(bets) = Bets::read(body) {
        let announced = bets.count_announced() as usize;
        assert!(bets.count() <= announced.min(body.len() + 1));
    }
    let mut found = 0;
    let number = Number::new(7574).expect("7574 is a number");
    let _ = BetsOn::new(number).for_each(body, |_| found += 1);
    assert!(found <= body.len() / "7574#".len());
    let _ = first_agency(body);
}
