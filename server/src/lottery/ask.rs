//! Turns the requests of one connection into questions to the office, and its answers into what the
//! peer is owed. Knows no stream of bytes and no order: [`super::session`] keeps that.

use std::fmt::Arguments;
use std::sync::Arc;

use bolillero_protocol::bet::{Batch, Bets, Number, batch_of_one, first_agency};
use bolillero_protocol::error::{Corrupt, Malformed};
use bolillero_protocol::log_line;
use bolillero_protocol::message::{
    ChainAlarm, Code, Hello, Ready, Receipt, Request, RequestError, SESSION_VERSION, Totals, blame,
    opcode,
};
use bolillero_protocol::tlv::Packet;

use super::live::{LiveSession, Standing};
use super::owed::{Form, Owed, What};
use super::state::{By, Draw, Refused};
use super::{Ack, Answer, Office, Opening, Put, Ticket};
use crate::ledger::Waiter;
use crate::session::{Mailbox, Peer};

/// How the log lines about a batch begin.
pub(super) const BATCH_ACTION: &str = "action: apuesta_recibida";
/// How the log lines about a single bet begin.
const BET_ACTION: &str = "action: apuesta_almacenada";

/// A connection's side of the office.
pub(super) struct Asker {
    office: Arc<Office>,
    waiter: Waiter,
    peer: Peer,
    /// The lane this connection opened, if it said HELLO.
    lane: Option<OpenLane>,
    /// Its session in that lane.
    live: Option<Arc<LiveSession>>,
    /// Its place among those who are told of the draw, once it waits for that.
    ticket: Option<Ticket>,
}

#[derive(Debug, Clone, Copy)]
struct OpenLane {
    agency: u32,
    epoch: u32,
}

impl Asker {
    pub(super) fn new(office: Arc<Office>, mailbox: Mailbox, peer: Peer) -> Self {
        Self { office, waiter: Waiter::new(mailbox), peer, lane: None, live: None, ticket: None }
    }

    pub(super) fn office(&self) -> &Office {
        &self.office
    }

