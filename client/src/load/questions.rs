//! What is asked of the office before and after the batches, once for each agency: hello, ready,
//! winners. Knows no socket.

use std::time::Instant;

use bolillero_protocol::chain::Head;
use bolillero_protocol::list::SEPARATOR;
use bolillero_protocol::message::{
    Hello, Ready, Reply, Request, RequestError, SESSION_VERSION, Welcome, opcode,
};
use bolillero_protocol::tlv::{HEADER_SIZE, Packet};

use crate::load::drive::{Exchange, Next};
use crate::load::fault::{Wrong, packet_size};
use crate::load::plan::{Dialect, Script};

/// The longest answer that is taken, in bytes. An office's list of winners is shorter.
const ANSWER_SIZE_MAX: usize = 64 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Opens the agency's session.
    Hello,
    /// Finishes the agency.
    Ready,
    /// Asks for its winners.
    Winners,
}

/// One question, to be answered to every agency.
pub(super) struct Questions<'a> {
    question: Question,
    dialect: Dialect,
    askers: Vec<Asker<'a>>,
    unanswered: usize,
    last_sent: Instant,
}

struct Asker<'a> {
    script: &'a Script,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// The draw is not done yet.
    Busy,
    Answered,
}

impl<'a> Questions<'a> {
    pub(super) fn new(question: Question, dialect: Dialect, scripts: &'a [Script]) -> Self {
        let asker = |script| Asker {
            script,
            request: question.request(script, dialect),
            sent: 0,
            answer: Vec::new(),
            state: State::Waiting,
        };
        Self {
            question,
            dialect,
            askers: scripts.iter().map(asker).collect(),
            unanswered: scripts.len(),
            last_sent: Instant::now(),
        }
    }

    /// Makes those who were told to come again ask again; says whether there are any.
    pub(super) fn ask_again(&mut self) -> bool {
        for asker in self.askers.iter_mut().filter(|asker| asker.state == State::Busy) {
            (asker.sent, asker.state) = (0, State::Waiting);
            asker.answer.clear();
            self.unanswered += 1;
        }
        self.unanswered > 0
    }

    /// When the last request was sent.
    pub(super) fn last_sent(&self) -> Instant {
        self.last_sent
    }
}

impl Question {
    fn request(self, script: &Script, dialect: Dialect) -> Vec<u8> {
        let agency = script.agency;
        let totals = (dialect == Dialect::Session).then(|| script.totals());
        let mut out = Vec::new();
        match self {
            Self::Hello => {
                Request::Hello(Hello { version: SESSION_VERSION, agency, draw: None })
                    .encode(&mut out);
            }
            Self::Ready => Request::Ready(Ready { agency, totals }).encode(&mut out),
            Self::Winners => Request::AskWinners { agency }.encode(&mut out),
        }
        out
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hello => "the session's hello",
            Self::Ready => "being ready for the draw",
            Self::Winners => "the question for winners",
        }
    }

    /// Holds a whole answer against what is to be heard.
    fn check(self, script: &Script, dialect: Dialect, answer: &[u8]) -> Result<State, Wrong> {
        let expected = match self {
            Self::Hello => empty_lane_like(answer),
            Self::Ready => packet(Reply::Ack),
            Self::Winners if dialect != Dialect::Session && *answer == packet(Reply::Busy) => {
                return Ok(State::Busy);
            }
            Self::Winners => {
                let none = script.winners.is_empty();
                let data = if none { &[SEPARATOR][..] } else { &script.winners };
                packet(Reply::Winners { data, rest: 0 })
            }
        };
        // Over many connections at once batches are stored in any order.
        let in_any_order =
            self == Self::Winners && dialect == Dialect::ConnectionPerRequest && !answer.is_empty();
        let right = *answer == *expected
            || in_any_order
                && answer[0] == expected[0]
                && sorted_documents(answer) == sorted_documents(&expected);
        if right {
            return Ok(State::Answered);
        }
        let hint = self.hint_for(answer);
        Err(Wrong { expected, came: answer.to_vec(), hint })
    }

    fn hint_for(self, answer: &[u8]) -> &'static str {
        let came = answer.first().map(|&byte| i8::from_be_bytes([byte]));
        match (self, came) {
            (Self::Hello, Some(opcode::WELCOME)) => {
                "the ledger is not empty: a load needs a server with a fresh one"
            }
            (Self::Hello, Some(opcode::CORRUPT)) => "an office without sessions takes --base",
            (Self::Winners, Some(opcode::WINNERS)) => {
                "is --winning-number that of the server, and was its ledger empty?"
            }
            _ => "",
        }
    }
}

/// The welcome to a lane without a batch, of the draw and epoch of the one that came. If none did,
/// only its header.
fn empty_lane_like(answer: &[u8]) -> Vec<u8> {
    match parse(answer) {
        Ok(Reply::Welcome(welcome)) => packet(Reply::Welcome(Welcome {
            next_seq: 1,
            bets: 0,
            head: Head::EMPTY,
            finished: false,
            ..welcome
        })),
        _ => [opcode::WELCOME.to_be_bytes().as_slice(), &[0; HEADER_SIZE - 1]].concat(),
    }
}

