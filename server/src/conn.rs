//! One connection: a non-blocking socket and the session it carries bytes for. The only code of the
//! server that reads or writes a connection's socket. Knows no thread and no readiness queue: a
//! driver says what happened, and asks afterwards what to wait for.

mod causes;
mod output;

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

pub use self::causes::Causes;
use self::output::{Output, Progress};
use crate::limits::Limits;
use crate::session::{Flow, Input, Mail, Peer, Session, Wait};

/// The buffers of a thread that turns connections, one connection at a time.
pub struct Scratch {
    input: Box<[u8]>,
    output: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { input: vec![0; READ_BYTES_MAX].into_boxed_slice(), output: Vec::new() }
    }
}

/// How much work one job may still do, in bytes read and written. Calls cost too, so that a peer
/// that sends byte by byte does not get thousands of them.
pub struct Budget(usize);

impl Budget {
    /// Room for `bytes`.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Whether there is none left.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Takes the price of one call that moved `bytes`.
    pub const fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes + CALL_COST_BYTES);
    }
}

/// What a turn is given beside its causes.
pub struct Means<'a> {
    /// The thread's buffers.
    pub scratch: &'a mut Scratch,
    /// What is left of the job's budget.
    pub budget: &'a mut Budget,
    /// The server's limits.
    pub limits: &'a Limits,
    /// The time now.
    pub now: Instant,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Nothing to do until the next cause.
    Idle,
    /// The budget is spent and there is more to do: turn it again when others had their turn.
    Again,
    /// Nothing is left to do: drop it.
    Closed(Ending),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All was written, and both sides had time to notice.
    Complete,
    /// The peer, or the network, cut it.
    Reset,
    /// The peer did not read what it was sent.
    Unread,
    /// It was not done when the server's patience was over.
    Aborted,
}

/// A socket, the session it carries bytes for, and what is between them.
pub struct Connection {
    stream: TcpStream,
    peer: Peer,
    stage: Stage,
    output: Output,
    /// The socket had more, last time; under edges nobody says so again.
    readable: bool,
    /// The socket took all, last time.
    writable: bool,
    broken: bool,
    /// The peer has sent a byte.
    spoken: bool,
    /// The peer's end has arrived, and stands behind the bytes that are not read yet.
    ended: bool,
    /// The peer's end was read.
    eof: bool,
    /// The session takes no bytes now.
    held: bool,
    /// How many of the bytes that had arrived when the server stopped are not yet read.
    arrived: Option<u64>,
    stop: Stop,
    /// How many bytes of the peer were thrown away since the session closed.
    discarded: usize,
    wait: Option<Clock>,
    /// When unwritten output without progress ends the connection.
    output_until: Option<Instant>,
}

enum Stage {
    Open(Box<dyn Session>),
    /// The session said its last; it leaves.
    Flushing,
    /// All has left and the sending side is shut. Closing now, with bytes of the peer unread or on
    /// their way, would make the kernel send a reset, and that can destroy what the peer has not
    /// read yet.
    Lingering {
        until: Instant,
    },
}

/// What the session knows of the server's stop. It only ever moves down this list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Untold,
    /// It was told, and what had arrived is still to be handed in.
    ToldWhileHeld,
    Told,
}

struct Clock {
    wait: Wait,
    /// When it runs out. Nothing once the session was told.
    until: Option<Instant>,
}

impl Connection {
    /// A connection that serves `session` on `stream`, which must be non-blocking.
    #[must_use]
    pub fn open(stream: TcpStream, peer: Peer, session: Box<dyn Session>, now: Instant) -> Self {
        let mut connection = Self::new(stream, peer, Stage::Open(session), Output::default());
        connection.set_wait(now, usize::MAX);
        connection
    }

    /// A connection that only says `last` and closes.
    #[must_use]
    pub fn farewell(stream: TcpStream, peer: Peer, last: &[u8]) -> Self {
        Self::new(stream, peer, Stage::Flushing, Output::new(last.to_vec()))
    }

    fn new(stream: TcpStream, peer: Peer, stage: Stage, output: Output) -> Self {
        Self {
            stream,
            peer,
            stage,
            output,
            readable: false,
            writable: true,
            broken: false,
            spoken: false,
            ended: false,
            eof: false,
            held: false,
            arrived: None,
            stop: Stop::Untold,
            discarded: 0,
            wait: None,
            output_until: None,
        }
    }

