//! An answer from the moment its request is taken until it leaves: what it waits for, and its bytes.
//! Knows no request and no order: [`super::session`] keeps that.

use bolillero_protocol::message::{Code, Receipt, Refusal, Reply, Welcome};

use super::Office;
use super::publish::winners_file;
use super::state::{Draw, Refused};
use super::winners::AgencyWinners;
use crate::ledger::Position;

/// An answer that a peer is owed.
#[derive(Debug)]
pub(super) struct Owed {
    /// It may leave once the ledger is durable up to here.
    pub(super) rests_on: Position,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Ack,
    /// An ACK that leaves after the draw.
    AckOfDraw,
    Welcome(Welcome),
    Receipt(Receipt),
    Refusal(Refused, Form),
    /// The draw is not even due.
    Busy,
    /// An agency's winners; a base client is told when they are not known, a session waits.
    Winners {
        agency: u32,
        form: Form,
    },
    /// What came was no packet: the connection ends with this.
    Corrupt,
}

/// How a connection is told that something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In free text.
    Base,
    /// As the list `code#seq#text#`.
    Session {
        /// The batch it is about.
        seq: Option<u64>,
    },
}

impl Owed {
    /// An answer that rests on nothing but what was answered before it.
    pub(super) fn at_once(what: What) -> Self {
        Self { rests_on: Position::default(), what }
    }

    /// Whether the connection ends with this answer.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.what, What::Corrupt)
    }

    /// Whether it waits for a draw that is not even due: it may never leave.
    pub(super) fn awaits_open_draw(&self, office: &Office) -> bool {
        let awaits_draw = matches!(self.what, What::Winners { form: Form::Session { .. }, .. });
        awaits_draw && office.draw() == Draw::Open
    }

    /// Appends the answer if it may leave now; says whether it did.
    pub(super) fn pay(&self, office: &Office, out: &mut Vec<u8>) -> bool {
        if self.rests_on > office.ledger().durable() {
            return false;
        }
        match &self.what {
            What::Ack => Reply::Ack.encode(out),
            What::AckOfDraw if office.winners().is_none() => return false,
            What::AckOfDraw => Reply::Ack.encode(out),
            What::Welcome(welcome) => Reply::Welcome(*welcome).encode(out),
            What::Receipt(receipt) => Reply::Receipt(*receipt).encode(out),
            What::Busy => Reply::Busy.encode(out),
            What::Refusal(refused, form) => form.refuse(refused, out),
            What::Winners { agency, form } => match (office.winners(), form) {
                (Some(winners), form) => {
                    let winners = winners.of(*agency);
                    let is_long = winners.is_none_or(|winners| winners.documents.is_none());
                    // The file that the refusal names may not be there yet.
                    if is_long && !office.may_name_files() {
                        return false;
                    }
                    push_winners(*agency, winners, *form, out);
                }
                (None, Form::Base) => Reply::Busy.encode(out),
                (None, Form::Session { .. }) => return false,
            },
            What::Corrupt => Reply::Corrupt.encode(out),
        }
        true
    }
}

impl Form {
    fn refuse(self, Refused { code, text }: &Refused, out: &mut Vec<u8>) {
        match self {
            Self::Base => Reply::Error(text).encode(out),
            Self::Session { seq } => Refusal { code: Some(*code), seq, text }.encode(out),
        }
    }
}

fn push_winners(agency: u32, winners: Option<&AgencyWinners>, form: Form, out: &mut Vec<u8>) {
    match winners.and_then(|winners| winners.documents.as_deref()) {
        // An empty list travels as the one byte that deployed clients know.
        Some([]) => Reply::Winners { data: b"#", rest: 0 }.encode(out),
        Some(documents) => Reply::Winners { data: documents, rest: 0 }.encode(out),
        None => form.refuse(&too_many_winners(agency), out),
    }
}

/// A list that is longer than an answer may be is only published.
pub(super) fn too_many_winners(agency: u32) -> Refused {
    let text = format!("too many winners to send: they are in {}", winners_file(agency));
    Refused::new(Code::Refused, text)
}
