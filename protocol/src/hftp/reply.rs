//! What a server answers, as bytes. Reads nothing; the client's side is [`super::answers`].

use std::io::Write as _;

use base64::Engine as _;

use super::base64::BASE64;
use super::{Form, Status};

/// Bytes that are encoded as a whole number of characters: pieces of a multiple of it can be
/// encoded one by one, all but the last.
pub const BASE64_GROUP_SIZE: usize = 3;

/// How many characters stand for such a group.
pub const BASE64_QUAD_SIZE: usize = 4;

/// A reply, up to the bytes of a slice.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// A status alone.
    Status(Status),
    /// Names, of files or commands.
    Names(&'a [&'a str]),
    /// The bytes that a file has.
    Size(u64),
    /// What comes before the bytes of a slice. In base64 [`push_line_end`] comes behind them.
    Slice {
        /// How many bytes follow.
        size: u64,
        /// How they travel.
        form: Form,
    },
}

impl Reply<'_> {
    /// Appends the reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Status(status) => write!(out, "{} {}\r\n", status.code(), status.text()),
            Self::Names(names) => {
                out.extend_from_slice(OK);
                for name in *names {
                    out.extend_from_slice(name.as_bytes());
                    push_line_end(out);
                }
                push_line_end(out);
                return;
            }
            Self::Size(size) => write!(out, "0 OK\r\n{size}\r\n"),
            Self::Slice { form: Form::Base64, .. } => out.write_all(OK),
            Self::Slice { form: Form::Raw, size } => {
                write!(out, "0 OK\r\nContent-Length: {size}\r\n\r\n")
            }
        };
        written.expect("writing to a vector does not fail");
    }
}

/// Appends bytes as base64: the standard alphabet, padded where their number is no multiple of
/// [`BASE64_GROUP_SIZE`].
pub fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + BASE64_QUAD_SIZE * bytes.len().div_ceil(BASE64_GROUP_SIZE), 0);
    let encoded = BASE64.encode_slice(bytes, &mut out[start..]);
    assert_eq!(encoded.ok(), Some(out.len() - start), "base64 has four characters a group");
}

/// Appends what every line ends with.
pub fn push_line_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

const OK: &[u8] = b"0 OK\r\n";
