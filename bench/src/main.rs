//! Measures the server beside the references, in turns, and shows ratios.

#![forbid(unsafe_code)]

mod harness;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let Err(error) = harness::run(harness::args::Args::parse()) else {
        return ExitCode::SUCCESS;
    };
    // Where even stderr is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "bolillero-bench: {error:#}");
    ExitCode::FAILURE
}
