//! Finds the commands in bytes that arrive in pieces of any size. Keeps of a line only what its
//! meaning depends on, so that one of megabytes takes no more memory than one of a few bytes.
//!
//! ```text
//! | word | SP | word | SP | … | CR LF |     of a word: its first bytes, and whether it is a name or a number
//! ```

use super::{Command, FileName, Form, NAME_LENGTH_MAX, Status, is_of_name};

/// Finds the commands in a stream.
///
/// ```
/// use bolillero_protocol::hftp::{Command, Commands, Status};
///
/// let mut commands = Commands::new(1024);
/// assert_eq!(commands.next(b"help\r"), (5, None));
/// assert_eq!(commands.next(b"\nhelp me\r\n"), (1, Some(Ok(Command::Help))));
/// assert_eq!(commands.next(b"help me\r\n"), (9, Some(Err(Status::InvalidArguments))));
/// ```
#[derive(Debug)]
pub struct Commands {
    bytes_max: usize,
    line: Line,
    /// The line was handed out: the next byte begins another.
    ended: bool,
}

impl Commands {
    /// At the beginning of a stream. A command of more than `bytes_max` bytes, its line end not
    /// counted, is refused.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, line: Line::default(), ended: false }
    }

    /// Takes bytes from the front of `input` up to the end of a command. Returns how many were
    /// taken, and the command, or why it is none; without either, all of `input` was taken. To be
    /// called until there is none, and no more after a status that [closes](Status::closes): what
    /// is wrong with a line shows at its first wrong byte.
    pub fn next(&mut self, input: &[u8]) -> (usize, Option<Result<Command<'_>, Status>>) {
        if std::mem::take(&mut self.ended) {
            self.line.clear();
        }
        for (index, &byte) in input.iter().enumerate() {
            let refused = match byte {
                b'\n' if self.line.after_cr => {
                    self.ended = true;
                    return (index + 1, Some(self.line.command()));
                }
                b'\n' => Some(Status::BadEol),
                0x80.. => Some(Status::BadRequest),
                _ => {
                    self.line.add(byte);
                    (self.line.length > self.bytes_max).then_some(Status::BadRequest)
                }
            };
            if let Some(status) = refused {
                return (index + 1, Some(Err(status)));
            }
        }
        (input.len(), None)
    }

    /// Whether a command has begun and is not whole.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.ended && (self.line.length > 0 || self.line.after_cr)
    }
}

/// What is known of a line.
#[derive(Debug, Default)]
struct Line {
    /// Its bytes so far, without a carriage return that may begin its end.
    length: usize,
    after_cr: bool,
    /// The name and the arguments; more than a command can have are only counted.
    words: [Word; WORDS_MAX],
    spaces: usize,
}

/// What is known of a word.
#[derive(Debug)]
struct Word {
    /// Its first bytes. One more than a name can have, so that a longer one is known.
    kept: String,
    /// Whether a name may hold all of its bytes.
    is_name: bool,
    /// Its value, if all of its bytes are digits. No file is as long as the largest, which also
    /// stands for all above it.
    number: Option<u64>,
}

impl Line {
    fn add(&mut self, byte: u8) {
        if self.after_cr {
            self.add_to_word(b'\r');
        }
        self.after_cr = byte == b'\r';
        if !self.after_cr {
            self.add_to_word(byte);
        }
    }

    fn add_to_word(&mut self, byte: u8) {
        self.length += 1;
        if byte == b' ' {
            self.spaces += 1;
        } else if let Some(word) = self.words.get_mut(self.spaces) {
            word.add(byte);
        }
    }

    fn clear(&mut self) {
        self.words.iter_mut().for_each(Word::clear);
        (self.length, self.after_cr, self.spaces) = (0, false, 0);
    }

    fn command(&self) -> Result<Command<'_>, Status> {
        if self.length == 0 {
            return Err(Status::BadRequest);
        }
        let [name, arguments @ ..] = &self.words;
        let arguments = arguments.get(..self.spaces);
        let command = match (name.kept.as_str(), arguments) {
            ("get_file_listing", Some([])) => Command::GetFileListing,
            ("help", Some([])) => Command::Help,
            ("quit", Some([])) => Command::Quit,
            ("get_metadata", Some([file])) if file.is_name() => {
                Command::GetMetadata { name: file.name()? }
            }
            ("get_slice", Some([file, offset, size, form @ ..])) if file.is_name() => {
                let (offset, size) = (offset.number()?, size.number()?);
                let form = form_of(form)?;
                Command::GetSlice { name: file.name()?, offset, size, form }
            }
            (name, _) if super::COMMAND_NAMES.contains(&name) => {
                return Err(Status::InvalidArguments);
            }
            _ => return Err(Status::NoSuchCommand),
        };
        Ok(command)
    }
}

fn form_of(words: &[Word]) -> Result<Form, Status> {
    match words {
        [] => Ok(Form::Base64),
        [word] if word.kept == "raw" => Ok(Form::Raw),
        _ => Err(Status::InvalidArguments),
    }
}

impl Default for Word {
    fn default() -> Self {
        Self { kept: String::new(), is_name: true, number: Some(0) }
    }
}

impl Word {
    fn add(&mut self, byte: u8) {
        if self.kept.len() <= NAME_LENGTH_MAX {
            self.kept.push(char::from(byte));
        }
        self.is_name &= is_of_name(byte);
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        let with = |(number, digit): (u64, u64)| number.saturating_mul(10).saturating_add(digit);
        self.number = self.number.zip(digit).map(with);
    }

    fn clear(&mut self) {
        self.kept.clear();
        (self.is_name, self.number) = (true, Some(0));
    }

    fn is_name(&self) -> bool {
        self.is_name && !self.kept.is_empty()
    }

    /// The name that it is. One too long for the system is that of no file.
    fn name(&self) -> Result<FileName<'_>, Status> {
        FileName::parse(&self.kept).ok_or(Status::FileNotFound)
    }

    fn number(&self) -> Result<u64, Status> {
        self.number.filter(|_| !self.kept.is_empty()).ok_or(Status::InvalidArguments)
    }
}

/// The name of a command and the most arguments that one has.
const WORDS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_a_line() {
        let mut commands = Commands::new(8 << 20);
        let long = vec![b'A'; 5 << 20];
        for line in [b"".as_slice(), b"get_metadata ", b"get_slice f ", b"help 1 2 3 4 5 6 7 "] {
            assert_eq!(commands.next(line).1, None);
            assert_eq!(commands.next(&long).1, None);
            let kept = commands.line.words.iter().map(|word| word.kept.capacity());
            assert!(kept.sum::<usize>() <= 2 * WORDS_MAX * (NAME_LENGTH_MAX + 1));
            assert!(commands.is_partial());
            assert!(commands.next(b"\r\n").1.is_some());
            assert!(!commands.is_partial());
        }
    }

    #[test]
    fn a_command_of_the_limit_is_taken_and_a_byte_more_is_refused_at_once() {
        for (line, refused) in [
            (&b"help\r\n"[..], None),
            (b"helps", Some(4)),
            (b"help\r\r", Some(5)),
            (b"help ", Some(4)),
        ] {
            let refused = refused.map(|at| (at + 1, Some(Err(Status::BadRequest))));
            let expected = refused.unwrap_or((6, Some(Ok(Command::Help))));
            assert_eq!(Commands::new(4).next(line), expected, "{line:?}");
        }
    }
}
