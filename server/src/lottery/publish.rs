//! Writes the results as files that anybody may have. No bettor's name is in them.
//!
//! ```text
//! published/winners-agency-N.csv   the documents that won, one a line (CRLF), in the order of the lane
//! published/draw.json              draw id, winning number, and per agency the winners and the hash of their documents
//! published/SHA256SUMS             of all the others, as `sha256sum -c` reads it
//! ```

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use bolillero_fs::{Access, WholeFile, create_directory, is_unfinished};
use bolillero_protocol::chain::Hex;
use sha2::{Digest as _, Sha256};

use super::state::Terms;
use super::winners::{AgencyWinners, Winners, for_each_winner};
use crate::ledger::disk::Disk;

/// The directory with the results in a data directory.
pub const PUBLISHED_DIRECTORY: &str = "published";
/// How the name of a file with winners begins.
const WINNERS: &str = "winners-agency-";
const JSON: &str = "draw.json";
const SUMS: &str = "SHA256SUMS";

/// Writes the files, unless they are there as they were written. Each gets its name only when it is whole and synced;
/// what an earlier life left unfinished is removed. `access` may read what is written, on this machine.
///
/// # Errors
/// What could not be written. It can be tried again.
pub fn publish(
    directory: &Path,
    access: Access,
    terms: &Terms,
    winners: &Winners,
    disk: &dyn Disk,
) -> anyhow::Result<()> {
    let doing = |what: &str| format!("{what} {}", directory.display());
    create_directory(directory, access).with_context(|| doing("creating"))?;
    remove_unfinished(directory).with_context(|| doing("removing unfinished files in"))?;
    if is_published(directory, winners) {
        return Ok(());
    }
    let mut sums = String::new();
    for (agency, of_agency) in winners.iter() {
        let name = winners_file(agency);
        let fill = |out: &mut dyn Write| write_winners(out, agency, of_agency, terms, disk);
        write_file(directory, access, &name, &mut sums, fill)?;
    }
    let json = draw_json(terms, winners);
    let fill = |out: &mut dyn Write| Ok(out.write_all(json.as_bytes())?);
    write_file(directory, access, JSON, &mut sums, fill)?;
    let fill = |out: &mut dyn Write| Ok(out.write_all(sums.as_bytes())?);
    write_file(directory, access, SUMS, &mut String::new(), fill)?;
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| doing("syncing"))
}

/// The name of the file with an agency's winners.
#[must_use]
pub fn winners_file(agency: u32) -> String {
    format!("{WINNERS}{agency}.csv")
}

/// Whether every file is there, with the bytes that were summed. One that cannot be read is not.
fn is_published(directory: &Path, winners: &Winners) -> bool {
    let agencies = winners.iter().map(|(agency, _)| winners_file(agency));
    let sums = agencies.chain([JSON.to_owned()]).map(|name| {
        let mut hashing = Hashing { out: io::sink(), hash: Sha256::new() };
        io::copy(&mut fs::File::open(directory.join(&name))?, &mut hashing)?;
        Ok(sum_line(hashing.hash, &name))
    });
    let sums: io::Result<String> = sums.collect();
    let written = fs::read_to_string(directory.join(SUMS));
    matches!((sums, written), (Ok(sums), Ok(written)) if sums == written)
}

fn sum_line(hash: Sha256, name: &str) -> String {
    format!("{}  {name}\n", Hex(&hash.finalize()))
}

fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_unfinished(name) || is_unfinished_of_old(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a name is that of a file that an earlier build left unfinished: `~draw.json.tmp`. Others
/// may have files of their own in this directory.
fn is_unfinished_of_old(name: &str) -> bool {
    let name = name.strip_prefix('~').and_then(|name| name.strip_suffix(".tmp"));
    name.is_some_and(|name| [JSON, SUMS].contains(&name) || name.starts_with(WINNERS))
}

fn write_file(
    directory: &Path,
    access: Access,
    name: &str,
    sums: &mut String,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let write = || {
        let file = WholeFile::create(directory.join(name), access)?;
        let mut out = Hashing { out: BufWriter::new(file), hash: Sha256::new() };
        fill(&mut out)?;
        let Hashing { out, hash } = out;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync()?;
        file.replace()?;
        sums.push_str(&sum_line(hash, name));
        anyhow::Ok(())
    };
    write().with_context(|| format!("writing {name} in {}", directory.display()))
}

fn write_winners(
    out: &mut dyn Write,
    agency: u32,
    winners: &AgencyWinners,
    terms: &Terms,
    disk: &dyn Disk,
) -> anyhow::Result<()> {
    if let Some(documents) = &winners.documents {
        for document in documents.split(|&byte| byte == b'#').filter(|item| !item.is_empty()) {
            out.write_all(document)?;
            out.write_all(b"\r\n")?;
        }
        return Ok(());
    }
    // Too many to have been kept in memory: read the ledger once more.
    let mut written = Ok(());
    for_each_winner(disk, terms, 1, &|| true, &mut |of, document| {
        if of == agency && written.is_ok() {
            written = out.write_all(document).and_then(|()| out.write_all(b"\r\n"));
        }
    })?;
    Ok(written?)
}

fn draw_json(terms: &Terms, winners: &Winners) -> String {
    let mut json = format!(
        "{{\n  \"draw\": \"{}\",\n  \"winning_number\": {},\n  \"agencies\": [",
        terms.draw,
        terms.winning_number.value()
    );
    for (agency, of_agency) in winners.iter() {
        let comma = if agency == 1 { "" } else { "," };
        let digest = &of_agency.digest;
        let _ = write!(
            json,
            "{comma}\n    {{\"agency\": {agency}, \"winners\": {}, \"documents_sha256\": \"{}\"}}",
            digest.winners,
            Hex(&digest.documents_sha256)
        );
    }
    json.push_str("\n  ]\n}\n");
    json
}

/// Hashes what it writes.
struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
