//! Who is in the room, what each is still to be sent, and what was said last. Pure: knows neither
//! sessions nor their bytes' way out.
//!
//! Every queue is bounded. Who is so far behind that one more object has no place is no guest any
//! more, so that nobody's slowness costs the others anything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bolillero_protocol::room::{NAME_LENGTH_MAX, Name, OBJECT_BYTES_MAX, Value, status};

use super::refused::Refused;
use super::{RoomLimits, server_says};
use crate::session::Mailbox;

/// An encoded object, shared by all who are to get it.
pub(super) type Line = Arc<[u8]>;

pub(super) struct Guests {
    limits: RoomLimits,
    /// How many have entered so far: the number of the last.
    entered: u64,
    present: BTreeMap<u64, Guest>,
    history: VecDeque<Line>,
    /// Guests whose queue was full, who are to be removed.
    behind: Vec<u64>,
    /// Who is to be woken once the lock is given up.
    woken: Vec<Mailbox>,
}

struct Guest {
    name: Option<Name>,
    /// Guests with a name were told that it came, and are told when it leaves.
    introduced: bool,
    mailbox: Mailbox,
    queue: VecDeque<Line>,
}

/// What there is for a guest.
pub(super) enum Next {
    Line(Line),
    Nothing,
    /// It is no guest any more.
    Gone,
}

impl Guests {
    pub(super) fn new(limits: RoomLimits) -> Self {
        Self {
            limits,
            entered: 0,
            present: BTreeMap::new(),
            history: VecDeque::new(),
            behind: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Gives a newcomer a place and a number, if there is one.
    pub(super) fn enter(&mut self, mailbox: Mailbox) -> Option<u64> {
        if self.present.len() >= self.limits.capacity {
            return None;
        }
        self.entered += 1;
        let id = self.entered;
        let queue = VecDeque::from([server_says(status::CHAT, Value::number(id)).into()]);
        self.woken.push(mailbox.clone());
        self.present.insert(id, Guest { name: None, introduced: false, mailbox, queue });
        Some(id)
    }

    /// Gives the place of a guest back. False where it had none any more.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        self.remove(id)
    }

    /// Whether there is a guest with this number.
    pub(super) fn has(&self, id: u64) -> bool {
        self.present.contains_key(&id)
    }

    /// What a guest is to be sent next.
    pub(super) fn next(&mut self, id: u64) -> Next {
        match self.present.get_mut(&id) {
            Some(guest) => guest.queue.pop_front().map_or(Next::Nothing, Next::Line),
            None => Next::Gone,
        }
    }

    /// A message, to everyone else.
    pub(super) fn say(&mut self, id: u64, line: &Line) {
        self.introduce(id);
        self.history.push_back(Arc::clone(line));
        if self.history.len() > self.limits.history_max {
            self.history.pop_front();
        }
        self.tell(line, |other, _| other != id);
    }

    /// Passes a 201 on to the other guests with a name. The server that deployed clients know
    /// dropped it, and one of them cannot read an object that it does not expect.
    pub(super) fn say_new_user(&mut self, id: u64, line: &Line) {
        self.introduce(id);
        self.tell(line, |other, guest| other != id && guest.name.is_some());
    }

    /// Names a guest, and tells all who have a name, itself too.
    pub(super) fn name(&mut self, id: u64, name: Name) -> Result<(), Refused> {
        if self.present.values().any(|guest| guest.name.as_ref() == Some(&name)) {
            return Err(Refused::NameTaken);
        }
        let Some(guest) = self.present.get_mut(&id) else { return Ok(()) };
        guest.introduced = true;
        guest.name = Some(name);
        let came = server_says(status::CAME, guest.sender(id));
        self.tell(&came.into(), |_, guest| guest.name.is_some());
        Ok(())
    }

    /// Answers a guest with all who are present, in as many objects as it takes.
    pub(super) fn list(&mut self, id: u64) {
        let all: Vec<_> = self.present.iter().map(|(id, guest)| guest.sender(*id)).collect();
        let lists = all.chunks(LISTED_MAX);
        let lines = lists.map(|some| server_says(status::PRESENT, Value::list(some)).into());
        self.answer(id, lines.collect());
    }

    /// Answers a guest with the last messages, as they were sent.
    pub(super) fn recall(&mut self, id: u64, count: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.history.len());
        let lines = self.history.iter().skip(self.history.len() - count);
        let lines = lines.map(Arc::clone).collect();
        self.answer(id, lines);
    }

    /// Ends a change: removes who was behind. Returns who is to be woken.
    pub(super) fn settle(&mut self) -> Vec<Mailbox> {
        // Their leaving is told, and for that others may have no place.
        while let Some(id) = self.behind.pop() {
            self.remove(id);
        }
        std::mem::take(&mut self.woken)
    }

    fn introduce(&mut self, id: u64) {
        let Some(guest) = self.present.get_mut(&id).filter(|guest| !guest.introduced) else {
            return;
        };
        guest.introduced = true;
        let came = server_says(status::CAME, guest.sender(id));
        self.tell(&came.into(), |other, guest| other != id && guest.name.is_some());
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(guest) = self.present.remove(&id) else { return false };
        if guest.introduced {
            let left = server_says(status::LEFT, guest.sender(id));
            self.tell(&left.into(), |_, guest| guest.name.is_some());
        }
        // It learns that it is none any more.
        self.woken.push(guest.mailbox);
        true
    }

    fn tell(&mut self, line: &Line, is_for: impl Fn(u64, &Guest) -> bool) {
        for (&id, guest) in &mut self.present {
            if !is_for(id, guest) {
                continue;
            }
            if guest.queue.len() >= self.limits.queue_objects_max {
                self.behind.push(id);
                continue;
            }
            if guest.queue.is_empty() {
                self.woken.push(guest.mailbox.clone());
            }
            guest.queue.push_back(Arc::clone(line));
        }
    }

    /// What a guest asked for has a place: it is not read before its queue is empty.
    fn answer(&mut self, id: u64, lines: Vec<Line>) {
        if let Some(guest) = self.present.get_mut(&id) {
            guest.queue.extend(lines);
        }
    }
}

impl Guest {
    fn sender(&self, id: u64) -> Value<'static> {
        self.name.as_ref().map_or_else(|| Value::number(id), |name| Value::text(name.as_str()))
    }
}

/// How many of those present one object tells.
const LISTED_MAX: usize = 32;
/// `{"sender_id": "Server", "status": 211, "content": []}` and its line feed.
const LIST_FRAME_BYTES: usize = 54;
/// A name in quotes, or a number, and what separates it from the next.
const LISTED_BYTES_MAX: usize = NAME_LENGTH_MAX + 4;
const _: () = assert!(LIST_FRAME_BYTES + LISTED_MAX * LISTED_BYTES_MAX <= OBJECT_BYTES_MAX);