    /// Whether the session that HELLO opened here works its lane. So does a connection without one.
    pub(super) fn standing(&self) -> Standing {
        self.live.as_ref().map_or(Standing::Working, |live| live.standing())
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
                let form = match packet.opcode {
                    opcode::HELLO | opcode::NUMBERED_BATCH | opcode::ALARM => {
                        Form::Session { seq: None }
                    }
                    _ => self.form(),
                };
                self.malformed(&malformed, form)
            }
        }
    }

    /// What is owed for bytes that are no packet.
    pub(super) fn corrupt(&self, corrupt: &Corrupt) -> Owed {
        let ip = self.peer.address.ip();
        log::warn!("action: receive_packet | result: fail | ip: {ip} | error: {corrupt}");
        Owed::at_once(What::Corrupt)
    }

    pub(super) fn log_time_out(&self, reason: &str) {
        let ip = self.peer.address.ip();
        log::info!("action: close | result: success | ip: {ip} | reason: {reason} for too long");
    }

    /// Logs that a newer session ends this one.
    pub(super) fn log_fenced(&self) {
        let ip = self.peer.address.ip();
        let agency = self.lane.map_or(0, |lane| lane.agency);
        log::info!(
            "action: close | result: success | ip: {ip} | reason: a newer session of agency {agency}"
        );
    }

    fn ask_request(&mut self, request: &Request<'_>) -> Owed {
        match (*request, self.lane) {
            (Request::Bet { items }, None) => self.ask_bet(items),
            (Request::Batch { body }, None) => self.ask_batch(body),
            (Request::Ready(ready), None) => self.ask_ready(ready),
            (Request::Hello(hello), None) => self.ask_hello(hello),
            (Request::NumberedBatch { seq, body }, None) => {
                let refused = Refused::new(Code::Malformed, "a numbered batch comes after HELLO");
                self.refuse_misplaced(body, refused, Form::Session { seq: Some(seq) })
            }
            (Request::NumberedBatch { seq, body }, Some(lane)) => {
                self.ask_numbered(lane, seq, body)
            }
            (Request::Ready(ready), Some(lane)) => self.ask_session_ready(lane, ready),
            (Request::Alarm(alarm), Some(lane)) => self.ask_alarm(lane, alarm),
            (Request::Alarm(_), None) => {
                let refused = Refused::new(Code::Malformed, "an alarm comes after HELLO");
                self.refuse(refused, Form::Session { seq: None })
            }
            (Request::Bet { items }, Some(_)) => {
                refuse_put(BET_ACTION, &batch_of_one(items), out_of_place(), self.form())
            }
            (Request::Batch { body }, Some(_)) => {
                self.refuse_misplaced(body, out_of_place(), self.form())
            }
            (Request::Hello(_), Some(_)) => self.refuse(out_of_place(), self.form()),
            (Request::AskWinners { agency }, lane) => self.ask_winners(lane, agency),
            (Request::Close, _) => unreachable!("the session takes this packet itself"),
        }
    }

    fn ask_bet(&mut self, items: &[u8]) -> Owed {
        let body = batch_of_one(items);
        let bet = Bets::read(&body).ok().and_then(|mut bets| bets.next()?.ok());
        let (document, number) = bet.map_or(("", 0), |bet| {
            // A bet that is stored has one. The text may have any number of leading zeros.
            (bet.document, bet.number().map_or(0, Number::value))
        });
        let line =
            format_args!("{BET_ACTION} | result: success | dni: {document} | numero: {number}");
        let batch = self.validate(&body);
        self.put_base(BET_ACTION, &body, &batch, line)
    }

    fn ask_batch(&mut self, body: &[u8]) -> Owed {
        let batch = self.validate(body);
        let bets = batch.as_ref().map_or(0, Batch::bets);
        let line = format_args!("{BATCH_ACTION} | result: success | cantidad: {bets}");
        self.put_base(BATCH_ACTION, body, &batch, line)
    }

    fn put_base(
        &mut self,
        action: &str,
        body: &[u8],
        batch: &Result<Batch<'_>, RequestError>,
        log_line: Arguments<'_>,
    ) -> Owed {
        match batch {
            Ok(batch) if batch.bets() == 0 => Owed::at_once(What::Ack),
            Ok(batch) => {
                let (agency, batch) = (batch.agency(), Ok(*batch));
                if let Err(refused) = self.check_claim(agency) {
                    return refuse_put(action, body, refused, Form::Base);
                }
                let put = Put { agency, by: By::Base, seq: None, body, batch: &batch, log_line };
                self.put(action, &put, Form::Base, |_| What::Ack)
            }
            Err(RequestError::Corrupt(corrupt)) => self.corrupt(corrupt),
            Err(RequestError::Malformed(malformed)) => {
                refuse_put(action, body, malformed.into(), Form::Base)
            }
        }
    }

    /// The checks that need no office come first, in the protocol's order: corrupt, no number, another id.
    fn ask_numbered(&mut self, lane: OpenLane, seq: u64, body: &[u8]) -> Owed {
        let batch = match self.validate(body) {
            Ok(batch) => Ok(batch),
            Err(RequestError::Malformed(malformed)) => Err(malformed),
            Err(RequestError::Corrupt(corrupt)) => return self.corrupt(&corrupt),
        };
        let form = Form::Session { seq: Some(seq) };
        if seq == 0 {
            let refused = Refused::new(Code::Malformed, "batches are numbered from 1");
            return refuse_put(BATCH_ACTION, body, refused, form);
        }
        if agency_of(body, &batch).is_some_and(|agency| agency != lane.agency) {
            return refuse_put(BATCH_ACTION, body, other_agency(), form);
        }
        let bets = batch.as_ref().map_or(0, Batch::bets);
        let put = Put {
            agency: lane.agency,
            by: By::Session { epoch: lane.epoch },
            seq: Some(seq),
            body,
            batch: &batch,
            log_line: format_args!("{BATCH_ACTION} | result: success | cantidad: {bets}"),
        };
        self.put(BATCH_ACTION, &put, form, What::Receipt)
    }

    /// What is owed for a batch that may not come now. That it is UTF-8 comes before what it means.
    fn refuse_misplaced(&self, body: &[u8], refused: Refused, form: Form) -> Owed {
        match std::str::from_utf8(body) {
            Ok(_) => refuse_put(BATCH_ACTION, body, refused, form),
            Err(_) => self.corrupt(&Corrupt::NotUtf8),
        }
    }

    fn put(
        &mut self,
        action: &str,
        put: &Put<'_>,
        form: Form,
        what: impl FnOnce(Receipt) -> What,
    ) -> Owed {
        owe(self.store(action, put), form, what)
    }

    /// Holds that a peer speaks for the agency that its certificate names, if it showed one.
    pub(super) fn check_claim(&self, claimed: u32) -> Result<(), Refused> {
        let Some(agency) = self.peer.agency.filter(|&agency| agency != claimed) else {
            return Ok(());
        };
        let (ip, count) = (self.peer.address.ip(), self.office.count_foreign_claim());
        log::warn!(
            "action: check_identity | result: fail | ip: {ip} | certificate: agency {agency} | \
             claimed: agency {claimed} | count: {count}"
        );
        let text = format!("the certificate is agency {agency}'s, this is for agency {claimed}");
        Err(Refused::new(Code::Refused, text))
    }

    /// Has the office store a batch.
    pub(super) fn store(&mut self, action: &str, put: &Put<'_>) -> Answer<Receipt> {
        let answer = self.office.put(put, &mut self.waiter);
        if let Err(refused) = &answer.result {
            log_refused_put(action, put.body, refused);
        }
        answer
    }

    fn ask_hello(&mut self, hello: Hello) -> Owed {
        let form = Form::Session { seq: None };
        if hello.version != SESSION_VERSION {
            let text = format!("this office speaks versions up to {SESSION_VERSION}");
            return self.refuse(Refused::new(Code::Version, text), form);
        }
        if let Err(refused) = self.check_claim(hello.agency) {
            return self.refuse(refused, form);
        }
        let answer = self.office.hello(hello.agency, hello.draw, &mut self.waiter);
        let Answer { rests_on, result } = answer;
        let what = match result {
            Ok(Opening::Welcomed(welcome, live)) => {
                self.lane = Some(OpenLane { agency: hello.agency, epoch: welcome.epoch });
                self.live = Some(live);
                What::Welcome(welcome)
            }
            Ok(Opening::NoPlace) => {
                let (ip, agency) = (self.peer.address.ip(), hello.agency);
                log::warn!(
                    "action: open_session | result: fail | ip: {ip} | agencia: {agency} | error: \
                     it has all the sessions that it may have"
                );
                What::NoPlace
            }
            Err(refused) => {
                self.log_refused(&refused);
                What::Refusal(refused, form)
            }
        };
        Owed { rests_on, what }
    }

    fn ask_alarm(&mut self, lane: OpenLane, alarm: ChainAlarm) -> Owed {
        let OpenLane { agency, epoch } = lane;
        let answer = self.office.alarm(agency, epoch, alarm, &mut self.waiter);
        match &answer.result {
            // At once: it says that something may be wrong with the ledger itself.
            Ok(()) => {
                let ChainAlarm { seq, bets, head } = alarm;
                log::warn!(
                    "action: alarm | result: success | agencia: {agency} | seq: {seq} | \
                     bets: {bets} | head: {head}"
                );
            }
            Err(refused) => self.log_refused(refused),
        }
        owe(answer, self.form(), |()| What::Ack)
    }

    fn ask_ready(&mut self, ready: Ready) -> Owed {
        if ready.totals.is_some() {
            return self.malformed(&Malformed::Leftover("id"), Form::Base);
        }
        if let Err(refused) = self.check_claim(ready.agency) {
            return self.refuse(refused, Form::Base);
        }
        self.finish(ready.agency, By::Base, None)
    }

    fn ask_session_ready(&mut self, lane: OpenLane, ready: Ready) -> Owed {
        if ready.totals.is_none() {
            return self.malformed(&Malformed::Missing("last seq"), self.form());
        }
        if ready.agency != lane.agency {
            return self.refuse(other_agency(), self.form());
        }
        self.finish(lane.agency, By::Session { epoch: lane.epoch }, ready.totals)
    }

    fn finish(&mut self, agency: u32, by: By, totals: Option<Totals>) -> Owed {
        owe(self.mark(agency, by, totals), self.form(), |ack| match ack {
            Ack::Now => What::Ack,
            Ack::AfterDraw => What::AckOfDraw,
        })
    }

    /// Has the office mark an agency as ready. If that is answered after the draw, there will be news of it.
    pub(super) fn mark(&mut self, agency: u32, by: By, totals: Option<Totals>) -> Answer<Ack> {
        let answer = self.office.finish(agency, by, totals, &mut self.waiter);
        match &answer.result {
            Ok(Ack::Now) => {}
            Ok(Ack::AfterDraw) => self.await_draw(),
            Err(refused) => self.log_refused(refused),
        }
        answer
    }

    fn ask_winners(&mut self, lane: Option<OpenLane>, agency: u32) -> Owed {
        let checked = self.office.terms().check_agency(agency);
        if let Err(refused) = checked.and_then(|()| self.check_claim(agency)) {
            return self.refuse(refused, self.form());
        }
        match lane {
            // Decided now: what this client sends behind it must not change the answer.
            None if self.office.draw() == Draw::Open => return Owed::at_once(What::Busy),
            // The answer may have to wait for a published file that it names.
            None => self.await_draw(),
            Some(lane) if lane.agency != agency => {
                return self.refuse(other_agency(), self.form());
            }
            Some(_) => self.await_draw(),
        }
        Owed::at_once(What::Winners { agency, form: self.form() })
    }

    /// Ensures that there is news when the winners are known, and when answers may name files.
    pub(super) fn await_draw(&mut self) {
        if self.ticket.is_none() {
            self.ticket = self.office.await_draw(self.waiter.mailbox());
        }
    }

    fn validate<'a>(&self, body: &'a [u8]) -> Result<Batch<'a>, RequestError> {
        let batch = Batch::validate(body, self.office.terms().agencies);
        batch.map_err(|malformed| blame(body, malformed))
    }

    /// How this connection is told of a refusal that is about no batch in particular.
    fn form(&self) -> Form {
        match self.lane {
            Some(_) => Form::Session { seq: None },
            None => Form::Base,
        }
    }

    /// What is owed for a request that means nothing.
    fn malformed(&self, malformed: &Malformed, form: Form) -> Owed {
        self.refuse(malformed.into(), form)
    }

    /// What is owed for a request that the office need not be asked about.
    fn refuse(&self, refused: Refused, form: Form) -> Owed {
        self.log_refused(&refused);
        Owed::at_once(What::Refusal(refused, form))
    }

    pub(super) fn log_refused(&self, refused: &Refused) {
        let ip = self.peer.address.ip();
        let error = log_line::value(&refused.text);
        log::warn!("action: receive_request | result: fail | ip: {ip} | error: {error}");
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.office.leave(ticket);
        }
        if let Some(live) = self.live.take() {
            self.office.close(&live);
        }
    }
}

