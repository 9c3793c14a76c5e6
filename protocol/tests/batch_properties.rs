//! Holds the validation of batches to a slow validator that can be seen to be right, and what is built and read to what
//! is valid.

use bolillero_protocol::bet::{
    Batch, BatchBuilder, Bet, Bets, BetsOn, Number, batch_of_one, first_agency,
};
use bolillero_protocol::error::{BetProblem, Malformed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use self::reference::reference;

mod reference;

fn validated(body: &[u8], agencies: u32) -> Result<(u32, u32), Malformed> {
    Batch::validate(body, agencies).map(|batch| (batch.bets(), batch.agency()))
}

fn a_name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[A-Z][a-záéíóúñü ]{0,12}",
        4 => "[^#\\p{Cc}]{1,66}",
        1 => "[a-zñ]{63,66}",
        1 => "[^#]{0,20}",
        1 => "[ -~&&[^#]]{0,40}[\u{0}-\u{ff}&&[^#]][ -~&&[^#]]{0,20}",
    ]
}

fn a_document() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[0-9]{8}", 2 => "[0-9]{0,14}", 1 => "[0-9]{0,9}[^#][0-9]{0,3}"]
}

fn a_date() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
        2 => "(1900|1996|2000|2001|0000|0004|9999)-02-(28|29|30)",
        1 => "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        1 => "[0-9-]{8,12}",
    ]
}

fn a_number() -> impl Strategy<Value = String> {
    let edges = vec![
        "0",
        "0000",
        "9999",
        "09999",
        "10000",
        "",
        "-1",
        "00000000000000007574",
        "000000000000000007574",
        "00000000000000000000000001",
        "111111111111111111111",
    ];
    prop_oneof![6 => "[1-9][0-9]{0,3}", 3 => select(edges).prop_map(String::from), 1 => "[0-9]{0,6}"]
}

fn an_agency() -> impl Strategy<Value = String> {
    let others = vec![
        "0",
        "1",
        "4",
        "5",
        "6",
        "01",
        "",
        "4294967297",
        "18446744073709551617",
        "00000000000000000005",
        "000000000000000000005",
    ];
    prop_oneof![30 => Just(String::from("5")), 1 => select(others).prop_map(String::from)]
}

/// The six fields of a bet, most of them valid.
fn a_bet() -> impl Strategy<Value = [String; 6]> {
    (an_agency(), a_name(), a_name(), a_document(), a_date(), a_number()).prop_map(
        |(agency, first, last, document, date, number)| {
            [agency, first, last, document, date, number]
        },
    )
}

/// Any that is valid, or one like nearly all there are.
fn a_valid_bet() -> impl Strategy<Value = [String; 6]> {
    let valid = |name: &'static str, document, number| {
        let date = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
        (name, name, document, date, number).prop_map(|(first, last, document, date, number)| {
            [String::from("5"), first, last, document, date, number]
        })
    };
    prop_oneof![
        valid("[^#\\p{Cc}]{1,64}", "[0-9]{1,12}", "0{0,3}[0-9]{1,4}"),
        valid("[A-Z][a-záéíóúñü ]{0,16}", "[0-9]{7,8}", "[0-9]{1,4}"),
    ]
}

fn bet_of(fields: &[String; 6]) -> Bet<'_> {
    let [agency, first_name, last_name, document, birth_date, number] = fields;
    Bet { agency, first_name, last_name, document, birth_date, number }
}

fn body_of(bets: &[[String; 6]]) -> Vec<u8> {
    let mut body = format!("{}#", bets.len());
    for (index, bet) in bets.iter().enumerate() {
        body += &format!("@{index}#{}#", bet.join("#"));
    }
    body.into_bytes()
}

/// A change of one place of a body.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

fn a_mutation() -> impl Strategy<Value = Mutation> {
    let byte =
        || prop_oneof![select(b"#@0123456789-+ \x7f\x1f\xc2\x80\xc3\xff".to_vec()), any::<u8>()];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<Index>().prop_map(Mutation::Remove),
        any::<Index>().prop_map(Mutation::Truncate),
    ]
}

