//! A guest in the room of a server, typed for by a person or a script. Knows no socket.
//!
//! ```text
//! guest     what lines ask, what objects are    typed     a line: said, or a command
//! shown     objects as lines                    error     why a stay ends
//! arrivals  bytes into objects
//! terminal  a line edited, others above it      lines     without a terminal
//! ```
//! One thread hears, another types. Whoever leaves says so to the server first and hears it out:
//! the server closes once it has taken all that was said, so a script knows that it was.

pub mod arrivals;
mod error;
pub mod guest;
mod lines;
pub mod shown;
mod terminal;
pub mod typed;

use std::io::{self, ErrorKind, IsTerminal as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bolillero_protocol::room::OBJECT_BYTES_MAX;
use bolillero_protocol::visible;

use crate::config::RoomConfig;
use crate::connect::{self, Heard, Listening, Speaking};
use crate::dialogue::Stop;
use crate::ending::Ending;
use crate::threads;
use arrivals::Arrivals;
pub use error::RoomError;
use guest::{Arrival, Guest};
use terminal::Terminal;

/// How long a server may take to answer a name, at most the time for any answer. One that does not
/// knows none.
pub const NAME_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a server may take to close when a guest leaves to which it owes nothing.
pub const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);

/// Enters the room, and stays until that is ended.
///
/// # Errors
/// [`Stop`].
pub fn run(config: &RoomConfig, ending: &Ending, screen: &Screen) -> Result<(), Stop> {
    let guest = Arc::new(Mutex::new(Guest::new(config.name.clone())));
    let mut stay = Stay {
        guest,
        screen: screen.clone(),
        until: config.until.as_deref(),
        arrivals: Arrivals::default(),
        bytes: vec![0; READ_SIZE],
        leaves_at: None,
    };
    let outcome = stay.begin(config, ending).and_then(|(mut listening, speaking)| {
        stay.have_typed(&speaking, config.office.reply_timeout)?;
        stay.hear(&mut listening, &speaking)
    });
    screen.restore();
    match outcome {
        _ if ending.is_asked() => Err(Stop::Asked),
        // Whoever read it has read enough.
        Err(Stop::Room(RoomError::Stdout(error))) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Where lines are shown and come from.
#[derive(Clone)]
pub struct Screen(Option<Arc<Terminal>>);

impl Screen {
    /// That of this process: a terminal where stdin and stdout are one.
    #[must_use]
    pub fn open() -> Self {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        Self(is_terminal.then(Terminal::open).flatten().map(Arc::new))
    }

    /// Leaves the terminal as it was, for good.
    pub fn restore(&self) {
        if let Some(terminal) = &self.0 {
            terminal.restore();
        }
    }

    /// Shows a line. What an error in it quotes of a peer is escaped here, as all else was before.
    fn show(&self, line: &str) -> Result<(), RoomError> {
        let line = visible::escape(line);
        match &self.0 {
            Some(terminal) => terminal.show(&line),
            None => lines::write(&line),
        }
        .map_err(RoomError::Stdout)
    }
}

/// The side that hears.
struct Stay<'a> {
    guest: Arc<Mutex<Guest>>,
    screen: Screen,
    until: Option<&'a str>,
    arrivals: Arrivals,
    bytes: Vec<u8>,
    /// When it is over, once what was waited for was shown.
    leaves_at: Option<Instant>,
}

impl Stay<'_> {
    fn begin<'a>(
        &mut self,
        config: &'a RoomConfig,
        ending: &'a Ending,
    ) -> Result<(Listening<'a>, Speaking), Stop> {
        connect::open(&config.office, ending, |listening, speaking, time| {
            *lock(&self.guest) = Guest::new(config.name.clone());
            self.arrivals = Arrivals::default();
            self.enter(listening, speaking, time)
        })
    }

    /// Waits for a place and a name, `time` at most for each of them.
    ///
    /// In the room the server speaks first, but one that speaks TLS waits for that: where nothing
    /// comes in plain text a blank is said, which is nothing to a room, and that one says what it is.
    fn enter(
        &mut self,
        listening: &mut Listening<'_>,
        speaking: &Speaking,
        time: Duration,
    ) -> Result<Result<(), String>, Stop> {
        let (mut since, mut is_naming) = (Instant::now(), false);
        let mut knocks = !speaking.is_sealed();
        loop {
            let time = match is_naming {
                true => time.min(NAME_TIME_MAX),
                false if knocks => time.min(KNOCK_TIME),
                false => time,
            };
            let left = time.saturating_sub(since.elapsed());
            match listening.hear(&mut self.bytes, Some(left))? {
                Heard::Bytes(size) => self.take(size, speaking)?,
                Heard::Nothing if is_naming => {
                    let unnamed = lock(&self.guest).go_unnamed();
                    self.follow(unnamed, speaking)?;
                }
                Heard::Nothing if std::mem::take(&mut knocks) => speaking.say(b"\n"),
                Heard::Nothing => return Ok(Err("no answer in time".to_owned())),
                Heard::End(reason) => return Ok(Err(reason)),
            }
            let guest = lock(&self.guest);
            if guest.is_in() {
                return Ok(Ok(()));
            }
            if guest.is_naming() && !is_naming {
                (since, is_naming) = (Instant::now(), true);
            }
        }
    }

    /// From here on what is typed is heard.
    fn have_typed(&self, speaking: &Speaking, reply_timeout: Duration) -> Result<(), Stop> {
        let typist = Typist {
            guest: Arc::clone(&self.guest),
            screen: self.screen.clone(),
            speaking: speaking.clone(),
            reply_timeout,
            stays: self.until.is_some(),
        };
        threads::start("typing", move || typist.run()).map_err(RoomError::Thread)?;
        Ok(())
    }

    /// Shows what comes, until the stay is over.
    fn hear(&mut self, listening: &mut Listening<'_>, speaking: &Speaking) -> Result<(), Stop> {
        loop {
            let left = self.leaves_at.map(|at| at.saturating_duration_since(Instant::now()));
            match listening.hear(&mut self.bytes, left)? {
                Heard::Bytes(size) => self.take(size, speaking)?,
                Heard::Nothing => return self.leave("no answer in time".to_owned()),
                Heard::End(reason) => return self.leave(reason),
            }
        }
    }

    fn take(&mut self, size: usize, speaking: &Speaking) -> Result<(), Stop> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.take(&bytes[..size], |object| {
            let arrival = lock(&self.guest).arrives(object)?;
            self.follow(arrival, speaking)
        })?;
        (self.bytes, self.arrivals) = (bytes, arrivals);
        Ok(())
    }

    fn follow(&mut self, arrival: Arrival, speaking: &Speaking) -> Result<(), Stop> {
        if let Some(object) = arrival.send {
            speaking.say(&object);
        }
        let Some(line) = arrival.show.filter(|_| self.leaves_at.is_none()) else { return Ok(()) };
        self.screen.show(&line)?;
        if self.until.is_some_and(|until| line.contains(until)) {
            speaking.finish();
            self.leaves_at = Some(Instant::now() + LEAVE_TIME_MAX);
        }
        Ok(())
    }

    /// The connection has ended, or the wait for that: was it meant to?
    fn leave(&self, reason: String) -> Result<(), Stop> {
        let guest = lock(&self.guest);
        if !guest.is_leaving() && self.leaves_at.is_none() {
            return Err(RoomError::Gone(reason).into());
        }
        // A person has seen it.
        let is_script = self.screen.0.is_none();
        if is_script && guest.is_leaving() && guest.is_owed() {
            return Err(RoomError::Unanswered.into());
        }
        match guest.refused() {
            1.. if is_script => Err(RoomError::NotTaken(guest.refused()).into()),
            _ => Ok(()),
        }
    }
}

