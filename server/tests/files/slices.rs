//! Slices of any size: in constant memory, of the file that was opened, and never of other bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolillero_server::files::directory::{Directory, Reach};
use proptest::prelude::*;

use crate::folder::{Call, Cold, Scripted, only_on_disk};
use crate::rig::{Client, directory, service, take_log_lines};

/// More than is taken from memory at once, and than a reader brings.
const SIZE: usize = 1 << 20;
/// What a connection may hold of a slice.
const OUTPUT_MAX: usize = 257 << 10;

/// Bytes of which no two pieces are the same.
fn content() -> Vec<u8> {
    (0_u32..).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).take(SIZE).collect()
}

fn raw_reply(bytes: &[u8]) -> Vec<u8> {
    [format!("0 OK\r\nContent-Length: {}\r\n\r\n", bytes.len()).as_bytes(), bytes].concat()
}

fn base64_reply(bytes: &[u8]) -> Vec<u8> {
    format!("0 OK\r\n{}\r\n", STANDARD.encode(bytes)).into_bytes()
}

#[test]
fn every_part_of_a_file_is_given_as_it_is_from_memory_and_by_readers() {
    let content = content();
    let (_place, directory) = directory(&[("data", &content)]);
    for files in [service(directory.clone()), service(Cold(directory))] {
        let mut client = Client::new(&files);
        let chunk = (64 << 10) - 256;
        for (offset, size) in [
            (0, SIZE),
            (1, SIZE - 1),
            (SIZE, 0),
            (SIZE - 1, 1),
            (12_345, 1),
            (12_345, 2),
            (7, chunk - 40),
            (7, chunk),
            (7, chunk + 1),
            (3, 3 * chunk / 4),
            (0, 256 << 10),
            (5, (256 << 10) + 1),
        ] {
            let bytes = &content[offset..offset + size];
            client.send(format!("get_slice data {offset} {size} raw\r\n"));
            assert!(client.read_all() == raw_reply(bytes), "{size} bytes from {offset}, raw");
            client.send(format!("get_slice data {offset} {size}\r\n"));
            assert!(client.read_all() == base64_reply(bytes), "{size} bytes from {offset}");
        }
        assert!(client.out_max <= OUTPUT_MAX, "{} bytes of output", client.out_max);
    }
}

#[test]
fn four_gibibytes_take_no_more_memory_than_a_chunk() {
    const FOUR_GIB: u64 = (4 << 30) + 5;
    for warm in [true, false] {
        let folder = Scripted::new(FOUR_GIB, move |_, reach| {
            if !warm {
                only_on_disk(reach)?;
            }
            Ok(usize::MAX)
        });
        let mut client = Client::new(&service(folder));
        client.send(format!("get_slice huge 0 {FOUR_GIB} raw\r\nhelp\r\n"));
        let mut total = 0;
        while client.is_held() {
            client.await_output();
            total += client.read_once().len() as u64;
        }
        total += client.read_once().len() as u64;
        let header = format!("0 OK\r\nContent-Length: {FOUR_GIB}\r\n\r\n").len() as u64;
        let help = "0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n";
        assert_eq!(total, header + FOUR_GIB + help.len() as u64);
        assert!(client.out_max <= OUTPUT_MAX, "{} bytes of output", client.out_max);
    }
}

#[test]
fn a_sparse_file_is_served_behind_its_fourth_gibibyte() {
    let (place, directory) = directory(&[]);
    let file = File::create(place.path().join("sparse")).unwrap();
    file.set_len((4 << 30) + 3).unwrap();
    let mut client = Client::new(&service(directory));
    assert_eq!(client.exchange("get_metadata sparse\r\n"), "0 OK\r\n4294967299\r\n");
    assert_eq!(client.exchange("get_slice sparse 4294967294 5\r\n"), "0 OK\r\nAAAAAAA=\r\n");
    let behind = client.exchange("get_slice sparse 4294967294 6\r\n");
    assert_eq!(behind, "203 OFFSET EXCEEDS FILE SIZE\r\n");
}

/// A client that has read the beginning of a slice of all of `data`.
fn begun(directory: &Directory, form: &str) -> (Client, Vec<u8>) {
    let mut client = Client::new(&service(directory.clone()));
    client.send(format!("get_slice data 0 {SIZE}{form}\r\n"));
    client.await_output();
    let first = client.read_once();
    assert!(first.starts_with(b"0 OK\r\n"));
    (client, first)
}

