//! The wire, written and read without the product's own code: packets, frames, bets, and the chain over them.

use sha2::{Digest as _, Sha256};

/// The id of the draw that is on every disk here.
pub(crate) const DRAW: &str = "0123456789abcdef";

/// A reply: opcode and data.
pub(crate) type Reply = (i8, String);

/// One packet, made without the product's encoder.
pub(crate) fn packet(opcode: i8, data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&opcode.to_be_bytes(), length.as_slice(), data].concat()
}

/// Bytes as packets, read without the product's decoder.
pub(crate) fn packets(mut bytes: &[u8]) -> Vec<Reply> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let data = String::from_utf8(bytes[5..5 + length].to_vec()).unwrap();
        packets.push((i8::from_be_bytes([bytes[0]]), data));
        bytes = &bytes[5 + length..];
    }
    packets
}

/// The items of a bet on `number`; its document is 30000000 + `number`.
pub(crate) fn bet(agency: u32, number: u32) -> String {
    format!("{agency}#Ana#Paz#{}#1990-01-01#{number}#", 30_000_000 + number)
}

/// The body of a batch of bets on these numbers.
pub(crate) fn body(agency: u32, numbers: &[u32]) -> String {
    let bets =
        numbers.iter().enumerate().map(|(i, number)| format!("@{i}#{}", bet(agency, *number)));
    format!("{}#{}", numbers.len(), bets.collect::<String>())
}

pub(crate) fn batch(agency: u32, numbers: &[u32]) -> Vec<u8> {
    packet(3, body(agency, numbers))
}

pub(crate) fn numbered(seq: u64, agency: u32, numbers: &[u32]) -> Vec<u8> {
    packet(11, format!("{seq}#{}", body(agency, numbers)))
}

pub(crate) fn hello(agency: u32) -> Vec<u8> {
    packet(9, format!("1#{agency}#"))
}

pub(crate) fn ready(agency: u32) -> Vec<u8> {
    packet(5, format!("{agency}#"))
}

pub(crate) fn session_ready(agency: u32, last_seq: u64, bets: u64) -> Vec<u8> {
    packet(5, format!("{agency}#{last_seq}#{bets}#"))
}

pub(crate) fn alarm(seq: u64, bets: u64, head: &str) -> Vec<u8> {
    packet(17, format!("{seq}#{bets}#{head}#"))
}

pub(crate) fn ask(agency: u32) -> Vec<u8> {
    packet(6, format!("{agency}#"))
}

/// One frame of the text dialect.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [length.as_slice(), text.as_bytes()].concat()
}

/// Several frames.
pub(crate) fn frames<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    texts.into_iter().flat_map(frame).collect()
}

/// A batch in the text dialect, made of its body: the markers go, and the separators change.
pub(crate) fn text_of(body: &str) -> String {
    let items: Vec<&str> = body.trim_end_matches('#').split('#').skip(1).collect();
    items.chunks(7).map(|bet| bet[1..].join(",") + ";").collect()
}

/// A batch of bets on these numbers, in the text dialect.
pub(crate) fn text(agency: u32, numbers: &[u32]) -> String {
    text_of(&body(agency, numbers))
}

pub(crate) fn ack() -> Reply {
    (2, String::new())
}

/// What a session ends with when a newer one works its lane.
pub(crate) fn fenced() -> Reply {
    (4, "FENCED#-#a newer session works this lane#".to_owned())
}

pub(crate) fn busy() -> Reply {
    (8, String::new())
}

pub(crate) fn close() -> Reply {
    (0, String::new())
}

pub(crate) fn winners(documents: &str) -> Reply {
    (7, documents.to_owned())
}

/// The receipt of the last of these bodies.
pub(crate) fn receipt(bodies: &[String]) -> Reply {
    (12, format!("{}#{}#{}#", bodies.len(), bets_in(bodies), head(bodies)))
}

pub(crate) fn welcome(epoch: u32, bodies: &[String], finished: bool) -> Reply {
    let (next, finished) = (bodies.len() + 1, u8::from(finished));
    (10, format!("{epoch}#{next}#{}#{}#{finished}#{DRAW}#", bets_in(bodies), head(bodies)))
}

pub(crate) fn bets_in(bodies: &[String]) -> u64 {
    let announced = |body: &String| body.split('#').next().unwrap().parse::<u64>().unwrap();
    bodies.iter().map(announced).sum()
}

/// The chain over these bodies, as a client computes it.
pub(crate) fn head(bodies: &[String]) -> String {
    let mut head = [0_u8; 32];
    for body in bodies {
        let mut chained = head.to_vec();
        chained.extend_from_slice(&Sha256::digest(body));
        head = Sha256::digest(&chained).into();
    }
    head.iter().map(|byte| format!("{byte:02x}")).collect()
}
