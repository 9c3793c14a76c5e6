//! One bet, by opcode 1. A retry could count twice, so a lost answer ends it. Knows no socket, no
//! clock and no file.

use bolillero_protocol::bet::{Bet, Number};
use bolillero_protocol::list::push_item;
use bolillero_protocol::log_line;
use bolillero_protocol::message::{Reply, Request};

use crate::dialogue::{Dialogue, Next, Progress, Stop};

/// A bet's work, over as many connections as it takes.
#[derive(Debug)]
pub struct SingleBet<'a> {
    bet: Bet<'a>,
    /// It was sent on this connection and is not answered.
    owes: bool,
    /// It is stored.
    stored: bool,
}

/// What the answer that is due answers, for a person.
const REQUEST: &str = "the bet";

impl<'a> SingleBet<'a> {
    /// The work of sending `bet`.
    #[must_use]
    pub fn new(bet: Bet<'a>) -> Self {
        Self { bet, owes: false, stored: false }
    }
}

impl Dialogue for SingleBet<'_> {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let Bet { agency, first_name, last_name, document, birth_date, number } = self.bet;
        let mut items = Vec::new();
        for item in [agency, first_name, last_name, document, birth_date, number] {
            push_item(&mut items, item);
        }
        Request::Bet { items: &items }.encode(out);
        self.owes = true;
        Ok(())
    }

    fn answer(&mut self, reply: Reply<'_>, _out: &mut Vec<u8>) -> Result<Next, Stop> {
        let request = REQUEST.to_owned();
        match reply {
            Reply::Ack => {
                let Bet { document, .. } = self.bet;
                let number = self.bet.number().map_or(0, Number::value);
                log::info!(
                    "action: apuesta_enviada | result: success | dni: {document} | numero: {number}"
                );
                self.owes = false;
                self.stored = true;
                Ok(Next::Done)
            }
            Reply::Busy => {
                // It was not taken, so it can be sent again.
                self.owes = false;
                Ok(Next::Reconnect("the office is busy"))
            }
            Reply::Close => Ok(Next::Reconnect("the office closes")),
            Reply::Error(text) => Err(Stop::Refused { request, text: log_line::value(text) }),
            Reply::Corrupt => Err(Stop::Corrupt { request }),
            reply => Err(Stop::unexpected(request, &reply)),
        }
    }

    fn resume(&mut self, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }

    fn lost(&mut self, reason: &str) -> Result<(), Stop> {
        if std::mem::take(&mut self.owes) {
            return Err(Stop::UncertainBet { reason: reason.to_owned() });
        }
        Ok(())
    }

    fn is_established(&self) -> bool {
        self.stored
    }

    fn owed(&self) -> Option<u64> {
        self.owes.then_some(0)
    }

    fn progress(&self) -> Progress {
        Progress { granted: u64::from(self.stored), ..Progress::default() }
    }
}
