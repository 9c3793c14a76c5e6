//! The files' protocol: commands beside a reader that has all of them, replies however they are cut.

use bolillero_protocol::hftp::{
    Answers, Command, Commands, Continuation, FileName, Form, Part, ReplyError, Status,
};

use crate::pieces;

/// So short that commands over it are found soon.
const COMMAND_BYTES_MAX: usize = 300;

/// Command lines, their cuts in the first byte.
pub fn commands(bytes: &[u8]) {
    let Some((&seed, stream)) = bytes.split_first() else { return };
    let expected = slow_commands(stream);
    for seed in [0, 1, seed] {
        assert_eq!(decoded(stream, seed), expected, "cut by {seed}");
    }
}

fn decoded(stream: &[u8], seed: u8) -> Vec<Result<Vec<u8>, Status>> {
    let mut commands = Commands::new(COMMAND_BYTES_MAX);
    let mut found = Vec::new();
    for mut input in pieces(stream, seed) {
        loop {
            let (taken, command) = commands.next(input);
            input = &input[taken..];
            let Some(command) = command else {
                assert!(input.is_empty(), "without a command, all was taken");
                break;
            };
            found.push(command.map(|command| written(&command)));
            if found.last().is_some_and(closes) {
                return found;
            }
        }
    }
    found
}

fn written(command: &Command<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    command.encode(&mut line);
    line
}

fn closes(result: &Result<Vec<u8>, Status>) -> bool {
    matches!(result, Err(status) if status.closes())
}

fn slow_commands(stream: &[u8]) -> Vec<Result<Vec<u8>, Status>> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in 0..stream.len() {
        let line = &stream[start..end];
        let ends = stream[end] == b'\n';
        // What may be the end is not counted until it is seen to be none.
        let counted = if stream[end] == b'\r' { line } else { &stream[start..=end] };
        let result = match line.strip_suffix(b"\r") {
            Some(line) if ends => slow_command(line),
            _ if ends => Err(Status::BadEol),
            _ if !stream[end].is_ascii() => Err(Status::BadRequest),
            _ if counted.len() > COMMAND_BYTES_MAX => Err(Status::BadRequest),
            _ => continue,
        };
        start = end + 1;
        found.push(result);
        if found.last().is_some_and(closes) {
            break;
        }
    }
    found
}

fn slow_command(line: &[u8]) -> Result<Vec<u8>, Status> {
    let line = std::str::from_utf8(line).expect("it is ASCII");
    let words: Vec<&str> = line.split(' ').collect();
    let command = match words[..] {
        [""] => return Err(Status::BadRequest),
        ["get_file_listing"] => Command::GetFileListing,
        ["help"] => Command::Help,
        ["quit"] => Command::Quit,
        ["get_metadata", file] => {
            check_name(file)?;
            Command::GetMetadata { name: parse_name(file)? }
        }
        ["get_slice", file, offset, size, ref form @ ..] => {
            check_name(file)?;
            let (offset, size) = (number(offset)?, number(size)?);
            let form = match form {
                [] => Form::Base64,
                ["raw"] => Form::Raw,
                _ => return Err(Status::InvalidArguments),
            };
            Command::GetSlice { name: parse_name(file)?, offset, size, form }
        }
        ["get_file_listing" | "help" | "quit" | "get_metadata" | "get_slice", ..] => {
            return Err(Status::InvalidArguments);
        }
        _ => return Err(Status::NoSuchCommand),
    };
    Ok(written(&command))
}

fn check_name(name: &str) -> Result<(), Status> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_name = !name.is_empty() && name.chars().all(plain);
    if is_name { Ok(()) } else { Err(Status::InvalidArguments) }
}

fn parse_name(name: &str) -> Result<FileName<'_>, Status> {
    FileName::parse(name).ok_or(Status::FileNotFound)
}

fn number(text: &str) -> Result<u64, Status> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Status::InvalidArguments);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// What a reply came to: its status, its lines and its bytes.
type Read = (Option<u16>, Vec<String>, Vec<u8>);

/// A reply, its cuts in the first byte, as each that may be asked for.
pub fn reply(bytes: &[u8]) {
    let Some((&seed, stream)) = bytes.split_first() else { return };
    let size = u64::from(seed);
    for continuation in [
        Continuation::Nothing,
        Continuation::Names,
        Continuation::Size,
        Continuation::Slice { size, form: Form::Raw },
        Continuation::Slice { size, form: Form::Base64 },
    ] {
        let whole = read(continuation, stream, 0).ok();
        assert_eq!(read(continuation, stream, 1).ok(), whole, "{continuation:?}, byte by byte");
        assert_eq!(read(continuation, stream, seed).ok(), whole, "{continuation:?} by {seed}");
    }
}

fn read(continuation: Continuation, stream: &[u8], seed: u8) -> Result<Read, ReplyError> {
    let mut answers = Answers::to(continuation);
    let (mut status, mut lines, mut data) = (None, Vec::new(), Vec::new());
    for mut input in pieces(stream, seed) {
        loop {
            let (taken, part) = answers.next(input)?;
            input = &input[taken..];
            match part {
                None => {
                    assert!(input.is_empty(), "without a part, all was taken");
                    break;
                }
                Some(Part::Status { code, text }) => {
                    status = Some(code);
                    lines.push(text.to_owned());
                }
                Some(Part::Name(name)) => lines.push(name.to_owned()),
                Some(Part::Size(size)) => lines.push(size.to_string()),
                Some(Part::Data(piece)) => data.extend_from_slice(piece),
                Some(Part::End) => return Ok((status, lines, data)),
            }
        }
    }
    Ok((status, lines, data))
}
