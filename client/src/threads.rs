//! Starts threads, and says what to do where the system grants none. Knows nothing of their work.

use std::io;
use std::thread;

/// The system grants no further thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "starting the thread {name}: {reason}: raise the limit on processes (`ulimit -u`, and a \
     container's limit on pids) or free memory, then start again"
)]
pub struct NoThread {
    name: &'static str,
    // Not a `source`: where causes are listed it would be shown twice.
    reason: io::Error,
}

/// Starts a thread that nobody waits for.
///
/// # Errors
/// [`NoThread`]
pub(crate) fn start(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), NoThread> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|reason| NoThread { name, reason })
}
