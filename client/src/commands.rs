//! The commands of the program: from what was typed to an outcome.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::thread;

use ::log::LevelFilter;
use anyhow::{Context as _, anyhow, ensure};
use bolillero_protocol::bet::Number;
use bolillero_protocol::log_line;

use crate::agency::{Session, Terms};
use crate::args::{Args, Command};
use crate::base::Base;
use crate::batches::Batches;
use crate::bet::SingleBet;
use crate::config::{
    AgencyConfig, BetConfig, Dialect, EchoConfig, Environment, FilesConfig, GenerateConfig,
    LoadConfig, LogLevel, PkiConfig, ProbeConfig, RoomConfig, UsageError,
};
use crate::dialogue::{Progress, Stop};
use crate::ending::Ending;
use crate::source::Source;
use crate::text::Text;
use crate::{connect, echo, files, generate, load, log, pki, probe, progress, room, signals};

/// The program: what was typed, done.
///
/// # Errors
/// Whatever ended it; [`exit_code`] says what a caller is told.
pub fn run(args: Args) -> anyhow::Result<()> {
    let environment: &Environment<'_> = &|name| std::env::var_os(name);
    match args.command {
        Command::Agency(args) => run_agency(&AgencyConfig::new(args, environment)?),
        Command::Bet(args) => run_bet(&BetConfig::new(&args, environment)?),
        Command::Echo(args) => run_echo(&EchoConfig::new(&args, environment)?),
        Command::Probe(args) => run_probe(&ProbeConfig::new(&args, environment)?),
        Command::Files { command } => run_files(&FilesConfig::new(command)?),
        Command::Room(args) => run_room(&RoomConfig::new(args)?),
        Command::Pki { command } => pki::run(&PkiConfig::new(command)?),
        Command::Generate(args) => run_generate(&GenerateConfig::new(args)?),
        Command::Load(args) => {
            let config = LoadConfig::new(&args)?;
            signals::end_load()?;
            load::run(&config)
        }
    }
}

/// The exit code that goes with an error: 1 failure, 2 usage, 3 chain mismatch, 6 fenced.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() {
        return 2;
    }
    error.downcast_ref().map_or(1, Stop::exit_code)
}

fn run_agency(config: &AgencyConfig) -> anyhow::Result<()> {
    until_asked("agency", "", &config.client.log_level, |ending| {
        ::log::info!("action: config | result: success | {}", config.log_fields());
        serve_file(config, ending)?;
        ::log::info!("action: exit | result: success");
        Ok(())
    })
}

fn run_bet(config: &BetConfig) -> anyhow::Result<()> {
    let bet = config.bet();
    let number = bet.number().map_or(0, Number::value);
    let named = format!("dni: {} | numero: {number} | ", bet.document);
    until_asked("apuesta_enviada", &named, &config.client.log_level, |ending| {
        ::log::info!("action: config | result: success | {}", config.client.log_fields());
        let office = &config.client.office;
        Ok(connect::converse(office, &mut SingleBet::new(bet), ending, &mut |_| {})?)
    })
}

fn run_echo(EchoConfig { client }: &EchoConfig) -> anyhow::Result<()> {
    let named = format!("client_id: {} | ", client.id);
    until_asked("receive_message", &named, &client.log_level, |ending| {
        ::log::info!("action: config | result: success | {}", client.log_fields());
        Ok(echo::run(client, ending)?)
    })
}

fn run_probe(config: &ProbeConfig) -> anyhow::Result<()> {
    let service = config.service.name();
    until_asked("probe", &format!("service: {service} | "), &config.log_level, |ending| {
        probe::run(config, ending)?;
        ::log::info!("action: probe | result: success | service: {service}");
        Ok(())
    })
}

/// Does `work` until it is done, fails, or a signal asks for its end. A failure is logged as one of
/// `action`, with the fields that `named` begins with.
fn until_asked(
    action: &str,
    named: &str,
    level: &LogLevel,
    work: impl FnOnce(&Ending) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    log::start(&log::Lines::Stdout, level.filter);
    let ending = Ending::default();
    signals::watch(&ending)?;
    let outcome = work(&ending);
    end(&ending);
    let Err(error) = outcome else { return Ok(()) };
    if matches!(error.downcast_ref(), Some(Stop::Asked)) {
        ::log::info!("action: exit | result: success");
        return Ok(());
    }
    let shown = log_line::value(&format!("{error:#}"));
    ::log::error!("action: {action} | result: fail | {named}error: {shown}");
    Err(error)
}

