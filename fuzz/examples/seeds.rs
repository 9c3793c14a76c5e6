//! Writes what the fuzzer begins with: the golden vectors in the form of each target, and a sound ledger. Holds each seed to
//! its target's check first, so that a check which refuses what is right is seen without a fuzzer.
//!
//! ```text
//! seeds DIRECTORY      DIRECTORY/packet/vector-0, ...
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

use bolillero_fuzz::{hftp, ledger, office, room, source, wire};
use bolillero_protocol::bet::{Bets, Number, batch_of_one};
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{ChainAlarm, DrawId, Request};
use bolillero_protocol::tlv::HEADER_SIZE;
use bolillero_server::ledger::record::Record;
use bolillero_server::lottery::event::{alarm_body, draw_body, open_body, open_record, record_of};
use bolillero_server::lottery::state::{Event, Terms};
use bolillero_server::lottery::winners::Digest;

use self::vectors::{Sender, blocks, bytes, packets};

#[allow(dead_code)] // Tests use all of it.
#[path = "../../server/tests/ledger/life.rs"]
mod life;
#[path = "../../protocol/tests/vectors/mod.rs"]
mod vectors;

/// A longer seed would have the fuzzer try inputs of its length, which is slow.
const SEED_SIZE_MAX: usize = 4096;

type Check = fn(&[u8]);
const TARGETS: &[(&str, Check)] = &[
    ("packet", wire::packet),
    ("batch", wire::batch),
    ("request", wire::request),
    ("reply", wire::reply),
    ("hello", wire::hello),
    ("text", wire::text),
    ("text_session", office::text_session),
    ("session", office::session),
    ("segment", ledger::segment),
    ("damage", ledger::damage),
    ("replay", office::replay),
    ("source", source::source),
    ("hftp_commands", hftp::commands),
    ("hftp_reply", hftp::reply),
    ("room", room::objects),
];

/// Seeds by the name of their target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, parts: &[&[u8]]) {
        self.0.entry(target).or_default().push(parts.concat());
    }
}

fn main() -> io::Result<()> {
    let directory = env::args().nth(1).expect("usage: seeds DIRECTORY");
    let mut seeds = Seeds::default();
    for file in ["base.txt", "sessions.txt", "bad.txt"] {
        add_packets(&mut seeds, file);
    }
    add_text(&mut seeds);
    add_files(&mut seeds);
    add_room(&mut seeds);
    add_bodies(&mut seeds);
    add_conversation(&mut seeds);
    add_ledger(&mut seeds);
    add_records(&mut seeds);
    for (target, check) in TARGETS {
        write(&Path::new(&directory).join(target), &seeds.0[target], *check)?;
    }
    Ok(())
}

fn write(directory: &Path, seeds: &[Vec<u8>], check: Check) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let short = seeds.iter().filter(|seed| seed.len() <= SEED_SIZE_MAX);
    for (index, seed) in short.enumerate() {
        check(seed);
        fs::write(directory.join(format!("vector-{index}")), seed)?;
    }
    Ok(())
}

fn add_packets(seeds: &mut Seeds, file: &str) {
    for vector in packets(file) {
        seeds.add("packet", &[&[3], &vector.bytes]);
        let data = vector.bytes.get(HEADER_SIZE..).unwrap_or_default();
        let message = if vector.from == Sender::Agency { "request" } else { "reply" };
        seeds.add(message, &[&vector.bytes[..1], data]);
        if vector.from == Sender::Office {
            continue;
        }
        seeds.add("session", &[&[3], &vector.bytes]);
        match Request::parse(i8::from_be_bytes([vector.bytes[0]]), data) {
            Ok(Request::Hello(_)) => seeds.add("hello", &[data]),
            Ok(Request::Bet { items }) => seeds.add("batch", &[&batch_of_one(items)]),
            Ok(Request::Batch { body } | Request::NumberedBatch { body, .. }) => {
                seeds.add("batch", &[body]);
            }
            _ => {}
        }
    }
}

fn add_text(seeds: &mut Seeds) {
    for vector in packets("text.txt").into_iter().filter(|vector| vector.from == Sender::Agency) {
        seeds.add("text", &[&[3], &vector.bytes]);
        seeds.add("text_session", &[&[3], &vector.bytes]);
    }
}

/// Each command alone, all of them in one go, and each reply as that to a slice of five bytes.
fn add_files(seeds: &mut Seeds) {
    let mut all = vec![40];
    for block in blocks("hftp.txt") {
        let command = bytes(&block["command"]);
        seeds.add("hftp_commands", &[&[3], &command]);
        if !block.contains_key("closes") {
            all.extend_from_slice(&command);
        }
        seeds.add("hftp_reply", &[&[5], &bytes(&block["reply"])]);
    }
    seeds.add("hftp_commands", &[&all]);
}

