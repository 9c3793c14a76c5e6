//! The commands of the program: from what was typed to an outcome.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::process::ExitCode;
use std::thread;

use ::log::LevelFilter;
use anyhow::{Context as _, anyhow, bail, ensure};
use bolillero_protocol::bet::Number;
use bolillero_protocol::log_line;

use crate::agency::{Session, Terms};
use crate::args::{Args, Command};
use crate::base::Base;
use crate::batches::{Batch, Batches};
use crate::bet::SingleBet;
use crate::config::{
    AgencyConfig, BetConfig, Dialect, EchoConfig, Environment, FilesConfig, GenerateConfig,
    LoadConfig, PkiConfig, ProbeConfig, RoomConfig, UsageError,
};
use crate::dialogue::{Progress, Stop};
use crate::ending::Ending;
use crate::source::Source;
use crate::text::Text;
use crate::winners::{WinnerList, WinnersOutput};
use crate::{connect, echo, files, generate, load, log, pki, probe, progress, room, signals};

/// Executes what was typed. A failure is shown, and its kind is the exit code.
#[must_use]
pub fn execute(args: Args) -> ExitCode {
    let Err(error) = run(args) else { return ExitCode::SUCCESS };
    log::show_failure(&error);
    ExitCode::from(exit_code(&error))
}

fn run(args: Args) -> anyhow::Result<()> {
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
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() {
        return 2;
    }
    error.downcast_ref().map_or(1, Stop::exit_code)
}

fn run_agency(config: &AgencyConfig) -> anyhow::Result<()> {
    let lines = match config.winners {
        Some(WinnersOutput::Stdout) => &log::Lines::Stderr,
        _ => &log::Lines::Stdout,
    };
    log::start(lines, config.client.log_level.filter);
    until_asked("agency", "", |ending| {
        ::log::info!("action: config | result: success | {}", config.log_fields());
        let output = config.winners.as_ref();
        output.map_or(Ok(()), |output| output.check(&config.bets))?;
        let winners = serve_file(config, ending)?;
        output.map_or(Ok(()), |output| output.write(&winners))?;
        ::log::info!("action: stop | result: success");
        Ok(())
    })
}

fn run_bet(config: &BetConfig) -> anyhow::Result<()> {
    let bet = config.bet();
    let number = bet.number().map_or(0, Number::value);
    let named = format!("dni: {} | numero: {number} | ", bet.document);
    log::start(&log::Lines::Stdout, config.client.log_level.filter);
    until_asked("apuesta_enviada", &named, |ending| {
        ::log::info!("action: config | result: success | {}", config.client.log_fields());
        let office = &config.client.office;
        Ok(connect::converse(office, &mut SingleBet::new(bet), ending, &mut |_| {})?)
    })
}

fn run_echo(EchoConfig { client }: &EchoConfig) -> anyhow::Result<()> {
    let named = format!("client_id: {} | ", client.id);
    log::start(&log::Lines::Stdout, client.log_level.filter);
    until_asked("receive_message", &named, |ending| {
        ::log::info!("action: config | result: success | {}", client.log_fields());
        Ok(echo::run(client, ending)?)
    })
}

fn run_probe(config: &ProbeConfig) -> anyhow::Result<()> {
    let service = config.service.name();
    log::start(&log::Lines::Stdout, config.log_level.filter);
    until_asked("probe", &format!("service: {service} | "), |ending| {
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
    work: impl FnOnce(&Ending) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ending = Ending::default();
    signals::watch(&ending)?;
    let outcome = work(&ending);
    end(&ending);
    let Err(error) = outcome else { return Ok(()) };
    if matches!(error.downcast_ref(), Some(Stop::Asked)) {
        ::log::info!("action: stop | result: success");
        return Ok(());
    }
    let shown = log_line::value(&format!("{error:#}"));
    log::fail(format_args!("action: {action} | result: fail | {named}error: {shown}"));
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

/// Sends the file and waits for the draw; returns who won.
fn serve_file(config: &AgencyConfig, ending: &Ending) -> anyhow::Result<WinnerList> {
    let (id, name) = (config.client.id, config.bets.display().to_string());
    let file = File::open(&config.bets).map_err(|error| unreadable(&name, error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&name, error))?;
    check_before(config, &name, &file, metadata.is_file())?;
    let mut batches = batches(config, &name, &file);
    if !config.allow_empty && batches.is_empty() {
        bail!(
            "{name} has no bets: nothing was sent. If this agency takes part in the draw without a \
             bet, start it with --allow-empty"
        );
    }
    let office = &config.client.office;
    let mut bar = progress::FileBar::new(metadata.len());
    let watch: &mut dyn FnMut(Progress) = &mut |progress| bar.show(progress);
    Ok(match config.dialect {
        Dialect::Base => {
            let mut base = Base::new(id, &name, batches);
            connect::converse(office, &mut base, ending, watch)?;
            base.into_winners()
        }
        Dialect::Session => {
            let terms = Terms { agency: id, window: config.window, draw: config.draw };
            let mut session = Session::new(terms, batches);
            connect::converse(office, &mut session, ending, watch)?;
            session.into_winners()
        }
        Dialect::Text => {
            let mut text = Text::new(id, &name, batches);
            connect::converse_in_text(office, &mut text, ending, watch)?;
            text.into_winners()
        }
    })
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

fn batches<'a>(config: &AgencyConfig, name: &str, file: &'a File) -> Batches<BufReader<&'a File>> {
    let source = match config.dialect {
        Dialect::Text => Source::for_text(BufReader::new(file), name, config.client.id),
        Dialect::Base | Dialect::Session => {
            Source::new(BufReader::new(file), name, config.client.id)
        }
    };
    Batches::new(source, config.limits.clone())
}

/// Without sessions an agency cannot go on with what it has begun: a file whose end it would not come
/// to is not begun. One that cannot be read twice, such as a pipe, is begun in base operations only.
fn check_before(
    config: &AgencyConfig,
    name: &str,
    mut file: &File,
    can_be_read_twice: bool,
) -> anyhow::Result<()> {
    match config.dialect {
        Dialect::Session => return Ok(()),
        Dialect::Base if !can_be_read_twice => return Ok(()),
        Dialect::Base | Dialect::Text => {}
    }
    let mut bets = 0;
    for batch in batches(config, name, file) {
        bets += u64::from(batch.and_then(Batch::checked).context("nothing was sent")?.bets);
    }
    ensure!(
        bets > 0 || config.dialect == Dialect::Base,
        "{name} has no bets, and without one the text dialect cannot say that an agency is ready"
    );
    file.rewind().with_context(|| format!("reading {name} again"))
}

fn run_generate(config: &GenerateConfig) -> anyhow::Result<()> {
    let plan = &config.plan;
    // `make run` starts an agency for each file, also for one of an earlier, larger sample.
    let next = config.output.join(generate::file_name(plan.agencies + 1));
    ensure!(
        !next.exists(),
        "{} is there from an earlier sample of more agencies: remove that sample, or give another --output",
        next.display()
    );
    let bar = progress::bets(u64::from(plan.agencies).saturating_mul(plan.bets));
    let mut bytes = 0;
    for agency in 1..=plan.agencies {
        let path = config.output.join(generate::file_name(agency));
        bytes += generate::write_file(plan, agency, &path, &mut |bets| bar.inc(bets))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    drop(bar);
    // The files are written, whether or not anybody reads this.
    let said = generate::summary(plan, &config.output, bytes);
    let _ = writeln!(io::stdout(), "{}", log_line::message(&said));
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
