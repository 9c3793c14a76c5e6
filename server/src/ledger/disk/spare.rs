//! Files that are made ahead of use and named when they are used.
//!
//! Where the file system can, such a file has no name before that. So no name of the directory ever goes
//! while a server serves, and a program that copies the directory finds all that it has listed. Nor is
//! anything left of a spare file when its server dies. Elsewhere it has a temporary name.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

use super::{Access, Directory, Disk as _, Spare, TEMPORARY};

/// Whether files without a name can be made in a directory, and named. Tried rather than asked for: it
/// depends on the file system, on what is mounted, and on what a sandbox allows.
pub(super) fn can_be_nameless(directory: &Path) -> bool {
    let name = format!("nameless{TEMPORARY}");
    // Perhaps left by one that died here.
    let _ = fs::remove_file(directory.join(&name));
    let tried = nameless(directory).and_then(|spare| (spare.give_name)(&name));
    let _ = fs::remove_file(directory.join(&name));
    tried.is_ok()
}

/// A file without a name. It is gone with its handles unless it gets one.
pub(super) fn nameless(directory: &Path) -> io::Result<Spare> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(Access::Owner.file_mode());
    let file = Arc::new(fs::File::from(open(directory, flags, mode)?));
    let filler = fs::File::options().read(true).write(true).open(descriptor(&file))?;
    let (named, directory) = (Arc::clone(&file), directory.to_owned());
    let give_name = Box::new(move |name: &str| {
        let from = descriptor(&named);
        linkat(CWD, &from, CWD, directory.join(name), AtFlags::SYMLINK_FOLLOW)?;
        // Btrfs keeps nothing of what is synced in a file without a name: once more, before the name is.
        named.sync_data()
    });
    Ok(Spare { file, filler: Arc::new(filler), give_name })
}

fn descriptor(file: &fs::File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A file with a temporary name, which it loses when it gets its own. It is removed unless it does.
pub(super) fn temporary(directory: &Directory) -> io::Result<Spare> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let name = format!("spare-{}{TEMPORARY}", COUNT.fetch_add(1, Ordering::Relaxed));
    let file = directory.create(&name)?;
    let unused = Unused(directory.path.join(&name));
    let filler = directory.open_to_write(&name)?;
    let directory = directory.clone();
    let give_name = Box::new(move |to: &str| {
        directory.rename(&name, to)?;
        // There is nothing left that it could remove.
        drop(unused);
        Ok(())
    });
    Ok(Spare { file, filler, give_name })
}

/// The temporary name of a file that nobody has used. Its space may be what is missing elsewhere.
struct Unused(PathBuf);

impl Drop for Unused {
    fn drop(&mut self) {
        // If it stays, the next start removes it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        Directory::new(directory).names().unwrap()
    }

    #[test]
    fn a_spare_file_is_named_with_what_it_has_and_unnamed_it_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path());
        let can = can_be_nameless(place.path());
        assert_eq!(names(place.path()), [""; 0], "trying it leaves nothing");
        let make = [|directory: &Directory| nameless(&directory.path), temporary];
        for (make, name) in make.iter().zip(["one", "two"]).skip(usize::from(!can)) {
            let before = names(place.path()).len();
            drop(make(&directory).unwrap());
            assert_eq!(names(place.path()).len(), before, "unused");
            let Spare { file, filler, give_name } = make(&directory).unwrap();
            file.allocate(4096).unwrap();
            filler.write_at(4, b"filled").unwrap();
            file.write_at(0, b"head").unwrap();
            file.sync().unwrap();
            give_name(name).unwrap();
            directory.sync_directory().unwrap();
            let bytes = fs::read(place.path().join(name)).unwrap();
            assert_eq!((&bytes[..10], bytes.len()), (&b"headfilled"[..], 4096));
            assert_eq!(names(place.path()).len(), before + 1);
        }
    }

    #[test]
    fn while_spare_files_are_made_and_named_no_name_goes() {
        let place = tempfile::tempdir().unwrap();
        if !can_be_nameless(place.path()) {
            return;
        }
        let directory = Directory::new(place.path());
        let mut seen = Vec::new();
        for n in 0..5 {
            let spare = directory.create_spare().unwrap();
            seen.extend(names(place.path()));
            (spare.give_name)(&format!("{n}.log")).unwrap();
        }
        assert!(seen.iter().all(|name| place.path().join(name).exists()), "{seen:?}");
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_again() {
        let place = tempfile::tempdir().unwrap();
        if !can_be_nameless(place.path()) {
            return;
        }
        fs::write(place.path().join("taken"), "mine").unwrap();
        let spare = nameless(place.path()).unwrap();
        assert!((spare.give_name)("taken").is_err());
        assert_eq!(fs::read(place.path().join("taken")).unwrap(), b"mine");
    }
}
