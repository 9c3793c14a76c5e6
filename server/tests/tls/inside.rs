//! What a session can rely on is the same inside TLS as without it.

use bolillero_server::session::{Flow, Input, Mail};

use crate::rig::{Given, Pair, bytes};

/// Answers `go` and what is no bytes by going on, all else by holding.
fn hold_until_told(given: &Given, out: &mut Vec<u8>) -> Flow {
    match given {
        Given::Bytes(bytes) => {
            out.extend_from_slice(bytes);
            Flow::Hold
        }
        _ => Flow::Continue,
    }
}

#[test]
fn a_session_that_holds_gets_what_had_come_and_the_end_behind_it_when_it_goes_on() {
    let mut pair = Pair::connected(hold_until_told);
    let mut said = pair.say(b"one");
    said.extend(pair.say(b"two"));
    pair.client.send_close_notify();
    said.extend(pair.records());
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Hold);
    assert_eq!(pair.given(), [bytes("one")]);
    assert_eq!(pair.deliver(), b"one");
    assert_eq!(pair.hand_in(Input::Drained), Flow::Hold);
    assert_eq!(pair.given(), [Given::Drained, bytes("two")]);
    assert_eq!(pair.deliver(), b"two");
    assert_eq!(pair.hand_in(Input::Mail(Mail::News)), Flow::Continue);
    assert_eq!(pair.given(), [Given::News, Given::Eof]);
    // The socket's own end says nothing new.
    assert_eq!(pair.hand_in(Input::Eof), Flow::Continue);
    assert_eq!(pair.given(), []);
}

#[test]
fn a_stop_is_told_at_once_and_what_had_come_is_still_taken() {
    let mut pair = Pair::connected(hold_until_told);
    let mut said = pair.say(b"one");
    said.extend(pair.say(b"two"));
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Hold);
    assert_eq!(pair.hand_in(Input::Mail(Mail::Shutdown)), Flow::Hold);
    assert_eq!(pair.given(), [bytes("one"), Given::Stop, bytes("two")]);
}

#[test]
fn a_session_sees_all_output_that_has_not_left() {
    let seen = |given: &Given, out: &mut Vec<u8>| {
        if matches!(given, Given::Bytes(_)) {
            let before = u32::try_from(out.len()).unwrap();
            out.extend_from_slice(&before.to_be_bytes());
        }
        Flow::Continue
    };
    let mut pair = Pair::connected(seen);
    let mut said = pair.say(b"one");
    said.extend(pair.say(b"two"));
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    let unsent = u32::try_from(pair.out.len()).unwrap();
    let said = pair.say(b"three");
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    let numbers = pair.deliver();
    let numbers = numbers.chunks(4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 4, unsent]);
}

#[test]
fn the_last_words_are_followed_by_the_end_and_nothing_is_taken_behind_them() {
    let close = |_: &Given, out: &mut Vec<u8>| {
        out.extend_from_slice(b"bye");
        Flow::Close
    };
    let mut pair = Pair::connected(close);
    let mut said = pair.say(b"one");
    said.extend(pair.say(b"two"));
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Close);
    assert_eq!(pair.given(), [bytes("one")]);
    assert_eq!(pair.deliver(), b"bye");
    let ended = pair.client.process_new_packets().unwrap();
    assert!(ended.peer_has_closed());
}

#[test]
fn an_end_without_a_word_is_an_end() {
    let mut pair = Pair::connected(|_, _| Flow::Continue);
    let said = pair.say(b"whole");
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    let cut = pair.say(b"cut");
    assert_eq!(pair.hand_in(Input::Bytes(&cut[..cut.len() - 1])), Flow::Continue);
    assert_eq!(pair.hand_in(Input::Eof), Flow::Continue);
    assert_eq!(pair.given(), [bytes("whole"), Given::Eof]);
}

#[test]
fn what_others_tell_a_session_reaches_it_and_its_answer_leaves() {
    let mut pair = Pair::connected(|given, out| {
        if *given == Given::News {
            out.extend_from_slice(b"news");
        }
        Flow::Continue
    });
    assert_eq!(pair.hand_in(Input::Mail(Mail::News)), Flow::Continue);
    assert_eq!(pair.deliver(), b"news");
}
