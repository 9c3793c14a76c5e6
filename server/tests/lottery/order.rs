//! Answers leave in the order of the requests, however the bytes are cut and however many come at once.

use crate::support::*;

/// A base conversation with everything in it but a 6 before the draw: what that is answered depends on when it leaves.
fn base_requests() -> Vec<u8> {
    [
        packet(1, bet(1, 7574)),
        batch(1, &[1, 2]),
        packet(3, "0#"),
        packet(3, "1#@0#1#Ana#"),
        packet(5, "x#"),
        ready(1),
        ready(1),
        packet(6, "1"),
        batch(1, &[3]),
        packet(0, ""),
    ]
    .concat()
}

/// A session with everything in it; what is no packet ends it.
fn session_requests() -> Vec<u8> {
    [
        hello(1),
        numbered(1, 1, &[7574]),
        numbered(2, 1, &[7574, 5]),
        numbered(1, 1, &[7574]),
        numbered(9, 1, &[1]),
        packet(11, "x#"),
        batch(1, &[1]),
        session_ready(1, 2, 3),
        ask(1),
        numbered(3, 1, &[1]),
        session_ready(1, 2, 3),
        packet(3, "no list"),
    ]
    .concat()
}

/// What comes back for `pieces`, with the committer and the drawer at work after each.
fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut central = Central::new(1);
    let mut client = central.connect();
    let mut replies = Vec::new();
    for piece in pieces {
        client.send(piece);
        central.settle();
        replies.extend(client.read());
    }
    assert!(client.is_closed());
    central.check_replay();
    replies
}

#[test]
fn bytes_cut_at_any_place_give_the_same_answers() {
    for (requests, answers) in [(base_requests(), 9), (session_requests(), 12)] {
        let expected = converse([requests.as_slice()]);
        assert_eq!(packets(&expected).len(), answers);
        assert_eq!(converse(requests.chunks(1)), expected, "single bytes");
        for at in 0..=requests.len() {
            let (first, second) = requests.split_at(at);
            assert_eq!(converse([first, second]), expected, "cut at {at}");
        }
        for size in 2..40 {
            assert_eq!(converse(requests.chunks(size)), expected, "pieces of {size}");
        }
    }
}

#[test]
fn many_requests_are_answered_in_order_and_the_65th_waits_unread() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    let bodies: Vec<String> = (1..=200).map(|n| body(1, &[n])).collect();
    for (seq, body) in (1..).zip(&bodies) {
        client.send(&packet(11, format!("{seq}#{body}")));
        assert_eq!(client.is_held(), seq > 64, "after {seq}");
        assert_eq!(client.wait(), None, "an answer is owed");
    }
    let mut replies = Vec::new();
    for stored in [64, 128, 192, 200] {
        assert_eq!(client.replies(), []);
        central.commit();
        assert_eq!(central.stored().0[0].len(), stored);
        replies.extend(client.replies());
        assert_eq!(replies.len(), stored);
    }
    let receipts: Vec<Reply> = (1..=200).map(|n| receipt(&bodies[..n])).collect();
    assert_eq!(replies, receipts);
    assert!(!client.is_held());
}

#[test]
fn a_full_window_of_answers_that_rest_on_nothing_holds_nobody_up() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    client.send(&ask(1).repeat(1000));
    assert_eq!(client.replies(), vec![busy(); 1000]);
    // Behind one that is not on disk they wait, and all leave with it.
    client.send(&[batch(1, &[1]), ask(1).repeat(1000)].concat());
    assert!(client.is_held());
    assert_eq!(client.replies(), []);
    central.commit();
    let replies = client.replies();
    assert_eq!((replies.len(), &replies[0], &replies[1000]), (1001, &ack(), &busy()));
}

#[test]
fn answers_over_the_limit_of_output_wait_until_it_has_drained() {
    let setup = Setup::default();
    let limits =
        bolillero_server::lottery::session::SessionLimits { output_bytes_max: 20, ..setup.limits };
    let mut central = Central::with(Setup { limits, ..setup });
    let mut client = central.connect();
    client.send(&ask(1).repeat(100));
    assert_eq!(client.unread_output(), 20);
    assert!(client.is_held());
    client.send(&[batch(1, &[1]), packet(0, "")].concat());
    assert_eq!(client.unread_output(), 20);
    let replies = client.replies();
    assert_eq!(replies, vec![busy(); 100]);
    central.commit();
    assert_eq!(client.replies(), [ack()]);
    assert!(client.is_closed());
}
