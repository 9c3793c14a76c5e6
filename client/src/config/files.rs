//! What `bolillero files` is told: by options only.

use std::path::PathBuf;

use bolillero_protocol::hftp::PORT_DEFAULT;
use bolillero_protocol::list::parse_number;

use super::{TimeOptions, UsageError, check, office, usage};
use crate::args::{FilesCommand, GetArgs, SliceArgs};
use crate::connect::{Listener, Office};
use crate::files::{Existing, Name, Pace};

/// The most slices on their way at once.
pub const SLICES_MAX: usize = 64;
/// The longest slice that can be asked for, in bytes. None is kept in memory.
pub const SLICE_SIZE_MAX: u64 = 1 << 30;

/// What `bolillero files` is to do.
#[derive(Debug)]
pub struct FilesConfig {
    /// Where the file server is, and how long to wait for it.
    pub office: Office,
    /// How files are asked for.
    pub pace: Pace,
    /// What is wanted.
    pub task: Task,
}

/// What is wanted of a file server.
#[derive(Debug)]
pub enum Task {
    /// Its names.
    List {
        /// With their sizes.
        long: bool,
    },
    /// The bytes of files, on stdout.
    Cat {
        /// Which.
        names: Vec<Name>,
    },
    /// The files.
    Get(GetConfig),
}

/// Which files are fetched, and where to.
#[derive(Debug)]
pub struct GetConfig {
    /// Their names, each once; none for all that are listed.
    pub names: Option<Vec<Name>>,
    /// The directory.
    pub output: PathBuf,
    /// What becomes of files that are there.
    pub existing: Existing,
    /// Whether they are compared with the server's checksums.
    pub verify: bool,
}

impl FilesConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] names the first that cannot be meant.
    pub fn new(command: FilesCommand) -> Result<Self, UsageError> {
        let (server, pace, task) = match command {
            // A listing has no slices.
            FilesCommand::Ls(args) => {
                (args.server, Pace { window: 1, slice: 1 }, Task::List { long: args.long })
            }
            FilesCommand::Cat(args) => {
                let names = args.names.iter().map(|text| name(text)).collect::<Result<_, _>>()?;
                (args.server, pace(&args.slices)?, Task::Cat { names })
            }
            FilesCommand::Get(args) => {
                let task = Task::Get(GetConfig::new(&args)?);
                (args.server, pace(&args.slices)?, task)
            }
        };
        let times = TimeOptions {
            connect: server.connect_timeout.as_deref(),
            reply: &server.reply_timeout,
            peer: &server.peer_timeout,
        };
        let sought = (Listener::Files, PORT_DEFAULT);
        Ok(Self { office: office(&server.server, sought, &times, &server.tls)?, pace, task })
    }
}

impl GetConfig {
    fn new(args: &GetArgs) -> Result<Self, UsageError> {
        let mut names = Vec::new();
        for text in &args.names {
            let name = name(text)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self {
            names: (!args.all).then_some(names),
            output: args.output.clone(),
            existing: if args.force { Existing::Replace } else { Existing::Keep },
            verify: !args.no_verify,
        })
    }
}

fn pace(args: &SliceArgs) -> Result<Pace, UsageError> {
    let limits = format!("the window is 1 to {SLICES_MAX} slices");
    let window = check("window", args.window, (1..=SLICES_MAX).contains(&args.window), &limits)?;
    let slice = size(&args.slice).filter(|size| (1..=SLICE_SIZE_MAX).contains(size));
    let wrong = || usage("slice", &args.slice, "is not 1 to 1GiB, for example 64KiB or 1MiB");
    Ok(Pace { window, slice: slice.ok_or_else(wrong)? })
}

/// A number of bytes: plain, or in KiB, MiB or GiB.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    parse_number::<u64>(digits)?.checked_mul(unit)
}

fn name(text: &str) -> Result<Name, UsageError> {
    Name::parse(text).ok_or_else(|| UsageError {
        setting: format!("NAME {text:?}"),
        problem: "is no name of a file: 1 to 255 of A-Z a-z 0-9 . - _, and not . or ..".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("1", Some(1)),
            ("512B", Some(512)),
            ("64KiB", Some(64 << 10)),
            ("1MiB", Some(1 << 20)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("MiB", None),
            ("1 MiB", None),
            ("1kb", None),
            ("-1", None),
            ("18446744073709551615KiB", None),
        ] {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }
}
