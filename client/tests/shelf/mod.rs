//! A file server without a socket, that may be older than ours, full, or lie.

#![allow(dead_code)] // Each test program uses some of it.

use std::collections::BTreeMap;

use bolillero_protocol::hftp::{
    Command, Commands, Form, Reply, Status, push_base64, push_line_end,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// It knows no raw slices.
    pub(crate) is_old: bool,
    /// What is answered instead to a command whose line begins with this.
    pub(crate) lies: Vec<(&'static str, Vec<u8>)>,
    /// The lines that came, in order, without those of `help`.
    pub(crate) asked: Vec<String>,
}

/// A connection to it.
pub(crate) struct Visit {
    commands: Commands,
}

impl Visit {
    pub(crate) fn new() -> Self {
        Self { commands: Commands::new(8 << 20) }
    }
}

impl Shelf {
    pub(crate) fn of(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        Self { files: files.collect(), ..Self::default() }
    }

    /// Answers what is whole.
    pub(crate) fn receive(&mut self, visit: &mut Visit, mut bytes: &[u8], out: &mut Vec<u8>) {
        loop {
            let (taken, command) = visit.commands.next(bytes);
            bytes = &bytes[taken..];
            match command {
                None => return,
                Some(Ok(Command::Help)) if self.lies_to("help", out) => {}
                Some(Ok(Command::Help)) => Reply::Names(&["help"]).encode(out),
                Some(command) => self.answer(command.expect("a client's command is one"), out),
            }
        }
    }

    fn answer(&mut self, command: Command<'_>, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        command.encode(&mut line);
        let line = String::from_utf8(line).unwrap().trim_end().to_owned();
        self.asked.push(line.clone());
        if self.lies_to(&line, out) {
            return;
        }
        let file = |name: &str| self.files.get(name);
        match command {
            Command::GetFileListing => {
                let names: Vec<_> = self.files.keys().map(String::as_str).collect();
                Reply::Names(&names).encode(out);
            }
            Command::GetSlice { form: Form::Raw, .. } if self.is_old => {
                Reply::Status(Status::InvalidArguments).encode(out);
            }
            Command::GetMetadata { name } => match file(name.as_str()) {
                Some(bytes) => Reply::Size(bytes.len() as u64).encode(out),
                None => Reply::Status(Status::FileNotFound).encode(out),
            },
            Command::GetSlice { name, offset, size, form } => match file(name.as_str()) {
                Some(bytes) => slice(bytes, offset, size, form, out),
                None => Reply::Status(Status::FileNotFound).encode(out),
            },
            Command::Help | Command::Quit => unreachable!("{line}"),
        }
    }

    fn lies_to(&self, line: &str, out: &mut Vec<u8>) -> bool {
        let lie = self.lies.iter().find(|(begin, _)| line.starts_with(begin));
        lie.inspect(|(_, lie)| out.extend_from_slice(lie)).is_some()
    }
}

fn slice(bytes: &[u8], offset: u64, size: u64, form: Form, out: &mut Vec<u8>) {
    let place = |at: u64| usize::try_from(at).unwrap();
    let Some(slice) = bytes.get(place(offset)..place(offset + size)) else {
        return Reply::Status(Status::OffsetExceeds).encode(out);
    };
    Reply::Slice { size, form }.encode(out);
    match form {
        Form::Raw => out.extend_from_slice(slice),
        Form::Base64 => {
            push_base64(slice, out);
            push_line_end(out);
        }
    }
}

/// Bytes of which no two pieces are the same.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).take(size).collect()
}
