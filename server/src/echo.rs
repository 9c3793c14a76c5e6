//! The smallest service: a line comes in, the same line goes out. It shows what a service is, and
//! is what the drivers are tried with. It waits for nobody and keeps nothing.

use std::net::IpAddr;
use std::time::Duration;

use bolillero_protocol::log_line;

use crate::session::{Flow, Input, Mail, Mailbox, Peer, Service, Session, Wait};

/// How the log lines about accepting begin.
const ACCEPT_ACTION: &str = "action: accept_connections";

/// Answers every line with itself.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// A line with more bytes, its end not counted, closes the connection.
    pub line_bytes_max: usize,
    /// How long a line may take, counted from the one before.
    pub line_time_max: Duration,
}

struct EchoSession {
    limits: Echo,
    ip: IpAddr,
    /// Whether it has sent a byte: one that has not, a probe for example, is not worth a line.
    spoke: bool,
    /// The line that has not ended yet.
    partial: Vec<u8>,
    n_lines: u64,
}

impl Default for Echo {
    fn default() -> Self {
        Self { line_bytes_max: 64 * 1024, line_time_max: Duration::from_secs(60) }
    }
}

impl Echo {
    /// Logs that connections are accepted, as deployed tools expect it before each.
    pub fn announce(&self) {
        log::info!("{ACCEPT_ACTION} | result: in_progress");
    }
}

impl Service for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn open(&self, peer: Peer, _: Mailbox) -> Box<dyn Session> {
        let ip = peer.address.ip();
        Box::new(EchoSession { limits: *self, ip, spoke: false, partial: Vec::new(), n_lines: 0 })
    }

    fn busy(&self) -> &[u8] {
        b"busy\n"
    }
}

impl Session for EchoSession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        match input {
            Input::Bytes(bytes) => self.take(bytes, out),
            Input::Mail(Mail::News) | Input::Drained => Flow::Continue,
            Input::Eof => {
                if !self.partial.is_empty() {
                    log_message(self.ip, &self.partial);
                    out.append(&mut self.partial);
                }
                Flow::Close
            }
            Input::Deadline | Input::Mail(Mail::Shutdown) => Flow::Close,
        }
    }

    fn wait(&self) -> Option<Wait> {
        Some(Wait { id: self.n_lines, time_max: self.limits.line_time_max })
    }
}

impl EchoSession {
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Flow {
        if !std::mem::replace(&mut self.spoke, true) {
            log::info!("{ACCEPT_ACTION} | result: success | ip: {}", self.ip);
            self.limits.announce();
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (part, ended) = match piece.strip_suffix(b"\n") {
                Some(part) => (part, true),
                None => (piece, false),
            };
            if self.partial.len() + part.len() > self.limits.line_bytes_max {
                return Flow::Close;
            }
            if !ended {
                self.partial.extend_from_slice(part);
            } else if self.partial.is_empty() {
                self.answer(part, out);
            } else {
                // Taken, not cleared: between lines a session keeps no memory.
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(part);
                self.answer(&line, out);
            }
        }
        Flow::Continue
    }

    fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) {
        log_message(self.ip, line);
        out.extend_from_slice(line);
        out.push(b'\n');
        self.n_lines += 1;
    }
}

fn log_message(ip: IpAddr, line: &[u8]) {
    if log::log_enabled!(log::Level::Info) {
        let line = log_line::value(&String::from_utf8_lossy(line));
        let line = line.trim_end();
        log::info!("action: receive_message | result: success | ip: {ip} | msg: {line}");
    }
}
