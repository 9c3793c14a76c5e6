//! A connection in memory: the bytes under way in both directions, and the session at its end. It reads, holds
//! and takes as a connection of the server does. Knows no client and no fault.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bolillero_server::session::{Flow, Input, Mail, Session, Wake};

use crate::model::{Asked, Known};

/// What wakes a session or the drawer: news that is not taken yet.
#[derive(Default)]
pub(crate) struct Bell(AtomicBool);

impl Bell {
    pub(crate) fn is_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A clock that runs out.
struct Clock {
    id: u64,
    until: u64,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Packets,
    Text,
}

pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) agency: usize,
    pub(crate) dialect: Dialect,
    /// Its client has forgotten it: nobody reads what it brings.
    pub(crate) is_old: bool,
    pub(crate) known: Known,
    /// What the client sent and the session did not take.
    pub(crate) way: VecDeque<u8>,
    /// The client sends no more.
    pub(crate) is_ended: bool,
    /// Until when nothing arrives.
    pub(crate) stalled_until: u64,
    /// What was asked and not answered, each with where it ends in what was sent.
    asked: VecDeque<(u64, Asked)>,
    /// The last of the batches that were sent in the text dialect, which answers none of them.
    pub(crate) brought: u64,
    sent: u64,
    delivered: u64,
    /// How much had arrived when a newer session of the lane was welcomed.
    fenced_from: Option<u64>,
    is_fence_told: bool,
    /// A newer session of its lane was taken, if not told of yet.
    may_make_place: bool,
    session: Option<Box<dyn Session>>,
    bell: Arc<Bell>,
    is_held: bool,
    end_is_told: bool,
    output_max: usize,
    /// The beginning of an answer of which the session has said a part.
    pub(crate) begun: Vec<u8>,
    /// What the session said and the network has not taken.
    out: VecDeque<u8>,
    /// What is under way to the client.
    pub(crate) back: VecDeque<u8>,
    clock: Option<Clock>,
}

impl Line {
    pub(crate) fn new(
        number: usize,
        agency: usize,
        dialect: Dialect,
        (session, bell): (Box<dyn Session>, Arc<Bell>),
        output_max: usize,
        now: u64,
    ) -> Self {
        let mut line = Self {
            number,
            agency,
            dialect,
            is_old: false,
            known: Known::default(),
            way: VecDeque::new(),
            is_ended: false,
            stalled_until: 0,
            asked: VecDeque::new(),
            brought: 0,
            sent: 0,
            delivered: 0,
            fenced_from: None,
            is_fence_told: false,
            may_make_place: false,
            session: Some(session),
            bell,
            is_held: false,
            end_is_told: false,
            output_max,
            begun: Vec::new(),
            out: VecDeque::new(),
            back: VecDeque::new(),
            clock: None,
        };
        line.set_clock(now);
        line
    }

    pub(crate) fn send(&mut self, asked: Asked, bytes: &[u8]) {
        self.sent += bytes.len() as u64;
        self.way.extend(bytes);
        match asked {
            Asked::TextBatch(seq) => self.brought = seq,
            _ => self.asked.push_back((self.sent, asked)),
        }
    }

    /// A newer session of the lane was welcomed, if it is newer: what arrives from now on is refused.
    pub(crate) fn know_newest(&mut self, epoch: u32, epoch_queued: u32) {
        self.may_make_place = self.known.epoch > 0 && self.known.epoch < epoch_queued;
        if self.known.epoch > 0 && self.known.epoch < epoch {
            self.fenced_from.get_or_insert(self.delivered);
        }
    }

    /// It was told that it is fenced, once, and then ends: at once, or when a list of winners before that
    /// has left. Nothing of what was asked is answered any more.
    pub(crate) fn end_fenced(&mut self) {
        assert!(!self.is_served() || self.is_held, "it is fenced, and not closed");
        assert!(!self.is_fence_told, "it is told twice that it is fenced");
        self.is_fence_told = true;
        self.asked.clear();
    }

    /// A newer session of its lane is on disk, and it has neither ended nor is to be told. One that holds may
    /// have a list of winners to complete.
    pub(crate) fn lacks_news_of(&self, epoch: u32) -> bool {
        let is_old = self.known.epoch > 0 && self.known.epoch < epoch;
        is_old && self.is_served() && !self.bell.is_rung() && !self.is_held
    }

    /// What is answered next. Notes whether it came too late.
    pub(crate) fn next_asked(&mut self) -> Asked {
        assert!(!self.is_fence_told, "something is answered behind FENCED");
        let (end, asked) = self.asked.pop_front().expect("nothing more was asked");
        self.known.is_fenced = self.fenced_from.is_some_and(|from| end > from);
        asked
    }

    /// What the only line of the text dialect answers: a batch, where nothing else was asked.
    pub(crate) fn asked_in_text(&self) -> Asked {
        self.asked.front().map_or(Asked::TextBatch(self.brought), |(_, asked)| *asked)
    }

    /// Whether all of what was asked first has arrived.
    pub(crate) fn is_awaited(&self) -> bool {
        self.asked.front().is_some_and(|(end, _)| *end <= self.delivered)
    }

