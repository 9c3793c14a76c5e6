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
    /// How many of them one address, and one agency, may have.
    pub addresses: AddressLimits,
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

/// How connections are counted by where they come from. A connection whose certificate names an
/// agency counts for that agency instead, under the same maximum.
#[derive(Debug, Clone, Copy)]
pub struct AddressLimits {
    /// Connections served at a time for one address. Nothing: a share of all, see
    /// [`AddressLimits::each_max`].
    pub max: Option<usize>,
    /// The least share. Many agencies may share one address.
    pub share_min: usize,
    /// How many leading bits of an IPv6 address are one address here: a network is handed out whole.
    pub ipv6_prefix_length: u8,
    /// Whether connections of this machine itself count too. Only tests have other addresses than
    /// those.
    pub count_loopback: bool,
}

impl Default for AddressLimits {
    fn default() -> Self {
        let ipv6_prefix_length = IPV6_PREFIX_LENGTH_DEFAULT;
        Self { max: None, share_min: 1, ipv6_prefix_length, count_loopback: false }
    }
}

impl AddressLimits {
    /// The maximum for one address where `total` connections are served. Unless it was set, others
    /// keep a sixteenth of the total or 64 connections, whichever is more.
    #[must_use]
    pub fn each_max(&self, total: usize) -> usize {
        let for_others = OTHERS_MIN.max(total / OTHERS_PART);
        let share = total.saturating_sub(for_others).max(self.share_min.min(total));
        self.max.unwrap_or(share)
    }
}

/// How many leading bits of an IPv6 address are one address, unless that is set.
pub const IPV6_PREFIX_LENGTH_DEFAULT: u8 = 64;
/// The connections that one address leaves to others, unless that is set: at least so many,
const OTHERS_MIN: usize = 64;
/// and at least this part of all.
const OTHERS_PART: usize = 16;

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
            addresses: AddressLimits::default(),
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
            ("connections of an address", self.addresses.each_max(self.connections_max)),
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

    #[test]
    fn an_address_leaves_others_a_part_of_all_and_has_what_its_agencies_need() {
        // Connections in all, the least share, what is set, what one address may have.
        for (total, share_min, max, expected) in [
            (10_000, 10, None, 9_375),
            (16_384, 10, None, 15_360),
            (1_024, 10, None, 960),
            (1_023, 10, None, 959),
            (1_000, 10, None, 936),
            (100, 10, None, 36),
            (70, 10, None, 10),
            (64, 10, None, 10),
            (12, 10, None, 10),
            (10, 10, None, 10),
            (9, 10, None, 9),
            (1, 10, None, 1),
            (1, 1, None, 1),
            (10_000, 2 * 65_535, None, 10_000),
            (10_000, 9_400, None, 9_400),
            (10_000, 10, Some(3), 3),
            (10_000, 10, Some(20_000), 20_000),
        ] {
            let limits = AddressLimits { max, share_min, ..AddressLimits::default() };
            assert_eq!(limits.each_max(total), expected, "of {total}, at least {share_min}");
        }
    }
}
