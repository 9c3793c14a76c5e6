//! What the office knows, as a pure value: lanes, who has finished, whether the draw is done.
//! Knows no ledger, no connection and no clock.
//!
//! Questions ([`State::check_batch`] and its like) change nothing and say what may happen; an
//! [`Event`] says what did happen. The same [`State::apply`] takes events as they come and events
//! read back from the ledger, so replay gives the same state.
//!
//! ```text
//! Open --- every agency has finished ---> Drawing --- the winners are on disk ---> Drawn
//! ```

use bolillero_protocol::bet::Number;
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::error::Malformed;
use bolillero_protocol::message::{ChainAlarm, Code, DrawId, Receipt, Totals, Welcome};
use bolillero_protocol::words::counted;
use thiserror::Error;

pub use super::lane::{
    BATCHES_REMEMBERED_MAX, BATCHES_REMEMBERED_MIN, REMEMBERED_BYTES_MAX_DEFAULT,
};
use super::lane::{Lane, batches_remembered};

/// What a draw is about. Fixed when its ledger is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The agencies are 1 to this many; 0: nothing is ever drawn.
    pub agencies: u32,
    /// The number that wins.
    pub winning_number: Number,
    /// Tells this draw from all others.
    pub draw: DrawId,
}

impl Terms {
    /// Holds that an agency is one of the draw.
    ///
    /// # Errors
    /// [`Refused`] when it is not.
    pub fn check_agency(&self, agency: u32) -> Result<(), Refused> {
        let agencies = self.agencies;
        if (1..=agencies).contains(&agency) {
            return Ok(());
        }
        Err(Refused::new(Code::Refused, format!("{agency} is not an agency 1 to {agencies}")))
    }
}

/// How far the draw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Some agency has not finished.
    Open,
    /// All have; the winners are being looked for.
    Drawing,
    /// The winners are known, for ever.
    Drawn,
}

/// Something that happened, in few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A session opened this epoch of a lane.
    Hello {
        /// Whose lane.
        agency: u32,
        /// The new epoch.
        epoch: u32,
    },
    /// A batch was stored.
    Batch {
        /// In whose lane.
        agency: u32,
        /// In which epoch; 0 for base packets.
        epoch: u32,
        /// Its number in the lane.
        seq: u64,
        /// How many bets it has.
        bets: u32,
        /// The hash of its body.
        hash: BodyHash,
    },
    /// An agency is ready for the draw.
    Finish {
        /// Which.
        agency: u32,
        /// In which epoch; 0 for base packets.
        epoch: u32,
        /// The last batch of its lane.
        seq: u64,
    },
    /// An agency counts something else than the office.
    Alarm {
        /// Which.
        agency: u32,
        /// In which epoch: there is one alarm in each at most.
        epoch: u32,
        /// What it counts.
        alarm: ChainAlarm,
    },
    /// The winners are known.
    Drawn,
}

/// An event that cannot follow what happened before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{event:?} cannot follow: {why}")]
pub struct Discontinuity {
    event: Event,
    why: &'static str,
}

/// Why the office does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of refusal.
    pub code: Code,
    /// Why, for a person on the other side.
    pub text: String,
}

impl Refused {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<&Malformed> for Refused {
    fn from(malformed: &Malformed) -> Self {
        Self::new(Code::Malformed, malformed.to_string())
    }
}

/// On whose behalf something is asked of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A base packet, or the text dialect.
    Base,
    /// A session.
    Session {
        /// The epoch its HELLO opened.
        epoch: u32,
    },
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchVerdict {
    /// It is to be stored under this number.
    Store(u64),
    /// It is stored already, with this receipt.
    Repeat(Receipt),
}

/// What becomes of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishVerdict {
    /// The agency is to be marked; its lane ends with this number.
    Mark(u64),
    /// It is marked already.
    Repeat,
}

