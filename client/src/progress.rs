//! The bar on a terminal, on stderr. Where stderr is no terminal there is none.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over the bytes of a file.
pub(crate) fn bytes_of_file(bytes: u64) -> ProgressBar {
    bar(bytes, "{wide_bar} {bytes}/{total_bytes}")
}

/// A bar over bets.
pub(crate) fn bets(bets: u64) -> ProgressBar {
    bar(bets, "{wide_bar} {human_pos}/{human_len} bets")
}

fn bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style)
}
