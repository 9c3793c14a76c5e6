//! A room: every line of a guest goes to all others, one write for each, as the protocol of the room
//! has it. An event loop in one thread: all that was said in a round of readiness goes to one guest
//! after the other, which costs a third of one line after the other. Reads no object, keeps no
//! history, bounds nothing.

use std::io::{self, ErrorKind};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::client::BUFFER_SIZE;
use crate::link::{Link, SEALED_SIZE, Tls};

/// Who is there, each at its token. Who has left keeps an empty place.
type Guests = Vec<Option<Guest>>;

struct Guest {
    link: Link,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// What the socket did not take.
    unwritten: Vec<u8>,
}

struct Buffers {
    opened: Vec<u8>,
    sealed: Vec<u8>,
    /// What was said in this round: whole lines, and by whom.
    said: Vec<(usize, Vec<u8>)>,
}

pub(crate) fn run(listener: std::net::TcpListener, tls: Option<&Tls>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut guests = Guests::new();
    let (opened, sealed) = (vec![0; BUFFER_SIZE], vec![0; SEALED_SIZE]);
    let mut buffers = Buffers { opened, sealed, said: Vec::new() };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let Token(index) = event.token();
            if event.token() == LISTENER {
                accept(&listener, &poll, tls, &mut guests)?;
                continue;
            }
            if event.is_writable() {
                keep(&mut guests, index, Guest::flush);
            }
            if event.is_readable() {
                hear(&mut guests, index, &mut buffers);
            }
        }
        pass_on(&mut guests, &buffers.said);
        buffers.said.clear();
    }
}

/// Greets newcomers with their number, as a room does.
fn accept(
    listener: &TcpListener,
    poll: &Poll,
    tls: Option<&Tls>,
    guests: &mut Guests,
) -> io::Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let link = Link::new(socket.into(), tls)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        link.register(poll.registry(), Token(guests.len()), both)?;
        guests.push(Some(Guest { link, rest: Vec::new(), unwritten: Vec::new() }));
        let number = guests.len();
        let greeting =
            format!("{{\"sender_id\": \"Server\", \"status\": 200, \"content\": {number}}}\n");
        keep(guests, number - 1, |guest| guest.write(greeting.as_bytes()));
    }
}

/// Reads all that a guest has sent, and keeps its lines.
fn hear(guests: &mut Guests, index: usize, buffers: &mut Buffers) {
    loop {
        let Some(Some(guest)) = guests.get_mut(index) else { return };
        let length = match guest.link.read(&mut buffers.opened, &mut buffers.sealed) {
            Ok(Some(taken)) => taken.length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(None) | Err(_) => {
                guests[index] = None;
                return;
            }
        };
        guest.rest.extend_from_slice(&buffers.opened[..length]);
        if let Some(end) = memchr::memrchr(b'\n', &guest.rest) {
            let rest = guest.rest.split_off(end + 1);
            buffers.said.push((index, std::mem::replace(&mut guest.rest, rest)));
        }
    }
}

fn pass_on(guests: &mut Guests, said: &[(usize, Vec<u8>)]) {
    for index in 0..guests.len() {
        for (_, lines) in said.iter().filter(|(speaker, _)| *speaker != index) {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                keep(guests, index, |guest| guest.write(line));
            }
        }
    }
}

/// Who cannot be written to is no guest any more.
fn keep(guests: &mut Guests, index: usize, write: impl FnOnce(&mut Guest) -> io::Result<()>) {
    if let Some(guest) = &mut guests[index]
        && write(guest).is_err()
    {
        guests[index] = None;
    }
}

impl Guest {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.unwritten.is_empty() {
            let taken = self.take(line)?;
            self.unwritten.extend_from_slice(&line[taken..]);
        } else {
            self.unwritten.extend_from_slice(line);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.flush()?;
        let taken = if self.unwritten.is_empty() { 0 } else { self.take(&self.unwritten)? };
        self.unwritten.drain(..taken);
        Ok(())
    }

    fn take(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.link.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            taken => taken,
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;
