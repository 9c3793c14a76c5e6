//! Writes all stored bets as CSV. Takes no lock, changes nothing, and may run beside a server.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bolillero_fs::{Access, WholeFile};
use bolillero_protocol::bet::{Bet, Bets};

use super::spreadsheet::harmless;
use super::{damaged_at, open_directory};
use crate::failure::Failure;
use crate::ledger::committer::segment_name;
use crate::ledger::disk::{Directory, Disk, File, read_full_at};
use crate::ledger::reader::{Next, Place, ReadError, read_ledger};
use crate::ledger::record::Kind;
use crate::ledger::segment::GROUP_HEADER_SIZE;

/// For what an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every field as it was bet.
    Exact,
    /// For reading in a spreadsheet program, which is kept from executing a field. Not for importing it
    /// again.
    Spreadsheet,
}

/// Where a batch's body stands in the ledger.
struct BodyPlace {
    segment: u32,
    length: u32,
    offset: u64,
}

// An export keeps one for every batch.
const _: () = assert!(size_of::<BodyPlace>() == 16);

/// Writes every stored bet as a row `agency,first name,last name,document,birth date,number`,
/// agency by agency, in the order of its lane. Ends rows with CRLF and quotes only where it must.
/// Returns how many.
///
/// # Errors
/// [`Failure`]
pub fn export(data_dir: &Path, out: impl Write, style: Style) -> Result<u64, Failure> {
    let disk = open_directory(data_dir)?;
    let places = find_batches(&disk)?;
    let terminator = csv::Terminator::CRLF;
    let mut rows = csv::WriterBuilder::new().terminator(terminator).from_writer(out);
    let mut bodies = Bodies { disk: &disk, open: None, body: Vec::new() };
    let mut count = 0;
    for (agency, batches) in (1_u32..).zip(&places) {
        let agency = agency.to_string();
        for place in batches {
            let body = bodies.read(place)?;
            let bets = Bets::read(body).map_err(|error| damaged(place, error.to_string()))?;
            for bet in bets {
                let bet = bet.map_err(|error| damaged(place, error.to_string()))?;
                write_row(&mut rows, &agency, &bet, style)?;
                count += 1;
            }
        }
    }
    rows.flush().context("writing rows").map_err(Failure::Setup)?;
    Ok(count)
}

/// Like [`export`], but into a file that only its owner may read. It has its name only once it is whole,
/// so that half an export is never taken for one; what cannot be renamed (a device, a named pipe) is
/// written as it is.
///
/// # Errors
/// [`Failure`]. A file that was there is as it was.
pub fn export_to(data_dir: &Path, path: &Path, style: Style) -> Result<u64, Failure> {
    if path.exists() && !path.is_file() {
        return export(data_dir, open_special(path).map_err(Failure::Setup)?, style);
    }
    let writing = || format!("writing {}", path.display());
    let file = WholeFile::create(path, Access::Owner);
    let mut file = file.with_context(writing).map_err(Failure::Setup)?;
    let count = export(data_dir, &mut file, style)?;
    let named = file.sync().and_then(|()| file.replace());
    named.with_context(writing).map_err(Failure::Setup)?;
    Ok(count)
}

/// Opens a device or a named pipe. A link to one is followed, as `/dev/stdout` is one; a file that has
/// taken its place since it was looked at is not written to.
fn open_special(path: &Path) -> anyhow::Result<fs::File> {
    let opening = || format!("opening {}", path.display());
    let file = fs::File::options().write(true).open(path).with_context(opening)?;
    let is_file = file.metadata().with_context(opening)?.is_file();
    ensure!(!is_file, "{}: it became a file while it was opened: try again", path.display());
    Ok(file)
}

/// Where the batches of each agency stand, in the order of its lane. Takes 16 bytes a batch.
fn find_batches(disk: &Directory) -> Result<Vec<Vec<BodyPlace>>, Failure> {
    let mut places: Vec<Vec<BodyPlace>> = Vec::new();
    read_ledger(disk, &mut |place, group| {
        let mut offset = place.offset + GROUP_HEADER_SIZE as u64;
        for record in group.records() {
            let record = record.map_err(|bad| damaged_at(place, bad.to_string()))?;
            offset += record.size() as u64;
            if record.kind == Kind::Batch {
                let agency = (record.agency as usize).max(1);
                places.resize_with(places.len().max(agency), Vec::new);
                let offset = offset - record.body.len() as u64;
                let length = u32::try_from(record.body.len()).expect("a record has a u32 length");
                places[agency - 1].push(BodyPlace { segment: place.segment, length, offset });
            }
        }
        Ok(Next::Continue)
    })?;
    Ok(places)
}

/// Reads bodies; keeps the file of the last one open, and no other.
struct Bodies<'a> {
    disk: &'a Directory,
    open: Option<(u32, Arc<dyn File>)>,
    body: Vec<u8>,
}

impl Bodies<'_> {
    fn read(&mut self, place: &BodyPlace) -> Result<&[u8], ReadError> {
        self.fill(place)
            .map_err(|source| ReadError::Io { file: segment_name(place.segment), source })?;
        Ok(&self.body)
    }

    fn fill(&mut self, place: &BodyPlace) -> io::Result<()> {
        let file = match self.open.take() {
            Some((segment, file)) if segment == place.segment => file,
            _ => self.disk.open(&segment_name(place.segment))?,
        };
        self.body.resize(place.length as usize, 0);
        let length = read_full_at(&*file, place.offset, &mut self.body)?;
        self.body.truncate(length);
        self.open = Some((place.segment, file));
        Ok(())
    }
}

fn write_row(
    rows: &mut csv::Writer<impl Write>,
    agency: &str,
    bet: &Bet<'_>,
    style: Style,
) -> Result<(), Failure> {
    let fields = [agency, bet.first_name, bet.last_name, bet.document, bet.birth_date, bet.number];
    let written = match style {
        Style::Exact => rows.write_record(fields),
        Style::Spreadsheet => rows.write_record(fields.map(|field| harmless(field).into_owned())),
    };
    let written = written.map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    });
    written.context("writing rows").map_err(Failure::Setup)
}

fn damaged(place: &BodyPlace, what: String) -> Failure {
    damaged_at(Place { segment: place.segment, offset: place.offset }, what).into()
}
