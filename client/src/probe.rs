//! Whether a server is there and speaks as it should. What is asked of an office stores nothing.
//!
//! ```text
//! a batch of no bets      -> 2      it takes batches
//! a bet of agency 0       -> 4      it refuses what cannot be, and says so
//! a batch of no bets      -> 2      and its connection is of use after that
//! ```

use bolillero_protocol::log_line;
use bolillero_protocol::message::{Reply, Request};

use crate::args::Service;
use crate::config::ProbeConfig;
use crate::connect::{ask_line, converse};
use crate::dialogue::{Dialogue, Next, Progress, Stop};
use crate::ending::Ending;

/// What an echo server is asked.
const LINE: &str = "bolillero probe";
const NO_BETS: &[u8] = b"0#";
const IMPOSSIBLE_BET: &[u8] = b"0#Ana#Paz#30000001#1990-01-01#1#";

/// Asks until the server has answered, or its time is over.
///
/// # Errors
/// [`Stop`]: what was wrong with the answers, or that none came.
pub fn run(config: &ProbeConfig, ending: &Ending) -> Result<(), Stop> {
    match config.service {
        Service::Echo => ask_line(&config.office, ending, LINE, |_| Ok(())),
        Service::Lottery => converse(&config.office, &mut Probe::default(), ending, &mut |_| {}),
    }
}

/// The questions to an office, all on one connection.
#[derive(Debug, Default)]
pub struct Probe {
    /// What is asked on this connection, and its answer is due.
    step: Step,
    answers: u64,
}

#[derive(Debug, Clone, Copy, Default)]
enum Step {
    #[default]
    NoBets,
    ImpossibleBet,
    NoBetsAgain,
}

impl Step {
    fn send(self, out: &mut Vec<u8>) {
        match self {
            Self::NoBets | Self::NoBetsAgain => Request::Batch { body: NO_BETS }.encode(out),
            Self::ImpossibleBet => Request::Bet { items: IMPOSSIBLE_BET }.encode(out),
        }
    }

    /// What it asks, for a person.
    fn request(self) -> String {
        match self {
            Self::NoBets => "a batch of no bets",
            Self::ImpossibleBet => "a bet of agency 0, which is none",
            Self::NoBetsAgain => "a batch of no bets behind a bet that was refused",
        }
        .to_owned()
    }
}

impl Dialogue for Probe {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.step = Step::NoBets;
        self.step.send(out);
        Ok(())
    }

    fn answer(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<Next, Stop> {
        self.answers += 1;
        let request = self.step.request();
        self.step = match (self.step, reply) {
            (_, Reply::Close) => return Ok(Next::Reconnect("the office closes")),
            (_, Reply::Busy) => return Ok(Next::Reconnect("the office is busy")),
            (Step::NoBets, Reply::Ack) => Step::ImpossibleBet,
            (Step::ImpossibleBet, Reply::Error(_)) => Step::NoBetsAgain,
            (Step::NoBetsAgain, Reply::Ack) => return Ok(Next::Done),
            (_, Reply::Error(text)) => {
                return Err(Stop::Refused { request, text: log_line::value(text) });
            }
            (_, Reply::Corrupt) => return Err(Stop::Corrupt { request }),
            (_, reply) => return Err(Stop::unexpected(request, &reply)),
        };
        self.step.send(out);
        Ok(Next::Read)
    }

    fn resume(&mut self, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }

    fn lost(&mut self, _reason: &str) -> Result<(), Stop> {
        Ok(())
    }

    /// Never: the time for all of it, over however many connections, is one.
    fn is_established(&self) -> bool {
        false
    }

    fn owed(&self) -> Option<u64> {
        Some(self.answers)
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}
