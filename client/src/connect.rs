//! A client's socket and clock: connects, waits, moves bytes, and ends at once when that is asked.
//! What is said is a [`Dialogue`]'s or another [`Talk`]'s to know.
//!
//! ```text
//! wire      one connection's bytes      records   its TLS, without a socket
//! distrust  what has to be mended       lines, text  what is no conversation in packets
//! listener  what listens, by its first bytes
//! knock     what a connection on which nothing came means
//! duplex    one that both sides speak on whenever they like
//! ```

mod address;
mod distrust;
mod duplex;
mod knock;
mod lines;
mod listener;
mod pauses;
mod records;
mod text;
mod wire;

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bolillero_protocol::log_line;
use socket2::{SockRef, TcpKeepalive};

pub use self::address::{Address, AddressSource};
pub use self::distrust::Distrust;
pub use self::duplex::{Heard, Listening, Speaking, open};
pub use self::lines::ask_line;
pub use self::listener::{Listener, Stranger};
pub use self::pauses::Pauses;
use self::pauses::Pausing;
pub(crate) use self::records::Records;
pub use self::text::converse_in_text;
use self::wire::{End, Lost, Wire};
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
    /// Where that address was found.
    pub source: AddressSource,
    /// What is looked for there.
    pub sought: Listener,
    /// Its TLS, if it is to be spoken.
    pub tls: Option<Tls>,
    /// The longest time without a connection that it answers on.
    pub connect_timeout: Duration,
    /// The longest time in which its host name cannot be resolved, until it was once.
    pub resolve_timeout: Duration,
    /// The longest wait for an answer.
    pub reply_timeout: Duration,
    /// After this a peer that vanished is noticed.
    pub peer_timeout: Duration,
    /// How long to pause between tries.
    pub pauses: Pauses,
}

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
    kept: Option<Wire<'a>>,
    pausing: Pausing,
    granted: u64,
    /// When the last connection that the server answered on ended, or the conversation began.
    away_since: Instant,
    established: bool,
    /// The host name was resolved once: that it cannot be later is the network's fault.
    resolved: bool,
    /// A TLS handshake was done once.
    shaken: bool,
    /// What says nothing was asked what it is.
    knocked: bool,
    /// A try that failed was logged with the address.
    told_address: bool,
    /// Connections in a row that the server closed without a byte.
    shunned: u32,
}

/// How a conversation leaves a connection.
enum Served {
    /// The work is done.
    Done,
    /// The next connection is to be opened, after a pause for this reason where there is one.
    Another(Option<&'static str>),
    /// The connection is of no more use.
    Lost(Lost),
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
            resolved: false,
            shaken: false,
            knocked: false,
            told_address: false,
            shunned: 0,
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
                    Served::Done => {
                        self.kept = Some(wire);
                        return Ok(());
                    }
                    Served::Another(reason) => {
                        drop(wire);
                        self.away_since = Instant::now();
                        reason.map_or(Ok(()), |reason| self.pause(reason))?;
                        continue;
                    }
                    Served::Lost(lost) => {
                        drop(wire);
                        let doubt = talk.lost(&lost.reason);
                        self.judge(&lost, doubt)?;
                        lost
                    }
                },
            };
            self.count_shunned(&lost, talk)?;
            self.wait_to_reconnect(&lost)?;
        }
    }

    fn connect(&mut self) -> Result<Wire<'a>, End> {
        let tls = self.office.tls.as_ref();
        let (stream, left) = self.connect_stream().map_err(End::Lost)?;
        let wire = Wire::new(stream, self.office, tls, self.ending, left)?;
        self.shaken = true;
        Ok(wire)
    }

    /// A connection, and how long its TLS handshake may take.
    fn connect_stream(&mut self) -> Result<(TcpStream, Duration), Lost> {
        let mut last = String::new();
        let addresses = self.office.server.look_up()?;
        self.resolved = true;
        for address in addresses {
            let begin = Instant::now();
            let time = TRY_MAX.min(self.time_left()).max(TRY_MIN);
            match TcpStream::connect_timeout(&address, time) {
                Ok(stream) => {
                    prepare(&stream, self.office).map_err(|error| error.kind().to_string())?;
                    return Ok((stream, time.saturating_sub(begin.elapsed()).max(TRY_MIN)));
                }
                Err(error) => last = error.kind().to_string(),
            }
        }
        Err(last.into())
    }

    /// How much longer the office may be away.
    fn time_left(&self) -> Duration {
        self.time_max().saturating_sub(self.away_since.elapsed())
    }

    fn time_max(&self) -> Duration {
        if self.resolved { self.office.connect_timeout } else { self.office.resolve_timeout }
    }

    /// Holds the conversation over one connection.
    fn serve(
        &mut self,
        wire: &mut Wire<'_>,
        talk: &mut impl Talk,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Served, Stop> {
        let mut clock = Clock { owed: None, since: Instant::now() };
        let mut bytes = vec![0; READ_SIZE];
        let mut out = Vec::new();
        talk.open(&mut out)?;
        loop {
            if self.ending.is_asked() {
                return Ok(Served::Lost(Asked.to_string().into()));
            }
            wire.write(&mut out);
            let wait = self.longest_wait(&mut clock, talk);
            let size = match wire.read(&mut bytes, wait) {
                Ok(size) => size,
                Err(end) => return Ok(Served::Lost(end.lost()?)),
            };
            let next = talk.receive(&bytes[..size], &mut out)?;
            self.note_progress(talk, watch);
            let served = match next {
                Next::Read => continue,
                Next::Pause(reason) => {
                    if self.pause(reason).is_err() {
                        return Ok(Served::Lost(Asked.to_string().into()));
                    }
                    talk.resume(&mut out)?;
                    continue;
                }
                Next::Reconnect(reason) => return Ok(Served::Lost(reason.to_owned().into())),
                Next::Another(reason) => Served::Another(reason),
                Next::Done => Served::Done,
            };
            wire.write(&mut out);
            return Ok(served);
        }
    }

    /// How long the next read may take; `None` when there is no limit.
    fn longest_wait(&self, clock: &mut Clock, talk: &impl Talk) -> Option<Duration> {
        let timeout = self.office.reply_timeout;
        let timeout = talk.patience().map_or(timeout, |patience| patience.min(timeout));
        let left = clock.left(talk.owed()?, Instant::now(), timeout);
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

    fn wait_to_reconnect(&mut self, lost: &Lost) -> Result<(), Stop> {
        if self.established {
            self.away_since = Instant::now();
        }
        if self.ending.is_asked() {
            return Err(Stop::Asked);
        }
        self.knock(lost)?;
        let (left, Office { server, source, .. }) = (self.time_left(), self.office);
        if left.is_zero() {
            return Err(Stop::Away {
                server: server.to_string(),
                waited: humantime::format_duration(self.time_max()).to_string(),
                reason: lost.reason.clone(),
                hint: source.hint(),
            });
        }
        let pause = self.pausing.next().min(left);
        let reason = log_line::value(&lost.reason);
        let address = match std::mem::replace(&mut self.told_address, true) {
            true => String::new(),
            false => {
                format!(" | server: {server} | from: {}", log_line::value(&source.to_string()))
            }
        };
        log::info!(
            "action: connect | result: in_progress | reason: {reason} | pause: {pause:.0?}{address}"
        );
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
                source: AddressSource::Default,
                sought: Listener::Office,
                tls: None,
                connect_timeout: Duration::MAX,
                resolve_timeout: Duration::MAX,
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
