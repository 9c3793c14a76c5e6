//! Records, however they are cut, and what is wrong with them.

use bolillero_server::session::{Flow, Input};
use bolillero_tls::rustls::{AlertDescription, Error};
use proptest::prelude::*;

use crate::rig::{Given, Pair, bytes, split_records};

fn echo(given: &Given, out: &mut Vec<u8>) -> Flow {
    if let Given::Bytes(bytes) = given {
        out.extend_from_slice(bytes);
    }
    Flow::Continue
}

#[test]
fn a_whole_conversation_in_single_bytes_is_the_same() {
    let mut pair = Pair::new(echo);
    for said in [&b""[..], b"", b"hello", b"again"] {
        let records = pair.say(said);
        for byte in records {
            assert_eq!(pair.hand_in(Input::Bytes(&[byte])), Flow::Continue);
        }
        let out = std::mem::take(&mut pair.out);
        let heard: Vec<u8> = out.iter().flat_map(|byte| pair.take(&[*byte])).collect();
        assert_eq!(heard, said);
    }
}

#[test]
fn one_answer_is_one_record_up_to_what_a_record_holds() {
    for (size, records) in [(1, 1), (1024, 1), (16_384, 1), (16_385, 2), (100_000, 7)] {
        let mut pair = Pair::connected(move |given, out| {
            if matches!(given, Given::News) {
                out.resize(out.len() + size, b'x');
            }
            Flow::Continue
        });
        let news = Input::Mail(bolillero_server::session::Mail::News);
        assert_eq!(pair.hand_in(news), Flow::Continue);
        assert_eq!(split_records(&pair.out).len(), records, "{size}");
        assert_eq!(pair.deliver().len(), size);
    }
}

#[test]
fn answers_to_what_came_together_leave_in_one_record() {
    let mut pair = Pair::connected(echo);
    let said: Vec<u8> = (0..5).flat_map(|_| pair.say(b"line\n")).collect();
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    assert_eq!(split_records(&pair.out).len(), 1);
    assert_eq!(pair.deliver(), b"line\n".repeat(5));
}

#[test]
fn a_record_that_is_wrong_ends_the_connection_with_an_alert_and_what_was_whole_was_taken() {
    for (name, spoil, alert) in [
        (
            "damaged",
            (|record: &mut Vec<u8>| *record.last_mut().unwrap() ^= 1) as fn(&mut Vec<u8>),
            AlertDescription::BadRecordMac,
        ),
        ("of another kind", |record| record[0] = 99, AlertDescription::DecodeError),
        (
            "too long",
            |record| record[3..5].copy_from_slice(&[0xff, 0xff]),
            AlertDescription::DecodeError,
        ),
    ] {
        let mut pair = Pair::connected(|_, _| Flow::Continue);
        let mut said = pair.say(b"whole");
        let mut wrong = pair.say(b"wrong");
        spoil(&mut wrong);
        said.extend(wrong);
        assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Close, "{name}");
        assert_eq!(pair.given(), [bytes("whole")], "{name}");
        let out = std::mem::take(&mut pair.out);
        pair.client.read_tls(&mut &out[..]).unwrap();
        let error = pair.client.process_new_packets().unwrap_err();
        assert_eq!(error, Error::AlertReceived(alert), "{name}");
    }
}

#[test]
fn a_peer_may_change_its_keys() {
    let mut pair = Pair::connected(echo);
    let mut said = pair.say(b"old");
    pair.client.refresh_traffic_keys().unwrap();
    said.extend(pair.say(b"new"));
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    assert_eq!(pair.deliver(), b"oldnew");
    let said = pair.say(b"more");
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    assert_eq!(pair.deliver(), b"more");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_the_same(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40_000), 1..5),
        cut in 1usize..50_000,
    ) {
        let mut pair = Pair::connected(echo);
        let records: Vec<u8> = messages.iter().flat_map(|message| pair.say(message)).collect();
        let mut heard = Vec::new();
        for piece in records.chunks(cut) {
            prop_assert_eq!(pair.hand_in(Input::Bytes(piece)), Flow::Continue);
            heard.extend(pair.deliver());
        }
        prop_assert!(heard == messages.concat());
    }

    /// Junk never panics, and what is not TLS is never an open connection for long.
    #[test]
    fn junk_ends_a_connection_or_waits_for_more(junk in proptest::collection::vec(any::<u8>(), 1..2000), whole in any::<bool>()) {
        let mut pair = Pair::new(echo);
        if whole {
            pair.shake_hands();
        }
        let _ = pair.hand_in(Input::Bytes(&junk));
        prop_assert_eq!(pair.given(), []);
    }
}