fn add_room(seeds: &mut Seeds) {
    let mut all = vec![40];
    for block in blocks("room.txt") {
        let sent =
            block.get("sent").map_or_else(|| bytes(&block["hex"]), |text| text.clone().into());
        seeds.add("room", &[&[3], &sent]);
        if !block.contains_key("refused") {
            all.extend_from_slice(&sent);
        }
    }
    seeds.add("room", &[&all]);
}

fn add_bodies(seeds: &mut Seeds) {
    for block in blocks("chain.txt") {
        let body = bytes(&block["body"]);
        seeds.add("batch", &[&body]);
        let mut rows = String::new();
        for bet in Bets::read(&body).expect("a vector is a list") {
            let bet = bet.expect("a vector's bet");
            let row =
                [bet.first_name, bet.last_name, bet.document, bet.birth_date, bet.number].join(",");
            rows += &row;
            rows += "\r\n";
        }
        seeds.add("source", &[&[7], rows.as_bytes()]);
    }
    let quoted =
        "\u{feff}\n\"Ana, \"\"A\"\"\",\"Paz\",1,1990-01-01,07\r\n\r\nAna,\"P\naz\",1,1,1\n";
    seeds.add("source", &[&[1], quoted.as_bytes()]);
}

/// One agency's whole session, and the other's in base opcodes, on one connection each.
fn add_conversation(seeds: &mut Seeds) {
    let bet = "Ana#Paz#30000001#1990-01-01#7574#";
    let base = [
        packet(1, &format!("2#{bet}")),
        packet(3, &format!("2#@0#2#{bet}@1#2#{bet}")),
        packet(5, "2#"),
        packet(6, "2"),
    ];
    let session = [
        packet(9, "1#1#0123456789abcdef#"),
        packet(11, &format!("1#1#@0#1#{bet}")),
        packet(11, &format!("1#1#@0#1#{bet}")),
        packet(11, &format!("2#1#@0#1#{bet}")),
        packet(17, &format!("2#2#{}#", "00".repeat(32))),
        packet(17, &format!("2#2#{}#", "00".repeat(32))),
        packet(5, "1#2#2#"),
        packet(6, "1#"),
    ];
    seeds.add("session", &[&[9], &base.concat()]);
    seeds.add("session", &[&[9], &session.concat()]);
    seeds.add("session", &[&[40], &base.concat(), &packet(5, "1#"), &packet(6, "1#")]);
    seeds.add("packet", &[&[9], &session.concat()]);
}

fn packet(opcode: i8, data: &str) -> Vec<u8> {
    let mut packet = Vec::new();
    bolillero_protocol::tlv::encode(opcode, data.as_bytes(), &mut packet);
    packet
}

fn add_ledger(seeds: &mut Seeds) {
    let (files, _) = life::left_behind();
    let segments: Vec<&Vec<u8>> =
        files.iter().filter(|(name, _)| name.ends_with(".log")).map(|(_, bytes)| bytes).collect();
    let (first, second) = (segments[0], segments[1]);
    let size = u16::try_from(first.len()).expect("a small segment").to_be_bytes();
    seeds.add("segment", &[&size, first]);
    seeds.add("segment", &[&size, first, second]);
    seeds.add("segment", &[&size, first, &second[..second.len() / 3]]);
    let mut groups = Vec::new();
    for events in life::script() {
        let mut group = Vec::new();
        for event in events {
            event.record().encode(&mut group);
        }
        groups.push(u8::try_from(group.len()).expect("a small group"));
        groups.extend(group);
        groups.push(0);
    }
    for at in [0, 40, 60, 300] {
        seeds.add("damage", &[&u16::to_be_bytes(at), &[1], &groups]);
    }
    seeds.add("damage", &[&[0; 3], &groups]);
}

fn add_records(seeds: &mut Seeds) {
    let number = Number::new(7574).expect("a number");
    let terms = Terms { agencies: 1, winning_number: number, draw: DrawId(*b"the draw") };
    let mut records = Vec::new();
    let mut add = |record: Record<'_>| record.encode(&mut records);
    add(open_record(&terms, &open_body(&terms)));
    add(record_of(&Event::Hello { agency: 1, epoch: 1 }, b""));
    let mut seq = 0;
    for block in blocks("chain.txt") {
        let body = bytes(&block["body"]);
        let bets = Bets::read(&body).expect("a vector is a list").count_announced();
        seq += 1;
        let hash = BodyHash::of(&body);
        add(record_of(&Event::Batch { agency: 1, epoch: 1, seq, bets, hash }, &body));
    }
    let alarm = ChainAlarm { seq, bets: 9, head: Head([7; 32]) };
    add(record_of(&Event::Alarm { agency: 1, epoch: 1, alarm }, &alarm_body(&alarm)));
    add(record_of(&Event::Finish { agency: 1, epoch: 1, seq }, b""));
    let body = draw_body(number, &[Digest { winners: 0, documents_sha256: [7; 32] }]);
    add(Record { n: 1, ..record_of(&Event::Drawn, &body) });
    seeds.add("replay", &[&records]);
}
