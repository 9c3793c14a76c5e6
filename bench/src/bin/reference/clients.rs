//! The event loop of the references: who is ready, and what they sent. Knows no file, and leaves it
//! to its user when to pay what is owed.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::client::{BUFFER_SIZE, Client, Next, Owed};
use crate::link::{Link, SEALED_SIZE, Tls};
use crate::packets::Packet;

/// All connections, on one edge-triggered poll. A read takes at most one buffer, so a round of
/// reads is bounded by the number of connections.
pub(crate) struct Clients {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    tls: Option<Tls>,
    /// What a read under TLS takes, before it is opened.
    sealed: Vec<u8>,
}

impl Clients {
    pub(crate) fn new(listener: TcpListener, tls: Option<Tls>) -> io::Result<Clients> {
        listener.set_nonblocking(true)?;
        let poll = Poll::new()?;
        let mut source = SourceFd(&listener.as_raw_fd());
        poll.registry().register(&mut source, LISTENER, Interest::READABLE)?;
        let events = Events::with_capacity(EVENTS_MAX);
        let (clients, ready, buffer) = (Vec::new(), Vec::new(), vec![0; BUFFER_SIZE]);
        let sealed = vec![0; SEALED_SIZE];
        Ok(Clients { poll, events, listener, clients, ready, buffer, tls, sealed })
    }

    /// What lets another thread end a wait.
    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// Waits until somebody is ready to be read from, and says who; nobody where it was woken.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<usize>> {
        let timeout = (!self.ready.is_empty()).then_some(Duration::ZERO);
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut has_newcomers = false;
        for event in &self.events {
            let Token(index) = event.token();
            if event.token() == LISTENER {
                has_newcomers = true;
            } else if let Some(Some(client)) = self.clients.get_mut(index) {
                client.has_hung_up |= event.is_read_closed();
                self.ready.push(index);
            }
        }
        if has_newcomers {
            self.accept()?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Reads once from a client that is ready; `accept` is asked about every packet.
    pub(crate) fn read(
        &mut self,
        index: usize,
        accept: impl FnMut(&Packet<'_>) -> io::Result<bool>,
    ) -> io::Result<Option<Owed>> {
        let Some(client) = &mut self.clients[index] else { return Ok(None) };
        let (owed, next) = client.read(&mut self.buffer, &mut self.sealed, accept)?;
        match next {
            Next::Read => self.ready.push(index),
            Next::Wait => {}
            Next::Close => {
                client.link.deregister(self.poll.registry())?;
                self.clients[index] = None;
            }
        }
        Ok((!owed.is_nothing()).then_some(owed))
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let client = Client::new(Link::new(socket, self.tls.as_ref())?);
            let free = self.clients.iter().position(Option::is_none);
            let index = free.unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            client.link.register(self.poll.registry(), Token(index), Interest::READABLE)?;
            self.clients[index] = Some(client);
        }
    }
}

// Tokens of no client.
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

const EVENTS_MAX: usize = 1024;
