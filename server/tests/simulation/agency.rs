//! An agency's client, as PROTOCOL.md tells it to be: it sends, resends and resumes until it has its winners. It
//! speaks the base operations, the text dialect or sessions; one that is cut off in one of the first two goes on in a session,
//! which says where it stands. Knows its input and what it was answered; no connection, no fault.

use std::collections::VecDeque;

use crate::chance::Chance;
use crate::line::Dialect;
use crate::model::{Asked, Input};
use crate::wire::{Reply, alarm, ask, frame, frames, hello, packet, ready, session_ready, text_of};

/// How long an agency waits that was told that the draw is not done.
const NOT_READY_PAUSE: u64 = 1500;

/// A request to be sent.
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) bytes: Vec<u8>,
    /// Over a connection of its own, whose answer nobody reads.
    pub(crate) is_stray: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Base,
    Text,
    Sessions,
}

pub(crate) struct Agency {
    pub(crate) number: u32,
    speaks: Speaks,
    window: usize,
    /// Of 100 requests, so many are sent twice.
    twice: usize,
    /// The line it works on.
    pub(crate) line: Option<usize>,
    inbox: Vec<u8>,
    flight: VecDeque<Asked>,
    is_welcome: bool,
    /// It has raised an alarm on this connection.
    is_alarmed: bool,
    acknowledged: u64,
    next: u64,
    /// There was no room: nothing is sent before everything in flight is answered.
    pauses: bool,
    was_late: bool,
    is_finished: bool,
    pub(crate) is_done: bool,
    pub(crate) rests_until: u64,
}

/// What becomes of the connection after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stay,
    Leave,
}

impl Agency {
    pub(crate) fn new(number: u32, chance: &mut Chance) -> Self {
        Self {
            number,
            speaks: match chance.below(5) {
                0 | 1 => Speaks::Base,
                2 => Speaks::Text,
                _ => Speaks::Sessions,
            },
            window: 1 + chance.below(6),
            twice: chance.below(30),
            line: None,
            inbox: Vec::new(),
            flight: VecDeque::new(),
            is_welcome: false,
            is_alarmed: false,
            acknowledged: 0,
            next: 1,
            pauses: false,
            was_late: false,
            is_finished: false,
            is_done: false,
            rests_until: 0,
        }
    }

    /// It has a new connection. What it knew of the office is of no more use.
    pub(crate) fn connected(&mut self, line: usize) {
        self.line = Some(line);
        self.inbox.clear();
        self.flight.clear();
        let in_session = self.speaks == Speaks::Sessions;
        (self.is_welcome, self.is_alarmed, self.pauses) = (!in_session, false, false);
        self.is_finished &= !in_session;
        self.next = self.acknowledged + 1;
    }

    /// Its connection is gone. A batch in flight may be stored or not: only a session can tell.
    pub(crate) fn lost(&mut self, rests_until: u64) {
        self.line = None;
        let is_batch = |asked: &Asked| matches!(asked, Asked::BaseBatch(_) | Asked::TextBatch(_));
        if self.flight.iter().any(is_batch) {
            self.speaks = Speaks::Sessions;
        }
        let asks_later = self.flight.contains(&Asked::TextWinners);
        self.rests_until = rests_until + if asks_later { NOT_READY_PAUSE } else { 0 };
    }

    /// What it speaks on its next connection.
    pub(crate) fn dialect(&self) -> Dialect {
        if self.speaks == Speaks::Text { Dialect::Text } else { Dialect::Packets }
    }

    /// It knows nothing but its input, and resumes.
    pub(crate) fn begin_anew(&mut self) {
        (self.speaks, self.is_done, self.acknowledged) = (Speaks::Sessions, false, 0);
    }

    /// Whether it would send something.
    pub(crate) fn wants(&self, input: &Input, now: u64) -> bool {
        self.line.is_some() && now >= self.rests_until && self.next_request(input).is_some()
    }

    /// What it sends next, and what else is sent besides.
    pub(crate) fn act(&mut self, input: &Input, chance: &mut Chance) -> Vec<Request> {
        let asked = self.next_request(input).expect("it wants to send");
        if let Asked::Batch(seq) | Asked::BaseBatch(seq) | Asked::TextBatch(seq) = asked {
            self.next = seq + 1;
        }
        let mut requests = vec![self.request(asked, input)];
        let again = chance.below(100) < self.twice;
        match asked {
            Asked::Batch(_) if !self.is_alarmed && chance.below(40) == 0 => {
                self.is_alarmed = true;
                requests.push(self.request(Asked::Alarm, input));
            }
            Asked::Batch(_) if again => requests.push(self.request(asked, input)),
            Asked::Ready if again => {
                requests.push(self.request(asked, input));
                requests.push(self.request(Asked::Empty(self.acknowledged + 1), input));
            }
            Asked::Ready if chance.below(4) == 0 => {
                requests.push(self.request(Asked::Winners, input));
            }
            Asked::BaseReady if chance.below(4) == 0 => {
                requests.push(self.request(Asked::BaseWinners, input));
            }
            Asked::BaseReady if chance.below(2) == 0 => requests.push(self.stray(asked, input)),
            Asked::BaseReady if !self.was_late => {
                self.was_late = true;
                requests.push(self.stray(Asked::BaseBatch(input.bodies.len() as u64), input));
            }
            _ => {}
        }
        let own = requests.iter().filter(|request| !request.is_stray);
        self.flight.extend(own.map(|request| request.asked));
        requests
    }