/// The office's memory.
#[derive(Debug)]
pub struct State {
    terms: Terms,
    /// How many of its last batches each lane remembers.
    batches_remembered: usize,
    lanes: Vec<Lane>,
    finished: u32,
    draw: Draw,
}

/// What is known of one lane, for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSummary {
    /// How many sessions it has had.
    pub epoch: u32,
    /// What it has stored.
    pub totals: Totals,
    /// Where its chain stands.
    pub head: Head,
    /// Whether its agency is ready.
    pub finished: bool,
    /// How often its agency has said that it counts something else.
    pub alarms: u32,
}

impl State {
    /// The state in which nothing has happened. Lanes remember batches in `remembered_bytes_max`
    /// bytes, all together, but each at least [`BATCHES_REMEMBERED_MIN`].
    #[must_use]
    pub fn new(terms: Terms, remembered_bytes_max: u64) -> Self {
        Self {
            terms,
            batches_remembered: batches_remembered(remembered_bytes_max, terms.agencies),
            lanes: vec![Lane::new(); terms.agencies as usize],
            finished: 0,
            draw: Draw::Open,
        }
    }

    /// What the draw is about.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// How far the draw is.
    #[must_use]
    pub fn draw(&self) -> Draw {
        self.draw
    }

    /// How many agencies are ready.
    #[must_use]
    pub fn finished(&self) -> u32 {
        self.finished
    }

    /// What is known of an agency's lane.
    #[must_use]
    pub fn lane(&self, agency: u32) -> Option<LaneSummary> {
        let lane = self.lanes.get(agency.checked_sub(1)? as usize)?;
        let Lane { epoch, head, finished, alarms, .. } = *lane;
        Some(LaneSummary { epoch, totals: lane.totals(), head, finished, alarms })
    }

    /// The epoch that a HELLO opens.
    ///
    /// # Errors
    /// [`Refused`]: no such agency, or another draw.
    pub fn check_hello(&self, agency: u32, expected: Option<DrawId>) -> Result<u32, Refused> {
        let lane = self.known(agency)?;
        let draw = self.terms.draw;
        match expected {
            Some(expected) if expected != draw => {
                Err(Refused::new(Code::Refused, format!("this is draw {draw}, not {expected}")))
            }
            _ => {
                let text = "this lane has had all the sessions it can have";
                lane.epoch.checked_add(1).ok_or_else(|| Refused::new(Code::Refused, text))
            }
        }
    }

    /// What a session is welcomed with, once its HELLO was applied.
    ///
    /// # Panics
    /// When the agency is none of the draw.
    #[must_use]
    pub fn welcome(&self, agency: u32) -> Welcome {
        let lane = self.known(agency).expect("a HELLO was applied to this lane");
        Welcome {
            epoch: lane.epoch,
            next_seq: lane.next_seq,
            bets: lane.bets,
            head: lane.head,
            finished: lane.finished,
            draw: self.terms.draw,
        }
    }

    /// What becomes of a batch; `seq` is the number it carries, if it does.
    ///
    /// # Errors
    /// [`Refused`], in the order of checks that the protocol gives.
    pub fn check_batch(
        &self,
        agency: u32,
        by: By,
        seq: Option<u64>,
        hash: BodyHash,
    ) -> Result<BatchVerdict, Refused> {
        let lane = self.known(agency)?;
        lane.check_by(agency, by)?;
        let seq = seq.unwrap_or(lane.next_seq);
        if seq < lane.next_seq {
            return lane.recall(seq, hash, self.batches_remembered).map(BatchVerdict::Repeat);
        }
        if lane.finished {
            return Err(Refused::new(Code::Closed, format!("agency {agency} has finished")));
        }
        if seq > lane.next_seq {
            return Err(Refused::new(
                Code::Gap,
                format!("the lane's next batch is {}", lane.next_seq),
            ));
        }
        Ok(BatchVerdict::Store(seq))
    }

