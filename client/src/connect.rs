//! A client's socket and clock: connects, waits, moves bytes, and ends at once when that is asked.
//! What is said is a [`Dialogue`]'s or another [`Talk`]'s to know.
//!
//! ```text
//! wire      one connection's bytes      records   its TLS, without a socket
//! distrust  what has to be mended       lines, text  what is no conversation in packets
//! ```

mod address;
mod distrust;
mod lines;
mod pauses;
mod records;
mod text;
mod wire;

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bolillero_protocol::log_line;
use socket2::{SockRef, TcpKeepalive};

pub use self::address::Address;
pub use self::distrust::Distrust;
pub(crate) use self::distrust::is_alert;
pub use self::lines::ask_line;
pub use self::pauses::Pauses;
use self::pauses::Pausing;
pub(crate) use self::records::Records;
pub use self::text::converse_in_text;
use self::wire::{End, Wire};
use crate::config::Tls;
use crate::dialogue::{Dialogue, Next, Progress, Stop};
use crate::ending::{Asked, Ending};
use crate::talk::{Packets, Talk};

/// The longest a single try to connect may take, with its TLS handshake.
const TRY_MAX: Duration = Duration::from_secs(5);
/// The least time that is given to one.
const TRY_MIN: Duration = Duration::from_millis(1);
/// Keepalive probes are sent so many times within the peer timeout.
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;

/// Where an office is, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Office {
    /// Its address.
    pub server: Address,
    /// Its TLS, if it is to be spoken.
    pub tls: Option<Tls>,
    /// The longest time without a connection that it answers on.
    pub connect_timeout: Duration,
    /// The longest wait for an answer.
    pub reply_timeout: Duration,
    /// After this a peer that vanished is noticed.
    pub peer_timeout: Duration,
    /// How long to pause between tries.
    pub pauses: Pauses,
}

/// How a connection ended without the work being done or in vain.
type Lost = String;

/// Holds the dialogue with the office over as many connections as it takes. `watch` is told of
/// progress.
///
/// # Errors
/// [`Stop`] from the dialogue, [`Stop::Away`] when the office cannot be reached for too long, or
/// [`Stop::Asked`] when the end is asked for.
pub fn converse(
    office: &Office,
    dialogue: &mut impl Dialogue,
    ending: &Ending,
    watch: &mut dyn FnMut(Progress),
) -> Result<(), Stop> {
    Line::new(office, ending).talk(&mut Packets::new(dialogue), watch)
}

/// Ends because that was asked. What is left open is told: nobody else could know.
fn leave(lost: Result<(), Stop>) -> Stop {
    if let Err(open) = lost {
        let open = log_line::value(&open.to_string());
        log::warn!("action: shutdown | result: in_progress | note: {open}");
    }
    Stop::Asked
}

/// The way to a server over time: what outlives a connection.
pub struct Line<'a> {
    office: &'a Office,
    ending: &'a Ending,
    /// The connection that the last conversation left, on which nothing is owed.
    kept: Option<Wire>,
    pausing: Pausing,
    granted: u64,
    /// When the last connection that the server answered on ended, or the conversation began.
    away_since: Instant,
    established: bool,
}

impl<'a> Line<'a> {
    /// A way on which nothing was said yet. It is opened when there is something to say.
    #[must_use]
    pub fn new(office: &'a Office, ending: &'a Ending) -> Self {
        Self {
            office,
            ending,
            kept: None,
            pausing: Pausing::new(office.pauses),
            granted: 0,
            away_since: Instant::now(),
            established: false,
        }
    }

