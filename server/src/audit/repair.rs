//! Saves what is sound of a damaged ledger into a new data directory. Changes nothing of the old one,
//! replaces nothing, and never guesses: what it keeps is proved whole by numbers and checksums.

mod keep;
mod report;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use bolillero_protocol::bet::{AGENCIES_MAX, Number};

pub use self::report::Repaired;
use super::{open_directory, verify_ledger};
use crate::data_dir::LOCK_FILE;
use crate::failure::Failure;
use crate::ledger::disk::{Directory, Disk};
use crate::ledger::record::{Kind, Record};
use crate::ledger::rewrite::Rewriter;
use crate::ledger::salvage::{Durable, Find, Survey, salvage, survey};
use crate::lottery::event::{open_body, open_record};
use crate::lottery::state::Terms;
use crate::server::LEDGER_DIRECTORY;

/// The ledger has its name only once it is whole.
const UNFINISHED: &str = "unfinished";

/// What a draw is about, where its ledger can no longer tell.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// The agencies are 1 to this many.
    pub agencies: u32,
    /// The number that wins.
    pub winning_number: Number,
}

impl Given {
    /// What was typed, if it can be.
    ///
    /// # Errors
    /// Which of them means nothing.
    pub fn new(agencies: u32, winning_number: u16) -> anyhow::Result<Self> {
        ensure!(agencies <= AGENCIES_MAX, "--agencies {agencies}: not 0 to {AGENCIES_MAX}");
        let number = Number::new(winning_number);
        let number =
            number.with_context(|| format!("--winning-number {winning_number}: not 0 to 9999"))?;
        Ok(Self { agencies, winning_number: number })
    }
}

/// Reads the ledger of `data_dir`, and writes what is sound of it to the new directory `output`, if
/// there is one to be written.
///
/// # Errors
/// [`Failure`]: nothing can be kept, or `output` is not empty, or a server works in `data_dir`. Then
/// nothing was written.
pub fn repair(
    data_dir: &Path,
    output: Option<&Path>,
    given: Option<Given>,
) -> Result<Repaired, Failure> {
    let source = open_directory(data_dir)?;
    let _lock = keep_servers_out(data_dir).map_err(Failure::Setup)?;
    let Some(output) = output else { return repair_ledger(&source, None, given) };
    let unfinished = output.join(UNFINISHED);
    let target = create_output(output, &unfinished).map_err(Failure::Setup)?;
    let repaired = repair_ledger(&source, Some(&target), given).and_then(|mut repaired| {
        let named = fs::rename(&unfinished, output.join(LEDGER_DIRECTORY))
            .and_then(|()| File::open(output)?.sync_all());
        named.map_err(writing)?;
        repaired.written = Some(output.display().to_string());
        Ok(repaired)
    });
    if repaired.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&unfinished);
    }
    repaired
}

/// As [`repair`], from disk to disk.
///
/// # Errors
/// [`Failure`]
pub fn repair_ledger(
    source: &dyn Disk,
    target: Option<&dyn Disk>,
    given: Option<Given>,
) -> Result<Repaired, Failure> {
    let survey = survey(source)?;
    let draw = survey.draw.ok_or_else(|| nothing("no file of it says which draw it is of"))?;
    let out = target.map(|disk| Rewriter::new(disk, draw, survey.size_max));
    let repaired =
        Repaired { end_is_unknown: survey.durable() == Durable::Unknown, ..Repaired::default() };
    let mut work = Work { given, survey: &survey, repaired, out };
    salvage(source, &survey, &mut |find| work.take(find))?;
    let repaired = work.finish()?;
    if let Some(target) = target {
        check_written(target, &repaired)?;
    }
    Ok(repaired)
}

/// A repair under way.
struct Work<'a> {
    given: Option<Given>,
    survey: &'a Survey,
    repaired: Repaired,
    out: Option<Rewriter<'a>>,
}