    /// Does all there is to do: mail, read, handle, write, until it would block or the budget is
    /// spent.
    pub fn turn(&mut self, causes: Causes, means: &mut Means<'_>) -> Turn {
        self.output.borrow_from(&mut means.scratch.output);
        let turn = self.react(causes, means).unwrap_or_else(Turn::Closed);
        self.output.return_to(&mut means.scratch.output, SPARE_OUTPUT_BYTES_MAX);
        turn
    }

    /// Who is on the other side.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether the peer has sent a byte. Who has not, a probe for example, is not worth a log line.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// When the connection must be turned for [`Causes::DEADLINE`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let lingering = match self.stage {
            Stage::Lingering { until } => Some(until),
            Stage::Open(_) | Stage::Flushing => None,
        };
        let wait = self.wait.as_ref().and_then(|clock| clock.until);
        [lingering, wait, self.output_until].into_iter().flatten().min()
    }

    /// Whether it wants to hear of [`Causes::READABLE`].
    #[must_use]
    pub fn waits_to_read(&self, limits: &Limits) -> bool {
        !self.readable && self.takes_bytes(limits)
    }

    /// Whether it wants to hear of [`Causes::WRITABLE`].
    #[must_use]
    pub fn waits_to_write(&self) -> bool {
        !self.writable && !self.output.is_empty()
    }

    fn react(&mut self, causes: Causes, means: &mut Means<'_>) -> Result<Turn, Ending> {
        if causes.has(Causes::ABORT) {
            return Err(Ending::Aborted);
        }
        self.readable |= causes.has(Causes::READABLE);
        self.writable |= causes.has(Causes::WRITABLE);
        self.broken |= causes.has(Causes::BROKEN);
        self.ended |= causes.has(Causes::ENDED);
        if causes.has(Causes::SHUTDOWN) && self.arrived.is_none() {
            self.note_what_has_arrived()?;
        }
        if causes.has(Causes::MAIL) {
            self.hand_in(Input::Mail(Mail::News));
        }
        loop {
            let turn = self.exchange(means)?;
            self.set_wait(means.now, means.limits.output_bytes_max);
            if !self.tell_deadline(means.now) {
                self.check_patience(means.now, means.limits)?;
                return Ok(turn);
            }
        }
    }

    /// Reads and writes in rounds. Answers of one round leave together.
    fn exchange(&mut self, means: &mut Means<'_>) -> Result<Turn, Ending> {
        loop {
            while self.can_read(means.limits) && !means.budget.is_spent() {
                self.read(means)?;
            }
            self.tell_shutdown();
            // At least once, however much there was to read: a peer that never pauses gets its
            // answers.
            while self.can_write() {
                self.write(means)?;
                if means.budget.is_spent() {
                    break;
                }
            }
            // What has left may have been what it held for.
            self.tell_shutdown();
            self.shut_when_flushed(means)?;
            if !self.can_read(means.limits) && !self.can_write() {
                // What cannot be read from a broken socket now never will be of use.
                return if self.broken { Err(Ending::Reset) } else { Ok(Turn::Idle) };
            }
            if means.budget.is_spent() {
                return Ok(Turn::Again);
            }
        }
    }

    fn can_read(&self, limits: &Limits) -> bool {
        self.readable && self.takes_bytes(limits)
    }

    fn can_write(&self) -> bool {
        self.writable && !self.output.is_empty()
    }

    fn takes_bytes(&self, limits: &Limits) -> bool {
        let wanted = match self.stage {
            Stage::Open(_) => {
                !self.held && self.arrived != Some(0) && self.output.len() < limits.output_bytes_max
            }
            Stage::Flushing | Stage::Lingering { .. } => self.discarded < limits.linger_bytes_max,
        };
        wanted && !self.eof
    }

    fn read(&mut self, means: &mut Means<'_>) -> Result<(), Ending> {
        let result = self.stream.read(&mut means.scratch.input);
        means.budget.spend(*result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => {
                self.eof = true;
                self.hand_in(Input::Eof);
            }
            Ok(count) => {
                // What comes after this is told by another edge, the peer's end included. One that
                // was told already stands behind these bytes.
                self.readable = count == READ_BYTES_MAX || self.ended || self.broken;
                self.take(&means.scratch.input[..count]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Ending::Reset),
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        if !std::mem::replace(&mut self.spoken, true) {
            log::debug!("action: accept | result: success | ip: {}", self.peer.address.ip());
        }
        match self.stage {
            Stage::Open(_) => self.hand_in(Input::Bytes(bytes)),
            Stage::Flushing | Stage::Lingering { .. } => self.discarded += bytes.len(),
        }
        if let Some(arrived) = &mut self.arrived {
            *arrived = arrived.saturating_sub(bytes.len() as u64);
        }
    }

    fn write(&mut self, means: &mut Means<'_>) -> Result<(), Ending> {
        match self.output.write_to(&mut self.stream).map_err(|_| Ending::Reset)? {
            Progress::Blocked => self.writable = false,
            Progress::Wrote(count) => {
                means.budget.spend(count);
                self.output_until = None;
                if self.output.is_empty() && self.held {
                    self.hand_in(Input::Drained);
                }
            }
        }
        Ok(())
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let Stage::Open(session) = &mut self.stage else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, self.output.tail()) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            // The session goes at once, with all it holds.
            Flow::Close => self.stage = Stage::Flushing,
        }
    }

    fn shut_when_flushed(&mut self, means: &Means<'_>) -> Result<(), Ending> {
        let gone = matches!(self.stage, Stage::Flushing) && self.output.is_empty();
        let enough = self.eof || self.discarded >= means.limits.linger_bytes_max;
        if enough && (gone || matches!(self.stage, Stage::Lingering { .. })) {
            return Err(Ending::Complete);
        }
        if gone {
            self.stage = Stage::Lingering { until: means.now + means.limits.linger_time_max };
            self.stream.shutdown(Shutdown::Write).map_err(|_| Ending::Reset)?;
        }
        Ok(())
    }

    /// What had arrived is counted now: a peer that never stops sending would else be read for
    /// ever.
    fn note_what_has_arrived(&mut self) -> Result<(), Ending> {
        let arrived = rustix::io::ioctl_fionread(&self.stream).map_err(|_| Ending::Reset)?;
        self.arrived = Some(arrived);
        self.readable |= arrived > 0;
        Ok(())
    }

    /// A session that holds is told before it gets what had arrived: it may hold until the server
    /// stops. Where it goes on after all it is told again, behind what had arrived.
    fn tell_shutdown(&mut self) {
        let read = self.arrived == Some(0) || self.eof;
        let due = match self.arrived {
            Some(_) if self.held => Stop::ToldWhileHeld,
            Some(_) if read => Stop::Told,
            _ => return,
        };
        if self.stop < due {
            self.stop = due;
            self.hand_in(Input::Mail(Mail::Shutdown));
        }
    }

    /// Sets the session's clock by what it waits for. While its output is over the limit it is us
    /// who do not read: that time is not counted against its peer.
    fn set_wait(&mut self, now: Instant, output_bytes_max: usize) {
        let wait = match &self.stage {
            Stage::Open(session) if self.output.len() < output_bytes_max => session.wait(),
            Stage::Open(_) | Stage::Flushing | Stage::Lingering { .. } => None,
        };
        let same = match (&wait, &self.wait) {
            (Some(new), Some(old)) => new.id == old.wait.id,
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.wait = wait.map(|wait| Clock { wait, until: now.checked_add(wait.time_max) });
        }
    }

    /// True when the session was told, and may have more to write.
    fn tell_deadline(&mut self, now: Instant) -> bool {
        let Some(clock) = &mut self.wait else { return false };
        if clock.until.is_none_or(|until| now < until) {
            return false;
        }
        clock.until = None;
        self.hand_in(Input::Deadline);
        true
    }

    /// Ends what makes no progress of its own: unread output, and a peer that does not close.
    fn check_patience(&mut self, now: Instant, limits: &Limits) -> Result<(), Ending> {
        match self.stage {
            Stage::Lingering { until } if now >= until => return Err(Ending::Complete),
            _ => {}
        }
        if self.output.is_empty() {
            self.output_until = None;
            return Ok(());
        }
        let until = *self.output_until.get_or_insert(now + limits.output_time_max);
        if now < until { Ok(()) } else { Err(Ending::Unread) }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// What one read takes at most. A window of sixteen 8 kB packets is two reads.
const READ_BYTES_MAX: usize = 64 * 1024;
/// What a system call is worth in a turn's budget.
const CALL_COST_BYTES: usize = 1024;
/// How large an empty output buffer a thread keeps for the next connection.
const SPARE_OUTPUT_BYTES_MAX: usize = 64 * 1024;
