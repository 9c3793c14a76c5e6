//! Why a server ended that was not asked to, and the exit code that says so.

use thiserror::Error;

use crate::ledger::committer::CommitError;
use crate::ledger::reader::ReadError;
use crate::ledger::recovery::OpenError;
use crate::lottery::draw::DrawError;

/// Why the program failed, by what can be done about it.
#[derive(Debug, Error)]
pub enum Failure {
    /// Something in the surroundings: an address in use, another server, other terms.
    #[error("{0:#}")]
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

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { .. } => Self::Disk(error.to_string()),
            ReadError::Damaged { .. } => Self::Damaged(format!(
                "{error}: nothing was changed; restore the data directory from a copy, or see what \
                 `bolillero-server repair` can save"
            )),
            ReadError::Newer { .. } => Self::Setup(error.into()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Disk(format!(
            "{error}: what was not acknowledged may be lost; check the disk, then start again"
        ))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Read(error) => error.into(),
            OpenError::Commit(error) => error.into(),
            OpenError::Refused(_) | OpenError::NoRoom { .. } => Self::Setup(error.into()),
            OpenError::Disk { .. } => Self::Disk(error.to_string()),
        }
    }
}

impl From<DrawError> for Failure {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Read(error) => error.into(),
        }
    }
}
