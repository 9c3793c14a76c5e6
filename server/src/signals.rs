//! Turns signals into the end of a server's life. The process may be PID 1, where the kernel's
//! defaults do not apply.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::lifecycle::Lifecycle;
use crate::threads;

/// The exit code after a second signal: the ledger is sound, but not all that had arrived was finished.
const EXIT_AT_ONCE: i32 = 1;

/// Stops `life` on the first SIGTERM, SIGINT or SIGHUP, and ends the process at once on a later
/// SIGTERM or SIGINT. SIGHUP stays ignored if the process began with it ignored, as under `nohup`.
///
/// # Errors
/// What the operating system refuses.
pub fn watch(life: &Lifecycle) -> anyhow::Result<()> {
    // Without a handler a write over the file size limit kills the process; with one it fails with
    // EFBIG, which the ledger knows as missing room.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .context("handling SIGXFSZ")?;
    let stopping = [SIGTERM, SIGINT].into_iter().chain((!is_hangup_ignored()).then_some(SIGHUP));
    let mut signals = Signals::new(stopping).context("handling SIGTERM, SIGINT and SIGHUP")?;
    let life = life.clone();
    let listen = move || {
        for signal in signals.forever() {
            take(signal, &life);
        }
    };
    threads::start("signals", listen)?;
    Ok(())
}

fn take(signal: i32, life: &Lifecycle) {
    let name = signal_name(signal).unwrap_or("unknown");
    if !life.is_stopping() {
        log::info!("action: shutdown | result: in_progress | signal: {name}");
        life.stop();
    } else if signal != SIGHUP {
        // A terminal that closes may send SIGHUP twice, by the kernel and by the shell. So a SIGHUP
        // never cuts a drain short.
        log::warn!("action: exit | result: fail | signal: {name} | error: a second signal");
        crate::log::finish();
        std::process::exit(EXIT_AT_ONCE);
    }
}

/// Whether SIGHUP is ignored now. The standard library offers no safe way to ask the kernel; where
/// `/proc` cannot be read the answer is no.
fn is_hangup_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_ignored(&status, SIGHUP))
}

/// Reads `SigIgn` of a `/proc/PID/status`: a hexadecimal mask, signal 1 in the lowest bit.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_a_bit_of_the_status() {
        for (status, hangup, interrupt) in [
            ("Name:\tx\nSigIgn:\t0000000000000000\n", false, false),
            ("SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001000\n", false, false),
            ("SigIgn:\t0000000000000001\nSigCgt:\t0000000000000000\n", true, false),
            ("SigIgn:\t8000000000000002\n", false, true),
            ("SigIgn:\t0000000000001007", true, true),
            ("SigIgn:\n", false, false),
            ("SigIgn:\tx\n", false, false),
            ("", false, false),
        ] {
            let found = [SIGHUP, SIGINT].map(|signal| is_ignored(status, signal));
            assert_eq!(found, [hangup, interrupt], "{status:?}");
        }
    }
}