impl Work<'_> {
    fn take(&mut self, find: Find<'_>) -> Result<(), Failure> {
        match find {
            Find::Unreadable(unreadable) => self.repaired.unreadable.push(unreadable),
            Find::Missing(missing) => {
                self.repaired.keeper.miss(&missing);
                self.repaired.missing.push(missing);
            }
            Find::Group(group) => {
                for record in group.records() {
                    match record {
                        Ok(record) => self.take_record(&record)?,
                        Err(_) => self.repaired.keeper.strays += 1,
                    }
                }
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Failure> {
        let ended = self.out.as_mut().map_or(Ok(()), Rewriter::end_group);
        ended.map_err(writing)
    }

    fn take_record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        if self.repaired.keeper.replayed.state.is_none() && record.kind != Kind::Open {
            let draw = self.survey.draw.expect("a survey without a draw is not worked on");
            let Given { agencies, winning_number } = self.given.ok_or_else(|| nothing(NO_TERMS))?;
            let terms = Terms { agencies, winning_number, draw };
            self.keep(&open_record(&terms, &open_body(&terms)))?;
            self.end_group()?;
            self.repaired.terms_given = true;
        }
        self.keep(record)
    }

    fn keep(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        let Self { repaired, out, .. } = self;
        let out = &mut |record: &Record<'_>| out.as_mut().map_or(Ok(()), |out| out.add(record));
        repaired.keeper.take(record, out).map_err(writing)
    }

    fn finish(mut self) -> Result<Repaired, Failure> {
        let Some(state) = &self.repaired.keeper.replayed.state else {
            return Err(nothing("it has no whole record"));
        };
        let terms = state.terms();
        let differs = |given: &Given| {
            (given.agencies, given.winning_number) != (terms.agencies, terms.winning_number)
        };
        if self.given.as_ref().is_some_and(differs) {
            let (agencies, number) = (terms.agencies, terms.winning_number.value());
            return Err(Failure::Setup(anyhow!(
                "the ledger is of a draw with --agencies {agencies} and --winning-number {number}, \
                 which is not what was given: leave them out"
            )));
        }
        if let Some(out) = self.out.take() {
            out.finish().map_err(writing)?;
        }
        Ok(self.repaired)
    }
}

const NO_TERMS: &str = "its first group is lost, and with it how many agencies there are and which \
    number wins: say so with --agencies and --winning-number, as its server was started";

/// Holds that what was written is sound, and is what was kept.
fn check_written(target: &dyn Disk, repaired: &Repaired) -> Result<(), Failure> {
    let verified = verify_ledger(target)?;
    if verified.is_some_and(|verified| verified.is_of(repaired.keeper.state())) {
        return Ok(());
    }
    Err(Failure::Disk("the repaired ledger does not read back as it was written".to_owned()))
}

/// A server that goes on writing would leave a copy behind that lacks what came later.
fn keep_servers_out(data_dir: &Path) -> anyhow::Result<Option<File>> {
    // A copy may lie where nothing can be written.
    let file = match File::open(data_dir.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("opening {LOCK_FILE} in {}", data_dir.display()))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(anyhow!("{}: a server works in this data directory", data_dir.display()))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn create_output(output: &Path, unfinished: &Path) -> anyhow::Result<Directory> {
    let name = output.display();
    if output.exists() {
        let mut entries = fs::read_dir(output).with_context(|| format!("reading {name}"))?;
        ensure!(
            entries.next().is_none(),
            "{name}: it is not empty, and nothing is ever replaced: name a new directory"
        );
    }
    Directory::create(unfinished).with_context(|| format!("creating {}", unfinished.display()))
}

fn nothing(why: &str) -> Failure {
    Failure::Damaged(format!("nothing of the ledger can be kept: {why}"))
}

fn writing(error: io::Error) -> Failure {
    Failure::Setup(anyhow::Error::from(error).context("writing the repaired ledger"))
}
