//! A fixed reply to every line, for many connections: an event loop. Looks nothing up.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::reply::{BUFFER_SIZE, replies};

pub(crate) fn run(listener: std::net::TcpListener, reply: &[u8]) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let ended = event.is_read_closed();
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
            } else if let Some(client) = clients.get_mut(event.token().0)
                && !client.as_mut().is_some_and(|client| goes_on(client, ended, reply))
            {
                *client = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    loop {
        let mut client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        client.set_nodelay(true)?;
        poll.registry().register(&mut client, Token(clients.len()), Interest::READABLE)?;
        clients.push(Some(client));
    }
}

/// Answers what has arrived. A client that leaves its replies unread is dropped.
fn goes_on(client: &mut TcpStream, ended: bool, reply: &[u8]) -> bool {
    let mut buffer = [0; BUFFER_SIZE];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                let replies = replies(&buffer[..length], reply);
                let written = client.write(&replies);
                if !matches!(written, Ok(length) if length == replies.len()) {
                    return false;
                }
                // A short read has emptied the socket: what comes next raises an event, but for an
                // end that came with it.
                if length < buffer.len() && !ended {
                    return true;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;
