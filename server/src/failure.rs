//! Why a server ended that was not asked to, and the exit code that says so.

use std::io;

use anyhow::anyhow;
use thiserror::Error;

use crate::hint::{hint, hint_for_file};
use crate::ledger::committer::CommitError;
use crate::ledger::reader::ReadError;
use crate::ledger::recovery::OpenError;
use crate::lottery::draw::DrawError;
use crate::lottery::published::PublishedError;

/// Why the program failed, by what can be done about it.
#[derive(Debug, Error)]
pub enum Failure {
    /// Something in the surroundings: an address in use, another server, other terms.
    #[error("{}", with_hint(.0))]
    Setup(anyhow::Error),
    /// What was typed means nothing.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// The ledger is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// The disk failed: what was not acknowledged may be there or not.
    #[error("{0}")]
    Disk(String),
    /// An error of this program.
    #[error("a thread died: {0}")]
    Bug(String),
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setup(_) | Self::Bug(_) => 1,
            Self::Usage(_) => 2,
            Self::Damaged(_) => 4,
            Self::Disk(_) => 5,
        }
    }
}

/// An error with its causes. Where one of them is the operating system's, and something can be done
/// about it, that stands at the end.
fn with_hint(error: &anyhow::Error) -> String {
    let told = format!("{error:#}");
    let hint = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>().and_then(hint));
    hint.map_or_else(|| told.clone(), |hint| format!("{told}: {hint}"))
}

impl Failure {
    /// An error of a file, `told` with what to do about it: a failure of the surroundings if there is
    /// a remedy in them, else the disk's.
    fn of_file(told: String, source: &io::Error) -> Self {
        if hint(source).is_some() { Self::Setup(anyhow!(told)) } else { Self::Disk(told) }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { ref source, .. } => {
                Self::of_file(format!("{error}: {}", hint_for_file(source)), source)
            }
            ReadError::Damaged { .. } => Self::Damaged(format!(
                "{error}: nothing was changed; if this directory was copied while a server wrote it, stop \
                 that server and copy again; else restore the data directory from a copy, or see what \
                 `bolillero-server repair` can save"
            )),
            ReadError::Newer { .. } => Self::Setup(error.into()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        let hint = hint_for_file(error.io());
        Self::Disk(format!("{error}: what was not acknowledged may be lost; {hint}"))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Read(error) => error.into(),
            OpenError::Commit(error) => error.into(),
            OpenError::Refused(_) => Self::Setup(error.into()),
            OpenError::Disk { ref source, .. } => Self::of_file(error.to_string(), source),
        }
    }
}

impl From<DrawError> for Failure {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Read(error) => error.into(),
            DrawError::Published(error) => match error {
                PublishedError::Contradiction(_) => Self::Damaged(error.to_string()),
                PublishedError::Stuck { .. } => Self::Setup(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_a_file_is_the_disk_s_unless_its_surroundings_can_be_mended() {
        for (errno, code, said) in [
            (Errno::IO, 5, ": check the disk, then start again"),
            (Errno::MFILE, 1, ": raise the limit on open files (`ulimit -n`)"),
            (Errno::ISDIR, 1, ": a directory is where a file has to be: move it away"),
            (Errno::NOSPC, 1, ": make room on the disk"),
        ] {
            let source = || io::Error::from(errno);
            let open = OpenError::Disk { what: "opening it".to_owned(), source: source() };
            let read = ReadError::Io { file: "00000001.log".to_owned(), source: source() };
            for failure in [Failure::from(open), Failure::from(read)] {
                let told = failure.to_string();
                assert!(told.ends_with(said), "{told}");
                assert_eq!(told.matches(said).count(), 1, "{told}");
                assert_eq!(failure.exit_code(), code, "{told}");
            }
        }
    }

    #[test]
    fn an_error_of_the_surroundings_ends_with_what_can_be_done_about_it() {
        let failed = |errno: Errno| Err::<(), _>(io::Error::from(errno)).context("listening");
        for (errno, said) in [
            (Errno::ADDRINUSE, "98): another program listens there: stop it, or listen elsewhere"),
            (Errno::CONNRESET, "listening: Connection reset by peer (os error 104)"),
        ] {
            let told = Failure::Setup(failed(errno).unwrap_err()).to_string();
            assert!(told.ends_with(said), "{told}");
        }
    }
}
