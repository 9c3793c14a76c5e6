//! What a connection on which nothing came means: another kind of server may listen there. Knows no
//! byte's meaning.

use std::time::Duration;

use super::listener::Stranger;
use super::wire::{Lost, Unheard, Wire};
use super::{Distrust, Line, leave};
use crate::dialogue::Stop;
use crate::talk::Talk;

/// How long a server that said nothing may take to answer a knock.
const KNOCK_TIME_MAX: Duration = Duration::from_secs(1);

impl Line<'_> {
    /// A connection was lost, which leaves `doubt` about what was done: that counts unless the end
    /// was asked for, or what listens there is something else.
    pub(super) fn judge(&mut self, lost: &Lost, doubt: Result<(), Stop>) -> Result<(), Stop> {
        if self.ending.is_asked() {
            return Err(leave(doubt));
        }
        self.knock(lost)?;
        doubt
    }

    pub(super) fn count_shunned(&mut self, lost: &Lost, talk: &mut impl Talk) -> Result<(), Stop> {
        match lost.unheard {
            Some(Unheard::Closed) => self.shunned += 1,
            _ => self.shunned = 0,
        }
        talk.shunned(self.shunned)
    }

    /// What answers nothing is asked, once, what it is.
    pub(super) fn knock(&mut self, lost: &Lost) -> Result<(), Stop> {
        if lost.unheard != Some(Unheard::Silent) || std::mem::replace(&mut self.knocked, true) {
            return Ok(());
        }
        let Ok((stream, left)) = self.connect_stream() else { return Ok(()) };
        let tls = self.office.tls.as_ref();
        let plain = tls.is_some() && !self.shaken;
        let tls = tls.filter(|_| !plain);
        let Ok(wire) = Wire::new(stream, self.office, tls, self.ending, left) else {
            return Ok(());
        };
        let server = self.office.server.to_string();
        match wire.knock(KNOCK_TIME_MAX.min(self.office.reply_timeout)) {
            Some(found) if plain => {
                Err(Distrust::Plain { server, why: format!("it is {found}") }.into())
            }
            Some(found) => Stranger::of(found, self.office).map_or(Ok(()), |it| Err(it.into())),
            None => Ok(()),
        }
    }
}
