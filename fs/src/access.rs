//! Who on this machine may read what is made. Modes are given at the creation, so there is no moment
//! in which a file is readable by more users; the umask takes permissions away and adds none.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// The permissions of group and others.
const OF_OTHERS: u32 = 0o077;

/// Who may read a new directory or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Only the user that runs the program.
    #[default]
    Owner,
    /// Every user of this machine, as a web server needs it. Only the owner may write.
    Everybody,
}

impl Access {
    /// The mode of a directory, before the umask.
    #[must_use]
    pub const fn directory_mode(self) -> u32 {
        match self {
            Self::Owner => 0o700,
            Self::Everybody => 0o755,
        }
    }

    /// The mode of a file, before the umask.
    #[must_use]
    pub const fn file_mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o644,
        }
    }
}

/// Creates a directory and the missing ones above it. One that exists keeps its mode.
///
/// # Errors
/// What the system says.
pub fn create_directory(path: &Path, access: Access) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(access.directory_mode()).create(path)
}

/// The mode of a directory or file that gives other users a permission. `None`: it gives them none.
///
/// # Errors
/// What the system says of looking it up.
pub fn mode_open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok((mode & OF_OTHERS != 0).then_some(mode))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_mode_is_open_where_others_have_any_permission() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, open) in [
            (0o700, None),
            (0o500, None),
            (0o600, None),
            (0o710, Some(0o710)),
            (0o701, Some(0o701)),
            (0o755, Some(0o755)),
            (0o2770, Some(0o2770)),
            (0o1777, Some(0o1777)),
        ] {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(mode_open_to_others(directory.path()).unwrap(), open, "{mode:o}");
        }
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(mode_open_to_others(&directory.path().join("missing")).is_err());
    }
}
