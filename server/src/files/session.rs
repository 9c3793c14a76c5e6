//! One connection of a client that fetches files. Knows no socket, no clock and no file.
//!
//! Commands are answered one by one, in the order in which they came, as far as there is room in
//! the output; then the session holds until that has left. An answer that memory does not suffice
//! for is a reader's, and the session holds until it is woken. So a connection has at most one
//! input, one output and one reader's errand in memory.

use std::net::IpAddr;
use std::sync::Arc;

use bolillero_protocol::hftp::{Command, Commands, Status};
use bolillero_protocol::log_line;

use super::FilesLimits;
use super::answer::{Answer, Step};
use super::reader::{Errand, Readers};
use crate::session::{Flow, Input, Mail, Mailbox, Peer, Session, Wait};

pub(super) struct FilesSession {
    readers: Arc<Readers>,
    limits: FilesLimits,
    ip: IpAddr,
    mailbox: Mailbox,
    commands: Commands,
    /// Bytes behind a command that is not answered yet: at most what one input brought.
    unread: Vec<u8>,
    owed: Owed,
    /// Commands taken so far. Names the waits.
    n_commands: u64,
    reading: Reading,
}

/// What the peer is owed before its next command is taken.
#[derive(Default)]
enum Owed {
    #[default]
    Nothing,
    /// The rest of an answer, as soon as there is room for it.
    Answer(Answer),
    /// An answer that a reader is asked for.
    Errand(Errand),
}

/// What becomes of the peer's bytes. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    /// Commands are taken as they come.
    Open,
    /// No more will come: what is here is answered.
    Ended,
    /// Nothing is taken any more.
    Closed,
}

impl Session for FilesSession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        match input {
            Input::Bytes(bytes) => self.take(bytes, out),
            Input::Mail(Mail::News) | Input::Drained => self.take(&[], out),
            Input::Mail(Mail::Shutdown) if self.is_done() => return Flow::Close,
            Input::Mail(Mail::Shutdown) => {}
            Input::Eof => self.reading = self.reading.max(Reading::Ended),
            Input::Deadline => return self.time_out(),
        }
        self.flow()
    }

    fn wait(&self) -> Option<Wait> {
        if !self.is_done() {
            return None;
        }
        let (part, time_max) = if self.commands.is_partial() {
            (1, self.limits.command_time_max)
        } else {
            (0, self.limits.idle_time_max)
        };
        Some(Wait { id: self.n_commands * 2 + part, time_max })
    }
}

impl FilesSession {
    pub(super) fn new(
        readers: Arc<Readers>,
        limits: FilesLimits,
        peer: Peer,
        mailbox: Mailbox,
    ) -> Self {
        Self {
            readers,
            limits,
            ip: peer.address.ip(),
            mailbox,
            commands: Commands::new(limits.command_bytes_max),
            unread: Vec::new(),
            owed: Owed::Nothing,
            n_commands: 0,
            reading: Reading::Open,
        }
    }

    /// Answers what can be answered now of what was kept and of `bytes`, and keeps the rest.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.unread.is_empty() {
            let taken = self.answer_commands(bytes, out);
            self.unread.extend_from_slice(&bytes[taken..]);
            return;
        }
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let taken = self.answer_commands(&unread, out);
        unread.drain(..taken);
        if !unread.is_empty() {
            self.unread = unread;
        }
    }

    /// Returns how many of the bytes are done with.
    fn answer_commands(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        while self.pay(out) {
            if self.reading == Reading::Closed {
                return bytes.len();
            }
            let (count, command) = self.commands.next(&bytes[taken..]);
            taken += count;
            let Some(command) = command else { return taken };
            self.n_commands += 1;
            log_command(self.ip, &command);
            self.owed = Owed::Answer(Answer::to(command));
        }
        taken
    }

    /// Appends of what is owed as much as is there and has room. True when there is room for more.
    fn pay(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            let step = match std::mem::take(&mut self.owed) {
                Owed::Nothing => return out.len() < OUTPUT_BYTES_MAX,
                Owed::Answer(answer) if out.len() < OUTPUT_BYTES_MAX => {
                    self.readers.try_step(answer, out, OUTPUT_BYTES_MAX)
                }
                Owed::Errand(errand) => match errand.take() {
                    Some(fetched) => {
                        append(fetched.bytes, out);
                        fetched.step
                    }
                    None => {
                        self.owed = Owed::Errand(errand);
                        return false;
                    }
                },
                full => {
                    self.owed = full;
                    return false;
                }
            };
            match step {
                Step::Done => {}
                Step::Last => self.reading = Reading::Closed,
                Step::More(answer) => {
                    self.owed = Owed::Answer(answer);
                    return false;
                }
                Step::Missing(answer) => {
                    self.owed = Owed::Errand(self.readers.send(answer, self.mailbox.clone()));
                }
                Step::Failed(error) => {
                    log_failure(self.ip, &error);
                    self.reading = Reading::Closed;
                }
            }
        }
    }

    /// Whether nothing is owed and nothing is left to be taken.
    fn is_done(&self) -> bool {
        matches!(self.owed, Owed::Nothing) && self.unread.is_empty()
    }

    fn flow(&self) -> Flow {
        match self.reading {
            _ if !self.is_done() => Flow::Hold,
            Reading::Open => Flow::Continue,
            Reading::Ended | Reading::Closed => Flow::Close,
        }
    }

    /// The protocol has no word for it.
    fn time_out(&self) -> Flow {
        let reason = if self.commands.is_partial() { "unfinished command" } else { "idle" };
        let ip = self.ip;
        log::info!("action: close | result: success | ip: {ip} | reason: {reason} for too long");
        Flow::Close
    }
}

/// Moves bytes behind `out`, without a copy where they would need another buffer anyway.
fn append(mut bytes: Vec<u8>, out: &mut Vec<u8>) {
    if out.is_empty() && bytes.len() > out.capacity() {
        *out = bytes;
    } else {
        out.append(&mut bytes);
    }
}

fn log_failure(ip: IpAddr, error: &str) {
    let error = log_line::value(error);
    log::warn!("action: answer_request | result: fail | ip: {ip} | error: {error}");
}

fn log_command(ip: IpAddr, command: &Result<Command<'_>, Status>) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    let action = "action: receive_request";
    match command {
        Ok(
            command @ (Command::GetMetadata { name: file } | Command::GetSlice { name: file, .. }),
        ) => {
            let (name, file) = (command.name(), file.as_str());
            log::debug!("{action} | result: success | ip: {ip} | command: {name} | file: {file}");
        }
        Ok(command) => {
            let name = command.name();
            log::debug!("{action} | result: success | ip: {ip} | command: {name}");
        }
        Err(status) => {
            let result = if status.closes() { "fail" } else { "success" };
            let code = status.code();
            log::debug!("{action} | result: {result} | ip: {ip} | status: {code}");
        }
    }
}

/// Output over which no more is looked up. With what may go over it, it is what a thread keeps of
/// an output buffer, so a slice that memory holds allocates nothing.
const OUTPUT_BYTES_MAX: usize = (64 << 10) - 256;