#[test]
fn a_file_that_is_replaced_or_deleted_meanwhile_is_read_on() {
    let old = content();
    for replace in [true, false] {
        let (place, directory) = directory(&[("data", &old)]);
        let (mut client, mut got) = begun(&directory, " raw");
        let path = place.path().join("data");
        if replace {
            fs::write(place.path().join(".new"), vec![0; SIZE]).unwrap();
            fs::rename(place.path().join(".new"), &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        got.extend(client.read_all());
        assert!(got == raw_reply(&old), "replaced: {replace}");
        let next = client.exchange("get_slice data 0 2\r\n");
        assert_eq!(next, if replace { "0 OK\r\nAAA=\r\n" } else { "202 FILE NOT FOUND\r\n" });
    }
}

#[test]
fn a_file_that_is_cut_short_meanwhile_ends_the_connection_and_is_not_filled_up() {
    let old = content();
    for form in [" raw", ""] {
        let (place, directory) = directory(&[("data", &old)]);
        let (mut client, mut got) = begun(&directory, form);
        client.send("help\r\n");
        let file = File::options().write(true).open(place.path().join("data")).unwrap();
        file.set_len(500_001).unwrap();
        take_log_lines();
        got.extend(client.read_all());
        assert!(client.is_closed());
        let whole = if form.is_empty() { base64_reply(&old) } else { raw_reply(&old) };
        assert!(whole.starts_with(&got), "{form:?}: other bytes than it had");
        let line = "WARN action: answer_request | result: fail | ip: 127.0.0.1 | \
                    error: sending data: it was cut short meanwhile";
        assert_eq!(take_log_lines(), [line]);
    }
}

#[test]
fn what_cannot_be_read_is_the_servers_fault_and_once_bytes_have_left_only_closes() {
    let denied = || io::Error::from(ErrorKind::PermissionDenied);
    type Breaks = fn(Call<'_>) -> bool;
    let rows: [(&str, Breaks, &str); 5] = [
        ("get_file_listing", |call| call == Call::Names, "reading the directory"),
        ("get_metadata a", |call| matches!(call, Call::Size(_)), "reading a"),
        ("get_slice a 0 9 raw", |call| matches!(call, Call::Open(_)), "reading a"),
        ("get_slice a 0 9 raw", |call| matches!(call, Call::Read(..)), "reading a"),
        ("get_slice a 0 9", |call| matches!(call, Call::Read(..)), "reading a"),
    ];
    for (command, breaks, error) in rows {
        // Whether memory seems to have it or not.
        for cold in [false, true] {
            let folder = Scripted::new(9, move |call, reach| {
                if cold {
                    only_on_disk(reach)?;
                }
                if breaks(call) { Err(denied()) } else { Ok(usize::MAX) }
            });
            let mut client = Client::new(&service(folder));
            take_log_lines();
            let reply = client.exchange(format!("help\r\n{command}\r\nhelp\r\n"));
            assert!(reply.ends_with("quit\r\n\r\n199 INTERNAL SERVER ERROR\r\n"), "{command}");
            assert!(client.is_closed());
            let line = format!(
                "WARN action: answer_request | result: fail | ip: 127.0.0.1 | error: {error}: \
                 permission denied"
            );
            assert_eq!(take_log_lines().last(), Some(&line), "{command}");
        }
    }
    let folder = Scripted::new(1 << 20, move |call, _| match call {
        Call::Read(_, offset) if offset >= 100_000 => Err(denied()),
        Call::Read(..) => Ok(100_000),
        _ => Ok(0),
    });
    let mut client = Client::new(&service(folder));
    client.send(format!("get_slice a 0 {SIZE} raw\r\n"));
    let got = client.read_all();
    assert!(client.is_closed());
    assert!(raw_reply(&[0; SIZE]).starts_with(&got) && !got.ends_with(b"\r\n"));
}

#[test]
fn a_client_that_does_not_read_has_nothing_looked_up_for_it() {
    for cold in [false, true] {
        let folder = Scripted::new(1 << 40, move |_, reach| {
            if cold {
                only_on_disk(reach)?;
            }
            Ok(usize::MAX)
        });
        let calls = folder.calls.clone();
        let mut client = Client::new(&service(folder));
        client.send("get_slice a 0 1099511627776 raw\r\n");
        client.await_output();
        let before = calls.load(Ordering::Acquire);
        for _ in 0..100 {
            client.wake();
        }
        assert_eq!(calls.load(Ordering::Acquire), before);
        assert!(client.is_held() && client.out_max <= OUTPUT_MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_that_stop_anywhere_make_the_same_slice(
        size in 0_u64..300_000,
        offset in 0_u64..10,
        counts in proptest::collection::vec(1_usize..5000, 1..6),
        absent in 0_usize..4,
        raw: bool,
    ) {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let folder = Scripted::new(size + offset, move |call, reach| match call {
            Call::Read(..) => {
                let turn = turn.fetch_add(1, Ordering::AcqRel);
                if absent > 0 && turn.is_multiple_of(absent + 1) {
                    only_on_disk(reach)?;
                }
                Ok(counts[turn % counts.len()])
            }
            _ => Ok(0),
        });
        let mut client = Client::new(&service(folder));
        client.send(format!("get_slice a {offset} {size}{}\r\n", if raw { " raw" } else { "" }));
        let bytes = vec![0; usize::try_from(size).unwrap()];
        let expected = if raw { raw_reply(&bytes) } else { base64_reply(&bytes) };
        prop_assert!(client.read_all() == expected);
        prop_assert!(client.out_max <= OUTPUT_MAX);
    }
}

#[test]
fn only_what_lies_on_the_disk_is_a_readers() {
    // Whether a name is found in memory is the system's; that it is asked for there first is ours.
    let folder = Scripted::new(9, |call, reach| {
        assert!(reach == Reach::Memory || call == Call::Names, "{call:?} by a reader");
        Ok(usize::MAX)
    });
    let mut client = Client::new(&service(folder));
    client.send("get_metadata a\r\nget_slice a 0 9\r\nget_slice a 1 2 raw\r\n");
    let replies = b"0 OK\r\n9\r\n0 OK\r\nAAAAAAAAAAAA\r\n0 OK\r\nContent-Length: 2\r\n\r\n\0\0";
    assert_eq!(client.read(), replies);
    assert!(!client.is_held());
}
