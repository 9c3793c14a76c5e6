//! A connection on which both sides speak whenever they like: one thread listens while others
//! speak. Knows nothing of what is said.
//!
//! What is sent at once is one write, and under TLS one record.

use std::io::{self, ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::wire::{Lost, Unheard, Wire, reason};
use super::{Line, Office, Records};
use crate::dialogue::Stop;
use crate::ending::Ending;

/// Connects, and has `greet` find out, within the time it is given, whether the server is serving.
/// Where it says why not, it is tried again, until there was no answer for too long.
///
/// # Errors
/// [`Stop`] from `greet`, [`Stop::Away`] when the server cannot be reached for too long, or
/// [`Stop::Asked`] when the end is asked for.
pub fn open<'a>(
    office: &'a Office,
    ending: &'a Ending,
    mut greet: impl FnMut(&mut Listening<'a>, &Speaking, Duration) -> Result<Result<(), String>, Stop>,
) -> Result<(Listening<'a>, Speaking), Stop> {
    let mut way = Line::new(office, ending);
    loop {
        let lost = match way.connect() {
            Err(end) => end.lost()?,
            Ok(wire) => {
                let (mut listening, speaking) = halves(wire);
                let time = office.reply_timeout.min(way.time_left());
                match greet(&mut listening, &speaking, time)? {
                    Ok(()) => return Ok((listening, speaking)),
                    Err(reason) => {
                        let unheard = listening.wire.is_unheard().then_some(Unheard::Silent);
                        Lost { reason, unheard }
                    }
                }
            }
        };
        way.wait_to_reconnect(&lost)?;
    }
}

/// The half of a connection that hears. The connection is shut when the end is asked for, so that
/// no wait goes on.
pub struct Listening<'a> {
    wire: Wire<'a>,
    broken: Broken,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// None in the time that was given.
    Nothing,
    /// None any more: how the connection ended, in words that no log parser takes for a failure.
    End(String),
}

/// The half of a connection that speaks.
#[derive(Clone)]
pub struct Speaking {
    stream: Arc<TcpStream>,
    /// Its TLS, where there is one.
    records: Option<Arc<Mutex<Records>>>,
    broken: Broken,
}

/// Why nothing more could be said, for whoever listens.
type Broken = Arc<Mutex<Option<String>>>;

fn halves(wire: Wire<'_>) -> (Listening<'_>, Speaking) {
    let ((stream, records), broken) = (wire.writing(), Broken::default());
    (Listening { wire, broken: Arc::clone(&broken) }, Speaking { stream, records, broken })
}

impl Listening<'_> {
    /// Hears what there is. `wait`: how long there may be nothing; no limit when there is none.
    ///
    /// # Errors
    /// [`Stop`] where another connection would end the same way.
    pub fn hear(&mut self, bytes: &mut [u8], wait: Option<Duration>) -> Result<Heard, Stop> {
        if wait.is_some_and(|wait| wait.is_zero()) {
            return Ok(Heard::Nothing);
        }
        let ended = match self.wire.read_or_wait(bytes, wait) {
            Ok(Some(0)) => reason(&ErrorKind::UnexpectedEof.into()),
            Ok(Some(size)) => return Ok(Heard::Bytes(size)),
            Ok(None) => return Ok(Heard::Nothing),
            Err(end) => end.lost()?.reason,
        };
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Heard::End(broken.unwrap_or(ended)))
    }
}

impl Speaking {
    /// Whether what is said is under TLS.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.records.is_some()
    }

    /// Sends all of `bytes`. Where that cannot be done the connection ends, and who listens is
    /// told why, behind what had come.
    pub fn say(&self, bytes: &[u8]) {
        let Err(error) = self.write(bytes) else { return };
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| match error.kind() {
            ErrorKind::WouldBlock => "the server takes nothing more".to_owned(),
            _ => reason(&error),
        });
        drop(broken);
        self.shut();
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = &*self.stream;
        let Some(records) = &self.records else { return stream.write_all(bytes) };
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        records.write(bytes, &mut stream)
    }

    /// Says that no more will be said. What comes is still heard.
    pub fn finish(&self) {
        if let Some(records) = &self.records {
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            records.close();
            // A connection that is gone needs no end.
            drop(records.flush(&mut &*self.stream));
        }
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Ends the connection: who listens hears what had come, and then the end.
    pub fn shut(&self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}
