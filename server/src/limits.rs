//! The limits every driver keeps to, and the one the operating system sets.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// What a server gives its connections at most. The defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that turn connections under `pool`. At least 1.
    pub workers: usize,
    /// Connections served at a time. Lowered at start when there are not enough descriptors for it.
    pub connections_max: usize,
    /// Connections served at a time from one address. At `connections_max` or more it limits nothing.
    pub connections_per_address_max: usize,
    /// Newcomers that are kept waiting when there is no room, and as many again that are being told
    /// so. More stay in the listeners' backlogs.
    pub newcomers_max: usize,
    /// How long a newcomer waits for room before it is told that there is none.
    pub busy_time: Duration,
    /// Bytes a connection may read and write before others have their turn.
    pub turn_bytes_max: usize,
    /// Unwritten output over which no more of the peer's bytes are taken. One answer may go over
    /// it.
    pub output_bytes_max: usize,
    /// How long output may wait with no byte of it leaving.
    pub output_time_max: Duration,
    /// How long a peer may leave bytes, a keepalive or a closed window unanswered before the kernel
    /// gives it up. Where it is shorter than `output_time_max` it also bounds a peer that does not
    /// read.
    pub peer_time_max: Duration,
    /// How long a peer has to close after it got our end.
    pub linger_time_max: Duration,
    /// How many bytes of a peer are thrown away after its session closed, so that its last answer
    /// arrives.
    pub linger_bytes_max: usize,
    /// How long connections have to finish what is owed when the server stops.
    pub drain_time_max: Duration,
}

/// Limits under which nothing can be served.
#[derive(Debug, Error)]
pub enum LimitsError {
    /// One of them is 0.
    #[error("{0} is 0")]
    Zero(&'static str),
    /// The process may open too few files.
    #[error(
        "{descriptors} open files are allowed, and {needed} are needed for {connections} \
         connections: raise the limit (`ulimit -n {needed}`)"
    )]
    Descriptors {
        /// How many there may be.
        descriptors: usize,
        /// How many there have to be.
        needed: usize,
        /// The least connections with which a server starts.
        connections: usize,
    },
    /// The limit on open files cannot be read or raised.
    #[error("raising the limit on open files")]
    Raise(#[from] io::Error),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: thread::available_parallelism().map_or(2, usize::from),
            connections_max: 16_384,
            connections_per_address_max: 16_384,
            newcomers_max: 64,
            busy_time: Duration::from_secs(1),
            turn_bytes_max: 256 * 1024,
            output_bytes_max: 1024 * 1024,
            output_time_max: Duration::from_secs(60),
            peer_time_max: Duration::from_secs(30),
            linger_time_max: Duration::from_secs(1),
            linger_bytes_max: 4 * 1024 * 1024,
            drain_time_max: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// These limits, with no more connections than there are descriptors for once the soft limit on
    /// them is raised to the hard one. Each connection takes `descriptors_each`.
    pub(crate) fn fitted(&self, descriptors_each: usize) -> Result<Self, LimitsError> {
        self.check()?;
        let mut fitted = self.clone();
        if let Some(descriptors) = raise_descriptor_limit()? {
            fitted.fit(descriptors, descriptors_each)?;
        }
        Ok(fitted)
    }

    /// With one of these at 0 nothing would ever be served.
    fn check(&self) -> Result<(), LimitsError> {
        let limits = [
            ("workers", self.workers),
            ("connections_max", self.connections_max),
            ("connections_per_address_max", self.connections_per_address_max),
            ("turn_bytes_max", self.turn_bytes_max),
            ("output_bytes_max", self.output_bytes_max),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(LimitsError::Zero(name)),
            None => Ok(()),
        }
    }

    fn fit(&mut self, descriptors: usize, descriptors_each: usize) -> Result<(), LimitsError> {
        let others = self.newcomers_max * (1 + descriptors_each) + DESCRIPTORS_RESERVED;
        let (wanted, given) =
            (self.connections_max, descriptors.saturating_sub(others) / descriptors_each);
        let connections = wanted.min(CONNECTIONS_MIN);
        if given < connections {
            let needed = connections * descriptors_each + others;
            return Err(LimitsError::Descriptors { descriptors, needed, connections });
        }
        if given < wanted {
            log::warn!(
                "action: limit_connections | result: in_progress | wanted: {wanted} | \
                 given: {given} | descriptors: {descriptors} | hint: raise `ulimit -n` to {}",
                wanted * descriptors_each + others
            );
            self.connections_max = given;
        }
        Ok(())
    }
}

/// The soft limit after it was raised, nothing where there is none.
fn raise_descriptor_limit() -> io::Result<Option<usize>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.map(|descriptors| usize::try_from(descriptors).unwrap_or(usize::MAX)))
}

/// What is left for listeners, the ledger, the reactor and the standard streams.
const DESCRIPTORS_RESERVED: usize = 64;
/// With fewer connections than this a server does not start, unless fewer were asked for: agencies
/// would wait for each other without end.
const CONNECTIONS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_lowered_to_the_descriptors_there_are_or_refused() {
        // What is wanted, descriptors, for each connection; connections, or the descriptors needed.
        for (wanted, descriptors, each, expected) in [
            (1000, usize::MAX, 1, Ok(1000)),
            (1000, 1000 + 20 + 64, 1, Ok(1000)),
            (1000, 1000 + 20 + 63, 1, Ok(999)),
            (1000, 1000, 2, Ok((1000 - 30 - 64) / 2)),
            (1000, 16 + 20 + 64, 1, Ok(16)),
            (1000, 15 + 20 + 64, 1, Err(16 + 20 + 64)),
            (1000, 10, 1, Err(16 + 20 + 64)),
            (1000, 31 + 30 + 64, 2, Err(32 + 30 + 64)),
            (3, 3 + 20 + 64, 1, Ok(3)),
            (3, 2 + 20 + 64, 1, Err(3 + 20 + 64)),
        ] {
            let mut limits =
                Limits { connections_max: wanted, newcomers_max: 10, ..Limits::default() };
            let fitted = limits.fit(descriptors, each).map(|()| limits.connections_max);
            let fitted = fitted.map_err(|error| match error {
                LimitsError::Descriptors { needed, .. } => {
                    assert!(error.to_string().contains(&format!("`ulimit -n {needed}`")));
                    needed
                }
                error => panic!("{error}"),
            });
            assert_eq!(fitted, expected, "{wanted} wanted, {descriptors}, {each} each");
        }
    }
}
