//! The commands of the program: from what was typed to an exit code.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::{Cli, Command, ExportArgs, ServeArgs, VerifyArgs};
use crate::audit;
use crate::config::Config;
use crate::failure::Failure;
use crate::lifecycle::Lifecycle;
use crate::{log, server, signals};

/// Does what was asked; a failure is told on stderr.
#[must_use]
#[expect(clippy::print_stderr, reason = "the one place that reports a failure")]
pub fn execute(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Serve(args) => serve(&args),
        Command::Export(args) => export(&args),
        Command::Verify(args) => verify(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bolillero-server: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = Config::new(args, |name| std::env::var(name).ok()).map_err(Failure::Usage)?;
    log::start(config.log_level);
    ::log::info!(
        "action: config | result: success | port: {} | listen_backlog: {} | logging_level: {}",
        config.listen.port(),
        config.backlog,
        config.log_level_name
    );
    let life = Lifecycle::new();
    signals::watch(&life).map_err(Failure::Setup)?;
    let socket = server::bind(&config)?;
    let served = server::run(&config, socket, &life);
    if served.is_ok() {
        ::log::info!("action: exit | result: success");
    }
    log::finish();
    served
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    match &args.output {
        None => audit::export(&args.data_dir, io::stdout().lock())?,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("creating {}", path.display()));
            audit::export(&args.data_dir, BufWriter::new(file.map_err(Failure::Setup)?))?
        }
    };
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let verified = audit::verify(&args.data_dir)?;
    let mut out = io::stdout().lock();
    verified
        .report(&mut out)
        .and_then(|()| out.flush())
        .context("writing the report")
        .map_err(Failure::Setup)
}