fn parse(answer: &[u8]) -> Result<Reply<'_>, RequestError> {
    let opcode = i8::from_be_bytes([answer[0]]);
    Reply::parse(Packet { opcode, data: &answer[HEADER_SIZE..], rest: 0 })
}

fn packet(reply: Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(&mut out);
    out
}

fn sorted_documents(answer: &[u8]) -> Vec<&[u8]> {
    let mut documents: Vec<_> = answer[HEADER_SIZE..].split(|&byte| byte == SEPARATOR).collect();
    documents.sort_unstable();
    documents
}

impl Exchange for Questions<'_> {
    fn places(&self) -> usize {
        self.askers.len()
    }

    fn agency(&self, place: usize) -> u32 {
        self.askers[place].script.agency
    }

    fn unsent(&self, place: usize) -> &[u8] {
        let asker = &self.askers[place];
        &asker.request[asker.sent..]
    }

    fn sent(&mut self, place: usize, size: usize, at: Instant) {
        self.askers[place].sent += size;
        self.last_sent = at;
    }

    fn received(&mut self, place: usize, bytes: &[u8], _at: Instant) -> Result<Next, Wrong> {
        let asker = &mut self.askers[place];
        if asker.state != State::Waiting {
            return Err(Wrong::surplus(bytes.to_vec()));
        }
        asker.answer.extend_from_slice(bytes);
        let size = packet_size(&asker.answer);
        let whole = match size {
            Some(size) if size > ANSWER_SIZE_MAX => true,
            Some(size) => asker.answer.len() >= size,
            None => false,
        };
        if !whole {
            return Ok(Next::Stay);
        }
        let answer = std::mem::take(&mut asker.answer);
        let (answer, surplus) = answer.split_at(size.map_or(0, |size| size.min(answer.len())));
        asker.state = self.question.check(asker.script, self.dialect, answer)?;
        if !surplus.is_empty() {
            return Err(Wrong::surplus(surplus.to_vec()));
        }
        self.unanswered -= 1;
        let stays = self.dialect != Dialect::ConnectionPerRequest;
        Ok(if stays { Next::Stay } else { Next::Close })
    }

    fn owed(&self, place: usize) -> Option<String> {
        let waits = self.askers[place].state == State::Waiting;
        waits.then(|| self.question.name().to_owned())
    }

    fn is_done(&self) -> bool {
        self.unanswered == 0
    }

    fn hint(&self) -> String {
        let agencies = self.askers.len();
        match self.question {
            Question::Hello => "Does the server take that many connections?".to_owned(),
            Question::Ready | Question::Winners => format!(
                "The draw needs all agencies of the server: does its draw have these {agencies} \
                 and no more? Otherwise use --leave-open"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use bolillero_protocol::bet::Number;

    use crate::load::plan::Plan;

    use super::*;

    fn script(dialect: Dialect) -> Vec<Script> {
        let plan = Plan {
            dialect,
            first_agency: 1,
            agencies: 1,
            bets: 3000,
            batch_bytes: 8000,
            winning_number: Number::new(7574).unwrap(),
            seed: 7574,
        };
        plan.scripts(&mut |_| {})
    }

    /// Hands an answer over byte by byte; returns what followed the last.
    fn hear(questions: &mut Questions<'_>, answer: &[u8]) -> Result<Next, Wrong> {
        let mut next = Ok(Next::Stay);
        for byte in answer {
            next = questions.received(0, &[*byte], Instant::now());
        }
        next
    }

    #[test]
    fn winners_are_compared_in_order_where_there_is_one_and_busy_is_asked_again() {
        for dialect in [Dialect::Session, Dialect::Base, Dialect::ConnectionPerRequest] {
            let scripts = script(dialect);
            let winners = scripts[0].winners.as_slice();
            let mut documents: Vec<_> = winners.split_inclusive(|&byte| byte == b'#').collect();
            assert!(documents.len() > 1);
            documents.reverse();
            let turned = documents.concat();
            let list = |data| packet(Reply::Winners { data, rest: 0 });
            let any_order = dialect == Dialect::ConnectionPerRequest;
            let last = if any_order { Next::Close } else { Next::Stay };

            let ask = || Questions::new(Question::Winners, dialect, &scripts);
            let mut questions = ask();
            let busy = hear(&mut questions, &packet(Reply::Busy));
            assert_eq!(busy.is_ok(), dialect != Dialect::Session);
            if busy.is_ok() {
                assert!(questions.ask_again() && !questions.unsent(0).is_empty());
                assert_eq!(hear(&mut questions, &list(winners)), Ok(last));
                assert!(questions.is_done() && !questions.ask_again());
            }
            assert_eq!(hear(&mut ask(), &list(winners)), Ok(last));
            assert_eq!(hear(&mut ask(), &list(&turned)).is_ok(), any_order);
            let wrong = hear(&mut ask(), &list(b"#")).unwrap_err();
            assert!(wrong.hint.contains("--winning-number"), "{wrong}");
        }
    }
}
