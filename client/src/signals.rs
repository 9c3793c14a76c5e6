//! Turns SIGTERM, SIGINT and SIGHUP into the end of a client's work. The process may be PID 1, where
//! the kernel's defaults do not apply. SIGHUP stays ignored if the process began with it ignored, as
//! under `nohup`.

use std::fs;
use std::io::Write as _;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::ending::Ending;
use crate::room::Screen;
use crate::threads;

/// How long the work may take to notice that its end is asked for. Some of it cannot: a name that
/// is looked up, a connection that is being opened, a file that is a pipe.
const NOTICE_TIME_MAX: Duration = Duration::from_millis(300);
/// The exit code of work that ends because that was asked for.
const EXIT_ASKED: i32 = 0;
/// The exit code of files that are not whole: who goes on with them must know.
const EXIT_UNFETCHED: i32 = 1;
/// The exit code of a load that did not measure.
const EXIT_UNMEASURED: i32 = 1;

/// Has the first signal ask `ending` for the end, and end the process if it does not come soon.
///
/// # Errors
/// What the operating system refuses.
pub(crate) fn watch(ending: &Ending) -> anyhow::Result<()> {
    let ending = ending.clone();
    listen(EXIT_ASKED, move |signal| {
        log::info!("action: shutdown | result: in_progress | signal: {signal}");
        ending.ask();
        if !ending.ends_within(NOTICE_TIME_MAX) && ending.end() {
            log::info!("action: stop | result: success");
            process::exit(EXIT_ASKED);
        }
    })
}

/// As [`watch`], for work whose end before it is done is no success.
///
/// # Errors
/// What the operating system refuses.
pub(crate) fn watch_files(ending: &Ending) -> anyhow::Result<()> {
    let ending = ending.clone();
    listen(EXIT_UNFETCHED, move |signal| {
        ending.ask();
        if !ending.ends_within(NOTICE_TIME_MAX) && ending.end() {
            // Where even stderr is closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "bolillero: {signal} came before all was done");
            process::exit(EXIT_UNFETCHED);
        }
    })
}

/// As [`watch`], for a guest of a room, who leaves without a word: the terminal is left as it was.
///
/// # Errors
/// What the operating system refuses.
pub(crate) fn watch_room(ending: &Ending, screen: Screen) -> anyhow::Result<()> {
    let ending = ending.clone();
    // A second signal changes nothing: the first ends the process, and behind it the terminal is
    // put back.
    on_first(move |_| {
        ending.ask();
        if !ending.ends_within(NOTICE_TIME_MAX) && ending.end() {
            screen.restore();
            process::exit(EXIT_ASKED);
        }
    })
}

/// Has the first signal end a load, of which nothing needs to be kept.
///
/// # Errors
/// What the operating system refuses.
pub(crate) fn end_load() -> anyhow::Result<()> {
    listen(EXIT_UNMEASURED, |signal| {
        // Where even stderr is closed there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "bolillero: {signal} came before all was measured");
        process::exit(EXIT_UNMEASURED);
    })
}

/// Does `end` at the first signal; a later SIGTERM or SIGINT ends the process at once, with `code`. A
/// later SIGHUP does not: a terminal that closes may send two, by the kernel and by the shell.
fn listen(code: i32, end: impl FnOnce(&'static str) + Send + 'static) -> anyhow::Result<()> {
    let (seen, signals) = (Arc::new(AtomicBool::new(false)), asking());
    for &signal in &signals {
        // In this order: at the first signal the flag is not set yet.
        if signal != SIGHUP {
            signal_hook::flag::register_conditional_shutdown(signal, code, seen.clone())
                .context(HANDLING)?;
        }
        signal_hook::flag::register(signal, seen.clone()).context(HANDLING)?;
    }
    on_first_of(&signals, end)
}

/// Does `end` at the first signal.
fn on_first(end: impl FnOnce(&'static str) + Send + 'static) -> anyhow::Result<()> {
    on_first_of(&asking(), end)
}

fn on_first_of(
    signals: &[i32],
    end: impl FnOnce(&'static str) + Send + 'static,
) -> anyhow::Result<()> {
    let mut signals = Signals::new(signals).context(HANDLING)?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            end(signal_name(signal).unwrap_or("a signal"));
        }
    };
    threads::start("signals", wait)?;
    Ok(())
}

/// The signals that ask for the end.
fn asking() -> Vec<i32> {
    [SIGTERM, SIGINT].into_iter().chain((!is_hangup_ignored()).then_some(SIGHUP)).collect()
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

const HANDLING: &str = "handling SIGTERM, SIGINT and SIGHUP";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_a_bit_of_the_status() {
        for (status, hangup, interrupt) in [
            ("Name:\tx\nSigIgn:\t0000000000000000\n", false, false),
            ("SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001000\n", false, false),
            ("SigIgn:\t0000000000000001\nSigCgt:\t0000000000000000\n", true, false),
            ("SigIgn:\t0000000000001006\n", false, true),
            ("SigIgn:\tx\n", false, false),
            ("", false, false),
        ] {
            let found = [SIGHUP, SIGINT].map(|signal| is_ignored(status, signal));
            assert_eq!(found, [hangup, interrupt], "{status:?}");
        }
    }
}
