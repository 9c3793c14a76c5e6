//! Connections of this program's clients, and whether the kernel has room for those of a run. Where it tracks connections (a firewall
//! with state, containers), it remembers each for minutes after its end, and when its table is full new
//! ones are dropped without a word.

use std::fs;
use std::net::TcpStream;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::progress;

const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const TRACKED_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// The kernel remembers a closed connection for two minutes by default.
const SETTLE_MAX: Duration = Duration::from_secs(150);
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// Longer nothing may move.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A client that waits for at most [`ANSWER_MAX`].
pub(crate) fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpStream::connect(address).context("connecting")?;
    socket.set_nodelay(true).context("setting up a client")?;
    socket.set_read_timeout(Some(ANSWER_MAX)).context("setting up a client")?;
    Ok(socket)
}

/// Waits until there is room for so many more; at most for as long as closed ones are remembered.
pub(crate) fn settle(connections: u64) {
    let begin = Instant::now();
    while !has_room(read(TRACKED), read(TRACKED_MAX), connections) {
        if begin.elapsed() >= SETTLE_MAX {
            return progress("the kernel still tracks too many connections: the next run may fail");
        }
        if begin.elapsed() < SETTLE_PAUSE {
            progress("waiting until the kernel has forgotten enough closed connections");
        }
        thread::sleep(SETTLE_PAUSE);
    }
}

/// A kernel that tracks none has room for all. A tenth is left to whatever else goes on.
fn has_room(tracked: Option<u64>, tracked_max: Option<u64>, more: u64) -> bool {
    let (Some(tracked), Some(max)) = (tracked, tracked_max) else { return true };
    more == 0 || tracked + more <= max - max / 10
}

fn read(path: &str) -> Option<u64> {
    u64::from_str(fs::read_to_string(path).ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_table_that_gets_full_is_waited_for() {
        let rows = [
            (None, None, true),
            (Some(0), Some(1000), true),
            (Some(800), Some(1000), true),
            (Some(801), Some(1000), false),
        ];
        for (tracked, max, room) in rows {
            assert_eq!(has_room(tracked, max, 100), room, "{tracked:?}");
        }
    }
}
