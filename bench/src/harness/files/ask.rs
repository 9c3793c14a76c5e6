//! Clients that ask one thing again and again, each as soon as it was answered: one in blocking
//! calls, many in an event loop.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context as _, ensure};
use mio::{Events, Interest, Poll, Token};

use super::super::network::{ANSWER_MAX, connect};

/// Some clients that are connected.
pub(super) enum Askers {
    One(std::net::TcpStream),
    Many(Poll, Vec<Asker>),
}

/// One of many, and how much of its reply has come.
pub(super) struct Asker {
    socket: mio::net::TcpStream,
    reply: Vec<u8>,
}

impl Askers {
    pub(super) fn connect(address: &str, count: usize) -> anyhow::Result<Self> {
        if count == 1 {
            return connect(address).map(Self::One);
        }
        let poll = Poll::new().context("making a poll")?;
        let askers = (0..count).map(|index| {
            let socket = connect(address)?;
            socket.set_nonblocking(true).context("setting up a client")?;
            let mut socket = mio::net::TcpStream::from_std(socket);
            let registered =
                poll.registry().register(&mut socket, Token(index), Interest::READABLE);
            registered.context("watching a client")?;
            Ok(Asker { socket, reply: Vec::new() })
        });
        let askers = askers.collect::<anyhow::Result<_>>()?;
        Ok(Self::Many(poll, askers))
    }

    /// Asks so often in all; each reply has to be `reply`.
    pub(super) fn ask(self, count: usize, request: &[u8], reply: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::One(socket) => ask_alone(socket, count, request, reply),
            Self::Many(poll, askers) => ask_together(poll, askers, count, request, reply),
        }
    }
}

fn ask_alone(
    mut socket: std::net::TcpStream,
    count: usize,
    request: &[u8],
    reply: &[u8],
) -> anyhow::Result<()> {
    // A byte more than may come would be seen.
    let mut buffer = vec![0; reply.len() + 1];
    for _ in 0..count {
        socket.write_all(request).context("asking")?;
        let mut length = 0;
        while length < reply.len() {
            let count = socket.read(&mut buffer[length..]).context("waiting for an answer")?;
            ensure!(count > 0, "the server closed");
            length += count;
        }
        ensure!(buffer[..length] == *reply, "{:?} came", buffer[..length].escape_ascii());
    }
    Ok(())
}

fn ask_together(
    mut poll: Poll,
    mut askers: Vec<Asker>,
    count: usize,
    request: &[u8],
    reply: &[u8],
) -> anyhow::Result<()> {
    let mut events = Events::with_capacity(askers.len());
    let mut to_ask = count;
    for asker in askers.iter_mut().take(count) {
        asker.ask(request)?;
        to_ask -= 1;
    }
    let mut answered = 0;
    while answered < count {
        match poll.poll(&mut events, Some(ANSWER_MAX)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("waiting for answers")?,
        }
        ensure!(!events.is_empty(), "nothing came for {ANSWER_MAX:?}");
        for event in &events {
            let asker = &mut askers[event.token().0];
            if !asker.is_answered(reply)? {
                continue;
            }
            answered += 1;
            if to_ask > 0 {
                asker.ask(request)?;
                to_ask -= 1;
            }
        }
    }
    Ok(())
}

impl Asker {
    /// A request is far smaller than a socket's buffer.
    fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.reply.clear();
        self.socket.write_all(request).context("asking")
    }

    /// Reads what has come. After the whole reply nothing more can come before the next request.
    fn is_answered(&mut self, reply: &[u8]) -> anyhow::Result<bool> {
        let mut buffer = [0; 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) => anyhow::bail!("the server closed"),
            Ok(length) => self.reply.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("waiting for an answer"),
        }
        ensure!(reply.starts_with(&self.reply), "{:?} came", self.reply.escape_ascii());
        Ok(self.reply.len() == reply.len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const QUESTION: &[u8] = b"q\n";

    /// Has clients ask somebody who answers each with `reply` in pieces of so many bytes.
    fn ask(clients: usize, count: usize, reply: &'static [u8], piece: usize) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let answerers = (0..clients).map(|_| {
                let (mut socket, _) = listener.accept().unwrap();
                socket.set_nodelay(true).unwrap();
                thread::spawn(move || {
                    let mut question = [0; QUESTION.len()];
                    let mut asked = 0;
                    while socket.read_exact(&mut question).is_ok() {
                        asked += 1;
                        for piece in reply.chunks(piece) {
                            // A client that has enough is gone.
                            let _ = socket.write_all(piece);
                        }
                    }
                    asked
                })
            });
            let answerers: Vec<_> = answerers.collect();
            answerers.into_iter().map(|answerer| answerer.join().unwrap()).sum::<usize>()
        });
        let asked = Askers::connect(&address, clients)?.ask(count, QUESTION, b"answer");
        let questions = server.join().unwrap();
        assert!(asked.is_err() || questions == count, "{questions} questions");
        asked
    }

    #[test]
    fn every_question_is_asked_and_answered_once() {
        for (clients, count, piece) in [(1, 50, 6), (1, 50, 1), (7, 50, 6), (7, 50, 1), (7, 3, 4)] {
            let asked = ask(clients, count, b"answer", piece);
            assert!(asked.is_ok(), "{clients} {count} {piece}: {asked:?}");
        }
    }

    #[test]
    fn another_answer_is_none() {
        for clients in [1, 7] {
            for reply in [&b"Answer"[..], b"answer!", b"answeranswer"] {
                let asked = ask(clients, 50, reply, reply.len());
                assert!(asked.is_err(), "{clients} {}", reply.escape_ascii());
            }
        }
    }
}
