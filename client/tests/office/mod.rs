//! An office for tests: it keeps lanes as PROTOCOL.md says, in memory, and misbehaves where a test
//! tells it to. Sans-IO, with a loopback listener around it for tests of the program.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test program uses a part of it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bolillero::batches::{Batch, Batches, Limits};
use bolillero::dialogue::{Conversation, Dialogue, Next, Stop};
use bolillero::source::{Source, SourceError};
use bolillero_protocol::bet;
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{
    ChainAlarm, Code, DrawId, Hello, Receipt, Refusal, Reply, Request, Welcome, is_request,
};
use bolillero_protocol::tlv::{Decoder, REQUEST_LENGTH_MAX_DEFAULT, Rules};

/// The draw of every office, unless a test gives it another.
pub const DRAW: DrawId = DrawId([0xab; 8]);

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection ends before anything is done.
    Drop,
    /// It ends after all is done, without the answer.
    DropAfter,
    /// Nothing is done, nothing is said.
    Silent,
    /// The test is told; nothing is said, and nothing done but where it `serves`.
    Hold { serves: bool, told: Sender<()> },
    /// Nothing is done, this is answered.
    Answer(Vec<u8>),
    /// As `Answer`, and the connection ends.
    Last(Vec<u8>),
    /// A batch finds no room on the disk.
    NoRoom,
}

/// What an agency has stored.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    pub epoch: u32,
    pub bodies: Vec<Vec<u8>>,
    /// Bets and head after each.
    pub marks: Vec<(u64, Head)>,
    pub finished: bool,
}

impl Lane {
    pub fn last(&self) -> (u64, Head) {
        self.marks.last().copied().unwrap_or((0, Head::EMPTY))
    }

    pub fn push(&mut self, body: &[u8]) {
        let (bets, head) = self.last();
        let batch = bet::Batch::validate(body, 65_535).unwrap();
        self.marks.push((bets + u64::from(batch.bets()), head.then(BodyHash::of(body))));
        self.bodies.push(body.to_vec());
    }
}

/// The office.
#[derive(Debug, Clone)]
pub struct Office {
    pub draw: DrawId,
    pub lanes: BTreeMap<u32, Lane>,
    pub winners: Vec<u8>,
    /// How often a base agency is told busy (8) before the winners.
    pub busy_answers: usize,
    /// How many agencies have to be ready before the winners are told.
    pub draws_after: usize,
    /// By the number of the request, from 0, over all connections.
    pub faults: BTreeMap<usize, Fault>,
    pub requests: usize,
    /// Batches that arrived, stored or not.
    pub batches_seen: usize,
    /// What agencies said that they count.
    pub alarms: Vec<ChainAlarm>,
    /// The most bytes of an answer that leave in one write.
    pub write_size_max: usize,
}

impl Default for Office {
    fn default() -> Self {
        Self {
            draw: DRAW,
            lanes: BTreeMap::new(),
            winners: b"#".to_vec(),
            busy_answers: 0,
            draws_after: 0,
            faults: BTreeMap::new(),
            requests: 0,
            batches_seen: 0,
            alarms: Vec::new(),
            write_size_max: usize::MAX,
        }
    }
}

/// A connection to it.
pub struct Connection {
    decoder: Decoder,
    /// The agency and the epoch of its session.
    session: Option<(u32, u32)>,
}

impl Office {
    pub fn with_faults(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self { faults: faults.into_iter().collect(), ..Self::default() }
    }

    pub fn accept(&self) -> Connection {
        let rules =
            Rules { accepts: is_request, length_max: REQUEST_LENGTH_MAX_DEFAULT, streamed: None };
        Connection { decoder: Decoder::new(rules), session: None }
    }

    pub fn lane(&mut self, agency: u32) -> &mut Lane {
        self.lanes.entry(agency).or_default()
    }

    /// Takes bytes, appends answers; says whether the connection stays.
    pub fn receive(&mut self, from: &mut Connection, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        loop {
            let Ok((taken, packet)) = from.decoder.next(bytes) else {
                Reply::Corrupt.encode(out);
                return false;
            };
            bytes = &bytes[taken..];
            let Some(packet) = packet else { return true };
            let request = Request::parse(packet.opcode, packet.data).unwrap();
            if matches!(request, Request::Close) {
                return false;
            }
            let fault = self.faults.remove(&self.requests);
            self.requests += 1;
            match fault {
                Some(Fault::Drop) => return false,
                Some(Fault::Silent) => {}
                Some(Fault::Hold { serves, told }) => {
                    if serves {
                        self.serve(&mut from.session, request, true, &mut Vec::new());
                    }
                    told.send(()).unwrap();
                }
                Some(Fault::Answer(answer)) => out.extend(answer),
                Some(Fault::Last(answer)) => {
                    out.extend(answer);
                    return false;
                }
                Some(Fault::DropAfter) => {
                    self.serve(&mut from.session, request, true, &mut Vec::new());
                    return false;
                }
                Some(Fault::NoRoom) => self.serve(&mut from.session, request, false, out),
                None => self.serve(&mut from.session, request, true, out),
            }
        }
    }

