//! How a connection ends: by its peer, or because the server stops. What is owed leaves first.

use crate::support::*;

#[test]
fn what_is_owed_leaves_before_the_end() {
    type End = fn(&mut Client);
    let ends: [(&str, End, &[Reply]); 3] = [
        // What comes after an end means nothing.
        ("op 0", |client| client.send(&[packet(0, ""), numbered(101, 1, &[1])].concat()), &[]),
        ("half-close", Client::half_close, &[]),
        (
            "corrupt",
            |client| client.send(&[packet(2, ""), numbered(101, 1, &[1])].concat()),
            &[(-1, String::new())],
        ),
    ];
    for (name, end, last) in ends {
        let mut central = Central::new(2);
        let mut client = central.session(1);
        let bodies: Vec<String> = (1..=100).map(|n| body(1, &[n])).collect();
        for (seq, body) in (1..).zip(&bodies) {
            client.send(&packet(11, format!("{seq}#{body}")));
        }
        end(&mut client);
        assert!(!client.is_closed(), "{name}");
        assert_eq!(client.replies(), []);
        central.settle();
        let mut replies = client.replies();
        central.settle();
        replies.extend(client.replies());
        let receipts = (1..=100).map(|n| receipt(&bodies[..n]));
        assert_eq!(replies, receipts.chain(last.iter().cloned()).collect::<Vec<_>>(), "{name}");
        assert!(client.is_closed(), "{name}");
        assert_eq!(central.stored().0[0].len(), 100, "{name}");
    }
}

#[test]
fn a_connection_that_is_owed_nothing_closes_at_once() {
    type End = (&'static str, fn(&mut Client));
    let ends: [End; 3] = [
        ("op 0", |client| client.send(&packet(0, ""))),
        ("half-close", Client::half_close),
        ("half-close in a packet", |client| {
            client.send(b"\x03\0\0");
            client.half_close();
        }),
    ];
    for (name, end) in ends {
        let mut client = Central::new(1).connect();
        end(&mut client);
        assert_eq!((client.replies(), client.is_closed()), (vec![], true), "{name}");
    }
}

#[test]
fn who_ended_its_sending_is_still_told_its_winners() {
    for end in [Client::half_close as fn(&mut Client), |client| client.send(&packet(0, ""))] {
        let mut central = Central::new(1);
        let mut client = central.session(1);
        client.send(&[session_ready(1, 0, 0), ask(1)].concat());
        end(&mut client);
        central.settle();
        assert_eq!((client.replies(), client.is_closed()), (vec![ack(), winners("#")], true));
    }
}

#[test]
fn a_connection_that_is_owed_nothing_is_told_of_the_stop_and_closed() {
    type Row = (&'static str, fn(&mut Central) -> Client, &'static [i8]);
    fn sent(central: &mut Central, bytes: &[u8]) -> Client {
        let mut client = central.session(1);
        client.send(bytes);
        client
    }
    let rows: [Row; 8] = [
        ("silent", |central| central.connect(), &[0]),
        ("a silent session", |central| central.session(1), &[0]),
        ("half a packet", |central| sent(central, b"\x0b\0\0"), &[0]),
        ("waiting for winners", |central| sent(central, &ask(1)), &[0]),
        ("waiting, and half a packet", |central| sent(central, &[ask(1), vec![5]].concat()), &[0]),
        ("waiting, with more behind", |central| sent(central, &ask(1).repeat(200)), &[0]),
        (
            "waiting, and a batch behind",
            |central| sent(central, &[ask(1), numbered(1, 1, &[1])].concat()),
            &[0],
        ),
        ("waiting, said op 0", |central| sent(central, &[ask(1), packet(0, "")].concat()), &[]),
    ];
    for (name, situation, expected) in rows {
        let mut central = Central::new(2);
        let mut client = situation(&mut central);
        assert_eq!(client.replies(), [], "{name}");
        client.stop();
        let opcodes: Vec<i8> = client.replies().iter().map(|reply| reply.0).collect();
        assert_eq!((opcodes.as_slice(), client.is_closed()), (expected, true), "{name}");
    }
}

#[test]
fn at_a_stop_what_had_arrived_is_finished_first() {
    let mut central = Central::new(2);
    let mut client = central.session(1);
    let bodies: Vec<String> = (1..=150).map(|n| body(1, &[n])).collect();
    for (seq, body) in (1..).zip(&bodies) {
        client.send(&packet(11, format!("{seq}#{body}")));
    }
    client.send(&[session_ready(1, 150, 150), ask(1), b"\x0b".to_vec()].concat());
    client.stop();
    let mut replies = Vec::new();
    for group in 0..3 {
        assert!(!client.is_closed(), "group {group}");
        assert_eq!(client.replies(), []);
        central.commit();
        replies.extend(client.replies());
    }
    let receipts = (1..=150).map(|n| receipt(&bodies[..n]));
    assert_eq!(replies, receipts.chain([ack(), close()]).collect::<Vec<_>>());
    assert!(client.is_closed());
    central.check_replay();
}

#[test]
fn at_a_stop_a_packet_of_which_only_a_part_was_taken_is_finished() {
    let setup = Setup::default();
    let limits =
        bolillero_server::lottery::session::SessionLimits { unanswered_max: 1, ..setup.limits };
    let mut central = Central::with(Setup { limits, ..setup });
    let mut client = central.session(1);
    let (first, second) = (numbered(1, 1, &[1]), numbered(2, 1, &[2]));
    let (part, rest) = second.split_at(9);
    client.send(&[&first, part].concat());
    assert!(client.is_held());
    // It has arrived, and cannot be taken yet.
    client.send(rest);
    client.stop();
    central.commit();
    let mut replies = client.replies();
    assert!(!client.is_closed());
    central.commit();
    replies.extend(client.replies());
    let bodies = [body(1, &[1]), body(1, &[2])];
    assert_eq!(replies, [receipt(&bodies[..1]), receipt(&bodies), close()]);
    assert!(client.is_closed());
}

#[test]
fn at_a_stop_a_draw_that_is_due_is_waited_for() {
    let mut central = Central::new(2);
    let mut waiting = central.session(1);
    waiting.send(&[session_ready(1, 0, 0), ask(1)].concat());
    central.commit();
    assert_eq!(waiting.replies(), [ack()]);
    let mut last = central.connect();
    last.send(&ready(2));
    let mut base = central.connect();
    base.send(&ask(1));
    for client in [&mut waiting, &mut last, &mut base] {
        client.stop();
    }
    assert_eq!((base.replies(), base.is_closed()), (vec![busy(), close()], true));
    assert!(!waiting.is_closed() && !last.is_closed());
    central.settle();
    assert_eq!((last.replies(), last.is_closed()), (vec![ack(), close()], true));
    assert_eq!(waiting.replies(), [winners("#"), close()]);
    assert!(waiting.is_closed());
}

#[test]
fn at_a_stop_output_that_was_over_the_limit_leaves_whole() {
    let setup = Setup::default();
    let limits =
        bolillero_server::lottery::session::SessionLimits { output_bytes_max: 10, ..setup.limits };
    let central = Central::with(Setup { limits, ..setup });
    let mut client = central.connect();
    client.send(&ask(1).repeat(5));
    client.stop();
    assert_eq!(client.replies(), [busy(), busy(), busy(), busy(), busy(), close()]);
    assert!(client.is_closed());
}
