//! The bytes of the published files: what is in each, and whether a file has it. Knows no order of
//! files.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use bolillero_protocol::chain::Hex;
use sha2::{Digest as _, Sha256};

use crate::ledger::disk::Disk;
use crate::lottery::state::Terms;
use crate::lottery::winners::{AgencyWinners, Digest, Winners, for_each_winner};

/// Whether a path has a regular file. Anything else is not opened: a FIFO would never open.
pub(in crate::lottery) fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// The hash of a file, as `SHA256SUMS` has it.
pub(in crate::lottery) fn sum_of(path: &Path) -> io::Result<String> {
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut fs::File::open(path)?, &mut hashing)?;
    Ok(Hex(&hashing.finish().1).to_string())
}

/// The hash of an agency's file, where it has the documents that `digest` is of. A file that cannot
/// be read has not.
pub(super) fn read_winners(path: &Path, digest: &Digest) -> Option<[u8; 32]> {
    let read = || {
        let mut file = fs::File::open(path)?;
        let (mut sum, mut documents) = (Sha256::new(), Documents::default());
        // Most files are far shorter than what is read at once.
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(READ_SIZE_MAX);
        let mut buffer = vec![0; size.clamp(1, READ_SIZE_MAX)];
        loop {
            let bytes = match file.read(&mut buffer)? {
                0 => break,
                count => &buffer[..count],
            };
            sum.update(bytes);
            documents.take(bytes)?;
        }
        io::Result::Ok((documents.match_digest(digest), sum))
    };
    let (is_right, sum) = is_regular(path).then(|| read().ok())??;
    is_right.then(|| sum.finalize().into())
}

/// The documents of a file of winners: the `#` that the ledger's hash has behind each is a line end
/// there.
#[derive(Default)]
struct Documents {
    hash: Sha256,
    winners: u64,
    /// The last byte was a carriage return, whose line feed is due.
    in_line_end: bool,
    list: Vec<u8>,
}

impl Documents {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.list.clear();
        for &byte in bytes {
            match (self.in_line_end, byte) {
                (false, b'\r') => self.in_line_end = true,
                (true, b'\n') => {
                    self.in_line_end = false;
                    self.winners += 1;
                    self.list.push(b'#');
                }
                (true, _) | (false, b'\n' | b'#') => return Err(ErrorKind::InvalidData.into()),
                (false, byte) => self.list.push(byte),
            }
        }
        self.hash.update(&self.list);
        Ok(())
    }

    fn match_digest(self, digest: &Digest) -> bool {
        let documents_sha256 = self.hash.finalize().into();
        !self.in_line_end && *digest == Digest { winners: self.winners, documents_sha256 }
    }
}

/// Writes an agency's documents. False when `goes_on` said no before the end.
pub(super) fn write_winners(
    out: &mut dyn Write,
    agency: u32,
    winners: &AgencyWinners,
    terms: &Terms,
    disk: &dyn Disk,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<bool> {
    if let Some(documents) = &winners.documents {
        for document in documents.split(|&byte| byte == b'#').filter(|item| !item.is_empty()) {
            out.write_all(document)?;
            out.write_all(b"\r\n")?;
        }
        return Ok(true);
    }
    // Too many to have been kept in memory: read the ledger once more.
    let mut written = Ok(());
    let whole = for_each_winner(disk, terms, 1, goes_on, &mut |of, document| {
        if of == agency && written.is_ok() {
            written = out.write_all(document).and_then(|()| out.write_all(b"\r\n"));
        }
    })?;
    written?;
    Ok(whole)
}

pub(super) fn draw_json(terms: &Terms, winners: &Winners) -> String {
    let total: u64 = winners.iter().map(|(_, of_agency)| of_agency.digest.winners).sum();
    let mut json = format!(
        "{{\n  \"draw\": \"{}\",\n  \"winning_number\": {},\n  \"winners\": {total},\n  \
         \"agencies\": [",
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
pub(super) struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W> Hashing<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, hash: Sha256::new() }
    }

    /// What was written to, and the hash of it.
    pub(super) fn finish(self) -> (W, [u8; 32]) {
        (self.out, self.hash.finalize().into())
    }
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

/// The most bytes of a file that are read at once.
const READ_SIZE_MAX: usize = 64 << 10;
