//! A connection on which both sides speak whenever they like: one thread listens while others
//! speak. Knows nothing of what is said.
//!
//! What is sent at once is one write.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Line, Lost, Office, Wire, reason};
use crate::dialogue::Stop;
use crate::ending::Ending;

/// Connects, and has `greet` find out, within the time it is given, whether the server is serving.
/// Where it says why not, it is tried again, until there was no answer for too long.
///
/// # Errors
/// [`Stop`] from `greet`, [`Stop::Away`] when the server cannot be reached for too long, or
/// [`Stop::Asked`] when the end is asked for.
pub fn open(
    office: &Office,
    ending: &Ending,
    mut greet: impl FnMut(&mut Listening, &Speaking, Duration) -> Result<Result<(), String>, Stop>,
) -> Result<(Listening, Speaking), Stop> {
    let mut way = Line::new(office, ending);
    loop {
        let lost = match way.connect() {
            Err(reason) => reason,
            Ok(wire) => {
                let (mut listening, speaking) = halves(wire);
                let time = office.reply_timeout.min(way.time_left());
                match greet(&mut listening, &speaking, time)? {
                    Ok(()) => return Ok((listening, speaking)),
                    Err(reason) => reason,
                }
            }
        };
        way.wait_to_reconnect(lost)?;
    }
}

/// The half of a connection that hears. The connection is shut when the end is asked for, so that
/// no wait goes on.
pub struct Listening {
    wire: Wire,
    broken: Broken,
}

/// What is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// None in the time that was given.
    Nothing,
}

/// The half of a connection that speaks.
#[derive(Clone)]
pub struct Speaking {
    stream: Arc<TcpStream>,
    broken: Broken,
}

/// Why nothing more could be said, for whoever listens.
type Broken = Arc<Mutex<Option<Lost>>>;

fn halves(wire: Wire) -> (Listening, Speaking) {
    let (stream, broken) = (Arc::clone(&wire.stream), Broken::default());
    (Listening { wire, broken: Arc::clone(&broken) }, Speaking { stream, broken })
}

impl Listening {
    /// Hears what there is. `wait`: how long there may be nothing; no limit when there is none.
    ///
    /// # Errors
    /// How the connection ended, in words that no log parser takes for a failure.
    pub fn hear(&mut self, bytes: &mut [u8], wait: Option<Duration>) -> Result<Heard, String> {
        if wait.is_some_and(|wait| wait.is_zero()) {
            return Ok(Heard::Nothing);
        }
        let error = match self.wire.try_read(bytes, wait) {
            Ok(0) => ErrorKind::UnexpectedEof.into(),
            Ok(size) => return Ok(Heard::Bytes(size)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Heard::Nothing),
            Err(error) => error,
        };
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(broken.unwrap_or_else(|| reason(&error)))
    }
}

impl Speaking {
    /// Sends all of `bytes`. Where that cannot be done the connection ends, and who listens is
    /// told why, behind what had come.
    pub fn say(&self, bytes: &[u8]) {
        if let Err(error) = (&*self.stream).write_all(bytes) {
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            broken.get_or_insert_with(|| match error.kind() {
                ErrorKind::WouldBlock => "the server takes nothing more".to_owned(),
                _ => reason(&error),
            });
            drop(broken);
            self.shut();
        }
    }

    /// Says that no more will be said. What comes is still heard.
    pub fn finish(&self) {
        // A connection that is gone needs no end.
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Ends the connection: who listens hears what had come, and then the end.
    pub fn shut(&self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}
