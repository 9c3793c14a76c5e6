//! What may go wrong with an answer, told so that a person sees whose, to what, and what came
//! instead.

use std::fmt;
use std::io;
use std::time::Duration;

use bolillero_protocol::message::opcode;
use bolillero_protocol::tlv::HEADER_SIZE;

use crate::connect::is_alert;

/// The most of a packet's text that is shown, in characters.
const SHOWN_MAX: usize = 300;
/// The longest packet that is waited for only to be shown.
const WAITED_FOR_MAX: usize = 64 << 10;

/// What "busy" means where the draw is not asked for.
const NO_ROOM: &str = "the server has no room for more connections, see its --max-connections";

/// What a fatal alert means where TLS is not spoken.
const TLS: &str = "the server speaks TLS there: give --tls and --ca FILE";

/// Why a load ends without a report.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("agency {agency}, {}: {wrong}", request.as_deref().unwrap_or("after the last answer"))]
    Answer { agency: u32, request: Option<String>, wrong: Wrong },
    #[error("agency {agency}: the connection ended before the answer to {request} ({reason})")]
    Ended { agency: u32, request: String, reason: String },
    #[error(
        "no progress for {}: agency {agency} waits for the answer to {request}{}. {hint}",
        humantime::format_duration(*timeout),
        Others(*others)
    )]
    Stalled { timeout: Duration, agency: u32, request: String, others: usize, hint: String },
    #[error("waiting for connections: {0}")]
    Poll(io::Error),
}

/// An answer that is not the one to be heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The packet to be heard; empty where none was due.
    pub(super) expected: Vec<u8>,
    /// What came in its place, from the packet's first byte on. May lack its end.
    pub(super) came: Vec<u8>,
    /// What may be the matter; empty where that is not known.
    pub(super) hint: &'static str,
}

impl Wrong {
    /// An answer to nothing.
    pub(super) fn surplus(came: Vec<u8>) -> Self {
        Self { expected: Vec::new(), came, hint: "" }
    }

    /// Whether all of the packet that came is here, or more than is worth waiting for.
    pub(super) fn is_whole(&self) -> bool {
        let size = packet_size(&self.came).unwrap_or(HEADER_SIZE);
        self.came.len() >= size.min(WAITED_FOR_MAX)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, came {}", Shown(&self.expected), Shown(&self.came))?;
        if is_alert(&self.came) {
            return write!(f, "; {TLS}");
        }
        let no_room = self.came.first().is_some_and(|&byte| byte == opcode::BUSY.to_be_bytes()[0]);
        let hint = if no_room { NO_ROOM } else { self.hint };
        if hint.is_empty() { Ok(()) } else { write!(f, "; {hint}") }
    }
}

/// How long the packet is that `bytes` begin with, once they hold its header.
pub(super) fn packet_size(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..HEADER_SIZE)?;
    let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
    Some(HEADER_SIZE + length)
}

/// The packet that bytes begin with, for a person.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let name = match i8::from_be_bytes([self.0[0]]) {
            opcode::CORRUPT => "\"corrupt packet\" (-1)",
            opcode::CLOSE => "\"closing\" (0)",
            opcode::ACK => "an acknowledgement (2)",
            opcode::ERROR => "an error (4)",
            opcode::WINNERS => "winners (7)",
            opcode::BUSY => "\"busy\" (8)",
            opcode::WELCOME => "a welcome (10)",
            opcode::RECEIPT => "a receipt (12)",
            _ => "no packet of an office",
        };
        let end = packet_size(self.0).unwrap_or(self.0.len()).min(self.0.len());
        let text = String::from_utf8_lossy(self.0[..end].get(HEADER_SIZE..).unwrap_or(&[]));
        if text.is_empty() {
            return f.write_str(name);
        }
        let cut = text.char_indices().nth(SHOWN_MAX).map_or(text.len(), |(index, _)| index);
        let dots = if cut < text.len() { "…" } else { "" };
        write!(f, "{name} \"{}{dots}\"", text[..cut].escape_debug())
    }
}

struct Others(usize);

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            others => write!(f, ", and {others} more wait"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_shown_with_its_name_and_its_text() {
        let long = [b"\x0c\0\0\x01\x90".as_slice(), &[b'1'; 400]].concat();
        let cut = format!("a receipt (12) \"{}…\"", "1".repeat(SHOWN_MAX));
        let cases: [(&[u8], &str); 7] = [
            (b"", "nothing"),
            (b"\x02\0\0\0\0", "an acknowledgement (2)"),
            (b"\x02\0\0\0\0\x08\0\0\0\0", "an acknowledgement (2)"),
            (b"\x04\0\0\0\x08GAP#7#x#", "an error (4) \"GAP#7#x#\""),
            (b"\x04\0\0\0\x08GA", "an error (4) \"GA\""),
            (b"HTTP/1.1", "no packet of an office \"1.1\""),
            (&long, &cut),
        ];
        for (bytes, shown) in cases {
            assert_eq!(Shown(bytes).to_string(), shown);
        }
    }
}
