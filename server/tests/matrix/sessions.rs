//! Sessions that do what no service of ours does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use bolillero_server::session::{Flow, Input, Mailbox, Peer, Service, Session, Wait};

/// A service whose sessions the closure makes.
pub(crate) struct Script<F>(pub(crate) F);

impl<F, S> Service for Script<F>
where
    F: Fn(Mailbox) -> S + Send + Sync,
    S: Session + 'static,
{
    fn name(&self) -> &'static str {
        "script"
    }

    fn open(&self, _: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        Box::new((self.0)(mailbox))
    }

    fn busy(&self) -> &[u8] {
        b"busy\n"
    }
}

/// A session that is one closure, and waits under no deadline.
pub(crate) struct On<F>(pub(crate) F);

impl<F: FnMut(Input<'_>, &mut Vec<u8>) -> Flow + Send> Session for On<F> {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        (self.0)(input, out)
    }

    fn wait(&self) -> Option<Wait> {
        None
    }
}

/// Answers each byte with as many bytes as it is told, one answer at a time, and notes how much
/// output there was.
pub(crate) struct Bulk {
    pub(crate) answer_bytes: usize,
    pub(crate) output_bytes: Arc<AtomicUsize>,
    pub(crate) owed: usize,
}

impl Session for Bulk {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        match input {
            Input::Bytes(bytes) => self.owed += bytes.len(),
            Input::Drained => {}
            _ => return Flow::Close,
        }
        if self.owed == 0 {
            return Flow::Continue;
        }
        self.owed -= 1;
        out.resize(out.len() + self.answer_bytes, b'x');
        self.output_bytes.fetch_max(out.len(), Ordering::Relaxed);
        Flow::Hold
    }

    fn wait(&self) -> Option<Wait> {
        None
    }
}

/// Echoes lines. From the first byte of a line to its last, and from a line to the next, are two
/// waits.
pub(crate) struct Timed {
    pub(crate) line: Vec<u8>,
    pub(crate) n_lines: u64,
    pub(crate) idle_time_max: Duration,
    pub(crate) line_time_max: Duration,
}

impl Session for Timed {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        match input {
            Input::Bytes(bytes) => self.line.extend_from_slice(bytes),
            Input::Deadline => {
                out.extend_from_slice(b"late\n");
                return Flow::Close;
            }
            _ => return Flow::Close,
        }
        if self.line.ends_with(b"\n") {
            out.append(&mut self.line);
            self.n_lines += 1;
        }
        Flow::Continue
    }

    fn wait(&self) -> Option<Wait> {
        let (id, time_max) = if self.line.is_empty() {
            (2 * self.n_lines, self.idle_time_max)
        } else {
            (2 * self.n_lines + 1, self.line_time_max)
        };
        Some(Wait { id, time_max })
    }
}

/// A part of a session that is missed when the session is gone.
pub(crate) struct Life(Sender<()>);

pub(crate) fn life() -> (Life, Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Life(sender), receiver)
}

impl Life {
    pub(crate) fn share(&self) -> Self {
        Self(self.0.clone())
    }
}