    /// The receipt of the batch that was applied last to a lane.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn last_receipt(&self, agency: u32) -> Receipt {
        let lane = self.known(agency).expect("a batch was applied to this lane");
        Receipt { seq: lane.next_seq - 1, bets: lane.bets, head: lane.head }
    }

    /// What becomes of a mark; `totals` is what the agency believes to have stored, if it says so.
    ///
    /// # Errors
    /// [`Refused`]: no such agency, an old session, or other totals.
    pub fn check_finish(
        &self,
        agency: u32,
        by: By,
        totals: Option<Totals>,
    ) -> Result<FinishVerdict, Refused> {
        let lane = self.known(agency)?;
        lane.check_by(agency, by)?;
        let stored = lane.totals();
        if totals.is_some_and(|totals| totals != stored) {
            let bets = counted(stored.bets, "bet");
            let text = format!("stored: last seq {}, {bets}", stored.last_seq);
            return Err(Refused::new(Code::Mismatch, text));
        }
        Ok(if lane.finished { FinishVerdict::Repeat } else { FinishVerdict::Mark(stored.last_seq) })
    }

    /// Whether an agency may raise an alarm.
    ///
    /// # Errors
    /// [`Refused`]: no such agency, an old session, or one that has raised an alarm already.
    pub fn check_alarm(&self, agency: u32, epoch: u32) -> Result<(), Refused> {
        let lane = self.known(agency)?;
        lane.check_by(agency, By::Session { epoch })?;
        if lane.alarm_epoch == epoch {
            return Err(Refused::new(Code::Malformed, "a session raises one alarm"));
        }
        Ok(())
    }

    /// Takes what has happened.
    ///
    /// # Errors
    /// [`Discontinuity`] when it cannot have happened after all before; nothing is changed then.
    pub fn apply(&mut self, event: Event) -> Result<(), Discontinuity> {
        self.try_apply(event).map_err(|why| Discontinuity { event, why })
    }

    fn try_apply(&mut self, event: Event) -> Result<(), &'static str> {
        let batches_remembered = self.batches_remembered;
        match event {
            Event::Hello { agency, epoch } => {
                let lane = self.lane_mut(agency)?;
                ensure(
                    Some(epoch) == lane.epoch.checked_add(1),
                    "the epoch is not the lane's next",
                )?;
                lane.epoch = epoch;
            }
            Event::Batch { agency, epoch, seq, bets, hash } => {
                let lane = self.lane_mut(agency)?;
                ensure(epoch == lane.epoch, "the epoch is not the lane's")?;
                ensure(seq == lane.next_seq, "the seq is not the lane's next")?;
                ensure(!lane.finished, "its agency has finished")?;
                lane.store(bets, hash, batches_remembered);
            }
            Event::Finish { agency, epoch, seq } => {
                let lane = self.lane_mut(agency)?;
                ensure(epoch == lane.epoch, "the epoch is not the lane's")?;
                ensure(seq == lane.next_seq - 1, "the seq is not the lane's last")?;
                ensure(!lane.finished, "its agency has finished already")?;
                lane.finished = true;
                self.finished += 1;
                if self.finished == self.terms.agencies {
                    self.draw = Draw::Drawing;
                }
            }
            Event::Alarm { agency, epoch, .. } => {
                self.lane_mut(agency)?.raise_alarm(epoch)?;
            }
            Event::Drawn => {
                ensure(self.draw == Draw::Drawing, "the draw was not due")?;
                self.draw = Draw::Drawn;
            }
        }
        Ok(())
    }

    fn known(&self, agency: u32) -> Result<&Lane, Refused> {
        self.terms.check_agency(agency)?;
        Ok(&self.lanes[agency as usize - 1])
    }

    fn lane_mut(&mut self, agency: u32) -> Result<&mut Lane, &'static str> {
        let lane = agency.checked_sub(1).and_then(|index| self.lanes.get_mut(index as usize));
        lane.ok_or("there is no such agency")
    }
}

fn ensure(holds: bool, why: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(why) }
}
