//! Turns signals into the end of a server's life. The process may be PID 1, where the kernel's
//! defaults do not apply.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::lifecycle::Lifecycle;
use crate::threads;

/// The exit code after a second signal: the ledger is sound, but not all that had arrived was finished.
const EXIT_AT_ONCE: i32 = 1;

/// Has the first SIGTERM or SIGINT stop `life`, and a second one end the process at once.
///
/// # Errors
/// What the operating system refuses.
pub fn watch(life: &Lifecycle) -> anyhow::Result<()> {
    // Without a handler a write over the file size limit kills the process; with one it fails with
    // EFBIG, which the ledger knows as missing room.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .context("handling SIGXFSZ")?;
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("handling SIGTERM and SIGINT")?;
    let life = life.clone();
    let listen = move || {
        for signal in signals.forever() {
            let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
            if life.is_stopping() {
                log::warn!("action: exit | result: fail | signal: {name} | error: a second signal");
                crate::log::finish();
                std::process::exit(EXIT_AT_ONCE);
            }
            log::info!("action: shutdown | result: in_progress | signal: {name}");
            life.stop();
        }
    };
    threads::start("signals", listen)?;
    Ok(())
}