    /// Holds a conversation over as many connections as it takes: first the one that the
    /// conversation before it left. `watch` is told of progress.
    ///
    /// # Errors
    /// As [`converse`].
    pub fn talk(
        &mut self,
        talk: &mut impl Talk,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<(), Stop> {
        self.granted = 0;
        self.pausing = Pausing::new(self.office.pauses);
        self.away_since = Instant::now();
        loop {
            self.established = false;
            let lost = match self.kept.take().map_or_else(|| self.connect(), Ok) {
                Err(end) => end.lost()?,
                Ok(mut wire) => match self.serve(&mut wire, talk, watch)? {
                    None => {
                        self.kept = Some(wire);
                        return Ok(());
                    }
                    Some(reason) => {
                        let lost = talk.lost(&reason);
                        if self.ending.is_asked() {
                            return Err(leave(lost));
                        }
                        lost?;
                        reason
                    }
                },
            };
            self.wait_to_reconnect(lost)?;
        }
    }

    fn connect(&self) -> Result<Wire, End> {
        let mut last = String::new();
        for address in self.office.server.look_up().map_err(End::Lost)? {
            let begin = Instant::now();
            let time = TRY_MAX.min(self.time_left()).max(TRY_MIN);
            match TcpStream::connect_timeout(&address, time) {
                Ok(stream) => {
                    prepare(&stream, self.office)
                        .map_err(|error| End::Lost(error.kind().to_string()))?;
                    let left = time.saturating_sub(begin.elapsed()).max(TRY_MIN);
                    return Wire::new(stream, self.office, self.ending, left);
                }
                Err(error) => last = error.kind().to_string(),
            }
        }
        Err(End::Lost(last))
    }

    /// How much longer the office may be away.
    fn time_left(&self) -> Duration {
        self.office.connect_timeout.saturating_sub(self.away_since.elapsed())
    }

    /// Holds the conversation over one connection. `None`: the work is done.
    fn serve(
        &mut self,
        wire: &mut Wire,
        talk: &mut impl Talk,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Option<Lost>, Stop> {
        let mut clock = Clock { owed: None, since: Instant::now() };
        let mut bytes = vec![0; READ_SIZE];
        let mut out = Vec::new();
        talk.open(&mut out)?;
        loop {
            if self.ending.is_asked() {
                return Ok(Some(Asked.to_string()));
            }
            wire.write(&mut out);
            let wait = self.longest_wait(&mut clock, talk);
            let size = match wire.read(&mut bytes, wait) {
                Ok(size) => size,
                Err(end) => return Ok(Some(end.lost()?)),
            };
            let next = talk.receive(&bytes[..size], &mut out)?;
            self.note_progress(talk, watch);
            match next {
                Next::Read => {}
                Next::Done => return Ok(None),
                Next::Reconnect(reason) => return Ok(Some(reason.to_owned())),
                Next::Pause(reason) => {
                    if self.pause(reason).is_err() {
                        return Ok(Some(Asked.to_string()));
                    }
                    talk.resume(&mut out)?;
                }
            }
        }
    }

    /// How long the next read may take; `None` when there is no limit.
    fn longest_wait(&self, clock: &mut Clock, talk: &impl Talk) -> Option<Duration> {
        let left = clock.left(talk.owed()?, Instant::now(), self.office.reply_timeout);
        Some(if self.established { left } else { left.min(self.time_left()) })
    }

    fn note_progress(&mut self, talk: &impl Talk, watch: &mut dyn FnMut(Progress)) {
        let progress = talk.progress();
        watch(progress);
        if progress.granted > self.granted {
            self.granted = progress.granted;
            self.pausing = Pausing::new(self.office.pauses);
        }
        self.established |= talk.is_established();
    }

    fn pause(&mut self, reason: &str) -> Result<(), Asked> {
        let pause = self.pausing.next();
        log::info!("action: wait | result: in_progress | reason: {reason} | pause: {pause:.0?}");
        self.ending.pause(pause)
    }

    fn wait_to_reconnect(&mut self, reason: Lost) -> Result<(), Stop> {
        if self.established {
            self.away_since = Instant::now();
        }
        if self.ending.is_asked() {
            return Err(Stop::Asked);
        }
        let left = self.time_left();
        if left.is_zero() {
            let waited = humantime::format_duration(self.office.connect_timeout).to_string();
            return Err(Stop::Away { server: self.office.server.to_string(), waited, reason });
        }
        let pause = self.pausing.next().min(left);
        let reason = log_line::value(&reason);
        log::info!("action: connect | result: in_progress | reason: {reason} | pause: {pause:.0?}");
        Ok(self.ending.pause(pause)?)
    }
}

/// Which answer is waited for, since when.
struct Clock {
    owed: Option<u64>,
    since: Instant,
}

impl Clock {
    /// What is left of `timeout` for the answer `owed`. Bytes that trickle in are no answer, and
    /// do not restart it.
    fn left(&mut self, owed: u64, now: Instant, timeout: Duration) -> Duration {
        if self.owed != Some(owed) {
            *self = Self { owed: Some(owed), since: now };
        }
        timeout.saturating_sub(now.duration_since(self.since))
    }
}

fn prepare(stream: &TcpStream, office: &Office) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // The kernel counts keepalive in whole seconds.
    let probe = (office.peer_timeout / (KEEPALIVE_PROBES + 1)).max(Duration::from_secs(1));
    let keepalive =
        TcpKeepalive::new().with_time(probe).with_interval(probe).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(office.peer_timeout))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(office.reply_timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_for_one_answer_and_restarts_for_the_next() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut clock = Clock { owed: None, since: start };
        // The answer that is owed, when, and what is left of 100 ms.
        for (owed, at, left) in
            [(0, 50, 100), (0, 90, 60), (0, 200, 0), (1, 200, 100), (1, 201, 99)]
        {
            assert_eq!(clock.left(owed, start + ms(at), ms(100)), ms(left), "{owed} at {at}");
        }
    }

    #[test]
    fn the_kernel_gives_a_vanished_peer_up_within_the_peer_timeout() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for seconds in [4, 30, 3600] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let peer_timeout = Duration::from_secs(seconds);
            let office = Office {
                server: Address::parse("office:1").unwrap(),
                tls: None,
                connect_timeout: Duration::MAX,
                reply_timeout: Duration::from_secs(7),
                peer_timeout,
                pauses: Pauses::default(),
            };
            prepare(&stream, &office).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            let probes = socket.tcp_keepalive_interval().unwrap() * KEEPALIVE_PROBES;
            assert!(socket.tcp_keepalive_time().unwrap() + probes <= peer_timeout, "{seconds} s");
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(peer_timeout));
            assert_eq!(stream.write_timeout().unwrap(), Some(office.reply_timeout));
        }
    }
}
