//! A regular file, read whole. For names that come from elsewhere, such as the environment: a device
//! may have no end, and a pipe may have nobody that writes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

/// Reads a regular file of at most `bytes_max` bytes. Links are followed. Nothing else is opened.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] of what is no regular file, and
/// [`ErrorKind::FileTooLarge`] of one that is longer.
pub fn read_regular(path: impl AsRef<Path>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    // A pipe that takes its place in between must not be waited for.
    let file = open(path, OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    File::from(file).take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_a_limit_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, bytes) in [("empty", ""), ("short", "123"), ("longer", "1234")] {
            fs::write(path(name), bytes).unwrap();
        }
        File::create(path("huge")).unwrap().set_len(8 << 30).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink("short", path("link")).unwrap();
        symlink("/dev/zero", path("link-to-a-device")).unwrap();
        let invalid = Err(ErrorKind::InvalidInput);
        for (name, expected) in [
            ("empty", Ok("")),
            ("short", Ok("123")),
            ("link", Ok("123")),
            ("longer", Err(ErrorKind::FileTooLarge)),
            ("huge", Err(ErrorKind::FileTooLarge)),
            ("missing", Err(ErrorKind::NotFound)),
            ("pipe", invalid),
            (".", invalid),
            ("/dev/zero", invalid),
            ("link-to-a-device", invalid),
            // A file with an end that nobody knows before.
            ("/proc/self/status", Err(ErrorKind::FileTooLarge)),
        ] {
            let read = read_regular(path(name), 3).map_err(|error| error.kind());
            assert_eq!(read, expected.map(|text| text.as_bytes().to_vec()), "{name}");
        }
    }
}
