//! What a fuzzer holds every decoder of Bolillero to: functions of bytes that panic where a promise is broken. Knows no
//! fuzzer; the targets are one line each, and `examples/seeds.rs` makes what they begin with.
//!
//! ```text
//! wire      packets, batches, requests, replies, hello, text     beside slow readers that can be seen to be right
//! hftp      commands and replies of the files' protocol
//! room      objects of those who talk, beside a reader of whole JSON
//! office    a session under any bytes; records replayed    on the support of the server's own tests
//! ledger    bytes as segments; segments with a flip
//! source    a file of bets
//! ```

#![forbid(unsafe_code)]

pub mod hftp;
pub mod ledger;
pub mod office;
pub mod room;
pub mod source;
pub mod wire;

/// Cuts `bytes` into pieces whose sizes follow from `seed`: all in one, byte by byte, or mixed.
fn pieces(bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut left = bytes;
    let mut state = u32::from(seed);
    while !left.is_empty() {
        let size = match seed {
            0 => left.len(),
            1 => 1,
            _ => {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                1 + (state >> 24) as usize % usize::from(seed)
            }
        };
        let (piece, later) = left.split_at(size.min(left.len()));
        pieces.push(piece);
        left = later;
    }
    pieces
}
