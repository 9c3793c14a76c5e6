//! The bar on a terminal, on stderr. Where stderr is no terminal there is none.

use std::io::IsTerminal as _;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::dialogue::Progress;

/// A bar that leaves the terminal when it is dropped.
pub(crate) struct Bar(ProgressBar);

/// How much of a file of bets was sent, then that the draw is waited for.
pub(crate) struct FileBar {
    bar: Bar,
    waits_for_draw: bool,
}

/// What an agency does after its last bet. An office does not say how many others are ready.
const WAITING: &str = "waiting for the draw";

impl FileBar {
    /// A bar over the bytes of a file; 0 where they are not known.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = match bytes {
            0 => begin(0, "{spinner} {bytes}, {bytes_per_sec}"),
            _ => bytes_of_file(bytes),
        };
        Self { bar, waits_for_draw: false }
    }

    /// Shows how far the work has come. The first time that it waits for the draw is logged as well.
    pub(crate) fn show(&mut self, progress: Progress) {
        if self.waits_for_draw {
            return;
        }
        self.bar.set_position(progress.bytes);
        if progress.waits_for_draw {
            self.waits_for_draw = true;
            // Blank lines at the file's end belong to no batch.
            let end = self.bar.length().unwrap_or(0).max(progress.bytes);
            self.bar.set_length(end);
            self.bar.set_position(end);
            self.bar.reset_elapsed();
            set_template(&self.bar, "{wide_bar} {percent}% {bytes}, {msg} {elapsed}");
            self.bar.set_message(WAITING);
            log::info!("action: consulta_ganadores | result: in_progress | note: {WAITING}");
        }
    }
}

/// A bar over the bytes of a file.
pub(crate) fn bytes_of_file(bytes: u64) -> Bar {
    begin(bytes, "{wide_bar} {percent}% {bytes}/{total_bytes}, {bytes_per_sec}, ETA {eta}")
}

/// A bar over bets.
pub(crate) fn bets(bets: u64) -> Bar {
    begin(bets, "{wide_bar} {percent}% {human_pos}/{human_len} bets, {per_sec}, ETA {eta}")
}

/// The bar that is on the terminal.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Does `work`, which writes to the terminal, where no bar is in its way.
pub(crate) fn set_aside(work: impl FnOnce()) {
    match &*SHOWN.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(work),
        None => work(),
    }
}

fn begin(length: u64, template: &str) -> Bar {
    if !std::io::stderr().is_terminal() {
        return Bar(ProgressBar::hidden());
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    set_template(&bar, template);
    // A bar is not drawn at each change: without ticks the last change may stay unseen.
    bar.enable_steady_tick(TICK);
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    Bar(bar)
}

fn set_template(bar: &ProgressBar, template: &str) {
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
}

impl Deref for Bar {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How often a bar is drawn anew.
const TICK: Duration = Duration::from_millis(250);
