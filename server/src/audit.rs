//! Looks at a ledger from outside: takes its bets out, checks it, saves what is sound of a damaged one.
//! Changes nothing that is there, and starts no server.

use std::path::Path;

use crate::failure::Failure;
use crate::ledger::committer::segment_name;
use crate::ledger::disk::Directory;
use crate::ledger::reader::{Place, ReadError};
use crate::server::LEDGER_DIRECTORY;

mod export;
mod spreadsheet;
mod verify;
mod repair;

pub use export::{Style, export, export_to};
pub use repair::{Given, Repaired, repair, repair_ledger};
pub use verify::{Verified, verify, verify_ledger};

fn open_directory(data_dir: &Path) -> Result<Directory, Failure> {
    let path = data_dir.join(LEDGER_DIRECTORY);
    if path.is_dir() { Ok(Directory::new(path)) } else { Err(Failure::Setup(no_ledger(data_dir))) }
}

fn no_ledger(data_dir: &Path) -> anyhow::Error {
    anyhow::anyhow!("{}: there is no ledger in this data directory", data_dir.display())
}

fn damaged_at(place: Place, what: String) -> ReadError {
    ReadError::Damaged { file: segment_name(place.segment), offset: place.offset, what }
}
