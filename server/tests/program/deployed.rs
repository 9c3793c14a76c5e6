//! Agency software that is deployed already, byte for byte: what it sends, however it sends it, and
//! what it expects.

use tempfile::{TempDir, tempdir};

use crate::for_every_driver;
use crate::office::{Office, count, export};
use crate::wire::{ACK, BUSY, CLOSE, CORRUPT, NO_WINNERS, batch, batch_body, batch_rows, packet};

for_every_driver! {
    a_connection_per_request_brings_bets_and_fetches_winners
    batches_that_are_sent_before_any_answer_is_read_are_answered_in_order
    packets_cut_anywhere_are_taken
    a_peer_that_sends_no_more_still_gets_its_answers
    what_is_no_packet_is_told_so_and_closed
    a_refused_request_names_index_and_field_and_leaves_the_connection_usable
}

/// An office for two agencies. The directory goes with it.
fn open_office(driver: &str) -> (TempDir, Office) {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--agencies", "2", "--driver", driver]);
    (directory, office)
}

const LONG_NAMES: &str = "#María Belén#Fernández#";
const LONG_ROW_NAMES: &str = ",María Belén,Fernández,";

/// 1,000 bets in a packet of 52 kB, `n` = 0 at the end of the file, no goodbye.
fn a_connection_per_request_brings_bets_and_fetches_winners(driver: &str) {
    let (directory, office) = open_office(driver);
    let mut expected = String::new();
    for agency in [1, 2] {
        for first in [30_000_000, 30_001_000, 30_002_000] {
            // As long as real names and markers make it.
            let body = batch_body(agency, first, 1000).replace("#Ana#Paz#", LONG_NAMES);
            let bytes = packet(3, &body);
            assert!((50_000..55_000).contains(&bytes.len()), "{} bytes", bytes.len());
            office.connect().exchange(&bytes, &ACK);
            expected += &batch_rows(agency, first, 1000).replace(",Ana,Paz,", LONG_ROW_NAMES);
        }
        office.connect().exchange(&packet(3, "0#"), &ACK);
        let winner = format!("{agency}#Eva#Sosa#0{agency}234567#1999-12-31#7574#");
        office.connect().exchange(&packet(1, &winner), &ACK);
        expected += &format!("{agency},Eva,Sosa,0{agency}234567,1999-12-31,7574\r\n");
    }
    office.connect().exchange(&packet(6, "1#"), &BUSY);
    office.connect().exchange(&packet(5, "1#"), &ACK);
    let mut asking = office.connect();
    asking.exchange(&packet(6, "1#"), &BUSY);
    asking.exchange(&packet(6, "1"), &BUSY);
    office.connect().exchange(&packet(5, "1#"), &ACK);
    office.connect().exchange(&packet(5, "2#"), &ACK);
    // The answer to the last mark says that the draw is done: nobody hears 8 any more.
    office.connect().exchange(&packet(6, "1#"), &packet(7, "01234567#"));
    office.connect().exchange(&packet(6, "2"), &packet(7, "02234567#"));
    asking.exchange(&packet(6, "1#"), &packet(7, "01234567#"));
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
    let lines = office.stop().lines;
    assert_eq!(count(&lines, "action: apuesta_recibida | result: success | cantidad: 1000"), 6);
    let single = "action: apuesta_almacenada | result: success | dni: 01234567 | numero: 7574";
    assert_eq!(count(&lines, single), 1);
}

fn batches_that_are_sent_before_any_answer_is_read_are_answered_in_order(driver: &str) {
    let (directory, office) = open_office(driver);
    let mut wire = office.connect();
    let (mut sent, mut expected, mut rows) = (Vec::new(), Vec::new(), String::new());
    for n in 0..300 {
        let first = 40_000_000 + 10 * n;
        sent.extend(batch(1, first, 5));
        rows += &batch_rows(1, first, 5);
        expected.extend(ACK);
        // Refusals and questions keep their place among the acknowledgements.
        if n % 50 == 7 {
            sent.extend(packet(6, "9#"));
            expected.extend(packet(4, "9 is not an agency 1 to 2"));
            sent.extend(packet(6, "2#"));
            expected.extend(BUSY);
        }
    }
    sent.extend(packet(5, "1#"));
    sent.extend(packet(5, "2#"));
    sent.extend(packet(6, "2#"));
    expected.extend(ACK);
    expected.extend(ACK);
    expected.extend(NO_WINNERS);
    sent.extend(CLOSE);
    wire.send(&sent);
    wire.expect_last(&expected);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);
    office.stop();
}

