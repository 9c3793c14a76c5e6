//! Turns requests into questions to the office, and its answers into replies. Knows no bytes of the
//! stream and no order: [`super::session`] keeps that.

use std::fmt::Arguments;
use std::sync::Arc;

use bolillero_protocol::bet::{Batch, Bets, batch_of_one, first_agency};
use bolillero_protocol::chain::BodyHash;
use bolillero_protocol::error::{Corrupt, Malformed};
use bolillero_protocol::log_line;
use bolillero_protocol::message::{
    Code, Hello, Ready, Receipt, Refusal, Reply, Request, RequestError, SESSION_VERSION, Totals,
    Welcome, blame, opcode,
};
use bolillero_protocol::tlv::Packet;
use log::{Level, log_enabled};

use super::publish::winners_file;
use super::state::{By, Draw, Refused};
use super::{Answer, Office, Put};
use crate::ledger::{Position, Waiter};
use crate::session::{Mailbox, Peer};

/// How the log lines about a batch begin.
const BATCH_ACTION: &str = "action: apuesta_recibida";
/// How the log lines about a single bet begin.
const BET_ACTION: &str = "action: apuesta_almacenada";

/// An answer that a peer is owed.
#[derive(Debug)]
pub(super) struct Owed {
    rests_on: Position,
    waits_for_draw: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Ack,
    Welcome(Welcome),
    Receipt(Receipt),
    /// A refusal in free text.
    Error(String),
    /// A refusal in a session.
    Refusal {
        code: Code,
        seq: Option<u64>,
        text: String,
    },
    /// An agency's winners, or that the draw is not done.
    Winners {
        agency: u32,
    },
    Corrupt,
}

impl Owed {
    /// Whether the connection ends with this answer.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.what, What::Corrupt)
    }

    /// An answer that rests on nothing.
    fn at_once(what: What) -> Self {
        Self { rests_on: Position::default(), waits_for_draw: false, what }
    }
}

/// A connection's side of the office.
pub(super) struct Asker {
    office: Arc<Office>,
    waiter: Waiter,
    peer: Peer,
    /// The lane this connection opened, if it said HELLO.
    lane: Option<OpenLane>,
    /// Whether the office was asked to tell when the draw is done.
    awaits_draw: bool,
}

#[derive(Debug, Clone, Copy)]
struct OpenLane {
    agency: u32,
    epoch: u32,
}

impl Asker {
    pub(super) fn new(office: Arc<Office>, mailbox: Mailbox, peer: Peer) -> Self {
        Self { office, waiter: Waiter::new(mailbox), peer, lane: None, awaits_draw: false }
    }

    /// Whether the ledger has place for what is asked next. If not, there will be news.
    pub(super) fn is_admitted(&mut self) -> bool {
        self.office.ledger().admits(&mut self.waiter)
    }

    /// Asks what a packet asks.
    pub(super) fn ask(&mut self, packet: Packet<'_>) -> Owed {
        match Request::parse(packet.opcode, packet.data) {
            Ok(request) => self.ask_request(&request),
            Err(RequestError::Corrupt(corrupt)) => self.corrupt(&corrupt),
            Err(RequestError::Malformed(malformed)) => {
                let in_session = self.lane.is_some()
                    || matches!(packet.opcode, opcode::HELLO | opcode::NUMBERED_BATCH);
                self.malformed(&malformed, in_session)
            }
        }
    }

    /// What is owed for bytes that are no packet.
    pub(super) fn corrupt(&self, corrupt: &Corrupt) -> Owed {
        let ip = self.peer.address.ip();
        log::warn!("action: receive_packet | result: fail | ip: {ip} | error: {corrupt}");
        Owed::at_once(What::Corrupt)
    }

    /// Appends an answer if it may leave now.
    pub(super) fn pay(&mut self, owed: &Owed, out: &mut Vec<u8>) -> bool {
        if owed.rests_on > self.office.ledger().durable() {
            return false;
        }
        if owed.waits_for_draw && self.office.winners().is_none() {
            return false;
        }
        match &owed.what {
            What::Ack => Reply::Ack.encode(out),
            What::Welcome(welcome) => Reply::Welcome(*welcome).encode(out),
            What::Receipt(receipt) => Reply::Receipt(*receipt).encode(out),
            What::Error(text) => Reply::Error(text).encode(out),
            What::Refusal { code, seq, text } => {
                Refusal { code: Some(*code), seq: *seq, text }.encode(out);
            }
            What::Winners { agency } => return self.pay_winners(*agency, out),
            What::Corrupt => Reply::Corrupt.encode(out),
        }
        true
    }

