//! Requests and records need not have the same bounds, and a bad record ends its connection only.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use bolillero_server::echo::Echo;
use bolillero_tls::rustls::AlertDescription;

use super::alert;
use crate::client::{Client, NAMELESS, socket_from};
use crate::harness::{Cell, Server};
use crate::limits;
use crate::secure::Tls;

pub(crate) fn records_cut_into_single_bytes_are_read(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let socket = socket_from(1, server.address);
    let tls = Tls::new(Arc::clone(&NAMELESS));
    trickle(&socket, &tls.records(|_| {}));
    let mut client = Client::over(socket, tls);
    client.shake_hands().unwrap();
    for line in [b"first\n", b"other\n"] {
        let records = client.records(line);
        trickle(&client.socket, &records);
        client.expect(line);
    }
}

fn trickle(mut socket: &std::net::TcpStream, bytes: &[u8]) {
    for byte in bytes {
        socket.write_all(&[*byte]).unwrap();
    }
}

pub(crate) fn requests_and_records_need_not_have_the_same_bounds(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    let lines: Vec<u8> = (0..1000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    assert!(lines.len() < RECORD_PAYLOAD_MAX);
    client.exchange(&lines);
    // Each byte is a record of its own, of which each leaves at once or all leave together.
    for byte in b"one over many\n" {
        client.send(&[*byte]);
    }
    let each = b"one over many\n".iter().map(|byte| client.records(&[*byte]));
    let records: Vec<u8> = each.flatten().collect();
    client.socket.write_all(&records).unwrap();
    client.expect(&b"one over many\n".repeat(2));
    // As large as a record can be, and one that is over two.
    for size in [RECORD_PAYLOAD_MAX, RECORD_PAYLOAD_MAX + 1] {
        let mut line = vec![b'x'; size - 1];
        line.push(b'\n');
        client.exchange(&line);
    }
}

pub(crate) fn a_bad_record_ends_its_connection_with_an_alert(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut witness = server.connect();
    let encrypted_by_nobody = [&[0x17, 3, 3, 0, 32][..], &[7; 32]].concat();
    for (sent, expect) in [
        (&encrypted_by_nobody[..], AlertDescription::BadRecordMac),
        // By its header alone: it is not waited for what no record can hold.
        (&[0x17, 3, 3, 0x48, 1], AlertDescription::DecodeError),
        (&[0x17, 3, 3, 0xff, 0xff], AlertDescription::DecodeError),
        (b"a line without TLS\n", AlertDescription::DecodeError),
        (&[0x17, 9, 9, 0, 1, 0], AlertDescription::DecodeError),
    ] {
        let mut client = server.connect();
        client.exchange(b"well so far\n");
        client.socket.write_all(sent).unwrap();
        assert_eq!(alert(&mut client), expect, "{sent:?}");
        witness.exchange(b"still here\n");
    }
}

pub(crate) fn whoever_ends_without_saying_so_gets_the_answers_to_what_was_whole(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    // Within a record, and between two.
    for cut in [&b"cut\n"[..], b""] {
        let mut client = server.connect();
        let (whole, cut) = (client.records(b"whole\n"), client.records(cut));
        client.socket.write_all(&[&whole, &cut[..cut.len() / 2]].concat()).unwrap();
        client.socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.rest(), b"whole\n");
    }
    // A record is whole, and its line is not.
    let mut client = server.connect();
    client.send(b"whole\nhalf");
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"whole\nhalf");
}

pub(crate) fn whoever_says_its_end_still_gets_its_answers(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    client.send(b"whole\nhalf");
    // The socket stays open, and nothing counts that comes behind the end.
    let end = client.tls().records(|connection| connection.send_close_notify());
    client.socket.write_all(&[&end[..], &[7; 100]].concat()).unwrap();
    assert_eq!(client.rest(), b"whole\nhalf");
    assert_eq!(client.socket.read(&mut [0]).unwrap(), 0);
}

pub(crate) fn keys_may_change_in_the_middle_of_a_request(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    for _ in 0..20 {
        client.send(b"half of a line, ");
        client.change_keys();
        client.send(b"and the rest\n");
        client.expect(b"half of a line, and the rest\n");
        // The answer to this is of new keys, too.
        client.change_keys();
        client.exchange(b"a line\n");
    }
}

/// What a record carries at most.
const RECORD_PAYLOAD_MAX: usize = 16 << 10;
