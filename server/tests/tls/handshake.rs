//! Until the session inside is opened, and who it is opened for.

use bolillero_server::session::{Flow, Input, Mail};
use bolillero_tls::rustls::{AlertDescription, Error, HandshakeKind};
use bolillero_tls::server::Admission;

use crate::rig::{Given, HANDSHAKE, Pair, bytes, client_config};

fn nothing(_: &Given, _: &mut Vec<u8>) -> Flow {
    Flow::Continue
}

#[test]
fn a_session_is_opened_after_the_handshake_for_the_agency_of_the_certificate() {
    for (admission, certificate, agency) in [
        (Admission::Anyone, None, None),
        (Admission::Anyone, Some("agency"), None),
        (Admission::Certified, Some("agency"), Some(7)),
        (Admission::Certified, Some("nobody"), None),
        (Admission::Agency, Some("agency"), Some(7)),
    ] {
        let mut pair = Pair::with(admission, client_config(certificate), nothing);
        let hello = pair.records();
        assert_eq!(pair.hand_in(Input::Bytes(&hello)), Flow::Continue);
        assert_eq!(pair.notes.lock().unwrap().opened, [], "{admission:?} {certificate:?}");
        pair.deliver();
        pair.shake_hands();
        assert_eq!(pair.notes.lock().unwrap().opened, [agency], "{admission:?} {certificate:?}");
        assert_eq!(pair.given(), []);
    }
}

#[test]
fn who_has_no_good_certificate_gets_an_alert_and_no_session() {
    for (admission, certificate, alert) in [
        (Admission::Certified, None, AlertDescription::CertificateRequired),
        (Admission::Agency, None, AlertDescription::CertificateRequired),
        (Admission::Agency, Some("nobody"), AlertDescription::CertificateUnknown),
    ] {
        let mut pair = Pair::with(admission, client_config(certificate), nothing);
        let hello = pair.records();
        assert_eq!(pair.hand_in(Input::Bytes(&hello)), Flow::Continue);
        pair.deliver();
        let finished = pair.records();
        assert_eq!(pair.hand_in(Input::Bytes(&finished)), Flow::Close);
        let out = std::mem::take(&mut pair.out);
        pair.client.read_tls(&mut &out[..]).unwrap();
        let error = pair.client.process_new_packets().unwrap_err();
        assert_eq!(error, Error::AlertReceived(alert), "{admission:?} {certificate:?}");
        assert_eq!(pair.notes.lock().unwrap().opened, []);
    }
}

#[test]
fn a_second_connection_resumes_and_is_still_of_the_same_agency() {
    let config = client_config(Some("agency"));
    let kinds = [HandshakeKind::Full, HandshakeKind::Resumed];
    for kind in kinds {
        let mut pair = Pair::with(Admission::Agency, config.clone(), nothing);
        pair.shake_hands();
        assert_eq!(pair.client.handshake_kind(), Some(kind));
        assert_eq!(pair.notes.lock().unwrap().opened, [Some(7)]);
    }
    // What one service let in is not let in by another that asks for more.
    let config = client_config(None);
    Pair::with(Admission::Anyone, config.clone(), nothing).shake_hands();
    let mut pair = Pair::with(Admission::Agency, config, nothing);
    let hello = pair.records();
    assert_eq!(pair.hand_in(Input::Bytes(&hello)), Flow::Continue);
    pair.deliver();
    let finished = pair.records();
    assert_eq!(pair.hand_in(Input::Bytes(&finished)), Flow::Close);
}

#[test]
fn a_handshake_has_a_deadline_of_its_own_and_ends_with_any_end() {
    for (input, flow) in [
        (Input::Deadline, Flow::Close),
        (Input::Eof, Flow::Close),
        (Input::Mail(Mail::Shutdown), Flow::Close),
        (Input::Mail(Mail::News), Flow::Continue),
        (Input::Drained, Flow::Continue),
    ] {
        let mut pair = Pair::new(nothing);
        let hello = pair.records();
        assert_eq!(pair.wait().unwrap().time_max, HANDSHAKE);
        let id = pair.wait().unwrap().id;
        assert_eq!(pair.hand_in(Input::Bytes(&hello[..hello.len() / 2])), Flow::Continue);
        assert_eq!(pair.wait().unwrap().id, id, "bytes do not restart the clock");
        let told = format!("{input:?}");
        assert_eq!(pair.hand_in(input), flow, "{told}");
        assert_eq!(pair.out, b"", "{told}");
    }
}

#[test]
fn what_does_not_begin_as_tls_is_closed_at_once_with_an_alert() {
    for first in [&b"{"[..], b"\x05\x00\x00\x00\x021#", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut pair = Pair::new(nothing);
        assert_eq!(pair.hand_in(Input::Bytes(first)), Flow::Close, "{first:?}");
        assert_eq!(pair.out, [21, 3, 3, 0, 2, 2, 10], "{first:?}");
    }
}

#[test]
fn a_hello_in_the_smallest_pieces_takes_no_more_than_its_limit() {
    let piece = |byte| [22, 3, 1, 0, 1, byte];
    let mut pair = Pair::new(nothing);
    // A hello that is to have 60,000 bytes.
    for byte in [1, 0, 234, 96] {
        assert_eq!(pair.hand_in(Input::Bytes(&piece(byte))), Flow::Continue);
    }
    let pieces = piece(0).repeat(1000);
    let taken = (0..60).take_while(|_| pair.hand_in(Input::Bytes(&pieces)) == Flow::Continue);
    let taken = taken.count() * pieces.len();
    assert!((100 << 10..=128 << 10).contains(&taken), "{taken}");
}

#[test]
fn what_comes_right_behind_the_handshake_is_not_lost() {
    let mut pair = Pair::new(nothing);
    let hello = pair.records();
    assert_eq!(pair.hand_in(Input::Bytes(&hello)), Flow::Continue);
    pair.deliver();
    let mut last = pair.say(b"first");
    last.extend(pair.say(b"second"));
    assert_eq!(pair.hand_in(Input::Bytes(&last)), Flow::Continue);
    let given = pair.given().into_iter().map(|given| match given {
        Given::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    });
    assert_eq!(given.collect::<Vec<_>>().concat(), b"firstsecond");
}

#[test]
fn an_end_right_behind_the_handshake_is_told() {
    for words in [&b""[..], b"words"] {
        let mut pair = Pair::new(nothing);
        let hello = pair.records();
        assert_eq!(pair.hand_in(Input::Bytes(&hello)), Flow::Continue);
        pair.deliver();
        let mut last = pair.say(words);
        pair.client.send_close_notify();
        last.extend(pair.records());
        assert_eq!(pair.hand_in(Input::Bytes(&last)), Flow::Continue);
        assert_eq!(pair.given().last(), Some(&Given::Eof), "{words:?}");
    }
}

#[test]
fn after_the_handshake_the_wait_is_that_of_the_session_inside() {
    let mut pair = Pair::connected(nothing);
    assert_eq!(pair.wait(), None);
    let wait = bolillero_server::session::Wait { id: 3, time_max: HANDSHAKE * 2 };
    pair.notes.lock().unwrap().wait = Some(wait);
    assert_eq!(pair.wait(), Some(wait));
    let said = pair.say(b"x");
    assert_eq!(pair.hand_in(Input::Bytes(&said)), Flow::Continue);
    assert_eq!(pair.hand_in(Input::Deadline), Flow::Continue);
    assert_eq!(pair.given(), [bytes("x"), Given::Deadline]);
}
