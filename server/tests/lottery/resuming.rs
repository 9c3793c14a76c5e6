//! Several connections of one agency: the newest wins, and a client that comes back finds where it was.

use crate::support::*;

#[test]
fn the_newest_connection_wins_and_the_old_one_still_gets_what_it_is_owed() {
    let mut central = Central::new(2);
    let mut old = central.session(1);
    old.send(&numbered(1, 1, &[1]));
    let mut new = central.connect();
    new.send(&hello(1));
    old.send(&numbered(2, 1, &[2]));
    assert_eq!((old.replies(), new.replies()), (vec![], vec![]));

    central.settle();
    let stored = [body(1, &[1])];
    assert_eq!(new.replies(), [welcome(2, &stored, false)]);
    assert_eq!(old.replies(), [receipt(&stored), fenced()]);
    assert!(old.is_closed());

    new.send(&numbered(2, 1, &[2]));
    central.settle();
    assert_eq!(new.replies(), [receipt(&[body(1, &[1]), body(1, &[2])])]);
}

#[test]
fn a_connection_that_comes_back_gets_the_receipt_of_then() {
    let mut central = Central::new(2);
    let mut client = central.session(1);
    let bodies: Vec<String> = (1..=40).map(|n| body(1, &[n, n])).collect();
    for (seq, body) in (1..).zip(&bodies) {
        client.send(&packet(11, format!("{seq}#{body}")));
    }
    central.settle();
    // Nothing was read: the connection is lost with all its receipts.
    drop(client);

    for epoch in 2..=4 {
        let mut client = central.connect();
        client.send(&hello(1));
        central.settle();
        assert_eq!(client.replies(), [welcome(epoch, &bodies, false)]);
        for n in 1..=40 {
            client.send(&packet(11, format!("{n}#{}", bodies[n - 1])));
        }
        let receipts: Vec<Reply> = (1..=40).map(|n| receipt(&bodies[..n])).collect();
        assert_eq!(client.replies(), receipts);
        if epoch == 3 {
            central = central.restart();
        }
    }
    assert_eq!(central.stored().0[0].len(), 40);
}

#[test]
fn the_last_128_batches_are_remembered_and_no_more() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    let bodies: Vec<String> = (1..=130).map(|n| body(1, &[n])).collect();
    for (seq, body) in (1..).zip(&bodies) {
        client.send(&packet(11, format!("{seq}#{body}")));
        central.settle();
    }
    assert_eq!(client.replies().len(), 130);
    let mut central = central.restart();
    let mut client = central.session(1);
    let mut again = |seq: usize, body: &str| {
        client.send(&packet(11, format!("{seq}#{body}")));
        client.replies().remove(0)
    };
    let old = |seq| (4, format!("OLD#{seq}#batch {seq} was stored too long ago to compare#"));
    assert_eq!(again(1, &bodies[0]), old(1));
    assert_eq!(again(2, &bodies[1]), old(2));
    assert_eq!(again(2, "0#"), old(2));
    assert_eq!(again(3, &bodies[2]), receipt(&bodies[..3]));
    assert_eq!(again(3, &bodies[1]).1.split('#').next(), Some("CONFLICT"));
    assert_eq!(again(130, &bodies[129]), receipt(&bodies));
}

#[test]
fn a_lane_of_a_small_memory_remembers_8_and_a_client_that_resumes_never_meets_that() {
    let setup = Setup { agencies: 1, remembered_bytes_max: 0, ..Setup::default() };
    let mut central = Central::with(setup);
    let mut client = central.session(1);
    let bodies: Vec<String> = (1..=40).map(|n| body(1, &[n])).collect();
    let put = |seq: usize| packet(11, format!("{seq}#{}", bodies[seq - 1]));
    // A window of 30 is on its way, and the connection is lost with all their receipts.
    (1..=30).for_each(|seq| client.send(&put(seq)));
    central.settle();
    drop(client);
    let mut client = central.connect();
    client.send(&hello(1));
    central.settle();
    assert_eq!(client.replies(), [welcome(2, &bodies[..30], false)]);
    // One that sends again from its last receipt on, and not from WELCOME's next.
    (22..=23).for_each(|seq| client.send(&put(seq)));
    let old = (4, "OLD#22#batch 22 was stored too long ago to compare#".to_owned());
    assert_eq!(client.replies(), [old, receipt(&bodies[..23])]);
    (31..=40).for_each(|seq| client.send(&put(seq)));
    central.settle();
    let receipts: Vec<Reply> = (31..=40).map(|n| receipt(&bodies[..n])).collect();
    assert_eq!(client.replies(), receipts);
    central.check_replay();
}

#[test]
fn bets_of_base_packets_are_chained_as_batches() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    client.send(
        &[packet(1, bet(1, 7)), batch(1, &[8, 9]), packet(3, "0#"), packet(1, bet(1, 0))].concat(),
    );
    central.settle();
    assert_eq!(client.replies(), [ack(), ack(), ack(), ack()]);
    let bodies = [body(1, &[7]), body(1, &[8, 9]), body(1, &[0])];
    let mut session = central.connect();
    session.send(&hello(1));
    central.settle();
    assert_eq!(session.replies(), [welcome(1, &bodies, false)]);
    session.send(&packet(11, format!("2#{}", bodies[1])));
    assert_eq!(session.replies(), [receipt(&bodies[..2])]);
}

#[test]
fn a_base_connection_is_shut_out_once_its_lane_said_hello_elsewhere() {
    let mut central = Central::new(2);
    let mut base = central.connect();
    base.send(&batch(1, &[1]));
    let mut session = central.connect();
    session.send(&hello(1));
    base.send(&[batch(1, &[2]), ready(1), batch(2, &[3])].concat());
    central.settle();
    let refused = (4, "agency 1 works in sessions: base packets are refused".to_owned());
    assert_eq!(base.replies(), [ack(), refused.clone(), refused, ack()]);
    assert_eq!(session.replies(), [welcome(1, &[body(1, &[1])], false)]);
}
