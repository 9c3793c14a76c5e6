//! Holds the text dialect to its bytes under `vectors/`, and to what holds however its bytes are cut or damaged.

use bolillero_protocol::bet::Batch;
use bolillero_protocol::text::{
    BODY_LENGTH_MAX, Decoder, Expected, Request, Told, body_of, encode, text_of,
};
use proptest::collection::vec;
use proptest::prelude::*;

use self::vectors::{AGENCIES, Sender, Vector, packets};

#[path = "reference/mod.rs"]
mod reference;
mod vectors;

/// What the office says of a batch of another agency than the connection's first.
const OTHER_AGENCY: &str = "the id is another than this session's";

/// What an agency's bytes mean, in the words of the vectors, when they come in pieces of at most `size`.
fn meaning(bytes: &[u8], size: usize) -> String {
    let mut decoder = Decoder::default();
    let mut expected = Expected::Opening;
    let mut requests = Vec::new();
    let mut agency = 0;
    for mut input in bytes.chunks(size) {
        while let (taken, Some(text)) = decoder.next(input) {
            let asked = expected.read(text).map_err(|malformed| malformed.to_string());
            match asked
                .and_then(|asked| asked.map(|asked| describe(asked, &mut agency)).transpose())
            {
                Ok(request) => requests.extend(request),
                Err(why) => {
                    requests.push(format!("refused {why}"));
                    return requests.join(" | ");
                }
            }
            input = &input[taken..];
        }
    }
    if decoder.is_partial() {
        requests.push("unfinished".to_owned());
    }
    if requests.is_empty() { "nothing".to_owned() } else { requests.join(" | ") }
}

/// `agency` is that of the connection's batches so far, 0 before the first.
fn describe(request: Request<'_>, agency: &mut u32) -> Result<String, String> {
    match request {
        Request::Batch { text } => {
            let body = body_of(text).map_err(|malformed| malformed.to_string())?;
            let batch = Batch::validate(&body, AGENCIES).map_err(|problem| problem.to_string())?;
            let of_batch = if batch.bets() > 0 { batch.agency() } else { *agency };
            if *agency > 0 && of_batch != *agency {
                return Err(OTHER_AGENCY.to_owned());
            }
            *agency = of_batch;
            Ok(format!("batch {}", String::from_utf8_lossy(&body)))
        }
        Request::Finish => Ok("finish".to_owned()),
        Request::Results { agency } => Ok(format!("results agency={agency}")),
    }
}

fn describe_told(told: Option<Told>) -> String {
    match told {
        None => "nothing".to_owned(),
        Some(Told::Stored(bets)) => format!("stored {bets}"),
        Some(Told::Winners(winners)) => format!("winners {winners}"),
        Some(Told::Error) => "error".to_owned(),
    }
}

fn vectors_from(sender: Sender) -> impl Iterator<Item = Vector> {
    packets("text.txt").into_iter().filter(move |vector| vector.from == sender)
}

#[test]
fn what_an_agency_sends_is_read_as_its_vector_says_however_it_is_cut() {
    for vector in vectors_from(Sender::Agency) {
        for size in [1, 2, 3, 7, 64, usize::MAX] {
            assert_eq!(meaning(&vector.bytes, size), vector.block["means"], "{}", vector.name);
        }
    }
}

#[test]
fn the_line_of_an_office_is_read_as_its_vector_says() {
    for vector in vectors_from(Sender::Office) {
        let told = [Told::of_finish(&vector.bytes), Told::of_results(&vector.bytes)];
        let [finish, results] = told.map(describe_told);
        let read = format!("finish {finish}, results {results}");
        assert_eq!(read, vector.block["means"], "{}", vector.name);
    }
}

