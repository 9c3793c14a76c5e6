//! Frames and batches of the text dialect, beside a reader that has all of them and takes them apart as text.

use bolillero_protocol::text::{
    BODY_LENGTH_MAX, Decoder, Expected, Request, bets_announced, body_of, text_of,
};

use super::batch;
use crate::pieces;

/// What came out of a stream: frames, and whether another has begun.
type Received = (Vec<Vec<u8>>, bool);

/// A stream, its cuts in the first byte; each of its frames in its place on a connection and as a batch.
pub fn text(bytes: &[u8]) {
    let Some((&seed, stream)) = bytes.split_first() else { return };
    let expected = slow(stream);
    for (seed, holds) in [(0, false), (1, false), (seed, false), (seed, true)] {
        assert_eq!(decoded(stream, seed, holds), expected, "cut by {seed}, {holds}");
    }
    for opening in [Expected::Opening, Expected::Bets, Expected::Agency] {
        let mut state = opening;
        for frame in &expected.0 {
            match state.read(frame) {
                Ok(Some(Request::Batch { text })) => assert_eq!(text, frame),
                Ok(_) => {}
                Err(malformed) => {
                    assert!(!malformed.to_string().contains(char::is_control));
                    break;
                }
            }
        }
    }
    expected.0.iter().for_each(|frame| check_batch(frame));
}

fn check_batch(frame: &[u8]) {
    let body = body_of(frame).ok();
    assert_eq!(body, slow_body(frame));
    let Some(body) = body else { return };
    batch(&body);
    if bolillero_protocol::bet::Batch::validate(&body, u32::MAX).is_ok() {
        assert!(body.len() <= BODY_LENGTH_MAX);
        let text = text_of(&body).expect("it came as text");
        assert_eq!(text.as_bytes(), frame.strip_suffix(b";").unwrap_or(frame));
    }
}

/// Opcode 3's form of a batch, field by field.
fn slow_body(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.is_empty() {
        return Some(b"0#".to_vec());
    }
    let bets: Vec<&[u8]> =
        frame.strip_suffix(b";").unwrap_or(frame).split(|&byte| byte == b';').collect();
    assert_eq!(bets_announced(frame) as usize, bets.len());
    let mut body = format!("{}#", bets.len()).into_bytes();
    for (index, bet) in bets.iter().enumerate() {
        let fields: Vec<&[u8]> = bet.split(|&byte| byte == b',').collect();
        if fields.len() != 6 || bet.contains(&b'#') {
            return None;
        }
        body.extend_from_slice(format!("@{index}#").as_bytes());
        body.extend_from_slice(&fields.join(&b'#'));
        body.push(b'#');
    }
    Some(body)
}

fn decoded(stream: &[u8], seed: u8, holds: bool) -> Received {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in pieces(stream, seed) {
        let mut input = piece;
        if holds {
            decoder.keep(piece);
            input = &[];
        }
        while let (taken, Some(frame)) = decoder.next(input) {
            frames.push(frame.to_vec());
            input = &input[taken..];
        }
    }
    (frames, decoder.is_partial())
}

fn slow(mut left: &[u8]) -> Received {
    let mut frames = Vec::new();
    while let Some((length, text)) = left.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((frame, later)) = text.split_at_checked(length) else { break };
        frames.push(frame.to_vec());
        left = later;
    }
    (frames, !left.is_empty())
}
