//! Holds encoder, decoder and chain to the bytes under `vectors/`, which were not computed with this library.

use std::collections::BTreeSet;

use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{RequestError, is_reply, is_request};

use self::vectors::{blocks, bytes, packets, read};

mod vectors;

#[test]
fn every_good_packet_is_read_and_written_as_its_vector_says() {
    for file in ["base.txt", "sessions.txt"] {
        for vector in packets(file) {
            let name = &vector.name;
            let reading = read(vector.from, &vector.bytes).expect(name).expect(name);
            assert_eq!(reading.means, vector.block["means"], "{file}: {name}");
            let written = vector.block.get("written").map_or(vector.bytes, |hex| bytes(hex));
            assert_eq!(reading.written, written, "{file}: {name}");
        }
    }
}

#[test]
fn every_bad_packet_is_answered_as_its_vector_says() {
    for vector in packets("bad.txt") {
        let answer = match read(vector.from, &vector.bytes) {
            Ok(reading) => format!("none: read as {reading:?}"),
            Err(RequestError::Corrupt(_)) => "corrupt".into(),
            Err(RequestError::Malformed(problem)) => format!("error {problem}"),
        };
        assert_eq!(answer, vector.block["answer"], "{}", vector.name);
    }
}

#[test]
fn the_vectors_hold_every_opcode_that_is_defined() {
    let vectors = ["base.txt", "sessions.txt"].into_iter().flat_map(packets);
    let seen: BTreeSet<i8> = vectors.map(|vector| i8::from_be_bytes([vector.bytes[0]])).collect();
    let defined = (i8::MIN..=i8::MAX).filter(|&code| is_request(code) || is_reply(code));
    assert_eq!(seen, defined.collect());
}

#[test]
fn the_chain_of_the_vectors_bodies_has_their_heads() {
    let mut head = Head::EMPTY;
    for block in blocks("chain.txt") {
        let body = bytes(&block["body"]);
        let hash = BodyHash::of(&body);
        head = head.then(hash);
        assert_eq!(Head(hash.0).to_string(), block["hash"], "{}", block["name"]);
        assert_eq!(head.to_string(), block["head"], "{}", block["name"]);
        assert_eq!(Head::parse(&block["head"]), Some(head));
    }
}
