//! One thread and one poll: brings what an [`Exchange`] has to say to its connections, and back
//! what they answer. Knows no packet but to tell of a wrong one.

use std::time::{Duration, Instant};

use crate::load::fault::{Fault, Wrong};
use crate::load::sockets::{Read, Sockets, reason};

/// What is said on many connections, and checked, without a socket. Each connection has a place,
/// counted from 0.
pub(super) trait Exchange {
    /// How many places there are.
    fn places(&self) -> usize;

    /// The agency at a place.
    fn agency(&self, place: usize) -> u32;

    /// What may be sent now and was not.
    fn unsent(&self, place: usize) -> &[u8];

    /// The first `size` bytes of that were sent, by a write that began at `at`.
    fn sent(&mut self, place: usize, size: usize, at: Instant);

    /// These bytes were answered, and read at `at`.
    ///
    /// # Errors
    /// [`Wrong`] when they are not what is to be heard.
    fn received(&mut self, place: usize, bytes: &[u8], at: Instant) -> Result<Next, Wrong>;

    /// The request whose answer is due, for a person; none when all are answered.
    fn owed(&self, place: usize) -> Option<String>;

    /// Whether everything is answered.
    fn is_done(&self) -> bool;

    /// What may be the matter when nothing comes.
    fn hint(&self) -> String;
}

/// What follows bytes that are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The connection stays.
    Stay,
    /// It has served: what is unsent belongs on another.
    Close,
}

/// Holds the exchange until it is done. Connections that are not open yet are opened where there is
/// something to say.
///
/// # Errors
/// [`Fault`]: the first answer that was wrong, or that stayed away for `timeout`.
pub(super) fn drive(
    sockets: &mut Sockets,
    exchange: &mut impl Exchange,
    timeout: Duration,
) -> Result<(), Fault> {
    let mut driver = Driver { sockets, exchange };
    for place in 0..driver.exchange.places() {
        driver.send(place)?;
    }
    while !driver.exchange.is_done() {
        let ready = driver.sockets.wait(timeout).map_err(Fault::Poll)?;
        if ready == 0 {
            return Err(stalled(driver.exchange, timeout));
        }
        for index in 0..ready {
            let ready = driver.sockets.ready(index);
            if ready.readable {
                driver.receive(ready.place)?;
            }
            driver.send(ready.place)?;
        }
    }
    Ok(())
}

/// Looks for bytes that nobody asked for, on connections whose answers have all come.
///
/// # Errors
/// [`Fault::Answer`].
pub(super) fn check_silence(
    sockets: &mut Sockets,
    exchange: &mut impl Exchange,
) -> Result<(), Fault> {
    let mut driver = Driver { sockets, exchange };
    (0..driver.exchange.places()).try_for_each(|place| driver.receive(place))
}

/// Tells who waits for what when nothing has come for `timeout`.
pub(super) fn stalled(exchange: &impl Exchange, timeout: Duration) -> Fault {
    let mut waiting = (0..exchange.places())
        .filter_map(|place| Some((exchange.agency(place), exchange.owed(place)?)));
    let (agency, request) = waiting.next().expect("an exchange that is not done waits");
    Fault::Stalled { timeout, agency, request, others: waiting.count(), hint: exchange.hint() }
}

struct Driver<'a, E> {
    sockets: &'a mut Sockets,
    exchange: &'a mut E,
}

impl<E: Exchange> Driver<'_, E> {
    fn send(&mut self, place: usize) -> Result<(), Fault> {
        let unsent = self.exchange.unsent(place);
        let at = Instant::now();
        let written = if unsent.is_empty() {
            self.sockets.flush(place).map(|()| 0)
        } else {
            self.sockets.write(place, unsent)
        };
        match written {
            Ok(0) => Ok(()),
            Ok(size) => {
                self.exchange.sent(place, size, at);
                Ok(())
            }
            Err(error) => {
                // What the office said before it closed tells more than that it did.
                self.receive(place)?;
                Err(self.ended(place, reason(&error)))
            }
        }
    }

    fn receive(&mut self, place: usize) -> Result<(), Fault> {
        loop {
            let (bytes, more) = match self.sockets.read(place) {
                Read::Nothing => return Ok(()),
                Read::Bytes { bytes, more } => (bytes, more),
                Read::Ended(reason) => {
                    // Whoever is owed nothing minds only when there is something to say again.
                    let owed = self.exchange.owed(place).is_some();
                    return if owed { Err(self.ended(place, reason)) } else { Ok(()) };
                }
            };
            match self.exchange.received(place, bytes, Instant::now()) {
                Ok(Next::Stay) if more => {}
                Ok(Next::Stay) => return Ok(()),
                Ok(Next::Close) => {
                    self.sockets.close(place);
                    return Ok(());
                }
                Err(wrong) => return Err(self.tell(place, wrong)),
            }
        }
    }

    fn tell(&mut self, place: usize, mut wrong: Wrong) -> Fault {
        while !wrong.is_whole() && self.sockets.read_late(place, &mut wrong.came) {}
        let agency = self.exchange.agency(place);
        Fault::Answer { agency, request: self.exchange.owed(place), wrong }
    }

    fn ended(&self, place: usize, reason: String) -> Fault {
        let request = self.exchange.owed(place).unwrap_or_else(|| "the next request".to_owned());
        Fault::Ended { agency: self.exchange.agency(place), request, reason }
    }
}
