//! What a person can do about an error of the operating system. Knows nothing of what was tried.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// What to do where the disk itself may have failed.
pub(crate) const CHECK_THE_DISK: &str = "check the disk, then start again";

/// The remedy of an error that has one in the surroundings: a limit, a path, a right. `None` for
/// every other error; from a file it may then be the disk that failed.
#[must_use]
pub fn hint(error: &io::Error) -> Option<&'static str> {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::MFILE) => return Some("raise the limit on open files (`ulimit -n`)"),
        Some(Errno::NFILE) => {
            return Some("the whole system has too many open files: raise fs.file-max");
        }
        Some(Errno::LOOP) => return Some("a symbolic link there leads nowhere: replace it"),
        _ => {}
    }
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Some("make room on the disk")
        }
        ErrorKind::IsADirectory => Some("a directory is where a file has to be: move it away"),
        ErrorKind::NotADirectory => Some("a file is where a directory has to be: move it away"),
        ErrorKind::AlreadyExists => Some("something else is there already: move it away"),
        ErrorKind::PermissionDenied => Some("give this user the right to it, or run as another"),
        ErrorKind::ReadOnlyFilesystem => Some("the file system is read-only: mount it for writing"),
        ErrorKind::AddrInUse => Some("another program listens there: stop it, or listen elsewhere"),
        ErrorKind::AddrNotAvailable => Some("this machine does not have that address"),
        _ => None,
    }
}

/// [`hint`], or that the disk is to be checked. For errors of files.
pub(crate) fn hint_for_file(error: &io::Error) -> &'static str {
    hint(error).unwrap_or(CHECK_THE_DISK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_the_hint_that_helps() {
        for (errno, expected) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::ISDIR, "a directory is where a file has to be"),
            (Errno::NOTDIR, "a file is where a directory has to be"),
            (Errno::EXIST, "something else is there already"),
            (Errno::ACCESS, "the right to it"),
            (Errno::PERM, "the right to it"),
            (Errno::ROFS, "read-only"),
            (Errno::LOOP, "symbolic link"),
            (Errno::NOSPC, "make room on the disk"),
            (Errno::DQUOT, "make room on the disk"),
            (Errno::FBIG, "make room on the disk"),
            (Errno::ADDRINUSE, "another program listens there"),
            (Errno::ADDRNOTAVAIL, "does not have that address"),
            (Errno::IO, CHECK_THE_DISK),
            (Errno::NODEV, CHECK_THE_DISK),
        ] {
            let error = io::Error::from(errno);
            let found = hint_for_file(&error);
            assert!(found.contains(expected), "{error}: {found}");
            assert_eq!(hint(&error).is_none(), found == CHECK_THE_DISK, "{error}");
        }
        // One that was made by hand has no number.
        let error = io::Error::new(ErrorKind::StorageFull, "as a test has it");
        assert_eq!(hint(&error), Some("make room on the disk"));
    }
}
