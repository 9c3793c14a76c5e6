//! The file that is fetched, and the bytes that have to come back for it. Knows no socket.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The file's.
const NAME: &str = "results.bin";
/// What one command fetches.
pub(super) const SLICE_BYTES: usize = 1 << 20;
/// The file repeats itself after so many bytes. It is a prime: no two slices of it are the same.
const PERIOD: usize = 1_048_583;
const _: () = assert!(SLICE_BYTES < PERIOD);

/// A file whose every byte is known without it.
pub(super) struct Content {
    pub(super) directory: PathBuf,
    pub(super) path: PathBuf,
    pub(super) size: usize,
    period: Vec<u8>,
}

/// How the bytes of the file travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All of them, once anything was said.
    Plain,
    /// In slices, each behind its length.
    Raw,
    /// In slices, each a line of base64.
    Base64,
}

/// All slices of the file, as they have to arrive.
pub(super) struct Replies<'a> {
    content: &'a Content,
    form: Form,
    head: String,
    tail: &'static str,
    body_bytes: usize,
}

impl Content {
    /// Writes the file and waits until it is on disk: nothing else is then done with it.
    pub(super) fn write(directory: &Path, size: usize) -> anyhow::Result<Self> {
        let content = Self::new(directory, size);
        content.save().with_context(|| format!("writing {}", content.path.display()))?;
        Ok(content)
    }

    fn new(directory: &Path, size: usize) -> Self {
        // Numbers that look like chance, always the same ones.
        let mut state = 1_u64;
        let period = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        });
        let (directory, path) = (directory.to_owned(), directory.join(NAME));
        Self { directory, path, size, period: period.take(PERIOD).collect() }
    }

    fn save(&self) -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&self.path)?);
        let mut slice = Vec::new();
        for index in 0..self.size / SLICE_BYTES {
            self.read(index * SLICE_BYTES, SLICE_BYTES, &mut slice);
            file.write_all(&slice)?;
        }
        file.into_inner()?.sync_all()
    }

    /// Puts bytes of the file into `into`, in place of what is there: a slice at most.
    fn read(&self, offset: usize, size: usize, into: &mut Vec<u8>) {
        into.clear();
        let begin = offset % PERIOD;
        let first = size.min(PERIOD - begin);
        into.extend_from_slice(&self.period[begin..begin + first]);
        into.extend_from_slice(&self.period[..size - first]);
    }

    /// `get_metadata`, and its reply.
    pub(super) fn size_asked(&self) -> (Vec<u8>, Vec<u8>) {
        let request = format!("get_metadata {NAME}\r\n");
        (request.into_bytes(), format!("0 OK\r\n{}\r\n", self.size).into_bytes())
    }
}

impl<'a> Replies<'a> {
    /// Of a file of whole slices.
    pub(super) fn new(content: &'a Content, form: Form) -> Self {
        let (head, tail, body_bytes) = match form {
            Form::Plain => (String::new(), "", SLICE_BYTES),
            Form::Raw => {
                (format!("0 OK\r\nContent-Length: {SLICE_BYTES}\r\n\r\n"), "", SLICE_BYTES)
            }
            Form::Base64 => ("0 OK\r\n".to_owned(), "\r\n", SLICE_BYTES.div_ceil(3) * 4),
        };
        Self { content, form, head, tail, body_bytes }
    }

    pub(super) fn count(&self) -> usize {
        self.content.size / SLICE_BYTES
    }

    /// Of each reply.
    pub(super) fn bytes_each(&self) -> usize {
        self.head.len() + self.body_bytes + self.tail.len()
    }

    /// What is said to get the slice of this index.
    pub(super) fn request(&self, index: usize) -> String {
        let offset = index * SLICE_BYTES;
        match self.form {
            Form::Plain if index == 0 => "all\r\n".to_owned(),
            Form::Plain => String::new(),
            Form::Raw => format!("get_slice {NAME} {offset} {SLICE_BYTES} raw\r\n"),
            Form::Base64 => format!("get_slice {NAME} {offset} {SLICE_BYTES}\r\n"),
        }
    }

    /// A whole reply.
    pub(super) fn reply(&self, index: usize) -> Vec<u8> {
        let mut slice = Vec::new();
        self.content.read(index * SLICE_BYTES, SLICE_BYTES, &mut slice);
        let body = match self.form {
            Form::Base64 => STANDARD.encode(&slice).into_bytes(),
            Form::Plain | Form::Raw => slice,
        };
        [self.head.as_bytes(), &body, self.tail.as_bytes()].concat()
    }

    /// The byte at a position of all replies, without the others.
    pub(super) fn byte(&self, position: usize) -> u8 {
        let (index, at) = (position / self.bytes_each(), position % self.bytes_each());
        if let Some(byte) = self.head.as_bytes().get(at) {
            return *byte;
        }
        let at = at - self.head.len();
        if at >= self.body_bytes {
            return self.tail.as_bytes()[at - self.body_bytes];
        }
        let mut piece = Vec::new();
        if self.form != Form::Base64 {
            self.content.read(index * SLICE_BYTES + at, 1, &mut piece);
            return piece[0];
        }
        let group = at / 4 * 3;
        let size = (SLICE_BYTES - group).min(3);
        self.content.read(index * SLICE_BYTES + group, size, &mut piece);
        STANDARD.encode(piece).as_bytes()[at % 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_alone_is_that_of_its_reply() {
        let content = Content::new(Path::new(""), 3 * SLICE_BYTES);
        for form in [Form::Plain, Form::Raw, Form::Base64] {
            let replies = Replies::new(&content, form);
            let all: Vec<u8> = (0..replies.count()).flat_map(|n| replies.reply(n)).collect();
            assert_eq!(all.len(), replies.count() * replies.bytes_each(), "{form:?}");
            let each = replies.bytes_each();
            let borders =
                (0..replies.count()).flat_map(|n| (n * each).saturating_sub(9)..n * each + 50);
            for position in borders.chain((0..all.len()).step_by(997)) {
                assert_eq!(replies.byte(position), all[position], "{form:?} {position}");
            }
        }
    }

    #[test]
    fn a_reply_is_what_the_protocol_says_and_no_other_slice() {
        let content = Content::new(Path::new(""), 2 * SLICE_BYTES);
        let raw = Replies::new(&content, Form::Raw);
        assert_eq!(raw.request(1), "get_slice results.bin 1048576 1048576 raw\r\n");
        assert!(raw.reply(1).starts_with(b"0 OK\r\nContent-Length: 1048576\r\n\r\n"));
        assert_ne!(raw.reply(0), raw.reply(1));
        let base64 = Replies::new(&content, Form::Base64);
        let reply = String::from_utf8(base64.reply(0)).unwrap();
        let line = reply.strip_prefix("0 OK\r\n").unwrap().strip_suffix("==\r\n").unwrap();
        assert!(line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
        assert_eq!(line.len(), 1_398_102);
    }

    #[test]
    fn a_file_on_disk_is_what_is_expected_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let content = Content::write(directory.path(), 2 * SLICE_BYTES).unwrap();
        let plain = Replies::new(&content, Form::Plain);
        let stored = std::fs::read(&content.path).unwrap();
        assert!(stored == [plain.reply(0), plain.reply(1)].concat());
    }
}