    fn serve(
        &mut self,
        session: &mut Option<(u32, u32)>,
        request: Request<'_>,
        room: bool,
        out: &mut Vec<u8>,
    ) {
        match request {
            Request::Hello(hello) => self.hello(session, hello, out),
            Request::NumberedBatch { seq, body } => {
                let (agency, epoch) = session.expect("a hello came before");
                self.put(agency, epoch, seq, body, room, out);
            }
            Request::Batch { body: b"0#" } => Reply::Ack.encode(out),
            Request::Bet { items } => match items.strip_prefix(b"0#") {
                Some(_) => Reply::Error("bet 0: no such agency").encode(out),
                None => {
                    let body = bet::batch_of_one(items);
                    let agency = bet::first_agency(&body).unwrap();
                    self.lane(agency).push(&body);
                    Reply::Ack.encode(out);
                }
            },
            Request::Batch { body } => {
                self.batches_seen += 1;
                let agency = bet::first_agency(body).unwrap();
                self.lane(agency).push(body);
                Reply::Ack.encode(out);
            }
            Request::Ready(ready) => {
                let lane = self.lane(ready.agency);
                if let Some(totals) = ready.totals {
                    assert_eq!(totals.last_seq, lane.bodies.len() as u64);
                    assert_eq!(totals.bets, lane.last().0);
                }
                lane.finished = true;
                Reply::Ack.encode(out);
            }
            Request::AskWinners { .. } if session.is_none() && self.busy_answers > 0 => {
                self.busy_answers -= 1;
                Reply::Busy.encode(out);
            }
            Request::AskWinners { .. } if session.is_none() && self.is_undrawn() => {
                Reply::Busy.encode(out);
            }
            Request::AskWinners { .. } => {
                Reply::Winners { data: &self.winners, rest: 0 }.encode(out);
            }
            Request::Alarm(alarm) => {
                self.alarms.push(alarm);
                Reply::Ack.encode(out);
            }
            other @ Request::Close => panic!("no agency sends {other:?}"),
        }
    }

    fn is_undrawn(&self) -> bool {
        self.lanes.values().filter(|lane| lane.finished).count() < self.draws_after
    }

    fn hello(&mut self, session: &mut Option<(u32, u32)>, hello: Hello, out: &mut Vec<u8>) {
        let draw = self.draw;
        if hello.draw.is_some_and(|expected| expected != draw) {
            return refusal(Code::Refused, None, "another draw", out);
        }
        let lane = self.lane(hello.agency);
        lane.epoch += 1;
        *session = Some((hello.agency, lane.epoch));
        Reply::Welcome(welcome(lane, draw)).encode(out);
    }

    fn put(
        &mut self,
        agency: u32,
        epoch: u32,
        seq: u64,
        body: &[u8],
        room: bool,
        out: &mut Vec<u8>,
    ) {
        self.batches_seen += 1;
        let lane = self.lane(agency);
        let index = usize::try_from(seq).unwrap() - 1;
        let code = match lane.bodies.get(index) {
            _ if epoch != lane.epoch => Code::Fenced,
            Some(stored) if stored != body => Code::Conflict,
            Some(_) => return receipt(lane, index, out),
            None if lane.finished => Code::Closed,
            None if index > lane.bodies.len() => Code::Gap,
            None if !room => Code::Storage,
            None => {
                lane.push(body);
                return receipt(lane, index, out);
            }
        };
        refusal(code, Some(seq), "not now", out);
    }
}

pub fn welcome(lane: &Lane, draw: DrawId) -> Welcome {
    let (bets, head) = lane.last();
    let next_seq = lane.bodies.len() as u64 + 1;
    Welcome { epoch: lane.epoch, next_seq, bets, head, finished: lane.finished, draw }
}

fn receipt(lane: &Lane, index: usize, out: &mut Vec<u8>) {
    let (bets, head) = lane.marks[index];
    Reply::Receipt(Receipt { seq: index as u64 + 1, bets, head }).encode(out);
}

