//! A newer session of an agency ends the one before it, whatever that waits for.

use std::io::Read as _;

use crate::client::Client;
use crate::harness::Cell;
use crate::text::Office;

const FENCED: (u8, &str) = (4, "FENCED#-#a newer session works this lane#");

/// A connection that was welcomed as agency 1.
fn session(office: &Office) -> Client {
    let mut client = office.packets();
    client.send_packet(9, "1#1#");
    assert_eq!(client.packet().0, 10);
    client
}

fn expect_fenced(mut old: Client) {
    let (opcode, text) = old.packet();
    assert_eq!((opcode, text.as_str()), FENCED);
    assert_eq!(old.rest(), b"", "and the end");
}

pub(crate) fn a_session_that_waits_or_is_silent_is_told_of_a_newer_one_and_closed(cell: Cell) {
    let office = Office::start(cell, &[]);
    let silent = session(&office);
    let mut waiting = session(&office);
    expect_fenced(silent);
    waiting.send_packet(6, "1#");
    let mut in_a_packet = session(&office);
    expect_fenced(waiting);
    in_a_packet.send(b"\x0b\0\0\x10");
    let mut newest = session(&office);
    expect_fenced(in_a_packet);
    newest.send_packet(11, "1#1#@0#1#Ana#Paz#1#1990-01-01#1#");
    assert_eq!(newest.packet().0, 12);
}

pub(crate) fn one_that_sends_without_end_is_told_of_a_newer_one(cell: Cell) {
    let office = Office::start(cell, &["--max-unanswered", "4"]);
    let mut sender = session(&office);
    let batch = "1#@0#1#Ana#Paz#1#1990-01-01#1#";
    (1..=50).for_each(|seq| sender.send_packet(11, &format!("{seq}#{batch}")));
    let mut newest = office.packets();
    newest.send_packet(9, "1#1#");
    let (opcode, welcome) = newest.packet();
    let next_seq: u64 = welcome.split('#').nth(1).unwrap().parse().unwrap();
    assert_eq!(opcode, 10);
    // What was stored before has its receipt, and nothing behind it any answer but one.
    for seq in 1..next_seq {
        let (opcode, receipt) = sender.packet();
        assert_eq!((opcode, receipt.split('#').next()), (12, Some(seq.to_string().as_str())));
    }
    expect_fenced(sender);
}

pub(crate) fn of_many_hellos_at_once_the_newest_works_and_all_others_end(cell: Cell) {
    let options = ["--max-sessions-per-agency", "2", "--max-connections", "8"];
    let office = Office::start(cell, &options);
    for round in 0..20 {
        let mut clients: Vec<Client> = (0..6).map(|_| office.packets()).collect();
        for client in &mut clients {
            client.send_packet(9, "1#1#");
            client.send_packet(6, "1#");
        }
        // Each is welcomed, or told that there are too many, or has to make place at once. Then all of
        // their HELLOs have been taken, in whatever order.
        for client in &mut clients {
            let mut first = [8];
            let _ = client.read(&mut first).unwrap();
            assert!(matches!(first, [8 | 10]), "round {round}: {first:?}");
        }
        let mut newest = session_at_last(&office);
        clients.iter_mut().for_each(|client| drop(client.rest()));
        newest.send_packet(11, "0#");
        assert_eq!(newest.packet().0, 4, "round {round}: it is served");
    }
}

/// A session, of an agency that comes again while it is told that there are too many.
fn session_at_last(office: &Office) -> Client {
    loop {
        let mut client = office.packets();
        client.send_packet(9, "1#1#");
        match client.packet().0 {
            10 => return client,
            busy => assert_eq!(busy, 8),
        }
    }
}