/// Stdout is for names and bytes: what is to be told goes to stderr.
fn run_files(config: &FilesConfig) -> anyhow::Result<()> {
    log::start(&log::Lines::Stderr, LevelFilter::Info);
    let ending = Ending::default();
    signals::watch_files(&ending)?;
    let outcome = files::run(config, &ending);
    end(&ending);
    Ok(outcome?)
}

/// Stdout is for what is said: what is to be told beside it goes to stderr.
fn run_room(config: &RoomConfig) -> anyhow::Result<()> {
    log::start(&log::Lines::Stderr, LevelFilter::Info);
    let (ending, screen) = (Ending::default(), room::Screen::open());
    signals::watch_room(&ending, screen.clone())?;
    let outcome = room::run(config, &ending, &screen);
    end(&ending);
    match outcome {
        Err(Stop::Asked) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Says that the work has ended.
fn end(ending: &Ending) {
    if !ending.end() {
        // The thread that heard the signal has said how this ends, and ends it.
        loop {
            thread::park();
        }
    }
}

fn serve_file(config: &AgencyConfig, ending: &Ending) -> anyhow::Result<()> {
    let (id, name) = (config.client.id, config.bets.display().to_string());
    let file = File::open(&config.bets).map_err(|error| unreadable(&name, error))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let bar = progress::bytes_of_file(bytes);
    let watch: &mut dyn FnMut(Progress) = &mut |progress| bar.set_position(progress.bytes);
    match config.dialect {
        Dialect::Base => {
            let mut base = Base::new(id, &name, batches(config, &name, file));
            connect::converse(&config.client.office, &mut base, ending, watch)?;
        }
        Dialect::Session => {
            let terms = Terms { agency: id, window: config.window, draw: config.draw };
            let mut session = Session::new(terms, batches(config, &name, file));
            connect::converse(&config.client.office, &mut session, ending, watch)?;
        }
        Dialect::Text => bring_file(config, &name, &file, ending, watch)?,
    }
    bar.finish_and_clear();
    Ok(())
}

/// In a container it is easily overlooked who reads: a user that this machine does not know.
fn unreadable(name: &str, error: io::Error) -> anyhow::Error {
    let user = rustix::process::getuid().as_raw();
    match error.kind() {
        io::ErrorKind::PermissionDenied => anyhow!(
            "reading {name} as user {user}: {error}. Its owner lets every user read it with \
             `chmod a+r`, as the images' user has to"
        ),
        _ => anyhow!(error).context(format!("reading {name}")),
    }
}

fn batches(config: &AgencyConfig, name: &str, file: File) -> Batches<BufReader<File>> {
    let source = Source::new(BufReader::new(file), name, config.client.id);
    Batches::new(source, config.limits.clone())
}

/// The text dialect cannot go on with what it has begun: a file that it would not come to the end of
/// is not begun.
fn bring_file(
    config: &AgencyConfig,
    name: &str,
    mut file: &File,
    ending: &Ending,
    watch: &mut dyn FnMut(Progress),
) -> anyhow::Result<()> {
    let batches = |file| {
        let source = Source::for_text(BufReader::new(file), name, config.client.id);
        Batches::new(source, config.limits.clone())
    };
    let mut bets = 0;
    for batch in batches(file) {
        bets += u64::from(batch.context("nothing was sent")?.bets);
    }
    ensure!(
        bets > 0,
        "{name} has no bets, and without one the text dialect cannot say that an agency is ready"
    );
    file.rewind().with_context(|| format!("reading {name} again"))?;
    let mut work = Text::new(config.client.id, name, batches(file));
    Ok(connect::converse_in_text(&config.client.office, &mut work, ending, watch)?)
}

fn run_generate(config: &GenerateConfig) -> anyhow::Result<()> {
    let bar = progress::bets(u64::from(config.plan.agencies).saturating_mul(config.plan.bets));
    for agency in 1..=config.plan.agencies {
        let path = config.output.join(generate::file_name(agency));
        generate::write_file(&config.plan, agency, &path, &mut |bets| bar.inc(bets))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_be_read_is_told_with_the_user_and_what_to_do() {
        let told = |kind: io::ErrorKind| format!("{:#}", unreadable("/a.csv", kind.into()));
        let denied = told(io::ErrorKind::PermissionDenied);
        assert!(denied.starts_with("reading /a.csv as user "), "{denied}");
        assert!(
            denied.contains(": permission denied. ") && denied.contains("chmod a+r"),
            "{denied}"
        );
        assert_eq!(told(io::ErrorKind::NotFound), "reading /a.csv: entity not found");
    }
}