pub fn refusal(code: Code, seq: Option<u64>, text: &str, out: &mut Vec<u8>) {
    Refusal { code: Some(code), seq, text }.encode(out);
}

/// A packet, as bytes.
pub fn packet(reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(&mut out);
    out
}

/// A file of `n` bets.
pub fn rows(n: usize) -> String {
    (0..n).map(|i| format!("Ana,Paz,{},1990-01-01,{}\r\n", 30_000_000 + i, i % 10_000)).collect()
}

/// A file's batches of at most `bets_max` bets.
pub fn cut(
    file: &str,
    bets_max: u32,
) -> impl Iterator<Item = Result<Batch, SourceError>> + use<'_> {
    cut_within(file, self::bets_max(bets_max))
}

/// A file's batches within `limits`.
pub fn cut_within(
    file: &str,
    limits: Limits,
) -> impl Iterator<Item = Result<Batch, SourceError>> + use<'_> {
    Batches::new(Source::new(file.as_bytes(), "bets.csv", 1), limits)
}

/// Batches of at most so many bets.
pub fn bets_max(bets: u32) -> Limits {
    Limits { bets_max: std::num::NonZeroU32::new(bets), ..Limits::default() }
}

/// The bodies that a file is cut into.
pub fn bodies(file: &str, bets_max: u32) -> Vec<Vec<u8>> {
    cut(file, bets_max).map(|batch| batch.unwrap().body).collect()
}

/// After how many bytes each way a connection breaks.
pub type Breaks = (usize, usize);

/// Holds the dialogue with the office until it ends, without a socket. `breaks` has one entry per
/// connection; once they are spent, connections hold.
pub fn drive(
    dialogue: &mut impl Dialogue,
    office: &mut Office,
    breaks: &mut VecDeque<Breaks>,
) -> Result<(), Stop> {
    for _ in 0..1000 {
        let (up, down) = breaks.pop_front().unwrap_or((usize::MAX, usize::MAX));
        if drive_once(dialogue, office, up, down)? {
            return Ok(());
        }
        dialogue.lost("the test ended it")?;
    }
    panic!("no end in sight: {} requests", office.requests);
}

/// One connection; says whether the work is done.
pub fn drive_once(
    dialogue: &mut impl Dialogue,
    office: &mut Office,
    mut up: usize,
    mut down: usize,
) -> Result<bool, Stop> {
    let (mut connection, mut conversation) = (office.accept(), Conversation::new());
    let mut out = Vec::new();
    dialogue.open(&mut out)?;
    loop {
        let sent = out.len().min(up);
        up -= sent;
        let mut replies = Vec::new();
        let stays = office.receive(&mut connection, &out[..sent], &mut replies);
        let mut broken = sent < out.len() || !stays || out.is_empty();
        out.clear();
        let got = replies.len().min(down);
        down -= got;
        broken |= got < replies.len();
        for piece in replies[..got].chunks(7) {
            match conversation.receive(dialogue, piece, &mut out)? {
                Next::Read => {}
                Next::Pause(_) => dialogue.resume(&mut out)?,
                Next::Another(_) | Next::Reconnect(_) => return Ok(false),
                Next::Done => return Ok(true),
            }
        }
        if broken {
            return Ok(false);
        }
    }
}

/// The office behind a listener of its own.
pub struct Served {
    pub address: SocketAddr,
    pub office: Arc<Mutex<Office>>,
}

impl Served {
    pub fn new(office: Office) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), office)
    }

    pub fn on(listener: TcpListener, office: Office) -> Self {
        let address = listener.local_addr().unwrap();
        let office = Arc::new(Mutex::new(office));
        let shared = office.clone();
        // The thread ends with the test's process; each of its connections is bounded in time.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, office) = (stream.unwrap(), shared.clone());
                thread::spawn(move || serve_stream(stream, &office));
            }
        });
        Self { address, office }
    }

    pub fn bodies(&self, agency: u32) -> Vec<Vec<u8>> {
        self.office.lock().unwrap().lane(agency).bodies.clone()
    }
}

fn serve_stream(mut stream: TcpStream, office: &Mutex<Office>) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut connection = office.lock().unwrap().accept();
    let write_size_max = office.lock().unwrap().write_size_max;
    let mut bytes = [0; 4096];
    loop {
        let Ok(size @ 1..) = stream.read(&mut bytes) else { return };
        let mut out = Vec::new();
        let stays = office.lock().unwrap().receive(&mut connection, &bytes[..size], &mut out);
        let written = out.chunks(write_size_max).try_for_each(|piece| stream.write_all(piece));
        if written.is_err() || !stays {
            return;
        }
    }
}
