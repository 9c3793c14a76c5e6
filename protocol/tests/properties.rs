//! What holds for every message, however its bytes are cut, and for every damaged one. Batches have
//! their own page, `batch_properties.rs`.

use bolillero_protocol::chain::Head;
use bolillero_protocol::message::{
    ChainAlarm, Code, DrawId, Hello, Ready, Receipt, Refusal, Reply, Request, Totals, Welcome,
    opcode,
};
use bolillero_protocol::tlv::{self, Decoder, HEADER_SIZE, Packet, Rules};
use proptest::collection::vec;
use proptest::prelude::*;

use self::vectors::{Sender, Vector, packets, read, rules_for_packets_from};

mod vectors;

const FILES: [&str; 3] = ["base.txt", "sessions.txt", "bad.txt"];

/// A packet as the one who receives it sees it: nothing is left of it, and nothing is to come.
fn whole<'a>(from: Sender, bytes: &'a [u8], decoder: &'a mut Option<Decoder>) -> Packet<'a> {
    let decoder = decoder.insert(Decoder::new(rules_for_packets_from(from)));
    let (taken, packet) = decoder.next(bytes).expect("a packet");
    assert_eq!(taken, bytes.len());
    packet.filter(|packet| packet.rest == 0).expect("a whole packet")
}

fn a_list() -> impl Strategy<Value = String> {
    "([^#]{0,20}#){1,8}"
}

fn a_draw() -> impl Strategy<Value = DrawId> {
    any::<[u8; 8]>().prop_map(DrawId)
}

fn a_code() -> impl Strategy<Value = Code> {
    use Code::{
        Closed, Conflict, Fenced, Gap, Malformed, Mismatch, Old, Refused, Storage, Version,
    };
    proptest::sample::select(vec![
        Malformed, Refused, Fenced, Conflict, Old, Closed, Gap, Storage, Mismatch, Version,
    ])
}

proptest! {
    #[test]
    fn every_request_is_read_as_it_was_written(
        list in a_list(),
        agency: u32,
        seq: u64,
        bets: Option<u64>,
        draw in proptest::option::of(a_draw()),
        head: [u8; 32],
    ) {
        let alarm = ChainAlarm { seq, bets: bets.unwrap_or(0), head: Head(head) };
        let totals = bets.map(|bets| Totals { last_seq: seq, bets });
        for request in [
            Request::Close,
            Request::Bet { items: list.as_bytes() },
            Request::Batch { body: list.as_bytes() },
            Request::Ready(Ready { agency, totals }),
            Request::AskWinners { agency },
            Request::Hello(Hello { version: 1, agency, draw }),
            Request::NumberedBatch { seq, body: list.as_bytes() },
            Request::Alarm(alarm),
        ] {
            let mut bytes = Vec::new();
            request.encode(&mut bytes);
            let mut decoder = None;
            let packet = whole(Sender::Agency, &bytes, &mut decoder);
            prop_assert_eq!(Request::parse(packet.opcode, packet.data), Ok(request));
        }
    }

    #[test]
    fn every_reply_is_read_as_it_was_written(
        text: String,
        list in a_list(),
        (epoch, seq, bets) in any::<(u32, u64, u64)>(),
        head: [u8; 32],
        finished: bool,
        draw in a_draw(),
    ) {
        let head = Head(head);
        for reply in [
            Reply::Corrupt,
            Reply::Close,
            Reply::Ack,
            Reply::Error(&text),
            Reply::Winners { data: list.as_bytes(), rest: 0 },
            Reply::Busy,
            Reply::Welcome(Welcome { epoch, next_seq: seq, bets, head, finished, draw }),
            Reply::Receipt(Receipt { seq, bets, head }),
        ] {
            let mut bytes = Vec::new();
            reply.encode(&mut bytes);
            let mut decoder = None;
            let packet = whole(Sender::Office, &bytes, &mut decoder);
            prop_assert_eq!(Reply::parse(packet), Ok(reply));
        }
    }

    #[test]
    fn every_refusal_is_read_as_it_was_written_but_for_what_cannot_travel(
        code in a_code(),
        seq: Option<u64>,
        text: String,
    ) {
        let mut bytes = Vec::new();
        Refusal { code: Some(code), seq, text: &text }.encode(&mut bytes);
        let mut decoder = None;
        let packet = whole(Sender::Office, &bytes, &mut decoder);
        let Ok(Reply::Error(list)) = Reply::parse(packet) else { panic!("{packet:?} is an error") };
        let travelled = text.replace(|c: char| c == '#' || c.is_control(), " ");
        let expected = Refusal { code: Some(code), seq, text: &travelled };
        prop_assert_eq!(Refusal::parse(list), Ok(expected));
    }
}

const WHOLE_DATA_MAX: u32 = 40;

const STREAM_RULES: Rules = Rules {
    accepts: |code| code >= opcode::ACK,
    length_max: WHOLE_DATA_MAX,
    streamed: Some(opcode::WINNERS),
};

/// Packets as a list of opcode and data, and the stream of them. Streamed ones may be over the limit of the others.
fn a_stream() -> impl Strategy<Value = (Vec<(i8, Vec<u8>)>, Vec<u8>)> {
    let whole_max = WHOLE_DATA_MAX as usize;
    let opcodes = vec![opcode::ACK, opcode::ERROR, opcode::RECEIPT];
    let packet = prop_oneof![
        3 => (proptest::sample::select(opcodes), vec(any::<u8>(), 0..=whole_max)),
        1 => (Just(opcode::WINNERS), vec(any::<u8>(), 0..=5 * whole_max)),
    ];
    vec(packet, 0..12).prop_map(|packets| {
        let mut stream = Vec::new();
        for (opcode, data) in &packets {
            tlv::encode(*opcode, data, &mut stream);
        }
        (packets, stream)
    })
}

