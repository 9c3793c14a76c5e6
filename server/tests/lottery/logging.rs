//! The lines that deployed tools parse.

use bolillero_protocol::visible::is_visible;

use crate::support::*;

#[test]
fn each_stored_batch_is_logged_by_its_group_before_it_is_acknowledged() {
    let mut central = Central::new(2);
    let mut base = central.connect();
    base.send(&[batch(1, &[1, 2, 3]), packet(1, bet(1, 42)), packet(3, "0#")].concat());
    base.send(&packet(1, "1#Ana#Paz#007#1990-01-01#0042#"));
    let zeros = "0".repeat(16); // with the number as many digits as there may be
    base.send(&packet(1, format!("1#Ana#Paz#000#1990-01-01#{zeros}7574#")));
    assert_eq!(central.logged(), [""; 0]);
    central.commit();
    let mut expected = vec![
        "action: apuesta_recibida | result: success | cantidad: 3",
        "action: apuesta_almacenada | result: success | dni: 30000042 | numero: 42",
        // A document is text, a number is a number.
        "action: apuesta_almacenada | result: success | dni: 007 | numero: 42",
        "action: apuesta_almacenada | result: success | dni: 000 | numero: 7574",
    ];
    assert_eq!(central.logged(), expected);

    let mut session = central.session(2);
    session.send(&numbered(1, 2, &[1, 2]));
    session.send(&numbered(1, 2, &[1, 2]));
    central.commit();
    expected.push("action: apuesta_recibida | result: success | cantidad: 2");
    assert_eq!(central.logged(), expected, "a repeat is not logged again");

    central.finish_all([1]);
    session.send(&session_ready(2, 1, 2));
    central.commit();
    expected.push("action: agencia_lista | result: success | agencia: 1");
    expected.push("action: agencia_lista | result: success | agencia: 2");
    assert_eq!(central.logged(), expected);
    central.settle();
    expected.push("action: sorteo | result: success");
    assert_eq!(central.logged(), expected);
    assert_eq!(take_log_lines(), [""; 0]);
}

#[test]
fn each_refused_batch_is_logged_with_what_it_says_it_has() {
    let mut central = Central::new(2);
    central.finish_all([2]);
    let mut base = central.connect();
    let mut session = central.session(1);
    take_log_lines();
    let check = |client: &mut Client, request: Vec<u8>, line: &str| {
        client.send(&request);
        assert_eq!(take_log_lines(), [line]);
    };
    let received = |n: u32, error: &str| {
        format!("action: apuesta_recibida | result: fail | cantidad: {n} | error: {error}")
    };
    let finished = received(3, "agency 2 has finished");
    check(&mut base, batch(2, &[1, 2, 3]), &finished);
    let item = "bet 0: first name is not 1 to 64 characters without control characters";
    check(&mut base, packet(3, "2#@0#1#a | b\n#Paz#"), &received(2, item));
    check(&mut base, packet(3, "x#"), &received(0, "the number of bets is not a number"));
    check(&mut base, numbered(1, 1, &[1]), &received(1, "a numbered batch comes after HELLO"));
    check(
        &mut base,
        packet(1, "1#Ana#Paz#1#1990-02-30#1#"),
        "action: apuesta_almacenada | result: fail | cantidad: 1 | error: bet 0: birth date is not a calendar day YYYY-MM-DD",
    );
    let out_of_place = "after HELLO only 0, 5, 6, 11 and 17 may follow";
    check(&mut session, batch(1, &[1]), &received(1, out_of_place));
    check(&mut session, numbered(9, 1, &[1]), &received(1, "the lane's next batch is 1"));
    check(&mut session, numbered(0, 1, &[1]), &received(1, "batches are numbered from 1"));
    check(&mut session, packet(11, "1#0#"), &received(0, "a batch has at least one bet"));
    check(
        &mut session,
        numbered(1, 2, &[1]),
        &received(1, "the id is another than this session's"),
    );
}

#[test]
fn what_is_no_packet_and_what_means_nothing_is_logged_with_the_peer() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    take_log_lines();
    client.send(&packet(5, "x#"));
    client.send(&ask(7));
    client.send(&ready(7));
    client.send(&hello(7));
    client.send(&packet(3, b"1#\xff#"));
    assert_eq!(
        take_log_lines(),
        [
            "action: receive_request | result: fail | ip: 127.0.0.1 | error: id is not a number",
            "action: receive_request | result: fail | ip: 127.0.0.1 | error: 7 is not an agency 1 to 1",
            "action: receive_request | result: fail | ip: 127.0.0.1 | error: 7 is not an agency 1 to 1",
            "action: receive_request | result: fail | ip: 127.0.0.1 | error: 7 is not an agency 1 to 1",
            "action: receive_packet | result: fail | ip: 127.0.0.1 | error: the data is not UTF-8",
        ]
    );
    assert_eq!(central.commit(), bolillero_server::ledger::committer::Step::Idle);
}

#[test]
fn every_line_has_fields_that_tools_can_split() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    let rows = [
        "1#|#a|b#1#1990-01-01#1#",
        "1#Ana#Paz#1|2#1990-01-01#1#",
        "1#Ana#Paz#1#|#1#",
        "|#",
        "1#\u{202e}Ana\u{200b}#Paz\u{feff}#1#1990-01-01#1#",
        "1#Ana#Paz#1\u{2066}#1990-01-01#1#",
        "1#Ana#Paz#1#1990-01-01#1\u{e0041}#",
        "\u{2028}#",
    ];
    for items in rows {
        client.send(&packet(1, items));
        client.send(&packet(3, format!("1#@0#{items}")));
    }
    central.settle();
    let lines = [central.logged(), take_log_lines()].concat();
    assert!(lines.len() >= 2 * rows.len(), "{lines:?}");
    for line in lines {
        let fields: Vec<(&str, &str)> =
            line.split(" | ").map(|field| field.split_once(": ").unwrap()).collect();
        assert_eq!((fields[0].0, fields[1].0), ("action", "result"), "{line}");
        assert!(fields.iter().all(|(_, value)| !value.contains('|')), "{line}");
        assert!(line.chars().all(is_visible), "{line:?}");
    }
}
