//! One guest's connection. Knows no socket, no clock and no other guest.
//!
//! One object is one write, so that under TLS it is one record: deployed clients frame by that. So
//! at most one object is in the output; the session holds until it has left, and takes no more of
//! its guest's objects before its queue is empty.

use bolillero_protocol::room::{Objects, Value};

use super::guests::Next;
use super::speaker::{Seat, Speaker};
use super::{RoomLimits, server_says};
use crate::session::{Flow, Input, Mail, Session, Wait};

pub(super) struct GuestSession {
    limits: RoomLimits,
    speaker: Speaker,
    objects: Objects,
    /// Bytes that came while an object was to leave, of which the first `taken` are done with: at
    /// most what one input brought.
    unread: Vec<u8>,
    taken: usize,
    /// An object is in the output.
    leaving: bool,
    /// The peer sends no more.
    ended: bool,
    /// Objects taken so far. Names the waits.
    n_objects: u64,
}

impl Session for GuestSession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        match input {
            Input::Bytes(bytes) => self.unread.extend_from_slice(bytes),
            Input::Drained => self.leaving = false,
            Input::Mail(Mail::News) => {}
            Input::Mail(Mail::Shutdown) => return Flow::Close,
            Input::Eof => self.ended = true,
            Input::Deadline if self.speaker.bucket.awaited().is_some() => {
                self.speaker.bucket.refill();
            }
            Input::Deadline => return Flow::Close,
        }
        match self.leaving {
            // Who does not read what is in the output is told of its end in no other way.
            true if self.speaker.seat.is_lost() => Flow::Close,
            true => Flow::Hold,
            false => self.go_on(out),
        }
    }

    /// A guest may be silent for ever, but not within an object. That time begins when the burst is
    /// whole again: a session waits for one thing at a time.
    fn wait(&self) -> Option<Wait> {
        if let Some(refill) = self.speaker.bucket.awaited() {
            return Some(Wait { id: refill * 2, time_max: self.limits.refill_time });
        }
        let unfinished = self.objects.is_partial() && self.unread.is_empty();
        let id = self.n_objects * 2 + 1;
        unfinished.then_some(Wait { id, time_max: self.limits.object_time_max })
    }
}

impl GuestSession {
    pub(super) fn new(seat: Seat, limits: RoomLimits) -> Self {
        Self {
            limits,
            speaker: Speaker::new(seat, limits.burst_objects),
            objects: Objects::default(),
            unread: Vec::new(),
            taken: 0,
            leaving: false,
            ended: false,
            n_objects: 0,
        }
    }

    /// Takes the guest's objects until there is one to be sent.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Flow {
        loop {
            match self.speaker.seat.next() {
                Next::Line(line) => {
                    out.extend_from_slice(&line);
                    self.leaving = true;
                    return Flow::Hold;
                }
                Next::Gone => return Flow::Close,
                Next::Nothing => {}
            }
            let (count, object) = self.objects.next(&self.unread[self.taken..]);
            self.taken += count;
            let Some(object) = object else {
                // Between objects a session keeps no memory.
                (self.unread, self.taken) = (Vec::new(), 0);
                return if self.ended { Flow::Close } else { Flow::Continue };
            };
            self.n_objects += 1;
            if let Err(refused) = self.speaker.hear(object) {
                let text = Value::text(&refused.to_string());
                out.extend_from_slice(&server_says(refused.status(), text));
                self.leaving = true;
                return if refused.closes() { Flow::Close } else { Flow::Hold };
            }
        }
    }
}

/// A newcomer for whom there is no place. It is told so, and that is all.
pub(super) struct TurnedAway(pub(super) Vec<u8>);

impl Session for TurnedAway {
    fn handle(&mut self, _: Input<'_>, out: &mut Vec<u8>) -> Flow {
        out.append(&mut self.0);
        Flow::Close
    }

    fn wait(&self) -> Option<Wait> {
        None
    }
}
