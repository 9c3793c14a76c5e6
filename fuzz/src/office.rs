//! A whole office in one thread, under any bytes of a peer, and a start over any records. Knows no socket and no disk.

use bolillero_server::ledger::record::Records;
use bolillero_server::lottery::event::Replayed;

use self::support::{Central, Reply, Setup, hello, take_log_lines};
use crate::pieces;

#[allow(dead_code, unused_imports, unreachable_pub)] // The server's tests use all of it.
#[path = "../../server/tests/support/mod.rs"]
mod support;

/// More than an office answers one request with, beside opcode 7, whose list is as long as its winners.
const REPLY_SIZE_MAX: usize = 4096;

/// What a peer sends, its cuts in the first byte: it is answered the same however it is cut, what is answered is on disk,
/// and the office goes on serving others.
pub fn session(bytes: &[u8]) {
    let Some((&seed, sent)) = bytes.split_first() else { return };
    assert_eq!(converse(sent, seed), converse(sent, 0));
}

fn converse(sent: &[u8], seed: u8) -> (Vec<Reply>, bool) {
    let mut central = Central::with(Setup { segment_size: 16 << 10, ..Setup::default() });
    let mut client = central.connect();
    let mut replies = Vec::new();
    for piece in pieces(sent, seed) {
        client.send(piece);
        assert!(client.unread_output() <= REPLY_SIZE_MAX * sent.len().max(1));
    }
    client.half_close();
    for _ in 0..=sent.len() {
        central.settle();
        let more = client.replies();
        let done = more.is_empty();
        replies.extend(more);
        if done {
            break;
        }
    }
    let closed = client.is_closed();
    central.settle();
    central.check_replay();
    let mut other = central.connect();
    other.send(&hello(2));
    central.settle();
    assert_eq!(other.replies().len(), 1, "others are served");
    for line in take_log_lines() {
        assert!(!line.contains(char::is_control), "a peer breaks a log line: {line:?}");
    }
    (replies, closed)
}

/// The same for a peer of the text dialect: one line at most, and only once all that it rests on is on disk.
pub fn text_session(bytes: &[u8]) {
    let Some((&seed, sent)) = bytes.split_first() else { return };
    assert_eq!(converse_in_text(sent, seed), converse_in_text(sent, 0));
}

fn converse_in_text(sent: &[u8], seed: u8) -> Vec<u8> {
    let mut central = Central::with(Setup { segment_size: 16 << 10, ..Setup::default() });
    let mut client = central.connect_text();
    for piece in pieces(sent, seed) {
        client.send(piece);
    }
    client.half_close();
    let mut line = Vec::new();
    // Each time at least one batch more is on disk.
    for _ in 0..=sent.len() {
        central.settle();
        line.extend(client.read());
        if client.is_closed() {
            break;
        }
    }
    assert!(client.is_closed() && line.len() <= REPLY_SIZE_MAX);
    assert!(line.is_empty() || line.iter().position(|&byte| byte == b'\n') == Some(line.len() - 1));
    central.check_replay();
    let mut other = central.connect();
    other.send(&hello(2));
    central.settle();
    assert_eq!(other.replies().len(), 1, "others are served");
    for line in take_log_lines() {
        assert!(!line.contains(char::is_control), "a peer breaks a log line: {line:?}");
    }
    line
}

/// Records that lie in a sound ledger: they are replayed, or refused with a reason.
pub fn replay(bytes: &[u8]) {
    let mut replayed = Replayed::default();
    for record in Records::new(bytes) {
        let Ok(record) = record else { return };
        let mut written = Vec::new();
        record.encode(&mut written);
        assert_eq!(written.len(), record.size());
        if let Err(why) = replayed.take(&record) {
            assert!(!why.to_string().is_empty());
            return;
        }
    }
    if let Some(state) = replayed.state {
        for agency in 0..=state.terms().agencies.min(10) {
            let _ = state.lane(agency);
        }
    }
}
