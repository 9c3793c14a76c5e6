//! The program `bolillero`: reads the command line and executes it. Decides nothing else.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    bolillero::execute(bolillero::args::Args::parse())
}