#[test]
fn no_truncated_or_changed_vector_is_read_otherwise_for_its_cuts() {
    for vector in vectors_from(Sender::Agency) {
        for at in 0..vector.bytes.len() {
            let mut changed = vector.bytes.clone();
            for byte in [0, 1, 0xff, b',', b';', b'#', b'@', changed[at] ^ 1] {
                changed[at] = byte;
                let whole = meaning(&changed, usize::MAX);
                assert_eq!(meaning(&changed, 1), whole, "{} at {at}", vector.name);
            }
            let cut = &vector.bytes[..at];
            assert_eq!(meaning(cut, 1), meaning(cut, usize::MAX), "{} cut at {at}", vector.name);
        }
    }
}

/// Bets that an office takes, of one agency, without what cannot travel in this dialect.
fn a_batch() -> impl Strategy<Value = Vec<String>> {
    let name = "[a-zñÁ李 @.'-]{1,12}";
    let bet = (name, name, "[0-9]{1,12}", 1900..2020_u32, 1..=12_u32, 1..=28_u32, 0..=9999_u32);
    (1..=AGENCIES, vec(bet, 1..40)).prop_map(|(agency, bets)| {
        let text = |(first, last, document, year, month, day, number)| {
            format!("{agency},{first},{last},{document},{year}-{month:02}-{day:02},{number}")
        };
        bets.into_iter().map(text).collect()
    })
}

proptest! {
    #[test]
    fn a_batch_is_stored_as_it_was_sent_and_sent_as_it_is_stored(bets in a_batch()) {
        let text = bets.join(";");
        let body = body_of(text.as_bytes()).unwrap();
        let items = bets.iter().enumerate().map(|(i, bet)| format!("@{i}#{}#", bet.replace(',', "#")));
        let expected = format!("{}#{}", bets.len(), items.collect::<String>());
        prop_assert_eq!(std::str::from_utf8(&body), Ok(expected.as_str()));
        prop_assert_eq!(Batch::validate(&body, AGENCIES).map(|batch| batch.bets() as usize), Ok(bets.len()));
        prop_assert_eq!(text_of(&body).unwrap(), text.clone());
        prop_assert_eq!(body_of(format!("{text};").as_bytes()).unwrap(), body);
    }

    #[test]
    fn any_text_is_a_batch_or_refused(
        text in vec(prop_oneof![Just(b','), Just(b';'), Just(b'#'), Just(b'1'), any::<u8>()], 0..200),
    ) {
        if let Ok(body) = body_of(&text) {
            prop_assert!(body.len() <= BODY_LENGTH_MAX);
            let judged = Batch::validate(&body, AGENCIES).map(|batch| (batch.bets(), batch.agency()));
            prop_assert_eq!(judged, reference::reference(&body, AGENCIES));
        }
    }

    #[test]
    fn frames_cut_anywhere_and_held_anywhere_are_the_same(
        sent in vec(vec(any::<u8>(), 0..60), 0..12),
        sizes in vec(1..60_usize, 1..20),
        holds in vec(proptest::bool::weighted(0.3), 1..20),
    ) {
        let mut stream = Vec::new();
        sent.iter().for_each(|text| encode(text, &mut stream));
        let mut decoder = Decoder::default();
        let mut received = Vec::new();
        let (mut sizes, mut holds) = (sizes.iter().cycle(), holds.iter().cycle());
        let mut left = stream.as_slice();
        while !left.is_empty() {
            let (mut input, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
            left = later;
            while let (taken, Some(text)) = decoder.next(input) {
                received.push(text.to_vec());
                input = &input[taken..];
                if *holds.next().unwrap() {
                    // Held: what came with it is kept, and so is what still comes before it goes on.
                    decoder.keep(input);
                    let (more, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
                    decoder.keep(more);
                    (input, left) = (&[], later);
                }
            }
        }
        prop_assert_eq!(received, sent);
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..200),
        size in 1..20_usize,
    ) {
        let opened = [b"\0\x03BET", bytes.as_slice()].concat();
        for bytes in [bytes, opened] {
            prop_assert_eq!(meaning(&bytes, size), meaning(&bytes, usize::MAX));
        }
    }
}
