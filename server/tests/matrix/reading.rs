//! Requests come in however they are cut, and answers leave in order, however slowly they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;

use bolillero_server::echo::Echo;
use bolillero_server::session::{Flow, Input};

use crate::client::Client;
use crate::harness::{Cell, Server};
use crate::limits;
use crate::sessions::{Bulk, On, Script};

pub(crate) fn a_request_cut_into_single_bytes_is_answered(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    for byte in b"first\nsecond\n" {
        client.send(&[*byte]);
    }
    client.expect(b"first\nsecond\n");
}

pub(crate) fn pipelined_requests_are_answered_in_order(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    let lines: Vec<u8> = (0..100_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let mut sender = client.share();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&lines));
        client.expect(&lines);
    });
}

pub(crate) fn a_peer_that_sends_no_more_gets_its_answers(cell: Cell) {
    let server = Server::start(cell, Echo::default(), limits());
    let mut client = server.connect();
    client.send(b"whole\nhalf");
    client.end();
    assert_eq!(client.rest(), b"whole\nhalf");
}

pub(crate) fn large_answers_to_a_slow_reader_are_held_one_at_a_time(cell: Cell) {
    const ANSWER_BYTES: usize = 3_000_000;
    let output_bytes = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&output_bytes);
    let open =
        move |_| Bulk { answer_bytes: ANSWER_BYTES, output_bytes: Arc::clone(&noted), owed: 0 };
    let server = Server::start(cell, Script(open), limits());
    let mut client = server.connect();
    client.send(b"1234");
    // Slow: every read waits until the kernel's buffers are full and the server waits for room.
    for _ in 0..4 * ANSWER_BYTES / 1000 {
        client.expect(&[b'x'; 1000]);
    }
    client.end();
    assert_eq!(client.rest(), b"");
    // TLS may have a little to say before it.
    let output_bytes = output_bytes.load(Ordering::Relaxed);
    assert!((ANSWER_BYTES..2 * ANSWER_BYTES).contains(&output_bytes), "{output_bytes} at once");
}

pub(crate) fn two_peers_that_never_pause_do_not_hold_both_workers(cell: Cell) {
    let floods = Arc::new([Flood::default(), Flood::default()]);
    let taken = Arc::clone(&floods);
    let open = move |_| {
        let floods = Arc::clone(&taken);
        On(move |input: Input<'_>, out: &mut Vec<u8>| {
            let Input::Bytes(bytes) = input else { return Flow::Close };
            match floods.get(usize::from(bytes[0])) {
                Some(flood) => flood.take(bytes.len()),
                None => out.extend_from_slice(bytes),
            }
            Flow::Continue
        })
    };
    let server = Server::start(cell, Script(open), limits());
    thread::scope(|scope| {
        let _over = floods.each_ref().map(EndOfFlood);
        for (number, flood) in (0..).zip(&*floods) {
            let mut client = server.connect();
            scope.spawn(move || flood.feed(&mut client, number));
        }
        let mut calm = server.connect();
        for _ in 0..20 {
            calm.exchange(b"ping\n");
        }
    });
}

/// A peer that never pauses. Its session waits until much more has come, so that a turn ends with
/// its budget or never.
#[derive(Default)]
struct Flood {
    /// Bytes that were sent and not yet taken, as far as they are counted yet.
    bytes: AtomicI64,
    over: AtomicBool,
}

impl Flood {
    fn feed(&self, client: &mut Client, number: u8) {
        let chunk = [number; 4096];
        while !self.over.load(Ordering::Acquire) {
            client.send(&chunk);
            self.bytes.fetch_add(4096, Ordering::AcqRel);
        }
    }

    fn take(&self, count: usize) {
        self.bytes.fetch_sub(count.try_into().unwrap(), Ordering::AcqRel);
        while self.bytes.load(Ordering::Acquire) < WAITING_BYTES
            && !self.over.load(Ordering::Acquire)
        {
            thread::yield_now();
        }
    }
}

/// Ends a flood, also when the test fails.
struct EndOfFlood<'a>(&'a Flood);

impl Drop for EndOfFlood<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

/// More than one read takes, and less than the kernel takes of a peer that is not read.
const WAITING_BYTES: i64 = 256 * 1024;
