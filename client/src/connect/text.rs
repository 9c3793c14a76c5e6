//! The text dialect over connections: all is said on one, then read to its end. What is said, and
//! what an end means, is [`Text`]'s to know.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::wire::BROKEN_READ_MAX;
use super::{End, Line, Office, Pausing, READ_SIZE, Wire, leave};
use crate::batches::Batch;
use crate::dialogue::{Progress, Stop};
use crate::ending::{Asked, Ending};
use crate::source::SourceError;
use crate::text::{After, Text};

/// The longest line of an office is one of 16 MiB. One that is longer is not read on.
const LINE_SIZE_MAX: usize = 17 << 20;

/// Does the work over as many connections as it takes. `watch` is told of progress.
///
/// # Errors
/// [`Stop`] from the work, [`Stop::Away`] when the office cannot be reached for too long, or
/// [`Stop::Asked`] when the end is asked for.
pub fn converse_in_text<F: Iterator<Item = Result<Batch, SourceError>>>(
    office: &Office,
    work: &mut Text<F>,
    ending: &Ending,
    watch: &mut dyn FnMut(Progress),
) -> Result<(), Stop> {
    let mut way = Line::new(office, ending);
    loop {
        way.established = false;
        let ended = match way.connect() {
            Err(end) => end.lost()?,
            Ok(mut wire) => {
                way.say(&mut wire, work, watch)?;
                let said = wire.read_to_end(office.reply_timeout);
                drop(wire);
                if ending.is_asked() {
                    return Err(leave(work.lost(&Asked.to_string())));
                }
                match said {
                    Ok(said) => {
                        let after = work.told(&said)?;
                        watch(work.progress());
                        match way.go_on(after)? {
                            After::Done => return Ok(()),
                            After::Another | After::Pause(_) => continue,
                        }
                    }
                    Err(end) => {
                        let ended = end.lost()?;
                        way.judge(&ended, work.lost(&ended.reason))?;
                        ended
                    }
                }
            }
        };
        way.wait_to_reconnect(&ended)?;
    }
}

impl Line<'_> {
    /// Says all there is to say, unless the office does not take it or the end is asked for.
    fn say<F: Iterator<Item = Result<Batch, SourceError>>>(
        &self,
        wire: &mut Wire<'_>,
        work: &mut Text<F>,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<(), Stop> {
        let mut out = Vec::new();
        work.open(&mut out);
        while work.go_on(&mut out)? {
            wire.write(&mut out);
            watch(work.progress());
            if wire.is_broken() || self.ending.is_asked() {
                return Ok(());
            }
        }
        wire.write(&mut out);
        Ok(())
    }

    /// The office has ended a connection in order: it is there. Pauses where that is to be.
    fn go_on(&mut self, after: After) -> Result<After, Stop> {
        self.away_since = Instant::now();
        match after {
            After::Pause(reason) => self.pause(reason)?,
            After::Another => self.pausing = Pausing::new(self.office.pauses),
            After::Done => {}
        }
        Ok(after)
    }
}

impl Wire<'_> {
    /// All that comes until the connection ends, in `time`. A connection that is cut behind a whole
    /// line has said it.
    fn read_to_end(&mut self, time: Duration) -> Result<Vec<u8>, End> {
        let begin = Instant::now();
        let mut bytes = vec![0; READ_SIZE];
        let mut said = Vec::new();
        while said.len() <= LINE_SIZE_MAX {
            let time = if self.is_broken() { BROKEN_READ_MAX } else { time };
            let left = time.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(self.end(&std::io::Error::from(ErrorKind::WouldBlock).into()));
            }
            match self.read_or_end(&mut bytes, Some(left)) {
                Ok(0) => break,
                Ok(size) => said.extend_from_slice(&bytes[..size]),
                Err(_) if said.ends_with(b"\n") => break,
                Err(end) => return Err(end),
            }
        }
        Ok(said)
    }
}