    pub(crate) fn is_served(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn has_news(&self) -> bool {
        self.is_served() && self.bell.is_rung()
    }

    pub(crate) fn can_deliver(&self, now: u64) -> bool {
        let has = !self.way.is_empty() || self.is_ended && !self.end_is_told;
        self.is_served() && !self.is_held && has && now >= self.stalled_until
    }

    pub(crate) fn can_flush(&self) -> bool {
        !self.out.is_empty()
    }

    /// Nothing comes any more, and nobody is there to go on.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_served() && self.out.is_empty() && self.back.is_empty()
    }

    /// When its clock runs out, or it brings bytes again.
    pub(crate) fn timer(&self, now: u64) -> Option<u64> {
        let stalled =
            (!self.way.is_empty() && self.stalled_until > now).then_some(self.stalled_until);
        let clock = self.clock.as_ref().filter(|_| self.is_served()).map(|clock| clock.until);
        [stalled, clock].into_iter().flatten().min()
    }

    pub(crate) fn is_overdue(&self, now: u64) -> bool {
        self.is_served() && self.clock.as_ref().is_some_and(|clock| clock.until <= now)
    }

    /// Has up to `count` bytes arrive, or the end of the client's sending. Returns what the session says.
    pub(crate) fn deliver(&mut self, count: usize, now: u64) -> Vec<u8> {
        if self.way.is_empty() {
            self.end_is_told = true;
            return self.hand_in(Input::Eof, now);
        }
        let bytes: Vec<u8> = self.way.drain(..count.min(self.way.len())).collect();
        self.delivered += bytes.len() as u64;
        self.hand_in(Input::Bytes(&bytes), now)
    }

    pub(crate) fn tell_news(&mut self, now: u64) -> Vec<u8> {
        self.bell.take();
        self.hand_in(Input::Mail(Mail::News), now)
    }

    pub(crate) fn stop(&mut self, now: u64) -> Vec<u8> {
        self.hand_in(Input::Mail(Mail::Shutdown), now)
    }

    /// Its time is over, which it never is while an answer is owed.
    pub(crate) fn time_out(&mut self, now: u64) -> Vec<u8> {
        assert!(!self.is_awaited(), "a deadline runs while {:?} is owed", self.asked);
        self.hand_in(Input::Deadline, now)
    }

    /// Takes what the session says; returns the answers that are whole with it. What it says last
    /// is whole.
    pub(crate) fn take_whole(&mut self, said: &[u8]) -> Vec<u8> {
        self.begun.extend_from_slice(said);
        let mut whole = 0;
        while let Some(header) = self.begun[whole..].first_chunk::<5>() {
            let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
            if self.begun.len() < whole + 5 + length {
                break;
            }
            whole += 5 + length;
        }
        let rest = self.begun.split_off(whole);
        // One that has to make place for a newer session of its agency ends at once.
        let may_end = rest.is_empty() || self.may_make_place;
        assert!(self.is_served() || may_end, "it ends inside an answer");
        std::mem::replace(&mut self.begun, rest)
    }

    /// Has the network take some of what the session said. Returns what the session says to that.
    pub(crate) fn flush(&mut self, count: usize, now: u64) -> Vec<u8> {
        let count = count.min(self.out.len());
        self.back.extend(self.out.drain(..count));
        if self.out.is_empty() && self.is_held && self.is_served() {
            return self.hand_in(Input::Drained, now);
        }
        self.set_clock(now);
        Vec::new()
    }

    /// The office's side is gone, with what it had not yet given to the network.
    pub(crate) fn drop_session(&mut self) {
        self.session = None;
        self.out.clear();
        self.way.clear();
    }

    /// What is left of it.
    pub(crate) fn take_back(&mut self, count: usize) -> Vec<u8> {
        self.back.drain(..count.min(self.back.len())).collect()
    }

    /// What it waits for, for who looks into a run that came to no end.
    pub(crate) fn describe(&self) -> String {
        let Self { number, agency, is_old, is_held, is_ended, asked, .. } = self;
        let (way, out, back) = (self.way.len(), self.out.len(), self.back.len());
        format!(
            "line {number} of agency {}: old {is_old}, served {}, held {is_held}, ended {is_ended}, \
             bytes {way}/{out}/{back}, waits for {asked:?}",
            agency + 1,
            self.is_served()
        )
    }

    fn hand_in(&mut self, input: Input<'_>, now: u64) -> Vec<u8> {
        let mut out: Vec<u8> = self.out.drain(..).collect();
        let before = out.len();
        let session = self.session.as_mut().expect("who is not served is told nothing");
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, &mut out) {
            Flow::Continue => self.is_held &= !releases,
            Flow::Hold => self.is_held = true,
            Flow::Close => self.session = None,
        }
        let said = out[before..].to_vec();
        self.out = out.into();
        self.set_clock(now);
        said
    }

    /// The clock is restarted when the session waits for something else. While it is the peer that does not
    /// read, none runs.
    fn set_clock(&mut self, now: u64) {
        let session = self.session.as_ref().filter(|_| self.out.len() < self.output_max);
        let Some(wait) = session.and_then(|session| session.wait()) else {
            self.clock = None;
            return;
        };
        if self.clock.as_ref().is_none_or(|clock| clock.id != wait.id) {
            let until = now + u64::try_from(wait.time_max.as_millis()).unwrap();
            self.clock = Some(Clock { id: wait.id, until });
        }
    }
}
