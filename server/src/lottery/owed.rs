//! An answer from the moment its request is taken until it leaves: what it waits for, and its bytes.
//! Knows no request and no order: [`super::session`] keeps that.
//!
//! All answers but one leave whole. A list of winners leaves in [pieces](super::pieces). Once it is
//! begun ([`Owed::is_begun`]) no other bytes may follow but its rest: an answer that replaces it
//! can do so before that, and afterwards a connection can only be closed.

use bolillero_protocol::message::{Code, Receipt, Refusal, Reply, Welcome};

use super::Office;
use super::pieces::{Piece, PieceClaim, UnsentList};
use super::publish::winners_file;
use super::state::{Draw, Refused};
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
    /// An agency's winners, once they are known and there are any.
    List(UnsentList),
    /// What came was no packet: the connection ends with this.
    Corrupt,
    /// The agency has all the sessions it may have: the connection ends with this.
    NoPlace,
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

    /// What a session ends with when a newer one, whose HELLO is at `position`, works its lane.
    pub(super) fn fenced(position: Position) -> Self {
        let refused = Refused::new(Code::Fenced, "a newer session works this lane");
        let what = What::Refusal(refused, Form::Session { seq: None });
        Self { rests_on: position, what }
    }

    /// Whether the connection ends with this answer.
    pub(super) fn is_last(&self) -> bool {
        match &self.what {
            What::Corrupt | What::NoPlace => true,
            What::Refusal(refused, _) => refused.code == Code::Fenced,
            _ => false,
        }
    }

    /// Whether it leaves after the draw, and no byte of it has left.
    pub(super) fn follows_draw(&self) -> bool {
        match self.what {
            What::AckOfDraw | What::Winners { .. } => true,
            What::List(_) => !self.is_begun(),
            _ => false,
        }
    }

    /// Whether it waits for a draw that is not even due: it may never leave.
    pub(super) fn awaits_open_draw(&self, office: &Office) -> bool {
        let awaits_draw = matches!(self.what, What::Winners { form: Form::Session { .. }, .. });
        awaits_draw && office.draw() == Draw::Open
    }

    /// Whether a part of it is in the output, or has left: then nothing can replace it.
    pub(super) fn is_begun(&self) -> bool {
        matches!(&self.what, What::List(list) if list.is_begun())
    }

    /// Appends as much of the answer as may leave now; says whether that was the last of it. Where
    /// it was not, `claim` says whether the answer needs a piece.
    pub(super) fn pay(
        &mut self,
        office: &Office,
        claim: &mut PieceClaim,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.rests_on > office.ledger().durable() {
            return false;
        }
        match &mut self.what {
            What::Ack => Reply::Ack.encode(out),
            What::AckOfDraw if office.winners().is_none() => return false,
            What::AckOfDraw => Reply::Ack.encode(out),
            What::Welcome(welcome) => Reply::Welcome(*welcome).encode(out),
            What::Receipt(receipt) => Reply::Receipt(*receipt).encode(out),
            What::Busy | What::NoPlace => Reply::Busy.encode(out),
            What::Refusal(refused, form) => form.refuse(refused, out),
            What::Winners { agency, form } => {
                let (agency, form) = (*agency, *form);
                return self.pay_winners(agency, form, office, claim, out);
            }
            What::List(list) => return append_list(list, claim, out),
            What::Corrupt => Reply::Corrupt.encode(out),
        }
        true
    }

    /// Decides what is answered to the question for winners, and appends it as [`Owed::pay`] does.
    fn pay_winners(
        &mut self,
        agency: u32,
        form: Form,
        office: &Office,
        claim: &mut PieceClaim,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(winners) = office.winners() else {
            if let Form::Session { .. } = form {
                return false;
            }
            Reply::Busy.encode(out);
            return true;
        };
        match winners.of(agency).and_then(|winners| winners.documents.clone()) {
            // The file that the refusal names may not be there yet.
            None if !office.may_name_files() => return false,
            None => form.refuse(&too_many_winners(agency), out),
            // An empty list travels as the one byte that deployed clients know.
            Some(documents) if documents.is_empty() => {
                Reply::Winners { data: b"#", rest: 0 }.encode(out);
            }
            Some(documents) => {
                let mut list = UnsentList::new(documents);
                let is_whole = append_list(&mut list, claim, out);
                self.what = What::List(list);
                return is_whole;
            }
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

/// Appends the next piece of a list, the first behind the packet's header. Says whether it was the
/// last.
fn append_list(list: &mut UnsentList, claim: &mut PieceClaim, out: &mut Vec<u8>) -> bool {
    if let Some(Piece { documents, is_first, rest }) = list.next(claim, out.len()) {
        if is_first {
            let rest = u32::try_from(rest).expect("a list that is sent is under 4 GiB");
            Reply::Winners { data: documents, rest }.encode(out);
        } else {
            out.extend_from_slice(documents);
        }
    }
    list.is_whole()
}

/// A list that is longer than an answer may be is only published.
pub(super) fn too_many_winners(agency: u32) -> Refused {
    let text = format!("too many winners to send: they are in {}", winners_file(agency));
    Refused::new(Code::Refused, text)
}