/// Puts what a decoder hands out together again.
#[derive(Default)]
struct Received {
    packets: Vec<(i8, Vec<u8>)>,
    within: bool,
}

impl Received {
    fn add(&mut self, packet: Packet<'_>) {
        assert!(packet.rest == 0 || packet.opcode == opcode::WINNERS, "only winners are streamed");
        if self.within {
            let (code, data) = self.packets.last_mut().expect("a packet has begun");
            assert_eq!(*code, packet.opcode);
            data.extend_from_slice(packet.data);
        } else {
            self.packets.push((packet.opcode, packet.data.to_vec()));
        }
        self.within = packet.rest > 0;
    }
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_and_held_anywhere_is_the_same_packets(
        (sent, stream) in a_stream(),
        sizes in vec(1..60_usize, 1..20),
        holds in vec(proptest::bool::weighted(0.3), 1..20),
    ) {
        let mut decoder = Decoder::new(STREAM_RULES);
        let mut received = Received::default();
        let (mut sizes, mut holds) = (sizes.iter().cycle(), holds.iter().cycle());
        let mut left = stream.as_slice();
        while !left.is_empty() {
            let (mut input, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
            left = later;
            loop {
                let (taken, packet) = decoder.next(input).unwrap();
                input = &input[taken..];
                let Some(packet) = packet else { break };
                received.add(packet);
                if *holds.next().unwrap() {
                    // Held: what came with it is kept, and so is what still comes before it goes on.
                    decoder.keep(input);
                    let (more, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
                    decoder.keep(more);
                    (input, left) = (&[], later);
                }
            }
            prop_assert!(input.is_empty(), "without a packet, all was taken");
        }
        prop_assert_eq!(received.packets, sent);
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn packets_that_lie_whole_in_the_input_are_not_copied((sent, stream) in a_stream()) {
        let mut decoder = Decoder::new(STREAM_RULES);
        let mut input = stream.as_slice();
        for (code, data) in &sent {
            let (taken, packet) = decoder.next(input).unwrap();
            let packet = packet.unwrap();
            prop_assert_eq!((packet.opcode, packet.data), (*code, data.as_slice()));
            prop_assert_eq!(packet.data.as_ptr(), input[HEADER_SIZE..].as_ptr());
            input = &input[taken..];
        }
        prop_assert!(input.is_empty());
    }

    #[test]
    fn any_bytes_are_packets_or_corrupt_however_they_are_cut(
        bytes in vec(prop_oneof![Just(0_u8), Just(3), Just(7), any::<u8>()], 0..200),
        size in 1..20_usize,
    ) {
        let received = |size: usize| {
            let mut decoder = Decoder::new(STREAM_RULES);
            let mut received = Received::default();
            for mut input in bytes.chunks(size) {
                loop {
                    match decoder.next(input) {
                        Ok((_, None)) => break,
                        Ok((taken, Some(packet))) => {
                            received.add(packet);
                            input = &input[taken..];
                        }
                        Err(corrupt) => return (received.packets, Some(corrupt)),
                    }
                }
            }
            (received.packets, None)
        };
        prop_assert_eq!(received(size), received(usize::MAX));
    }
}

fn every_vector() -> impl Iterator<Item = Vector> {
    FILES.into_iter().flat_map(packets)
}

#[test]
fn no_truncated_vector_is_a_message_and_its_rest_makes_it_whole() {
    for vector in every_vector().filter(|vector| vector.bytes.len() > 1) {
        for cut in 0..vector.bytes.len() {
            let name = format!("{} cut at {cut}", vector.name);
            let mut decoder = Decoder::new(rules_for_packets_from(vector.from));
            let (front, back) = vector.bytes.split_at(cut);
            let Ok((taken, packet)) = decoder.next(front) else { continue };
            assert_eq!(taken, cut, "{name}");
            assert!(packet.is_none_or(|packet| packet.rest > 0), "{name}");
            assert_eq!(decoder.is_partial(), cut > 0, "{name}");
            let rest = decoder
                .next(back)
                .map(|(taken, packet)| (taken, packet.map(|packet| (packet.opcode, packet.rest))));
            let opcode = i8::from_be_bytes([vector.bytes[0]]);
            match rest {
                Ok(rest) => assert_eq!(rest, (back.len(), Some((opcode, 0))), "{name}"),
                Err(_) => assert!(read(vector.from, &vector.bytes).is_err(), "{name}"),
            }
        }
    }
}

#[test]
fn a_vector_with_a_changed_byte_is_an_error_or_another_valid_message() {
    let mut outcomes = [0; 3];
    for vector in every_vector() {
        for at in 0..vector.bytes.len() {
            let byte = vector.bytes[at];
            let flips = (0..8).map(|bit| byte ^ (1 << bit));
            for other in flips.chain([!byte, b'#', b'0', b'@', b'-']) {
                let mut bytes = vector.bytes.clone();
                bytes[at] = other;
                match read(vector.from, &bytes) {
                    Ok(None) => outcomes[0] += 1,
                    Ok(Some(reading)) => {
                        // What cannot travel is written as spaces, so it is the writing that must stay.
                        let again = read(vector.from, &reading.written);
                        let again = again.expect("what was written is read").expect("whole");
                        assert_eq!(again.written, reading.written, "{}: {bytes:x?}", vector.name);
                        outcomes[1] += 1;
                    }
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        outcomes[2] += 1;
                    }
                }
            }
        }
    }
    // All three happen, many times: more to come, another message, an error.
    assert!(outcomes.iter().all(|&count| count > 1000), "{outcomes:?}");
}
