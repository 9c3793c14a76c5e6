//! Every row of the protocol's tables, from memory and by readers.

use std::fmt::Write as _;

use bolillero_server::files::{Files, FilesLimits};
use bolillero_server::session::Service as _;

use crate::folder::Cold;
use crate::rig::{Client, FILES, directory, service, take_log_lines};
use crate::vectors::{Block, blocks, bytes};

/// Does it with files in memory, and with files that readers bring.
fn warm_and_cold(check: impl Fn(&Files)) {
    let (_place, directory) = directory(&FILES);
    check(&service(directory.clone()));
    check(&service(Cold(directory)));
}

#[test]
fn every_command_is_answered_as_its_vector_says() {
    warm_and_cold(|files| {
        for block in blocks("hftp.txt") {
            let name = &block["name"];
            let mut client = Client::new(files);
            client.send(bytes(&block["command"]));
            assert_eq!(client.read_all(), bytes(&block["reply"]), "{name}");
            assert_eq!(client.is_closed(), block.contains_key("closes"), "{name}");
        }
    });
}

/// All commands that close nothing, and their replies.
fn one_after_the_other(blocks: &[Block]) -> (Vec<u8>, Vec<u8>) {
    let open = || blocks.iter().filter(|block| !block.contains_key("closes"));
    let all = |key: &str| open().flat_map(|block| bytes(&block[key])).collect();
    (all("command"), all("reply"))
}

#[test]
fn commands_in_one_go_or_in_single_bytes_are_answered_in_order() {
    let (commands, replies) = one_after_the_other(&blocks("hftp.txt"));
    warm_and_cold(|files| {
        let mut client = Client::new(files);
        client.send(&commands);
        assert_eq!(client.read_all(), replies);

        let mut client = Client::new(files);
        let mut got = Vec::new();
        for byte in &commands {
            client.send([*byte]);
            got.extend(client.read_all());
        }
        assert_eq!(got, replies);
        assert!(!client.is_closed());
    });
}

#[test]
fn small_replies_to_commands_in_one_go_leave_together() {
    let (_place, directory) = directory(&FILES);
    let mut client = Client::new(&service(directory));
    // The first brings it into memory, where it was not.
    client.exchange("get_slice hello.txt 0 13\r\n");
    client.send("get_slice hello.txt 0 13 raw\r\nget_metadata hello.txt\r\nhelp\r\nquit\r\n");
    let replies = client.read_once();
    assert!(replies.ends_with(b"quit\r\n\r\n0 OK\r\n"), "{}", String::from_utf8_lossy(&replies));
}

#[test]
fn what_closes_is_answered_behind_what_came_before_it_and_ends_the_rest() {
    warm_and_cold(|files| {
        for (bad, reply) in
            [("help\n", "100 BAD EOL"), ("\r\n", "101 BAD REQUEST"), ("h\u{e9}", "101 BAD REQUEST")]
        {
            let mut client = Client::new(files);
            let before = "get_metadata hello.txt\r\nget_slice nowhere 0 1\r\nHELP\r\n";
            let replies = client.exchange(format!("{before}{bad}get_metadata hello.txt\r\n"));
            let expected =
                format!("0 OK\r\n13\r\n202 FILE NOT FOUND\r\n200 NO SUCH COMMAND\r\n{reply}\r\n");
            assert_eq!(replies, expected);
            assert!(client.is_closed(), "{bad:?}");
        }
    });
}

#[test]
fn after_the_end_of_sending_what_came_whole_is_answered() {
    warm_and_cold(|files| {
        let mut client = Client::new(files);
        client.send("get_metadata hello.txt\r\nget_slice hello.txt 0 5\r\nhel");
        client.half_close();
        let replies = client.read_all();
        assert_eq!(replies, b"0 OK\r\n13\r\n0 OK\r\naGVsbG8=\r\n");
        assert!(client.is_closed());
    });
}

#[test]
fn a_command_line_of_megabytes_is_checked_as_it_comes() {
    let (_place, directory) = directory(&FILES);
    let files = service(directory);
    let mut client = Client::new(&files);
    let long = format!("get_metadata {}\r\nget_metadata hello.txt\r\n", "A".repeat(5 << 20));
    assert_eq!(client.exchange(&long), "202 FILE NOT FOUND\r\n0 OK\r\n13\r\n");
    // In single bytes it takes as many steps as it has bytes, and no more.
    long.bytes().for_each(|byte| client.send([byte]));
    assert_eq!(client.read_all(), b"202 FILE NOT FOUND\r\n0 OK\r\n13\r\n");
    assert_eq!(client.exchange("A".repeat((8 << 20) + 1)), "101 BAD REQUEST\r\n");
    assert!(client.is_closed());
}

#[test]
fn a_thousand_files_are_listed_in_order_and_more_than_fits_is_the_servers_fault() {
    let names: Vec<String> = (0..1000).map(|i| format!("results-{i:03}.csv")).collect();
    let content: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &b"x"[..])).collect();
    let (_place, directory) = directory(&content);
    let expected = names.iter().fold("0 OK\r\n".to_owned(), |mut listing, name| {
        let _ = write!(listing, "{name}\r\n");
        listing
    });
    let mut client = Client::new(&service(directory.clone()));
    assert_eq!(client.exchange("get_file_listing\r\nhelp\n"), expected + "\r\n100 BAD EOL\r\n");

    let listing_bytes_max = 1000 * "results-000.csv\r\n".len();
    let with = |listing_bytes_max| {
        let limits = FilesLimits { listing_bytes_max, ..FilesLimits::default() };
        Client::new(&Files::new(std::sync::Arc::new(directory.clone()), limits).unwrap())
    };
    assert!(with(listing_bytes_max).exchange("get_file_listing\r\n").starts_with("0 OK"));
    take_log_lines();
    let mut client = with(listing_bytes_max - 1);
    assert_eq!(client.exchange("get_file_listing\r\n"), "199 INTERNAL SERVER ERROR\r\n");
    assert!(client.is_closed());
    let line = format!(
        "WARN action: answer_request | result: fail | ip: 127.0.0.1 | error: reading the directory: \
         the names are over {} bytes",
        listing_bytes_max - 1
    );
    assert_eq!(take_log_lines()[1..], [line]);
}

#[test]
fn whoever_finds_no_room_is_told_in_words_that_clients_know() {
    let (_place, directory) = directory(&[]);
    assert_eq!(service(directory).busy(), b"199 INTERNAL SERVER ERROR\r\n");
}