fn packets_cut_anywhere_are_taken(driver: &str) {
    let (directory, office) = open_office(driver);
    let mut wire = office.connect();
    let bytes = batch(2, 50_000_000, 3);
    for cut in [1, 3, 4, 5, 6, bytes.len() - 1] {
        let (begin, end) = bytes.split_at(cut);
        wire.send(begin);
        // Another's whole exchange lies between the two: the first part has arrived by then.
        office.connect().exchange(&packet(6, "1#"), &BUSY);
        wire.exchange(end, &ACK);
    }
    for byte in &bytes {
        wire.send(&[*byte]);
    }
    wire.expect(&ACK);
    // The end of one packet and the beginning of the next in one write.
    let twice = [&bytes[..], &bytes[..3]].concat();
    wire.exchange(&twice, &ACK);
    wire.exchange(&bytes[3..], &ACK);
    let stored = batch_rows(2, 50_000_000, 3).repeat(9);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), stored);
    office.stop();
}

fn a_peer_that_sends_no_more_still_gets_its_answers(driver: &str) {
    let (directory, office) = open_office(driver);
    let mut wire = office.connect();
    wire.send(&[batch(1, 30_000_000, 1000), packet(5, "1#"), packet(6, "1#")].concat());
    wire.half_close();
    wire.expect_last(&[&ACK[..], &ACK, &BUSY].concat());
    // Half a packet at the end is nothing.
    let mut wire = office.connect();
    wire.send(&[&batch(2, 30_000_000, 1)[..], &batch(2, 30_000_001, 1)[..20]].concat());
    wire.half_close();
    wire.expect_last(&ACK);
    let rows = batch_rows(1, 30_000_000, 1000) + &batch_rows(2, 30_000_000, 1);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);
    office.stop();
}

fn what_is_no_packet_is_told_so_and_closed(driver: &str) {
    let (directory, office) = open_office(driver);
    let too_long = [1, 0, 1, 0, 1];
    let not_utf8 = [&[3, 0, 0, 0, 3][..], b"\xff\xfe#"].concat();
    for (what, bytes) in [
        ("an unknown opcode", &packet(99, "")[..]),
        ("the server's own opcode", &ACK),
        ("a length over the limit", &too_long),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n"),
        ("what is not UTF-8", &not_utf8),
        ("what is no list", &packet(3, "1#@0#1#Ana#Paz#1#1990-01-01#1")),
        ("a bare number where a list is due", &packet(5, "1")),
    ] {
        let mut wire = office.connect();
        // What came before is answered, what comes after is not taken.
        wire.send(&[&packet(6, "1#"), bytes, &batch(1, 1, 1)].concat());
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut wire.0, &mut read).unwrap();
        assert_eq!(read, [BUSY, CORRUPT].concat(), "{what}");
    }
    assert_eq!(export(directory.path()), b"");
    office.stop();
}

fn a_refused_request_names_index_and_field_and_leaves_the_connection_usable(driver: &str) {
    let (directory, office) = open_office(driver);
    let mut wire = office.connect();
    let good = batch_body(1, 30_000_000, 3);
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    for (body, said) in [
        (with("1990-01-01#1#", "1990-02-30#1#"), &["bet 1", "birth date"][..]),
        (with("#30000002#", "#3000000000002#"), &["bet 2", "document"]),
        (with("Ana#Paz#30000001", "#Paz#30000001"), &["bet 1", "first name"]),
        (with("1990-01-01#2#", "1990-01-01#10000#"), &["bet 2", "number"]),
        (with("@1#1#", "@1#2#"), &["bet 1", "id"]),
        (with("@1#", "@2#"), &["bet 1", "marker"]),
        (with("3#", "2#"), &["more after the last bet"]),
        (with("3#", "4#"), &["bet 3", "missing"]),
        (with("@0#1#", "@0#3#"), &["bet 0", "id"]),
    ] {
        wire.send(&packet(3, &body));
        let (opcode, text) = wire.packet();
        assert_eq!(opcode, 4, "{body}");
        for part in said {
            assert!(text.contains(part), "{body}: {text:?} does not say {part:?}");
        }
    }
    wire.exchange(&packet(3, &good), &ACK);
    wire.exchange(&packet(5, "1#"), &ACK);
    wire.send(&batch(1, 30_000_003, 1));
    let (opcode, text) = wire.packet();
    assert_eq!(opcode, 4, "{text}");
    assert!(text.contains("finished") || text.contains("ready"), "{text}");
    wire.exchange(&packet(3, &good.replace("#1#Ana", "#2#Ana")), &ACK);
    let rows = batch_rows(1, 30_000_000, 3) + &batch_rows(2, 30_000_000, 3);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), rows);
    office.stop();
}
