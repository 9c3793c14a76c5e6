//! The files' wire, HFTP: command lines of a client, replies of a server. Knows no socket and no
//! file.
//!
//! ```text
//! client -> server   name *( SP argument ) CR LF            get_slice draw.json 0 120
//! server -> client   code SP text CR LF [continuation]      0 OK  and 120 bytes in base64
//!
//! command   lines in any pieces -> commands      (the server's side)
//! reply     what a server answers -> bytes
//! answers   replies in any pieces -> their parts (the client's side)
//! ```

use std::io::Write as _;

mod command;
mod reply;
mod answers;
mod base64;

pub use answers::{Answers, Part, ReplyError};
pub use command::Commands;
pub use reply::{BASE64_GROUP_SIZE, BASE64_QUAD_SIZE, Reply, push_base64, push_line_end};

/// Where servers listen unless they are told otherwise.
pub const PORT_DEFAULT: u16 = 19500;
/// The longest command a server takes unless it is told otherwise, in bytes without its line end.
pub const COMMAND_BYTES_MAX_DEFAULT: usize = 8 << 20;
/// The longest name that a file can have on any system that is served from.
pub const NAME_LENGTH_MAX: usize = 255;

/// The names of the commands, in the order in which `help` tells them.
pub const COMMAND_NAMES: [&str; 5] =
    ["get_file_listing", "get_metadata", "get_slice", "help", "quit"];

/// What the first line of a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// A line feed without a carriage return before it.
    BadEol,
    /// Not ASCII, an empty line, or a command over the limit.
    BadRequest,
    /// The server's own fault.
    InternalError,
    /// A command that nobody defines.
    NoSuchCommand,
    /// Too many arguments or too few, or one that has no such form.
    InvalidArguments,
    /// No such regular file.
    FileNotFound,
    /// A slice that ends behind its file.
    OffsetExceeds,
}

impl Status {
    const ALL: [(Self, u16, &'static str); 8] = [
        (Self::Ok, 0, "OK"),
        (Self::BadEol, 100, "BAD EOL"),
        (Self::BadRequest, 101, "BAD REQUEST"),
        (Self::InternalError, 199, "INTERNAL SERVER ERROR"),
        (Self::NoSuchCommand, 200, "NO SUCH COMMAND"),
        (Self::InvalidArguments, 201, "INVALID ARGUMENTS FOR COMMAND"),
        (Self::FileNotFound, 202, "FILE NOT FOUND"),
        (Self::OffsetExceeds, 203, "OFFSET EXCEEDS FILE SIZE"),
    ];

    /// The status with this code.
    #[must_use]
    pub fn of_code(code: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == code).map(|(status, _, _)| *status)
    }

    /// The code that travels.
    #[must_use]
    pub fn code(self) -> u16 {
        self.row().1
    }

    /// The text that travels behind the code.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.row().2
    }

    /// Whether the server closes the connection behind it: where the next command would begin
    /// cannot be known, or the server cannot go on.
    #[must_use]
    pub fn closes(self) -> bool {
        matches!(self, Self::BadEol | Self::BadRequest | Self::InternalError)
    }

    fn row(self) -> (Self, u16, &'static str) {
        let row = Self::ALL.into_iter().find(|(status, _, _)| *status == self);
        row.expect("every status has a row")
    }
}

/// The whole name of a file: 1 to 255 of `A-Z a-z 0-9 . - _`. So it holds no separator and no NUL;
/// `.` and `..` are such names too, and of no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName<'a>(&'a str);

impl<'a> FileName<'a> {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = (1..=NAME_LENGTH_MAX).contains(&text.len());
        (fits && text.bytes().all(is_of_name)).then_some(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Whether a name may hold this byte.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// The names of all files.
    GetFileListing,
    /// How many bytes a file has.
    GetMetadata {
        /// The file.
        name: FileName<'a>,
    },
    /// Bytes of a file.
    GetSlice {
        /// The file.
        name: FileName<'a>,
        /// How many bytes of it come before them.
        offset: u64,
        /// How many they are.
        size: u64,
        /// How they travel.
        form: Form,
    },
    /// The names of the commands.
    Help,
    /// The end of the connection.
    Quit,
}

/// How the bytes of a slice travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As one line of base64.
    Base64,
    /// As they are, behind their number.
    Raw,
}

/// What follows the status line where it is `0 OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// Nothing.
    Nothing,
    /// Lines, up to an empty one.
    Names,
    /// A line with a number.
    Size,
    /// As many bytes, in this form.
    Slice {
        /// How many bytes were asked for.
        size: u64,
        /// How they travel.
        form: Form,
    },
}

impl Command<'_> {
    /// The command's name, as it travels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let index = match self {
            Self::GetFileListing => 0,
            Self::GetMetadata { .. } => 1,
            Self::GetSlice { .. } => 2,
            Self::Help => 3,
            Self::Quit => 4,
        };
        COMMAND_NAMES[index]
    }

    /// What follows the status line of its reply.
    #[must_use]
    pub fn continuation(&self) -> Continuation {
        match *self {
            Self::GetFileListing | Self::Help => Continuation::Names,
            Self::GetMetadata { .. } => Continuation::Size,
            Self::GetSlice { size, form, .. } => Continuation::Slice { size, form },
            Self::Quit => Continuation::Nothing,
        }
    }

    /// Appends the command's line.
    ///
    /// ```
    /// use bolillero_protocol::hftp::{Command, FileName, Form};
    ///
    /// let name = FileName::parse("draw.json").unwrap();
    /// let mut out = Vec::new();
    /// Command::GetSlice { name, offset: 0, size: 120, form: Form::Raw }.encode(&mut out);
    /// assert_eq!(out, b"get_slice draw.json 0 120 raw\r\n");
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        let written = match self {
            Self::GetFileListing | Self::Help | Self::Quit => Ok(()),
            Self::GetMetadata { name } => write!(out, " {}", name.0),
            Self::GetSlice { name, offset, size, form } => {
                let form = if *form == Form::Raw { " raw" } else { "" };
                write!(out, " {} {offset} {size}{form}", name.0)
            }
        };
        written.expect("writing to a vector does not fail");
        push_line_end(out);
    }
}
