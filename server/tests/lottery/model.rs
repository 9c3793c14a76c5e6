//! The rules of the wire over what a lane has stored, in as few lines as they can be said. Knows no ledger, no byte
//! and no connection. What a fenced session asks is never asked here.

use crate::support::*;

pub(crate) const AGENCIES: u32 = 2;

/// What the office has to know of a lane, and to answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    pub(crate) epoch: u32,
    pub(crate) bodies: Vec<String>,
    pub(crate) finished: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) lanes: Vec<Lane>,
}

/// What a client was promised.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Promise {
    This(Reply),
    /// A refusal with this code, or in free text.
    Refusal(&'static str),
    Winners {
        agency: u32,
        in_session: bool,
    },
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { lanes: vec![Lane::default(); AGENCIES as usize] }
    }

    fn lane(&mut self, agency: u32) -> &mut Lane {
        &mut self.lanes[agency as usize - 1]
    }

    pub(crate) fn winners(&self, agency: u32) -> Reply {
        let all = self.lanes[agency as usize - 1].bodies.concat();
        let wins = all.matches("#7574#").count();
        winners(&if wins == 0 { "#".to_owned() } else { "30007574#".repeat(wins) })
    }

    pub(crate) fn hello(&mut self, session: &mut Option<(u32, u32)>, agency: u32) -> Promise {
        if session.is_some() {
            return Promise::Refusal("MALFORMED");
        }
        let lane = self.lane(agency);
        lane.epoch += 1;
        *session = Some((agency, lane.epoch));
        Promise::This(welcome(lane.epoch, &lane.bodies, lane.finished))
    }

    pub(crate) fn base(&mut self, session: Option<(u32, u32)>, agency: u32, body: &str) -> Promise {
        let lane = self.lane(agency);
        if session.is_some() {
            return Promise::Refusal("MALFORMED");
        }
        if body == "0#" {
            return Promise::This(ack());
        }
        if lane.epoch > 0 || lane.finished {
            return Promise::Refusal("");
        }
        lane.bodies.push(body.to_owned());
        Promise::This(ack())
    }

    pub(crate) fn numbered(
        &mut self,
        session: Option<(u32, u32)>,
        agency: u32,
        seq: u64,
        body: &str,
    ) -> Promise {
        let Some((of, _)) = session else { return Promise::Refusal("MALFORMED") };
        // A batch of nothing has no agency: it is taken for one of this lane.
        let lane = self.lane(if body == "0#" { of } else { agency });
        let next = lane.bodies.len() as u64 + 1;
        if seq == 0 {
            Promise::Refusal("MALFORMED")
        } else if of != agency && body != "0#" {
            Promise::Refusal("REFUSED")
        } else if seq < next {
            let before = &lane.bodies[..usize::try_from(seq).unwrap()];
            if before.last().unwrap() == body {
                Promise::This(receipt(before))
            } else {
                Promise::Refusal("CONFLICT")
            }
        } else if lane.finished {
            Promise::Refusal("CLOSED")
        } else if seq > next {
            Promise::Refusal("GAP")
        } else if body == "0#" {
            Promise::Refusal("MALFORMED")
        } else {
            lane.bodies.push(body.to_owned());
            Promise::This(receipt(&lane.bodies))
        }
    }

    pub(crate) fn ready(&mut self, session: Option<(u32, u32)>, agency: u32) -> Promise {
        let lane = self.lane(agency);
        match session {
            Some(_) => Promise::Refusal("MALFORMED"),
            None if lane.epoch > 0 => Promise::Refusal(""),
            None => {
                lane.finished = true;
                Promise::This(ack())
            }
        }
    }

    pub(crate) fn session_ready(
        &mut self,
        session: Option<(u32, u32)>,
        agency: u32,
        totals: (u64, u64),
    ) -> Promise {
        let lane = self.lane(agency);
        let stored = (lane.bodies.len() as u64, bets_in(&lane.bodies));
        match session {
            None => Promise::Refusal(""),
            Some((of, _)) if of != agency => Promise::Refusal("REFUSED"),
            Some(_) if totals != stored => Promise::Refusal("MISMATCH"),
            Some(_) => {
                lane.finished = true;
                Promise::This(ack())
            }
        }
    }

    pub(crate) fn ask(&self, session: Option<(u32, u32)>, agency: u32) -> Promise {
        match session {
            Some((of, _)) if of != agency => Promise::Refusal("REFUSED"),
            session => Promise::Winners { agency, in_session: session.is_some() },
        }
    }
}