    fn stray(&self, asked: Asked, input: &Input) -> Request {
        Request { is_stray: true, ..self.request(asked, input) }
    }

    fn next_request(&self, input: &Input) -> Option<Asked> {
        let is_idle = self.flight.is_empty();
        if self.is_done || self.pauses {
            return None;
        }
        if !self.is_welcome {
            return is_idle.then_some(Asked::Hello);
        }
        let asked = match (self.speaks, self.next <= input.in_time()) {
            (Speaks::Sessions, _) if self.is_finished => Asked::Winners,
            (Speaks::Base, _) if self.is_finished => Asked::BaseWinners,
            (Speaks::Text, _) if self.is_finished => Asked::TextWinners,
            (Speaks::Sessions, true) => {
                return (self.flight.len() < self.window).then_some(Asked::Batch(self.next));
            }
            (Speaks::Sessions, false) => Asked::Ready,
            (Speaks::Base, true) => Asked::BaseBatch(self.next),
            (Speaks::Base, false) => Asked::BaseReady,
            // Nothing is answered before the end.
            (Speaks::Text, true) => return Some(Asked::TextBatch(self.next)),
            (Speaks::Text, false) => {
                return (!self.flight.contains(&Asked::TextFinish)).then_some(Asked::TextFinish);
            }
        };
        is_idle.then_some(asked)
    }

    fn request(&self, asked: Asked, input: &Input) -> Request {
        let agency = self.number;
        let body = |seq: u64| &input.bodies[usize::try_from(seq).unwrap() - 1];
        let bytes = match asked {
            Asked::Hello => hello(agency),
            Asked::Batch(seq) => packet(11, format!("{seq}#{}", body(seq))),
            Asked::Empty(seq) => packet(11, format!("{seq}#0#")),
            Asked::BaseBatch(seq) => packet(3, body(seq)),
            Asked::BaseReady => ready(agency),
            Asked::Ready => {
                session_ready(agency, self.acknowledged, input.totals(self.acknowledged).0)
            }
            Asked::Alarm => alarm(self.acknowledged, 0, &input.totals(0).1),
            Asked::Winners | Asked::BaseWinners => ask(agency),
            Asked::TextBatch(1) => frames(["BET", &text_of(body(1))]),
            Asked::TextBatch(seq) => frame(&text_of(body(seq))),
            Asked::TextFinish => frame("FINISH"),
            Asked::TextWinners => frames(["RESULTS", &agency.to_string()]),
        };
        Request { asked, bytes, is_stray: false }
    }

    /// Takes bytes of its connection.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: u64) -> Verdict {
        self.inbox.extend_from_slice(bytes);
        if self.speaks == Speaks::Text {
            return self.take_line();
        }
        while let Some(reply) = self.next_reply() {
            if self.take(&reply, now) == Verdict::Leave {
                return Verdict::Leave;
            }
        }
        if self.flight.is_empty() && self.pauses {
            self.pauses = false;
            self.next = self.acknowledged + 1;
        }
        Verdict::Stay
    }

    /// A whole line is the last that comes.
    fn take_line(&mut self) -> Verdict {
        let Some(line) = self.inbox.strip_suffix(b"\n") else { return Verdict::Stay };
        if line != b"ERROR" {
            self.is_done = self.flight.contains(&Asked::TextWinners);
            self.is_finished = true;
            self.flight.clear();
        }
        Verdict::Leave
    }

    fn next_reply(&mut self) -> Option<Reply> {
        let length = self.inbox.get(1..5)?;
        let end = 5 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        (self.inbox.len() >= end).then(|| {
            let packet: Vec<u8> = self.inbox.drain(..end).collect();
            let data = String::from_utf8(packet[5..].to_vec()).unwrap();
            (i8::from_be_bytes([packet[0]]), data)
        })
    }

    fn take(&mut self, (opcode, data): &Reply, now: u64) -> Verdict {
        // That a newer session works its lane may come unasked.
        if *opcode == 0 || *opcode == 4 && data.starts_with("FENCED") {
            return Verdict::Leave;
        }
        let asked = self.flight.pop_front().expect("nothing more was asked");
        match (opcode, asked) {
            (10, _) => self.welcomed(data),
            (12, Asked::Batch(seq)) | (2, Asked::BaseBatch(seq)) => {
                self.acknowledged = self.acknowledged.max(seq);
            }
            (2, Asked::Alarm) => {}
            (2, _) => self.is_finished = true,
            (7, _) => self.is_done = true,
            (8, Asked::Hello) => return Verdict::Leave,
            (8, _) => self.rests_until = now + NOT_READY_PAUSE,
            // What it asked behind its mark would wait for a draw that needs the mark.
            (4, Asked::Ready) if self.flight.contains(&Asked::Winners) => return Verdict::Leave,
            (4, _) if data.contains("no room") || data.starts_with("GAP") => {
                self.pauses = true;
                self.rests_until = now + 1000;
            }
            (4, Asked::Empty(_)) => {}
            _ => panic!("agency {}: {asked:?} was answered with {opcode} {data}", self.number),
        }
        Verdict::Stay
    }

    fn welcomed(&mut self, data: &str) {
        let items: Vec<_> = data.split('#').collect();
        self.next = items[1].parse().unwrap();
        self.acknowledged = self.next - 1;
        (self.is_welcome, self.is_finished) = (true, items[4] == "1");
    }
}
