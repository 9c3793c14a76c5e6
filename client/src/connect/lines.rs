//! One line to a server and one back, on a connection of their own. Knows neither's meaning, but
//! for the word of a server that has no room.

use std::time::Instant;

use super::listener::FIRST_BYTES_MAX;
use super::{End, Line, Office, Wire};
use crate::dialogue::Stop;
use crate::ending::Ending;

/// What our echo server says, before it closes, to who finds no room.
const BUSY: &[u8] = b"busy\n";

/// Sends `line` and its end, and reads until what came is the same or can no longer be. A server
/// that is not there, or has no room, is waited for. `lost` says whether an end before the answer,
/// for the reason it is given, is an error.
///
/// # Errors
/// [`Stop::OtherEcho`], or what `lost` gives; [`Stop::Away`] when the server cannot be reached for
/// too long; [`Stop::Asked`].
pub fn ask_line(
    office: &Office,
    ending: &Ending,
    line: &str,
    lost: impl Fn(&str) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut way = Line::new(office, ending);
    let sent = [line.as_bytes(), b"\n"].concat();
    loop {
        let ended = match way.connect() {
            Err(end) => end.lost()?,
            Ok(wire) => match way.exchange(wire, &sent) {
                _ if ending.is_asked() => return Err(Stop::Asked),
                Ok(came) if came == sent => return Ok(()),
                Ok(came) if came == BUSY => "the server has no room".to_owned().into(),
                Ok(came) => {
                    let came = String::from_utf8_lossy(&came).trim_end().to_owned();
                    return Err(Stop::OtherEcho { sent: line.to_owned(), came });
                }
                Err(end) => {
                    let ended = end.lost()?;
                    way.judge(&ended, lost(&ended.reason))?;
                    ended
                }
            },
        };
        way.wait_to_reconnect(&ended)?;
    }
}

impl Line<'_> {
    /// What came for `sent`: a line, or more bytes than were sent.
    fn exchange(&self, mut wire: Wire<'_>, sent: &[u8]) -> Result<Vec<u8>, End> {
        wire.write(&mut sent.to_vec());
        let (begin, mut came) = (Instant::now(), Vec::new());
        let mut bytes = vec![0; sent.len() + FIRST_BYTES_MAX];
        while !came.contains(&b'\n') && came.len() <= sent.len() {
            let left = self.office.reply_timeout.saturating_sub(begin.elapsed());
            let size = wire.read(&mut bytes, Some(left.min(self.time_left())))?;
            came.extend_from_slice(&bytes[..size]);
        }
        let end = came.iter().position(|&byte| byte == b'\n').map_or(came.len(), |at| at + 1);
        came.truncate(end);
        Ok(came)
    }
}
