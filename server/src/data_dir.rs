//! A server's data directory: private where it is made, looked at where it exists, and kept from a second
//! server. Knows nothing of what lies in it but names.

use std::fs::{File, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use bolillero_fs::{Access, mode_open_to_others};
use bolillero_protocol::log_line;
use rustix::fs::OFlags;

use crate::ledger::disk::Directory;
use crate::lottery::publish::PUBLISHED_DIRECTORY;
use crate::server::LEDGER_DIRECTORY;

/// The file whose lock says that a server works in the directory.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// Makes the directory where it is missing, and keeps a second server out of it for as long as the
/// returned file is open. Warns of permissions that other users of this machine have.
///
/// # Errors
/// What the system says, and that another server works in it.
pub(crate) fn open(path: &Path) -> anyhow::Result<File> {
    Directory::create(path).with_context(|| format!("creating {}", path.display()))?;
    let lock = lock(path)?;
    warn_of_other_users(path);
    Ok(lock)
}

/// Whoever may open the file may lock it, and so keep this server from starting: nobody else may. One
/// of an earlier build is tightened, as no other program needs it. A link is not followed: its target is
/// no file of this directory.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file_path = path.join(LOCK_FILE);
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(Access::Owner.file_mode());
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.open(&file_path);
    let file = file.with_context(|| format!("opening {LOCK_FILE} in {}", path.display()))?;
    let was_open = mode_open_to_others(&file_path).is_ok_and(|mode| mode.is_some());
    if was_open {
        // Only its owner can. Where another user is, the directory is open too, and warned of.
        let _ = file.set_permissions(Permissions::from_mode(Access::Owner.file_mode()));
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let or = if was_open { ", or another user of this machine holds its LOCK" } else { "" };
            Err(anyhow!("{}: another server works in this data directory{or}", path.display()))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Changes no mode: a volume's or a group's may be meant as they are. What lies in a private directory
/// is private, whatever its mode.
fn warn_of_other_users(path: &Path) {
    if !warn_if_open(path) {
        return;
    }
    for name in [LEDGER_DIRECTORY, PUBLISHED_DIRECTORY] {
        warn_if_open(&path.join(name));
    }
}

/// Whether other users have a permission in a directory, which is logged.
fn warn_if_open(path: &Path) -> bool {
    let Ok(Some(mode)) = mode_open_to_others(path) else { return false };
    let path = log_line::value(&path.display().to_string());
    log::warn!(
        "action: check_permissions | result: in_progress | directory: {path} | mode: {mode:04o} | \
         reason: other users of this machine may get in; to keep them out: chmod 700 {path}"
    );
    true
}
