//! Requests come in however they are cut, and answers leave in order, however slowly they are read.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bolillero_server::driver::Driver;
use bolillero_server::echo::Echo;
use bolillero_server::session::{Flow, Input};

use crate::harness::Server;
use crate::limits;
use crate::sessions::{Bulk, On, Script};

pub(crate) fn a_request_cut_into_single_bytes_is_answered(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    for byte in b"first\nsecond\n" {
        client.send(&[*byte]);
    }
    client.expect(b"first\nsecond\n");
}

pub(crate) fn pipelined_requests_are_answered_in_order(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    let lines: Vec<u8> = (0..100_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let mut sender = client.share();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&lines));
        client.expect(&lines);
    });
}

pub(crate) fn a_peer_that_sends_no_more_gets_its_answers(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    client.send(b"whole\nhalf");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"whole\nhalf");
}

pub(crate) fn large_answers_to_a_slow_reader_are_held_one_at_a_time(driver: Driver) {
    const ANSWER_BYTES: usize = 3_000_000;
    let output_bytes = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&output_bytes);
    let open =
        move |_| Bulk { answer_bytes: ANSWER_BYTES, output_bytes: Arc::clone(&noted), owed: 0 };
    let server = Server::start(driver, Script(open), limits());
    let mut client = server.connect();
    client.send(b"1234");
    // Slow: every read waits until the kernel's buffers are full and the server waits for room.
    for _ in 0..4 * ANSWER_BYTES / 1000 {
        client.expect(&[b'x'; 1000]);
    }
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"");
    assert_eq!(output_bytes.load(Ordering::Relaxed), ANSWER_BYTES);
}

/// Takes longer over its bytes than a peer takes to send them, and is never 0.
fn chew(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum, _| (0..10).fold(sum, |sum: u32, step| sum.rotate_left(step)))
}

pub(crate) fn two_peers_that_never_pause_do_not_hold_both_workers(driver: Driver) {
    let open = |_| {
        On(|input: Input<'_>, out: &mut Vec<u8>| match input {
            Input::Bytes(b"ping\n") => {
                out.extend_from_slice(b"ping\n");
                Flow::Continue
            }
            Input::Bytes(bytes) if std::hint::black_box(chew(bytes)) == 0 => Flow::Hold,
            Input::Bytes(_) => Flow::Continue,
            _ => Flow::Close,
        })
    };
    let server = Server::start(driver, Script(open), limits());
    let over = AtomicBool::new(false);
    let mut calm = server.connect();
    thread::scope(|scope| {
        for mut client in [server.connect(), server.connect()] {
            client.exchange(b"ping\n");
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.send(&[0; 64 * 1024]);
                }
            });
        }
        let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..20 {
                calm.exchange(b"ping\n");
            }
        }));
        over.store(true, Ordering::Relaxed);
        served.unwrap();
    });
}
