//! The commands of the program: from what was typed to an exit code.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use crate::args::{
    Cli, Command, EchoArgs, ExportArgs, FilesArgs, RepairArgs, ServeArgs, VerifyArgs,
};
use crate::audit::{self, Given, Style};
use crate::config::{Config, Connections, EchoConfig, FilesConfig, HealthConfig};
use crate::failure::Failure;
use crate::lifecycle::Lifecycle;
use crate::server::Sockets;
use crate::{health, log, server, signals};

/// Executes what was typed. A failure is shown, and its kind is the exit code.
#[must_use]
pub fn execute(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Serve(args) => serve(&args),
        Command::Files(args) => files(&args),
        Command::Echo(args) => echo(&args),
        Command::Health(args) => HealthConfig::new(&args, environment)
            .map_err(Failure::Usage)
            .and_then(|config| health::ask(&config)),
        Command::Export(args) => export(&args),
        Command::Verify(args) => verify(&args),
        Command::Repair(args) => repair(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::show_failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = Config::new(args, environment).map_err(Failure::Usage)?;
    live(&config.connections, config.listen, |life| {
        server::run(&config, Sockets::bind(&config)?, life)
    })
}

fn files(args: &FilesArgs) -> Result<(), Failure> {
    let FilesConfig { service, connections } =
        FilesConfig::new(args, environment).map_err(Failure::Usage)?;
    let socket = server::bind(service.listen, connections.backlog)?;
    let address = socket.local_addr().context("asking for the address").map_err(Failure::Setup)?;
    let files = server::files_of(&service)?;
    // Deployed scripts wait for this line. Where stdout is closed nobody waits.
    let (directory, host, port) = (service.directory.display(), address.ip(), address.port());
    let _ = writeln!(io::stdout(), "Serving {directory} on {host}:{port}.");
    live(&connections, address, |life| server::run_alone(files, &connections, socket, life))
}

fn echo(args: &EchoArgs) -> Result<(), Failure> {
    let config = EchoConfig::new(args, environment).map_err(Failure::Usage)?;
    live(&config.connections, config.listen, |life| {
        let socket = server::bind(config.listen, config.connections.backlog)?;
        config.echo.announce();
        server::run_alone(Arc::new(config.echo), &config.connections, socket, life)
    })
}

/// A server's life around what it serves: its log and the signals.
fn live(
    connections: &Connections,
    listen: SocketAddr,
    serve: impl FnOnce(&Lifecycle) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Connections { backlog, log_level, log_level_name, .. } = *connections;
    log::start(log_level);
    ::log::info!(
        "action: config | result: success | port: {} | listen_backlog: {backlog} | logging_level: {log_level_name}",
        listen.port(),
    );
    let life = Lifecycle::new();
    signals::watch(&life).map_err(Failure::Setup)?;
    let served = serve(&life);
    match &served {
        Ok(()) => ::log::info!("action: exit | result: success"),
        // What ended a life that serves was logged when it happened.
        Err(failure) if !life.is_abandoned() => log::fail(failure),
        Err(_) => {}
    }
    log::finish();
    served
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let style = if args.for_spreadsheets { Style::Spreadsheet } else { Style::Exact };
    let data_dir = &args.data_dir;
    match &args.output {
        Some(path) => audit::export_to(data_dir, path, style).map(drop),
        None => unless_nobody_reads(audit::export(data_dir, io::stdout().lock(), style).map(drop)),
    }
}

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let verified = audit::verify(&args.data_dir)?;
    report(|out| if args.json { verified.report_json(out) } else { verified.report(out) })
}

fn repair(args: &RepairArgs) -> Result<(), Failure> {
    let output = args.output.as_deref().filter(|_| !args.dry_run);
    let terms = args.agencies.zip(args.winning_number);
    let given = terms.map(|(agencies, number)| Given::new(agencies, number)).transpose();
    let given = given.map_err(Failure::Usage)?;
    let repaired = audit::repair(&args.data_dir, output, given)?;
    report(|out| repaired.report(out))?;
    repaired.judge()
}

fn report(write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let reported = write(&mut out).and_then(|()| out.flush());
    unless_nobody_reads(reported.context("writing the report").map_err(Failure::Setup))
}

/// Who reads only the beginning, as `head` does, has what it wanted.
fn unless_nobody_reads(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(Failure::Setup(error)) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
