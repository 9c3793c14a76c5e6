//! One connection of the event loop: a read, the packets in it, and what is owed for them.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::link::{Link, Taken};
use crate::packets::{ACK, CLOSE, Cut, PACKET_SIZE_MAX, Packet, REFUSAL, cut};

/// Room for the rest of one packet and a window of 16.
pub(crate) const BUFFER_SIZE: usize = 256 << 10;
const _: () = assert!(BUFFER_SIZE > PACKET_SIZE_MAX);

pub(crate) struct Client {
    pub(crate) link: Arc<Link>,
    /// The beginning of a packet whose end has not come.
    rest: Vec<u8>,
    pub(crate) has_hung_up: bool,
}

/// What is to be done with a client after a read.
pub(crate) enum Next {
    /// There may be more to read, and no event will tell.
    Read,
    Wait,
    Close,
}

/// What a client is owed for one read. Keeps its socket open.
pub(crate) struct Owed {
    link: Arc<Link>,
    n_accepted: usize,
    refused: bool,
}

impl Client {
    pub(crate) fn new(link: Link) -> Client {
        Client { link: Arc::new(link), rest: Vec::new(), has_hung_up: false }
    }

    /// Reads once, through buffers that all clients share, and hands every whole packet to
    /// `accept`, which says whether it is acceptable. Only an error of `accept` is one.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        sealed: &mut [u8],
        accept: impl FnMut(&Packet<'_>) -> io::Result<bool>,
    ) -> io::Result<(Owed, Next)> {
        let mut owed = Owed { link: self.link.clone(), n_accepted: 0, refused: false };
        let (kept, room) = buffer.split_at_mut(self.rest.len());
        kept.copy_from_slice(&self.rest);
        let Taken { length, filled } = match self.link.read(room, sealed) {
            Ok(Some(taken)) => taken,
            Ok(None) => return Ok((owed, Next::Close)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((owed, Next::Wait)),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok((owed, Next::Read)),
            Err(_) => return Ok((owed, Next::Close)),
        };
        // A short read has emptied the socket: the next byte raises an event, an end before it did.
        let next = if filled || self.has_hung_up { Next::Read } else { Next::Wait };
        let end = kept.len() + length;
        let goes_on = self.take(&buffer[..end], &mut owed, accept)?;
        Ok((owed, if goes_on { next } else { Next::Close }))
    }

    /// Returns whether the client may go on.
    fn take(
        &mut self,
        mut bytes: &[u8],
        owed: &mut Owed,
        mut accept: impl FnMut(&Packet<'_>) -> io::Result<bool>,
    ) -> io::Result<bool> {
        loop {
            match cut(&mut bytes) {
                Cut::Partial => break,
                Cut::Whole(packet) if packet.opcode == CLOSE => return Ok(false),
                Cut::Whole(packet) if accept(&packet)? => owed.n_accepted += 1,
                Cut::Whole(_) | Cut::TooLong => {
                    owed.refused = true;
                    return Ok(false);
                }
            }
        }
        self.rest.clear();
        self.rest.extend_from_slice(bytes);
        Ok(true)
    }
}

impl Owed {
    pub(crate) fn is_nothing(&self) -> bool {
        self.n_accepted == 0 && !self.refused
    }

    /// Sends all answers in one write. A client that has left so many unread that its socket takes
    /// no more of them is dropped.
    pub(crate) fn pay(&self) {
        if self.is_nothing() {
            return;
        }
        let mut answers = ACK.repeat(self.n_accepted);
        if self.refused {
            answers.extend_from_slice(REFUSAL);
        }
        if !self.link.write_at_once(&answers) {
            self.link.shut_down();
        }
    }
}
