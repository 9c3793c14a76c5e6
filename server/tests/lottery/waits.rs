//! The deadlines a connection is under, and those it is not.

use std::time::Duration;

use crate::support::*;

const PACKET: Option<Duration> = Some(Duration::from_secs(60));
const IDLE: Option<Duration> = Some(Duration::from_secs(600));

#[test]
fn an_idle_connection_and_an_unfinished_packet_have_their_deadlines() {
    let mut central = Central::new(2);
    let mut session = central.session(1);
    let mut base = central.connect();
    let time = |client: &Client| client.wait().map(|wait| wait.time_max);
    let check = |name: &str, client: &mut Client, bytes: &[u8], expected: Option<Duration>| {
        client.send(bytes);
        let _ = client.read();
        assert_eq!(time(client), expected, "{name}");
    };
    check("nothing", &mut base, b"", IDLE);
    check("a first byte", &mut base, b"\x06", PACKET);
    check("a header", &mut base, b"\0\0\0\x02", PACKET);
    check("all but one byte", &mut base, b"1", PACKET);
    check("the packet, answered", &mut base, b"#", IDLE);
    check("a packet and a byte", &mut base, &[ask(1), b"\x06".to_vec()].concat(), PACKET);
    check("the rest, and a batch", &mut base, &[&ask(1)[1..], &batch(2, &[1])].concat(), None);
    check("an answer owed, and half a packet", &mut base, b"\x03\0", None);
    check("a session", &mut session, b"", IDLE);
    check("that waits for winners", &mut session, &ask(1), None);
    check("and sends half a packet", &mut session, b"\x0b\0", None);
    central.settle();
    assert_eq!(base.replies(), [ack()]);
    assert_eq!(time(&base), PACKET, "it is no longer owed anything");
}

#[test]
fn a_trickling_packet_keeps_its_wait_and_each_new_one_has_its_own() {
    let central = Central::new(2);
    let mut client = central.connect();
    let mut seen = vec![client.wait().unwrap().id];
    for _ in 0..3 {
        let request = ask(1);
        client.send(&request[..1]);
        let trickling = client.wait().unwrap().id;
        assert!(!seen.contains(&trickling));
        seen.push(trickling);
        for byte in &request[1..request.len() - 1] {
            client.send(&[*byte]);
            assert_eq!(client.wait().unwrap().id, trickling);
        }
        client.send(&request[request.len() - 1..]);
        assert_eq!(client.replies(), [busy()]);
        let idle = client.wait().unwrap().id;
        assert!(!seen.contains(&idle));
        seen.push(idle);
    }
    // A packet that ends and the next one's first bytes come together.
    let before = {
        client.send(&ask(1)[..3]);
        client.wait().unwrap().id
    };
    client.send(&[&ask(1)[3..], &ask(1)[..3]].concat());
    assert_ne!(client.wait().unwrap().id, before);
}

#[test]
fn who_is_too_slow_is_told_and_closed() {
    let central = Central::new(2);
    for (sent, reason) in [(b"".as_slice(), "idle"), (b"\x03\0", "unfinished packet")] {
        let mut client = central.connect();
        client.send(sent);
        take_log_lines();
        client.time_out();
        assert_eq!(client.replies(), [close()]);
        assert!(client.is_closed());
        let line = format!(
            "action: close | result: success | ip: 127.0.0.1 | reason: {reason} for too long"
        );
        assert_eq!(take_log_lines(), [line]);
    }
}
