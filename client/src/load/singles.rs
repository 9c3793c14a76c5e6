//! The batches of every agency, each over a connection of its own, a window of them at once. Knows
//! no socket.

use std::time::Instant;

use crate::load::drive::{Exchange, Next};
use crate::load::fault::Wrong;
use crate::load::latency::Latency;
use crate::load::plan::Script;

/// All agencies' batches.
pub(super) struct Singles<'a> {
    scripts: &'a [Script],
    /// Of each script, the first batch that no place has taken.
    next: Vec<usize>,
    places: Vec<Place>,
    unfinished: usize,
    latency: Latency,
}

/// One connection at a time, and the batch on it.
struct Place {
    /// Whose: an index of `scripts`.
    script: usize,
    /// `None`: there are no more.
    batch: Option<usize>,
    sent: usize,
    received: usize,
    sent_at: Instant,
}

impl<'a> Singles<'a> {
    pub(super) fn new(scripts: &'a [Script], window: usize) -> Self {
        let now = Instant::now();
        let mut places = Vec::new();
        let mut next = Vec::new();
        for (index, script) in scripts.iter().enumerate() {
            let at_once = window.min(script.packets.len());
            places.extend((0..at_once).map(|batch| Place {
                script: index,
                batch: Some(batch),
                sent: 0,
                received: 0,
                sent_at: now,
            }));
            next.push(at_once);
        }
        Self { scripts, next, unfinished: places.len(), places, latency: Latency::new() }
    }

    pub(super) fn into_latency(self) -> Latency {
        self.latency
    }

    fn take_next(&mut self, place: usize) {
        let place = &mut self.places[place];
        let next = &mut self.next[place.script];
        if *next == self.scripts[place.script].packets.len() {
            place.batch = None;
            self.unfinished -= 1;
            return;
        }
        *place = Place { batch: Some(*next), sent: 0, received: 0, ..*place };
        *next += 1;
    }
}

impl Exchange for Singles<'_> {
    fn places(&self) -> usize {
        self.places.len()
    }

    fn agency(&self, place: usize) -> u32 {
        self.scripts[self.places[place].script].agency
    }

    fn unsent(&self, place: usize) -> &[u8] {
        let place = &self.places[place];
        let packets = &self.scripts[place.script].packets;
        place.batch.map_or(&[], |batch| &packets.get(batch)[place.sent..])
    }

    fn sent(&mut self, place: usize, size: usize, at: Instant) {
        let place = &mut self.places[place];
        place.sent += size;
        place.sent_at = at;
    }

    fn received(&mut self, place: usize, bytes: &[u8], at: Instant) -> Result<Next, Wrong> {
        let at_place = &mut self.places[place];
        let answers = &self.scripts[at_place.script].answers;
        let expected = at_place.batch.map_or(&[][..], |batch| answers.get(batch));
        let due = &expected[at_place.received..];
        if !due.starts_with(bytes) {
            let mut came = [&expected[..at_place.received], bytes].concat();
            let surplus = !expected.is_empty() && came.starts_with(expected);
            came.drain(..if surplus { expected.len() } else { 0 });
            let expected = if surplus { Vec::new() } else { expected.to_vec() };
            return Err(Wrong { expected, came, hint: "" });
        }
        at_place.received += bytes.len();
        if at_place.received < expected.len() {
            return Ok(Next::Stay);
        }
        self.latency.record(at.duration_since(at_place.sent_at));
        self.take_next(place);
        Ok(Next::Close)
    }

    fn owed(&self, place: usize) -> Option<String> {
        let place = &self.places[place];
        place.batch.map(|batch| self.scripts[place.script].name_of(batch))
    }

    fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    fn hint(&self) -> String {
        "Does the server still run, does its disk answer, and has it room for a window of \
         connections of each agency?"
            .to_owned()
    }
}
