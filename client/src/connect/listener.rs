//! What listens at an address, by the first bytes that come from it. Opens no socket.
//!
//! A server that takes what it is sent for the beginning of something longer says nothing. The
//! [`KNOCK`] is whole and wrong to each protocol, so each answers it in its own way:
//!
//! ```text
//! 00 01 0a 0a 0a     packets         opcode 0 with more data than any office takes   -1
//!                    text dialect    a frame "\n", which is neither BET nor RESULTS   ERROR
//!                    echo            a line                                           the same
//!                    HFTP            a line feed without a carriage return            100 BAD EOL
//!                    room            no JSON object, and it speaks first              200 or 400
//!                    HTTP            no request line                                  400
//! ```

use std::fmt;

use super::Office;

/// What is sent to a listener that says nothing.
pub(super) const KNOCK: [u8; 5] = *b"\0\x01\n\n\n";
/// So many first bytes are looked at.
pub(super) const FIRST_BYTES_MAX: usize = 64;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A central office, for packets.
    Office,
    /// A central office, for the text dialect.
    TextOffice,
    /// An echo server.
    Echo,
    /// A file server.
    Files,
    /// A room.
    Room,
    /// A web server.
    Http,
    /// A server of secure shells.
    Ssh,
    /// One that greets as mail and FTP servers do.
    Greeter,
}

impl Listener {
    /// What listens, if its first bytes tell. `said` is what it was sent before.
    pub(super) fn of(heard: &[u8], said: &[u8]) -> Option<Self> {
        let known = BEGINNINGS.iter().find(|(beginning, _)| heard.starts_with(beginning));
        let size = heard.len().min(said.len());
        // No server begins as its client does, but for a zero, with which an office says 0.
        let is_echo = heard[..size] == said[..size] && heard[..size].iter().any(|&byte| byte != 0);
        known.map(|(_, listener)| *listener).or_else(|| is_echo.then_some(Self::Echo))
    }

    /// What it is.
    fn description(self) -> &'static str {
        match self {
            Self::Office => "a central office",
            Self::TextOffice => "a central office's text dialect",
            Self::Echo => "an echo server",
            Self::Files => "a file server (HFTP)",
            Self::Room => "a room",
            Self::Http => "a web server (HTTP)",
            Self::Ssh => "a server of secure shells (SSH)",
            Self::Greeter => "a mail or FTP server",
        }
    }

    /// The command that speaks to it, if there is one. Goes on with a sentence.
    fn command(self) -> &'static str {
        match self {
            Self::Office => "; `bolillero agency` speaks to it",
            Self::TextOffice => "; `bolillero agency --text` speaks to it",
            Self::Echo => "; `bolillero echo` speaks to it",
            Self::Files => "; `bolillero files` speaks to it",
            Self::Room => "; `bolillero room` speaks to it",
            Self::Http | Self::Ssh | Self::Greeter => "",
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

/// What listens is another kind of server than was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what listens at {server} is {found}, not {sought}{command}{hint}")]
pub struct Stranger {
    server: String,
    found: Listener,
    sought: Listener,
    command: &'static str,
    hint: String,
}

impl Stranger {
    /// The error that `found` listens where another was looked for; none where it is the same.
    pub(super) fn of(found: Listener, office: &Office) -> Option<Self> {
        let Office { server, sought, source, .. } = office;
        (found != *sought).then(|| Self {
            server: server.to_string(),
            found,
            sought: *sought,
            command: found.command(),
            hint: source.hint(),
        })
    }
}

/// How each begins.
const BEGINNINGS: [(&[u8], Listener); 20] = [
    (b"\xff\0\0\0\0", Listener::Office),
    (b"\0\0\0\0\0", Listener::Office),
    (b"\x02\0\0\0\0", Listener::Office),
    (b"\x08\0\0\0\0", Listener::Office),
    (b"ERROR\n", Listener::TextOffice),
    (b"NOWINNERS\n", Listener::TextOffice),
    (b"busy\n", Listener::Echo),
    (b"0 OK\r\n", Listener::Files),
    (b"100 BAD EOL\r\n", Listener::Files),
    (b"101 BAD REQUEST\r\n", Listener::Files),
    (b"199 INTERNAL SERVER ERROR\r\n", Listener::Files),
    (b"200 NO SUCH COMMAND\r\n", Listener::Files),
    (b"{\"sender_id\":", Listener::Room),
    (b"HTTP/", Listener::Http),
    // To who sends no request line the status line may be left out.
    (b"<!DOCTYPE", Listener::Http),
    (b"<html", Listener::Http),
    (b"<HTML", Listener::Http),
    (b"SSH-", Listener::Ssh),
    (b"220 ", Listener::Greeter),
    (b"220-", Listener::Greeter),
];

#[cfg(test)]
mod tests {
    use bolillero_protocol::hftp::Status;
    use bolillero_protocol::message::Reply;

    use super::*;

    fn packet(reply: &Reply<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        reply.encode(&mut out);
        out
    }

    #[test]
    fn a_listener_is_known_by_what_it_says_first() {
        for reply in [Reply::Corrupt, Reply::Close, Reply::Ack, Reply::Busy] {
            assert_eq!(Listener::of(&packet(&reply), b""), Some(Listener::Office), "{reply:?}");
        }
        // What may come for `help`, or for a knock.
        for status in [0, 100, 101, 199, 200].map(|code| Status::of_code(code).unwrap()) {
            let line = format!("{} {}\r\n", status.code(), status.text());
            assert_eq!(Listener::of(line.as_bytes(), b""), Some(Listener::Files), "{line}");
        }
        let rows: [(&[u8], &[u8], Option<Listener>); 15] = [
            (b"ERROR\n", &KNOCK, Some(Listener::TextOffice)),
            (b"{\"sender_id\": \"Server\", \"status\": 200, ", b"", Some(Listener::Room)),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", &KNOCK, Some(Listener::Http)),
            (b"SSH-2.0-OpenSSH_9.6\r\n", b"", Some(Listener::Ssh)),
            (b"220 mail.example ESMTP\r\n", b"", Some(Listener::Greeter)),
            (b"0", &KNOCK, None),
            (b"7\n", b"", None),
            (b"", &KNOCK, None),
            // What was sent, or its first line.
            (&KNOCK, &KNOCK, Some(Listener::Echo)),
            (b"\0\x01\n", &KNOCK, Some(Listener::Echo)),
            (b"help\r\n", b"help\r\nget_file_listing\r\n", Some(Listener::Echo)),
            (b"h", b"help\r\n", Some(Listener::Echo)),
            (b"help\r\n", b"", None),
            (b"\0", &KNOCK, None),
            (b"\0\x02\n", &KNOCK, None),
        ];
        for (heard, said, expected) in rows {
            assert_eq!(Listener::of(heard, said), expected, "{heard:?} to {said:?}");
        }
    }
}