    /// Whether all that is owed is the news of a draw that is not even due.
    pub(super) fn awaits_open_draw<'a>(&self, owed: impl IntoIterator<Item = &'a Owed>) -> bool {
        let winners_only = |owed: &Owed| matches!(owed.what, What::Winners { .. });
        self.office.draw() == Draw::Open && owed.into_iter().all(winners_only)
    }

    pub(super) fn log_time_out(&self, reason: &str) {
        let ip = self.peer.address.ip();
        log::info!("action: close | result: success | ip: {ip} | reason: {reason} for too long");
    }

    fn ask_request(&mut self, request: &Request<'_>) -> Owed {
        match (*request, self.lane) {
            (Request::Bet { items }, None) => self.ask_bet(items),
            (Request::Batch { body }, None) => self.ask_batch(body),
            (Request::NumberedBatch { seq, body }, Some(lane)) => {
                self.ask_numbered(lane, seq, body)
            }
            (Request::Ready(ready), None) => self.ask_ready(ready),
            (Request::Ready(ready), Some(lane)) => self.ask_session_ready(lane, ready),
            (Request::AskWinners { agency }, _) => self.ask_winners(agency),
            (Request::Hello(hello), None) => self.ask_hello(hello),
            (Request::NumberedBatch { seq, .. }, None) => {
                refusal(Code::Malformed, Some(seq), "a numbered batch comes after HELLO")
            }
            (Request::Bet { .. } | Request::Batch { .. } | Request::Hello(_), Some(_)) => {
                refusal(Code::Malformed, None, "after HELLO only 0, 5, 6 and 11 may follow")
            }
            (Request::Close, _) => unreachable!("the session takes this packet itself"),
        }
    }

    fn ask_bet(&mut self, items: &[u8]) -> Owed {
        let body = batch_of_one(items);
        let batch = Batch::validate(&body, self.office.terms().agencies);
        let Ok(valid) = &batch else { return self.refuse_base(BET_ACTION, &body, batch) };
        let bet = Bets::read(&body).ok().and_then(|mut bets| bets.next()?.ok());
        let (document, number) = bet.map_or(("", ""), |bet| (bet.document, bet.number));
        let line =
            format_args!("{BET_ACTION} | result: success | dni: {document} | numero: {number}");
        let agency = valid.agency();
        self.put_base(BET_ACTION, agency, &body, &batch, line)
    }

    fn ask_batch(&mut self, body: &[u8]) -> Owed {
        let batch = Batch::validate(body, self.office.terms().agencies);
        let Ok(valid) = &batch else { return self.refuse_base(BATCH_ACTION, body, batch) };
        if valid.bets() == 0 {
            return Owed::at_once(What::Ack);
        }
        let line = format_args!("{BATCH_ACTION} | result: success | cantidad: {}", valid.bets());
        let agency = valid.agency();
        self.put_base(BATCH_ACTION, agency, body, &batch, line)
    }

    fn put_base(
        &mut self,
        action: &str,
        agency: u32,
        body: &[u8],
        batch: &Result<Batch<'_>, Malformed>,
        log_line: Arguments<'_>,
    ) -> Owed {
        let put = Put {
            agency,
            by: By::Base,
            seq: None,
            body,
            hash: BodyHash::of(body),
            batch,
            log_line: log_enabled!(Level::Info).then_some(log_line),
        };
        let answer = self.office.put(&put, &mut self.waiter);
        if let Err(refused) = &answer.result {
            log_refused_put(action, body, &refused.text);
        }
        self.owe(answer, None, |_| What::Ack)
    }

    /// What is owed for a base packet whose bets are not valid.
    fn refuse_base(&self, action: &str, body: &[u8], batch: Result<Batch<'_>, Malformed>) -> Owed {
        let malformed = batch.expect_err("only what is not valid is refused");
        match blame(body, malformed) {
            RequestError::Corrupt(corrupt) => self.corrupt(&corrupt),
            RequestError::Malformed(malformed) => {
                log_refused_put(action, body, &malformed);
                Owed::at_once(What::Error(malformed.to_string()))
            }
        }
    }

    fn ask_numbered(&mut self, lane: OpenLane, seq: u64, body: &[u8]) -> Owed {
        let batch = Batch::validate(body, self.office.terms().agencies);
        if let Err(malformed) = &batch
            && let RequestError::Corrupt(corrupt) = blame(body, malformed.clone())
        {
            return self.corrupt(&corrupt);
        }
        let of = batch.as_ref().ok().map(Batch::agency).filter(|&agency| agency > 0);
        if of.or_else(|| first_agency(body)).is_some_and(|agency| agency != lane.agency) {
            let text = "the batch is of another agency than this session";
            log_refused_put(BATCH_ACTION, body, &text);
            return refusal(Code::Refused, Some(seq), text);
        }
        let bets = batch.as_ref().map_or(0, Batch::bets);
        let line = format_args!("{BATCH_ACTION} | result: success | cantidad: {bets}");
        let put = Put {
            agency: lane.agency,
            by: By::Session { epoch: lane.epoch },
            seq: Some(seq),
            body,
            hash: BodyHash::of(body),
            batch: &batch,
            log_line: log_enabled!(Level::Info).then_some(line),
        };
        let answer = self.office.put(&put, &mut self.waiter);
        if let Err(refused) = &answer.result {
            log_refused_put(BATCH_ACTION, body, &refused.text);
        }
        self.owe(answer, Some(seq), What::Receipt)
    }

    fn ask_hello(&mut self, hello: Hello) -> Owed {
        if hello.version != SESSION_VERSION {
            let text = format!("this office speaks versions up to {SESSION_VERSION}");
            return refusal(Code::Version, None, &text);
        }
        let answer = self.office.hello(hello.agency, hello.draw, &mut self.waiter);
        if let Ok(welcome) = &answer.result {
            self.lane = Some(OpenLane { agency: hello.agency, epoch: welcome.epoch });
        }
        let Answer { rests_on, waits_for_draw, result } = answer;
        let what = match result {
            Ok(welcome) => What::Welcome(welcome),
            Err(Refused { code, text }) => What::Refusal { code, seq: None, text },
        };
        Owed { rests_on, waits_for_draw, what }
    }

    fn ask_ready(&mut self, ready: Ready) -> Owed {
        if ready.totals.is_some() {
            return self.malformed(&Malformed::Leftover("id"), false);
        }
        let answer = self.office.finish(ready.agency, By::Base, None, &mut self.waiter);
        self.owe(answer, None, |()| What::Ack)
    }

    fn ask_session_ready(&mut self, lane: OpenLane, ready: Ready) -> Owed {
        let Some(Totals { last_seq, bets }) = ready.totals else {
            return self.malformed(&Malformed::Missing("last seq"), true);
        };
        if ready.agency != lane.agency {
            return refusal(Code::Refused, None, "the id is another than this session's");
        }
        let by = By::Session { epoch: lane.epoch };
        let totals = Some(Totals { last_seq, bets });
        let answer = self.office.finish(lane.agency, by, totals, &mut self.waiter);
        self.owe(answer, None, |()| What::Ack)
    }

    fn ask_winners(&mut self, agency: u32) -> Owed {
        if let Err(Refused { code, text }) = self.office.check_agency(agency) {
            return match self.lane {
                Some(_) => refusal(code, None, &text),
                None => Owed::at_once(What::Error(text)),
            };
        }
        if self.lane.is_some_and(|lane| lane.agency != agency) {
            return refusal(Code::Refused, None, "the id is another than this session's");
        }
        Owed::at_once(What::Winners { agency })
    }

    /// Appends the winners. Before they are known a session waits, and a base client is told so.
    fn pay_winners(&mut self, agency: u32, out: &mut Vec<u8>) -> bool {
        let winners = if self.lane.is_some() && !self.awaits_draw {
            self.awaits_draw = true;
            self.office.await_winners(self.waiter.mailbox())
        } else {
            self.office.winners()
        };
        let Some(winners) = winners else {
            if self.lane.is_none() {
                Reply::Busy.encode(out);
            }
            return self.lane.is_none();
        };
        match winners.of(agency).and_then(|winners| winners.documents.as_deref()) {
            Some([]) => Reply::Winners { data: b"#", rest: 0 }.encode(out),
            Some(documents) => Reply::Winners { data: documents, rest: 0 }.encode(out),
            None => {
                let text =
                    format!("too many winners to send: they are in {}", winners_file(agency));
                match self.lane {
                    Some(_) => {
                        Refusal { code: Some(Code::Refused), seq: None, text: &text }.encode(out);
                    }
                    None => Reply::Error(&text).encode(out),
                }
            }
        }
        true
    }

    /// What is owed for a request that means nothing.
    fn malformed(&self, malformed: &Malformed, in_session: bool) -> Owed {
        let ip = self.peer.address.ip();
        log::warn!("action: receive_request | result: fail | ip: {ip} | error: {malformed}");
        if in_session {
            refusal(Code::Malformed, None, &malformed.to_string())
        } else {
            Owed::at_once(What::Error(malformed.to_string()))
        }
    }

    /// Puts an answer of the office into the form this connection understands.
    fn owe<T>(&self, answer: Answer<T>, seq: Option<u64>, what: impl FnOnce(T) -> What) -> Owed {
        let Answer { rests_on, waits_for_draw, result } = answer;
        let what = match (result, self.lane) {
            (Ok(value), _) => what(value),
            (Err(Refused { code, text }), Some(_)) => What::Refusal { code, seq, text },
            (Err(Refused { text, .. }), None) => What::Error(text),
        };
        Owed { rests_on, waits_for_draw, what }
    }
}

/// A session's refusal that rests on nothing but its own request.
fn refusal(code: Code, seq: Option<u64>, text: &str) -> Owed {
    Owed::at_once(What::Refusal { code, seq, text: text.to_owned() })
}

/// Bets that are not stored; `cantidad` is what the batch says it has.
fn log_refused_put(action: &str, body: &[u8], error: &dyn std::fmt::Display) {
    let bets = Bets::read(body).map_or(0, |bets| bets.count_announced());
    let error = log_line::value(&error.to_string());
    log::warn!("{action} | result: fail | cantidad: {bets} | error: {error}");
}