/// The side that types.
struct Typist {
    guest: Arc<Mutex<Guest>>,
    screen: Screen,
    speaking: Speaking,
    reply_timeout: Duration,
    /// Whether the end of the input is not that of the stay.
    stays: bool,
}

impl Typist {
    fn run(&self) {
        let input_ended = match &self.screen.0 {
            Some(terminal) => {
                let prompt = format!("{}> ", lock(&self.guest).name());
                terminal.edit(&prompt, |line| self.typed(Some(line)));
                false
            }
            None => lines::read(io::stdin().lock(), |line| self.typed(line)),
        };
        if !(input_ended && self.stays) {
            self.leave();
        }
    }

    fn typed(&self, line: Option<&str>) -> ControlFlow<()> {
        let mut guest = lock(&self.guest);
        let deed = match line {
            Some(line) => guest.typed(line),
            None => guest.refuse("not said: it is not UTF-8"),
        };
        drop(guest);
        for line in &deed.tell {
            // Where nobody reads, who hears finds out.
            drop(lines::write(line));
        }
        if let Some(object) = &deed.send {
            self.speaking.say(object);
        }
        if deed.leave { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Has the server close, and ends the connection if that takes too long.
    fn leave(&self) {
        let is_owed = {
            let mut guest = lock(&self.guest);
            guest.leave();
            guest.is_owed() && self.screen.0.is_none()
        };
        self.speaking.finish();
        let time =
            if is_owed { self.reply_timeout } else { LEAVE_TIME_MAX.min(self.reply_timeout) };
        // The process has ended when the other side has heard the server's end before.
        thread::sleep(time);
        self.speaking.shut();
    }
}

fn lock(guest: &Mutex<Guest>) -> MutexGuard<'_, Guest> {
    guest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a server may say nothing before it is asked whether it speaks TLS.
const KNOCK_TIME: Duration = Duration::from_secs(1);
/// Bytes read at once: some objects.
const READ_SIZE: usize = 8 * OBJECT_BYTES_MAX;