/// What is owed for bets that the office need not be asked about.
fn refuse_put(action: &str, body: &[u8], refused: Refused, form: Form) -> Owed {
    log_refused_put(action, body, &refused);
    Owed::at_once(What::Refusal(refused, form))
}

/// Puts an answer of the office into the form that a connection understands.
fn owe<T>(answer: Answer<T>, form: Form, what: impl FnOnce(T) -> What) -> Owed {
    let Answer { rests_on, result } = answer;
    let what = result.map_or_else(|refused| What::Refusal(refused, form), what);
    Owed { rests_on, what }
}

/// The agency that a batch is of, also where the rest of it is not valid. `None`: no bet says so.
fn agency_of(body: &[u8], batch: &Result<Batch<'_>, Malformed>) -> Option<u32> {
    match batch {
        Ok(batch) => Some(batch.agency()).filter(|&agency| agency > 0),
        Err(_) => first_agency(body),
    }
}

fn out_of_place() -> Refused {
    Refused::new(Code::Malformed, "after HELLO only 0, 5, 6, 11 and 17 may follow")
}

pub(super) fn other_agency() -> Refused {
    Refused::new(Code::Refused, "the id is another than this session's")
}

fn log_refused_put(action: &str, body: &[u8], refused: &Refused) {
    let bets = Bets::read(body).map_or(0, |bets| bets.count_announced());
    log_refused_bets(action, bets, refused);
}

/// Bets that are not stored: as many as their batch says it has.
pub(super) fn log_refused_bets(action: &str, bets: u32, refused: &Refused) {
    let error = log_line::value(&refused.text);
    log::warn!("{action} | result: fail | cantidad: {bets} | error: {error}");
}
