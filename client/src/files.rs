//! Files of a file server (HFTP): their names, their bytes, and fetching them. Knows no socket;
//! only `folder` knows files of ours.
//!
//! ```text
//! get        whole files into a folder        server      asks one thing after another
//! folder     what is here of them             questions   what is asked: names, sizes, slices
//! sums       SHA256SUMS                       requests    a window of questions on one connection
//! ```

mod error;
mod folder;
mod get;
pub mod questions;
pub mod requests;
mod server;
mod sums;

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

use bolillero_protocol::hftp::FileName;
use bolillero_protocol::log_line;

pub use error::{FilesError, Problem, Refusal};
pub use folder::Existing;
pub use server::Pace;
use server::Server;

use crate::config::{FilesConfig, Task};
use crate::connect::Line;
use crate::dialogue::Stop;
use crate::ending::Ending;
use crate::progress;

/// The file in which a server tells the checksums of the others.
pub const SUMS: &str = "SHA256SUMS";
/// The longest file of checksums that is read, in bytes. That of a draw with 65,535 agencies has 6
/// MB.
pub const SUMS_SIZE_MAX: u64 = 8 << 20;
/// How often a file that changes on the server is begun anew.
pub const RESTARTS_MAX: usize = 3;
/// What to do about a name that the server does not have.
const LISTED: &str = "; `bolillero files ls` tells what is there";

/// Does what is asked.
///
/// # Errors
/// [`Stop`].
pub fn run(config: &FilesConfig, ending: &Ending) -> Result<(), Stop> {
    let server = Server::new(Line::new(&config.office, ending), config.pace);
    let done = match &config.task {
        Task::List { long } => list(server, *long),
        Task::Cat { names } => cat(server, names),
        Task::Get(config) => return get::run(config, server),
    };
    match done {
        // Whoever read it has read enough.
        Err(Stop::Files(FilesError::Stdout(error))) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(())
        }
        done => done,
    }
}

/// The name of a file on a server, and of one here: no separator, no `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        FileName::parse(text).filter(|_| text != "." && text != "..")?;
        Some(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn on_the_wire(&self) -> FileName<'_> {
        FileName::parse(&self.0).expect("it was parsed")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Problem {
    fn of(self, name: &Name) -> FilesError {
        FilesError::File { name: name.clone(), problem: self }
    }
}

fn list(mut server: Server<'_>, long: bool) -> Result<(), Stop> {
    let names = server.names()?;
    let mut lines = String::new();
    if long {
        for (name, size) in names.iter().zip(server.sizes(&names)?) {
            match size {
                Ok(size) => lines.push_str(&format!("{size:>SIZE_WIDTH$} {name}\n")),
                // It went since it was listed.
                Err(problem) if problem.is_absence() => {}
                Err(problem) => return Err(problem.of(name).into()),
            }
        }
    } else {
        names.iter().for_each(|name| lines.push_str(&format!("{name}\n")));
    }
    write_out(lines.as_bytes())?;
    Ok(flush()?)
}

fn cat(mut server: Server<'_>, names: &[Name]) -> Result<(), Stop> {
    let mut tally = Tally::new(names.len());
    for (name, size) in names.iter().zip(server.sizes(names)?) {
        let read = match size {
            Ok(size) => server.read(name, size, &mut write_out),
            Err(problem) => Err(problem.of(name).into()),
        };
        flush()?;
        tally.note(read)?;
    }
    tally.end()
}

/// Goes on with other files where one cannot be had.
struct Tally {
    asked: usize,
    failed: usize,
}

impl Tally {
    fn new(asked: usize) -> Self {
        Self { asked, failed: 0 }
    }

    fn note(&mut self, had: Result<(), Stop>) -> Result<(), Stop> {
        match had {
            Err(Stop::Files(error)) if self.asked > 1 && error.leaves_others() => {
                tell(&error.to_string());
                self.failed += 1;
                Ok(())
            }
            had => had,
        }
    }

    fn end(self) -> Result<(), Stop> {
        let Self { asked, failed } = self;
        if failed == 0 { Ok(()) } else { Err(FilesError::Some { failed, asked }.into()) }
    }
}

fn write_out(bytes: &[u8]) -> Result<(), FilesError> {
    io::stdout().write_all(bytes).map_err(FilesError::Stdout)
}

fn flush() -> Result<(), FilesError> {
    io::stdout().flush().map_err(FilesError::Stdout)
}

/// Says a line on stdout, where nobody need read it.
fn say(line: &str) {
    let line = log_line::message(line);
    progress::set_aside(|| drop(writeln!(io::stdout(), "{line}")));
}

/// Tells a line on stderr, where nobody need read it.
fn tell(line: &str) {
    let line = log_line::message(line);
    progress::set_aside(|| drop(writeln!(io::stderr(), "bolillero: {line}")));
}

/// Columns of a size in a long listing.
const SIZE_WIDTH: usize = 12;
