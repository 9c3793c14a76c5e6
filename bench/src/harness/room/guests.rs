//! All guests of a room in one event loop: some speak, all hear. Each hears every message of all
//! others once and in order, or that is an error.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, ensure};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::super::args::Bench;
use super::super::network::{ANSWER_MAX, connect};
use super::super::rows::Channel;
use super::super::tls::Secure;

/// Of one message, as it is said and as it is heard, its line feed included, where the number of who
/// says it has one digit.
pub(super) const MESSAGE_BYTES: usize = HEAD.len() + 1 + MIDDLE.len() + DIGITS + TAIL.len();
const HEAD: &str = "{\"sender_id\": ";
const MIDDLE: &str = ", \"status\": 200, \"content\": \"";
/// Of a message's number.
const DIGITS: usize = 8;
const TAIL: &str = " the drum is turning, the first ball is on its way\"}\n";
const READ_BYTES: usize = 64 << 10;

pub(super) struct Guests {
    poll: Poll,
    guests: Vec<Guest>,
    speakers: Vec<Speaker>,
    buffer: Vec<u8>,
}

struct Guest {
    /// The same socket as that of `wire`.
    socket: TcpStream,
    wire: Wire,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// How many messages it has heard of each speaker.
    heard: Vec<u64>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<Secure>),
}

/// What one of the guests says.
#[derive(Debug, Clone)]
struct Speaker {
    /// What stands before a message's number.
    head: String,
    said: u64,
    delivered: u64,
}

impl Guests {
    /// Brings so many guests in, of whom the first few will speak.
    pub(super) fn enter(
        bench: &Bench,
        address: &str,
        channel: Channel,
        count: usize,
        speakers: usize,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new().context("making a poll")?;
        let (mut guests, mut numbers) = (Vec::new(), Vec::new());
        for index in 0..count {
            let socket = connect(address)?;
            let mut guest = Guest::new(bench, socket, channel, speakers)?;
            numbers.push(guest.read_number().context("waiting to be greeted")?);
            guest.socket.set_nonblocking(true).context("setting up a guest")?;
            let fd = guest.socket.as_raw_fd();
            let watched =
                poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE);
            watched.context("watching a guest")?;
            guests.push(guest);
        }
        let speakers = numbers.iter().take(speakers).map(|number| Speaker::new(number)).collect();
        Ok(Self { poll, guests, speakers, buffer: vec![0; READ_BYTES] })
    }

    /// Has every speaker speak so often, with at most `window` messages of its own on their way, and
    /// waits until everyone has heard everything.
    pub(super) fn talk(&mut self, messages: u64, window: u64) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(self.guests.len());
        let others = self.guests.len() as u64 - 1;
        loop {
            for (index, speaker) in self.speakers.iter_mut().enumerate() {
                let may_say = (speaker.delivered / others + window).min(messages);
                for number in speaker.said..may_say {
                    self.guests[index].wire.say(&speaker.message(number)).context("speaking")?;
                }
                speaker.said = speaker.said.max(may_say);
            }
            if self.speakers.iter().all(|speaker| speaker.delivered == messages * others) {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(ANSWER_MAX)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("waiting for messages")?,
            }
            ensure!(!events.is_empty(), "nothing was heard for {ANSWER_MAX:?}");
            for event in &events {
                let Token(index) = event.token();
                let heard = self.guests[index].hear(index, &mut self.speakers, &mut self.buffer);
                heard.with_context(|| format!("guest {}", index + 1))?;
            }
        }
    }
}

impl Guest {
    fn new(
        bench: &Bench,
        socket: TcpStream,
        channel: Channel,
        speakers: usize,
    ) -> anyhow::Result<Self> {
        let same = socket.try_clone().context("setting up a guest")?;
        let wire = match channel {
            Channel::Plain => Wire::Plain(socket),
            Channel::Tls => {
                let mut secure = Secure::new(&bench.certificates.client()?, socket)?;
                secure.shake_hands()?;
                Wire::Tls(Box::new(secure))
            }
        };
        Ok(Self { socket: same, wire, rest: Vec::new(), heard: vec![0; speakers] })
    }

