//! What the objects of one guest ask of the room. Knows neither the guest's bytes nor its output.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bolillero_protocol::room::{
    NEW_USER, Name, OBJECT_BYTES_MAX, Object, ReadError, Value, status,
};

use super::bucket::Bucket;
use super::encoded;
use super::guests::{Guests, Next};
use super::refused::Refused;
use crate::session::Mailbox;

/// One guest's place, given back when it is dropped.
pub(super) struct Seat {
    guests: Arc<Mutex<Guests>>,
    id: u64,
    ip: IpAddr,
}

impl Seat {
    /// Takes a place, if there is one.
    pub(super) fn take(guests: Arc<Mutex<Guests>>, ip: IpAddr, mailbox: Mailbox) -> Option<Self> {
        match change(&guests, |guests| guests.enter(mailbox)) {
            Some(id) => {
                log::info!("action: join | result: success | ip: {ip} | guest: {id}");
                Some(Self { guests, id, ip })
            }
            None => {
                log::info!(
                    "action: join | result: in_progress | ip: {ip} | reason: the room is full"
                );
                None
            }
        }
    }

    pub(super) fn next(&self) -> Next {
        self.change(|guests| guests.next(self.id))
    }

    /// Whether its guest is none any more.
    pub(super) fn is_lost(&self) -> bool {
        self.change(|guests| !guests.has(self.id))
    }

    fn change<T>(&self, how: impl FnOnce(&mut Guests) -> T) -> T {
        change(&self.guests, how)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let was_present = self.change(|guests| guests.leave(self.id));
        let reason = if was_present { "closed" } else { "does not read" };
        let (ip, id) = (self.ip, self.id);
        log::info!("action: leave | result: success | ip: {ip} | guest: {id} | reason: {reason}");
    }
}

/// Changes the room, and wakes whoever has something to be told once the lock is given up.
fn change<T>(guests: &Mutex<Guests>, how: impl FnOnce(&mut Guests) -> T) -> T {
    let mut guests = guests.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = how(&mut guests);
    let woken = guests.settle();
    drop(guests);
    woken.iter().for_each(Mailbox::news);
    answer
}

/// A guest that is heard.
pub(super) struct Speaker {
    pub(super) seat: Seat,
    pub(super) bucket: Bucket,
    /// What the others know it by: its number, or its name once it has one.
    sender: Value<'static>,
    has_name: bool,
}

impl Speaker {
    pub(super) fn new(seat: Seat, burst: u32) -> Self {
        let sender = Value::number(seat.id);
        Self { seat, bucket: Bucket::full(burst), sender, has_name: false }
    }

    /// Does what an object asks. What there is to be answered is in the guest's queue.
    pub(super) fn hear(&mut self, read: Result<Object<'_>, ReadError>) -> Result<(), Refused> {
        // What ends the connection is told also where it is one too many.
        let closes = matches!(&read, Err(error) if error.closes());
        if !closes && !self.bucket.take() {
            return Err(Refused::TooFast);
        }
        let Object { status, content, .. } = read?;
        match status.as_number() {
            Some(status::CHAT) => self.say(content),
            Some(status::NEW_USER) => self.say_new_user(&content),
            Some(status::NAME) => self.name(&content),
            Some(status::PRESENT) => self.list(),
            Some(status::HISTORY) => self.recall(&content),
            _ => Err(Refused::UnknownStatus),
        }
    }

    fn say(&self, content: Value<'_>) -> Result<(), Refused> {
        let line = encoded(self.sender.clone(), status::CHAT, content);
        if line.len() > OBJECT_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        self.seat.change(|guests| guests.say(self.seat.id, &line.into()));
        Ok(())
    }

    /// Passed on as deployed clients send it, and nothing else under its status.
    fn say_new_user(&self, content: &Value<'_>) -> Result<(), Refused> {
        if content.as_text().as_deref() != Some(NEW_USER) {
            return Err(Refused::NotNewUser);
        }
        let line = encoded(Value::NULL, status::NEW_USER, Value::text(NEW_USER));
        self.seat.change(|guests| guests.say_new_user(self.seat.id, &line.into()));
        Ok(())
    }

    fn name(&mut self, content: &Value<'_>) -> Result<(), Refused> {
        if self.has_name {
            return Err(Refused::HasName);
        }
        let name = content.as_text().as_deref().and_then(Name::parse).ok_or(Refused::BadName)?;
        let sender = Value::text(name.as_str());
        self.seat.change(|guests| guests.name(self.seat.id, name))?;
        (self.sender, self.has_name) = (sender, true);
        Ok(())
    }

    fn list(&self) -> Result<(), Refused> {
        self.check_has_name()?;
        self.seat.change(|guests| guests.list(self.seat.id));
        Ok(())
    }

    fn recall(&self, content: &Value<'_>) -> Result<(), Refused> {
        self.check_has_name()?;
        let count = content.as_number().ok_or(Refused::NoCount)?;
        self.seat.change(|guests| guests.recall(self.seat.id, count));
        Ok(())
    }

    fn check_has_name(&self) -> Result<(), Refused> {
        if self.has_name { Ok(()) } else { Err(Refused::NeedsName) }
    }
}
