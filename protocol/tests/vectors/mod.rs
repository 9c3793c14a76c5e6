//! Reads the golden vectors beside this file, and packets as the one who receives them. Checks nothing itself.

#![allow(dead_code)] // Each of the tests that share this takes a part of it.

use std::collections::BTreeMap;

use bolillero_protocol::bet::{Batch, batch_of_one};
use bolillero_protocol::message::{
    ChainAlarm, Code, Refusal, Reply, Request, RequestError, blame, is_reply, is_request, opcode,
};
use bolillero_protocol::tlv::{Decoder, Packet, REQUEST_LENGTH_MAX_DEFAULT, Rules};

/// The agencies of the vectors' draw.
pub(crate) const AGENCIES: u32 = 5;

/// A block of `key: value` lines.
pub(crate) type Block = BTreeMap<String, String>;

/// Who sends a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Agency,
    Office,
}

/// A packet of a vectors' file.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) from: Sender,
    pub(crate) bytes: Vec<u8>,
    pub(crate) block: Block,
}

/// The blocks of one of the files.
pub(crate) fn blocks(file: &str) -> Vec<Block> {
    let text = match file {
        "base.txt" => include_str!("base.txt"),
        "sessions.txt" => include_str!("sessions.txt"),
        "bad.txt" => include_str!("bad.txt"),
        "chain.txt" => include_str!("chain.txt"),
        "text.txt" => include_str!("text.txt"),
        "hftp.txt" => include_str!("hftp.txt"),
        "room.txt" => include_str!("room.txt"),
        _ => panic!("there is no file {file} of vectors"),
    };
    let mut blocks = vec![Block::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(": ") {
            Some((key, value)) => {
                let before =
                    blocks.last_mut().and_then(|block| block.insert(key.into(), value.into()));
                assert!(before.is_none(), "two times {key}: {line}");
            }
            None if line.is_empty() => blocks.push(Block::new()),
            None => panic!("{file}: neither a key nor empty: {line}"),
        }
    }
    blocks.retain(|block| !block.is_empty());
    assert!(!blocks.is_empty(), "{file} holds nothing");
    blocks
}

/// The packets of one of the files.
pub(crate) fn packets(file: &str) -> Vec<Vector> {
    let vector = |block: Block| Vector {
        name: block["name"].clone(),
        from: if block["from"] == "agency" { Sender::Agency } else { Sender::Office },
        bytes: bytes(&block["bytes"]),
        block,
    };
    blocks(file).into_iter().map(vector).collect()
}

/// Hex digits and text in quotes as the bytes they stand for.
pub(crate) fn bytes(notation: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in notation.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: String = part.split_whitespace().collect();
        for at in (0..digits.len()).step_by(2) {
            bytes.push(u8::from_str_radix(&digits[at..at + 2], 16).expect("two hex digits"));
        }
    }
    bytes
}

/// What a packet means, in the words of the vectors, and how this library writes that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) means: String,
    pub(crate) written: Vec<u8>,
}

/// What the one who is sent packets takes.
pub(crate) fn rules_for_packets_from(sender: Sender) -> Rules {
    match sender {
        Sender::Agency => {
            Rules { accepts: is_request, length_max: REQUEST_LENGTH_MAX_DEFAULT, streamed: None }
        }
        Sender::Office => Rules {
            accepts: is_reply,
            length_max: REQUEST_LENGTH_MAX_DEFAULT,
            streamed: Some(opcode::WINNERS),
        },
    }
}

/// Reads the packet at the front of `bytes`, as the one who is sent it. `None` when it is not whole.
pub(crate) fn read(from: Sender, bytes: &[u8]) -> Result<Option<Reading>, RequestError> {
    let mut decoder = Decoder::new(rules_for_packets_from(from));
    let (_, packet) = decoder.next(bytes)?;
    let Some(packet) = packet.filter(|packet| packet.rest == 0) else { return Ok(None) };
    match from {
        Sender::Agency => read_request(packet).map(Some),
        Sender::Office => read_reply(packet).map(Some),
    }
}

fn read_request(packet: Packet<'_>) -> Result<Reading, RequestError> {
    let request = Request::parse(packet.opcode, packet.data)?;
    let means = match request {
        Request::Close => "close".into(),
        Request::Bet { items } => {
            describe_batch(&batch_of_one(items))?;
            format!("bet {}", String::from_utf8_lossy(items))
        }
        Request::Batch { body } => format!("batch {}", describe_batch(body)?),
        Request::Ready(ready) => match ready.totals {
            None => format!("ready agency={}", ready.agency),
            Some(totals) => {
                let (agency, last_seq, bets) = (ready.agency, totals.last_seq, totals.bets);
                format!("ready agency={agency} last_seq={last_seq} bets={bets}")
            }
        },
        Request::AskWinners { agency } => format!("ask_winners agency={agency}"),
        Request::Hello(hello) => {
            let draw = hello.draw.map_or(String::new(), |draw| format!(" draw={draw}"));
            format!("hello version={} agency={}{draw}", hello.version, hello.agency)
        }
        Request::NumberedBatch { seq, body } => {
            format!("numbered_batch seq={seq} {}", describe_batch(body)?)
        }
        Request::Alarm(ChainAlarm { seq, bets, head }) => {
            format!("alarm seq={seq} bets={bets} head={head}")
        }
    };
    let mut written = Vec::new();
    request.encode(&mut written);
    Ok(Reading { means, written })
}

fn describe_batch(body: &[u8]) -> Result<String, RequestError> {
    let batch = Batch::validate(body, AGENCIES).map_err(|problem| blame(body, problem))?;
    Ok(format!("bets={} agency={}", batch.bets(), batch.agency()))
}

fn read_reply(packet: Packet<'_>) -> Result<Reading, RequestError> {
    let reply = Reply::parse(packet)?;
    let mut written = Vec::new();
    reply.encode(&mut written);
    let means = match reply {
        Reply::Corrupt => "corrupt".into(),
        Reply::Close => "close".into(),
        Reply::Ack => "ack".into(),
        Reply::Error(text) => match Refusal::parse(text) {
            Ok(refusal) => {
                written.clear();
                refusal.encode(&mut written);
                describe_refusal(&refusal)
            }
            Err(_) => format!("error {text}"),
        },
        Reply::Winners { data, .. } => {
            format!("winners {}", String::from_utf8_lossy(data)).trim_end().into()
        }
        Reply::Busy => "busy".into(),
        Reply::Welcome(welcome) => format!(
            "welcome epoch={} next_seq={} bets={} head={} finished={} draw={}",
            welcome.epoch,
            welcome.next_seq,
            welcome.bets,
            welcome.head,
            u8::from(welcome.finished),
            welcome.draw
        ),
        Reply::Receipt(receipt) => {
            format!("receipt seq={} bets={} head={}", receipt.seq, receipt.bets, receipt.head)
        }
    };
    Ok(Reading { means, written })
}

fn describe_refusal(refusal: &Refusal<'_>) -> String {
    let code = refusal.code.map_or("unknown", Code::name);
    let seq = refusal.seq.map_or("-".into(), |seq| seq.to_string());
    format!("refusal {code} seq={seq} text={}", refusal.text)
}
