//! The program `bolillero-server`: reports what the library does.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use bolillero_server::{args::Cli, commands};
use clap::Parser as _;

fn main() -> ExitCode {
    commands::execute(Cli::parse())
}
