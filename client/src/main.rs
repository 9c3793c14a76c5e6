//! The program `bolillero`: reads the command line, runs it, reports how it ended. Decides nothing
//! else.

use std::io::Write as _;
use std::process::ExitCode;

use bolillero_protocol::log_line::message;
use clap::Parser as _;

fn main() -> ExitCode {
    let Err(error) = bolillero::run(bolillero::args::Args::parse()) else {
        return ExitCode::SUCCESS;
    };
    let said = format!("{error:#}");
    // Where even stderr is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "bolillero: {}", message(&said));
    ExitCode::from(bolillero::exit_code(&error))
}