    /// `{"sender_id": "Server", "status": 200, "content": 1}` greets the first guest.
    fn read_number(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            ensure!(self.wire.read(&mut byte)? == 1, "the room closed");
            line.extend(byte);
        }
        let line = String::from_utf8_lossy(&line);
        let number = line.trim_end().strip_suffix('}').and_then(|line| line.rsplit(' ').next());
        number.map(str::to_owned).with_context(|| format!("{line:?} is no greeting"))
    }

    /// Takes all that has come.
    fn hear(
        &mut self,
        index: usize,
        speakers: &mut [Speaker],
        buffer: &mut [u8],
    ) -> anyhow::Result<()> {
        loop {
            let length = match self.wire.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                length => length.context("listening")?,
            };
            ensure!(length > 0, "the room closed");
            self.rest.extend_from_slice(&buffer[..length]);
            let mut taken = 0;
            while let Some(end) = memchr::memchr(b'\n', &self.rest[taken..]) {
                let line = &self.rest[taken..=taken + end];
                count(line, index, &mut self.heard, speakers)?;
                taken += end + 1;
            }
            self.rest.drain(..taken);
            if length < buffer.len() && !self.wire.holds_more() {
                return Ok(());
            }
        }
    }
}

/// Counts a message that is the next of somebody else's.
fn count(
    line: &[u8],
    guest: usize,
    heard: &mut [u64],
    speakers: &mut [Speaker],
) -> anyhow::Result<()> {
    let text = || String::from_utf8_lossy(line).into_owned();
    let found = speakers.iter().position(|speaker| line.starts_with(speaker.head.as_bytes()));
    let index = found.with_context(|| format!("{:?} is said by nobody", text()))?;
    ensure!(index != guest, "{:?} is its own", text());
    let behind = &line[speakers[index].head.len()..];
    let number = behind.get(..DIGITS).and_then(|digits| std::str::from_utf8(digits).ok());
    let number: Option<u64> = number.and_then(|digits| digits.parse().ok());
    let sound = number == Some(heard[index]) && behind[DIGITS..] == *TAIL.as_bytes();
    ensure!(sound, "{:?} is not message {} of that speaker", text(), heard[index]);
    heard[index] += 1;
    speakers[index].delivered += 1;
    Ok(())
}

impl Speaker {
    /// `number`: what the room knows it by.
    fn new(number: &str) -> Self {
        Self { head: format!("{HEAD}{number}{MIDDLE}"), said: 0, delivered: 0 }
    }

    /// One object, as the room passes it on.
    fn message(&self, number: u64) -> String {
        format!("{}{number:0DIGITS$}{TAIL}", self.head)
    }
}

impl Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(secure) => secure.read(into),
        }
    }

    /// Whether a read that did not fill its buffer may not have been the last.
    fn holds_more(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(secure) => secure.holds_more(),
        }
    }

    /// What is on its way is far less than a socket's buffer.
    fn say(&mut self, message: &str) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(message.as_bytes()),
            Self::Tls(secure) => secure.write_all(message.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_message_of_somebody_else_counts() {
        let mut speakers = ["1", "12"].map(Speaker::new);
        let said = speakers.clone();
        let mut heard = [0, 0];
        let mut hear = |guest, line: &str| {
            count(line.as_bytes(), guest, &mut heard, &mut speakers).map_err(|e| e.to_string())
        };
        let [first, second] = [0, 1].map(|number| said[1].message(number));
        assert_eq!(first.len(), MESSAGE_BYTES + 1);
        assert!(hear(0, &second).unwrap_err().contains("not message 0"));
        assert_eq!(hear(0, &first), Ok(()));
        assert!(hear(0, &first).unwrap_err().contains("not message 1"));
        assert!(hear(1, &second).unwrap_err().contains("its own"));
        assert!(hear(0, &second.replace("drum", "dram")).unwrap_err().contains("not message 1"));
        assert!(hear(0, &second.replace("12", "2")).unwrap_err().contains("nobody"));
        assert_eq!(hear(0, &second), Ok(()));
        assert_eq!(hear(2, &said[0].message(0)), Ok(()));
        assert_eq!((speakers[0].delivered, speakers[1].delivered, heard), (1, 2, [1, 2]));
    }
}
