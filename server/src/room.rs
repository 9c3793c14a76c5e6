//! The room where operators talk. Knows no socket and no TLS, and nothing of the lottery.
//!
//! ```text
//! session   bytes -> objects; one object out at a time
//! speaker   what a guest's objects ask; its place
//! guests    who is there, queues, the last messages: one state, behind one lock
//! bucket    how much a guest may send         refused   why not, and what it is told
//! ```

mod session;
mod speaker;
mod guests;
mod bucket;
mod refused;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bolillero_protocol::room::{Object, SERVER, SERVER_FULL, Value, status};

use self::guests::Guests;
use self::session::{GuestSession, TurnedAway};
use self::speaker::Seat;
use crate::session::{Mailbox, Peer, Service, Session};

/// The limits of the room.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Guests at a time. At least 1.
    pub capacity: usize,
    /// The last messages that are kept, and told when asked for. 0: none.
    pub history_max: usize,
    /// Objects that wait to be sent to a guest. Who has as many when one more comes is dropped. At
    /// least 1.
    pub queue_objects_max: usize,
    /// Objects that a guest may send at once. At least 1.
    pub burst_objects: u32,
    /// How long it takes until a guest may send one more than that.
    pub refill_time: Duration,
    /// From an object's first byte to its last.
    pub object_time_max: Duration,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            capacity: 3,
            history_max: 50,
            queue_objects_max: 256,
            burst_objects: 10,
            refill_time: Duration::from_millis(200),
            object_time_max: Duration::from_secs(60),
        }
    }
}

/// Opens the sessions of the room's listener.
pub struct Room {
    guests: Arc<Mutex<Guests>>,
    limits: RoomLimits,
    full: Vec<u8>,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(limits: RoomLimits) -> Self {
        let guests = Arc::new(Mutex::new(Guests::new(limits)));
        Self { guests, limits, full: server_says(status::FULL, Value::text(SERVER_FULL)) }
    }
}

impl Service for Room {
    fn name(&self) -> &'static str {
        "room"
    }

    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        let guests = Arc::clone(&self.guests);
        match Seat::take(guests, peer.address.ip(), mailbox.clone()) {
            Some(seat) => Box::new(GuestSession::new(seat, self.limits)),
            None => {
                // Here the server speaks first.
                mailbox.news();
                Box::new(TurnedAway(self.full.clone()))
            }
        }
    }

    fn busy(&self) -> &[u8] {
        &self.full
    }
}

/// An object of the server's own.
fn server_says(status: u64, content: Value<'_>) -> Vec<u8> {
    encoded(Value::text(SERVER), status, content)
}

fn encoded(sender_id: Value<'_>, status: u64, content: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Object { sender_id, status: Value::number(status), content }.encode(&mut out);
    out
}
