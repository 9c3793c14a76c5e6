//! Turns SIGTERM and SIGINT into the end of a client's work. The process may be PID 1, where the
//! kernel's defaults do not apply.

use std::io::Write as _;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::ending::Ending;
use crate::room::Screen;

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
            log::info!("action: exit | result: success");
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

/// Does `end` at the first signal; a second one ends the process at once, with `code`.
fn listen(code: i32, end: impl FnOnce(&'static str) + Send + 'static) -> anyhow::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: at the first signal the flag is not set yet.
        signal_hook::flag::register_conditional_shutdown(signal, code, seen.clone())
            .and_then(|_| signal_hook::flag::register(signal, seen.clone()))
            .context("handling SIGTERM and SIGINT")?;
    }
    on_first(end)
}

/// Does `end` at the first signal.
fn on_first(end: impl FnOnce(&'static str) + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("handling SIGTERM and SIGINT")?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            end(if signal == SIGTERM { "SIGTERM" } else { "SIGINT" });
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).context("starting a thread")?;
    Ok(())
}