impl Mutation {
    fn apply(&self, body: &mut Vec<u8>) {
        let size = body.len();
        if size == 0 {
            return;
        }
        match self {
            Self::Replace(at, byte) => body[at.index(size)] = *byte,
            Self::Insert(at, byte) => body.insert(at.index(size + 1), *byte),
            Self::Remove(at) => drop(body.remove(at.index(size))),
            Self::Truncate(at) => body.truncate(at.index(size)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_batch_of_generated_fields_is_judged_as_the_reference_does(bets in vec(a_bet(), 0..4)) {
        let body = body_of(&bets);
        prop_assert_eq!(validated(&body, 5), reference(&body, 5));
    }

    #[test]
    fn a_changed_batch_is_judged_as_the_reference_does(
        bets in vec(a_valid_bet(), 0..13),
        mutations in vec(a_mutation(), 0..4),
    ) {
        let mut body = body_of(&bets);
        for mutation in &mutations {
            mutation.apply(&mut body);
        }
        prop_assert_eq!(validated(&body, 5), reference(&body, 5));
    }

    #[test]
    fn a_bets_own_fields_are_judged_as_those_of_a_batch(fields in a_bet()) {
        let fields = { let mut fields = fields; fields[0] = "5".into(); fields };
        let expected = match reference(&body_of(std::slice::from_ref(&fields)), 5) {
            // What an earlier office took is still a bet of a file that was begun then.
            Ok(_) => Ok(()),
            Err(Malformed::Bet { problem: BetProblem::TooManyDigits(_), .. })
                if Number::parse(&fields[5]).is_some() => Ok(()),
            Err(Malformed::Bet { problem: BetProblem::TooManyDigits(_), .. }) => Err(BetProblem::Number),
            Err(Malformed::Bet { problem, .. }) => Err(problem),
            Err(other) => panic!("{other}"),
        };
        prop_assert_eq!(bet_of(&fields).check_fields(), expected);
    }
}

proptest! {
    #[test]
    fn what_was_built_is_valid_and_read_as_it_was_given(
        given in vec(a_valid_bet(), 0..30),
        size_max in 100..4000_usize,
    ) {
        let mut builder = BatchBuilder::default();
        let mut taken = Vec::new();
        for fields in &given {
            let before = builder.clone().take();
            if builder.push_within(&bet_of(fields), size_max) {
                taken.push(bet_of(fields));
            } else {
                prop_assert_eq!(builder.clone().take(), before, "what does not fit changes nothing");
                let mut with_it: Vec<_> = given[..taken.len()].to_vec();
                with_it.push(fields.clone());
                prop_assert!(body_of(&with_it).len() > size_max, "it would not have fitted");
                break;
            }
        }
        let body = builder.take();
        prop_assert!(body.len() <= size_max);
        prop_assert_eq!(&body, &body_of(&given[..taken.len()]));
        let agency = if taken.is_empty() { 0 } else { 5 };
        prop_assert_eq!(validated(&body, 5).unwrap(), (u32::try_from(taken.len()).unwrap(), agency));
        prop_assert_eq!(Bets::read(&body).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), taken);
        prop_assert_eq!(builder.take(), b"0#", "what was taken is gone");
    }

    #[test]
    fn the_bets_on_a_number_are_those_that_reading_all_finds(
        bets in vec(a_valid_bet(), 0..30),
        chosen: Index,
        other in 0..=9999_u16,
    ) {
        let body = body_of(&bets);
        let bets: Vec<_> = bets.iter().map(bet_of).collect();
        let chosen = bets.get(chosen.index(bets.len().max(1))).and_then(Bet::number);
        for number in [chosen.unwrap_or(Number::new(0).unwrap()), Number::new(other).unwrap()] {
            let mut found = Vec::new();
            BetsOn::new(number).for_each(&body, |bet| found.push(bet)).unwrap();
            let expected: Vec<_> =
                bets.iter().filter(|bet| bet.number() == Some(number)).copied().collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn reading_bets_out_of_any_bytes_ends(body in vec(any::<u8>(), 0..200), n in 0..12_u32) {
        let body = [format!("{n}#").as_bytes(), &body, b"#"].concat();
        let bets = Bets::read(&body).map_or(0, Iterator::count);
        prop_assert!(bets <= usize::try_from(n).unwrap());
    }
}

#[test]
fn a_batch_is_full_at_the_byte_where_its_count_gets_one_more_digit() {
    let fields = ["1", "A", "B", "1", "1990-01-01", "7"].map(String::from);
    for bets in [1, 2, 9, 10, 11, 99, 100, 101] {
        let size = body_of(&vec![fields.clone(); bets]).len();
        let mut builder = BatchBuilder::default();
        for _ in 1..bets {
            assert!(builder.push_within(&bet_of(&fields), usize::MAX));
        }
        assert!(!builder.push_within(&bet_of(&fields), size - 1), "{bets} bets in {size} - 1");
        assert!(builder.push_within(&bet_of(&fields), size), "{bets} bets in {size}");
        assert_eq!(builder.take().len(), size);
    }
}

#[test]
fn reading_bets_of_a_broken_shape_ends_with_an_error() {
    let bet = "1#Ana#Paz#1#1990-01-01#7#";
    let check = |body: String, whole: usize, error: Malformed| {
        let mut bets = Bets::read(body.as_bytes()).unwrap();
        let read: Vec<_> = bets.by_ref().collect();
        assert_eq!(read.iter().filter(|bet| bet.is_ok()).count(), whole, "{body}");
        assert_eq!(read.last(), Some(&Err(error)), "{body}");
        assert_eq!(bets.next(), None, "{body}");
    };
    check(format!("1#@0#{bet}x#"), 0, Malformed::Leftover("the last bet"));
    check(format!("2#@0#{bet}@1#{bet}x#"), 1, Malformed::Leftover("the last bet"));
    check(format!("2#@0#{bet}"), 1, Malformed::Missing("marker"));
    check("1#@0#1#Ana#".into(), 0, Malformed::Missing("last name"));
    for body in ["x#", "", "1", "1#\u{fffd}"] {
        assert!(Bets::read(body.as_bytes()).is_err(), "{body:?}");
    }
    assert!(Bets::read(b"1#\xff#").is_err());
}

#[test]
fn a_single_bet_is_a_batch_of_one() {
    let body = batch_of_one(b"1#Ana#Paz#30000001#1990-01-01#1#");
    assert_eq!(body, b"1#@0#1#Ana#Paz#30000001#1990-01-01#1#");
    assert_eq!(validated(&body, 5), Ok((1, 1)));
}

#[test]
fn the_agency_of_a_batch_that_is_not_valid_is_read_as_that_of_one_that_is() {
    let [longest, too_long] = [19, 20].map(|zeros| "0".repeat(zeros) + "5");
    let ids = [("5", Some(5)), (&longest, Some(5)), (&too_long, None), ("4294967296", None)];
    for (id, agency) in ids {
        let bet = format!("{id}#Ana#Paz#1#1990-01-01#");
        let (valid, not) = (format!("1#@0#{bet}7#"), format!("1#@0#{bet}x#"));
        assert_eq!(validated(valid.as_bytes(), 5).ok(), agency.map(|agency| (1, agency)), "{id}");
        assert_eq!([first_agency(valid.as_bytes()), first_agency(not.as_bytes())], [agency; 2]);
    }
    for id in ["", "+5", "5 ", "-1"] {
        assert_eq!(first_agency(format!("1#@0#{id}#Ana#").as_bytes()), None, "{id:?}");
    }
}

const USUAL: &str = "1#Luján#De Lucá#30904465#1999-12-31#7574#";

/// The first bet is judged by its grammar, one like it between others at a glance: a bet has to pass as either.
fn check_at_each_place(bet: &[u8]) {
    let between = format!("3#@0#{USUAL}@1#");
    for (before, after) in [("1#@0#", ""), (&between, &format!("@2#{USUAL}"))] {
        let body = [before.as_bytes(), bet, after.as_bytes()].concat();
        assert_eq!(validated(&body, 1), reference(&body, 1), "{}", body.escape_ascii());
    }
}

#[test]
fn a_batch_with_any_byte_changed_or_cut_there_is_judged_as_the_reference_does() {
    let body = format!("3#@0#{USUAL}@1#{USUAL}@2#{USUAL}").into_bytes();
    for at in 0..body.len() {
        assert_eq!(validated(&body[..at], 1), reference(&body[..at], 1), "cut at {at}");
        for byte in 0..=u8::MAX {
            let mut changed = body.clone();
            changed[at] = byte;
            assert_eq!(validated(&changed, 1), reference(&changed, 1), "{byte:#x} at {at}");
        }
    }
}

#[test]
fn a_long_batch_with_a_wrong_marker_is_judged_as_the_reference_does() {
    for wrong in [0, 1, 9, 10, 11, 99, 100, 999, 1000, 1001] {
        for marker in [wrong + 1, wrong + 10, wrong] {
            let index = |index| if index == wrong { marker } else { index };
            let bets = (0..1002).map(|at| format!("@{}#{USUAL}", index(at)));
            let body = format!("1002#{}", bets.collect::<String>()).into_bytes();
            assert_eq!(validated(&body, 1), reference(&body, 1), "@{marker} at {wrong}");
        }
    }
}

#[test]
fn every_day_of_a_calendar_is_judged_as_the_reference_does() {
    for year in [0, 4, 1899, 1900, 1996, 1999, 2000, 2023, 2024, 2100, 9999] {
        for month in 0..=13 {
            for day in 0..=32 {
                let date = format!("{year:04}-{month:02}-{day:02}");
                check_at_each_place(format!("1#A#B#30904465#{date}#7574#").as_bytes());
            }
        }
    }
}

#[test]
fn every_character_is_judged_as_the_reference_does_at_every_place_of_a_name() {
    for length in [0, 1, 14, 15, 16, 17, 31, 33, 62, 63, 64] {
        let characters = ('\0'..='\u{3ff}').chain(['\u{2028}', '\u{ffff}', '\u{10ffff}']);
        for character in characters.map(String::from).chain([String::new()]) {
            for before in [0, length / 2, length] {
                let (before, after) = ("x".repeat(before), "x".repeat(length - before));
                let name = format!("{before}{character}{after}");
                check_at_each_place(format!("1#{name}#B#1#1990-01-01#7#").as_bytes());
                check_at_each_place(format!("1#B#{name}#1#1990-01-01#7#").as_bytes());
            }
        }
    }
}

#[test]
fn every_pair_of_bytes_in_a_name_is_judged_as_the_reference_does() {
    for pair in 0..=u16::MAX {
        for after in [b"".as_slice(), b"\x80", b"\x80\x80"] {
            let name = [b"An", pair.to_be_bytes().as_slice(), after, b"a"].concat();
            check_at_each_place(&[b"1#", name.as_slice(), b"#B#1#1990-01-01#7#"].concat());
        }
    }
}
