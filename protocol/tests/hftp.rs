//! Holds the files' protocol to `vectors/hftp.txt`, however the bytes are cut, and to any bytes at all. The bytes of the
//! vectors were not made with this library.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolillero_protocol::hftp::{
    Answers, COMMAND_NAMES, Command, Commands, Continuation, FileName, Form, NAME_LENGTH_MAX, Part,
    Reply, Status, push_base64, push_line_end,
};
use proptest::collection::vec;
use proptest::prelude::*;

use self::pieces::cut;
use self::vectors::{Block, blocks, bytes};

mod pieces;
mod vectors;

const COMMAND_BYTES_MAX: usize = 400;

/// Commands in the words of the vectors, and what was refused as its code. It ends at what closes.
fn read_commands<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut commands = Commands::new(COMMAND_BYTES_MAX);
    let mut read = Vec::new();
    for mut input in pieces {
        loop {
            let (taken, command) = commands.next(input);
            input = &input[taken..];
            match command {
                None => break assert!(input.is_empty(), "without a command all is taken"),
                Some(Ok(command)) => read.push(describe(&command)),
                Some(Err(status)) => {
                    read.push(status.code().to_string());
                    if status.closes() {
                        return read;
                    }
                }
            }
        }
    }
    read
}

fn describe(command: &Command<'_>) -> String {
    let name = command.name();
    match command {
        Command::GetFileListing | Command::Help | Command::Quit => name.to_owned(),
        Command::GetMetadata { name: file } => format!("{name} {}", file.as_str()),
        Command::GetSlice { name: file, offset, size, form } => {
            let form = if *form == Form::Raw { "raw" } else { "base64" };
            format!("{name} {} {offset} {size} {form}", file.as_str())
        }
    }
}

/// A reply as a client reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    status: Option<(u16, String)>,
    names: Vec<String>,
    size: Option<u64>,
    data: Vec<u8>,
    /// Whether it came to its end, and how many bytes were taken for it.
    whole: Option<usize>,
}

fn read_reply<'a>(
    continuation: Continuation,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Received> {
    let (mut answers, mut received, mut taken_before) =
        (Answers::to(continuation), Received::default(), 0);
    for piece in pieces {
        let mut input = piece;
        loop {
            let (taken, part) = answers.next(input).ok()?;
            input = &input[taken..];
            taken_before += taken;
            match part {
                None => break assert!(input.is_empty(), "without a part all is taken"),
                Some(Part::Status { code, text }) => {
                    received.status = Some((code, text.to_owned()));
                }
                Some(Part::Name(name)) => received.names.push(name.to_owned()),
                Some(Part::Size(size)) => received.size = Some(size),
                Some(Part::Data(data)) => {
                    assert!(!data.is_empty());
                    received.data.extend_from_slice(data);
                }
                Some(Part::End) => {
                    received.whole = Some(taken_before);
                    return Some(received);
                }
            }
        }
    }
    Some(received)
}

/// The continuation that a vector's command asks for.
fn continuation(block: &Block) -> Continuation {
    let line = bytes(&block["command"]);
    let mut commands = Commands::new(COMMAND_BYTES_MAX);
    match commands.next(&line).1 {
        Some(Ok(command)) => command.continuation(),
        _ => Continuation::Nothing,
    }
}

#[test]
fn every_command_is_read_as_its_vector_says_and_written_the_same() {
    for block in blocks("hftp.txt") {
        let (name, line) = (&block["name"], bytes(&block["command"]));
        assert_eq!(read_commands([&line[..]]), [&*block["means"]], "{name}");
        let one_by_one = read_commands(line.chunks(1));
        assert_eq!(one_by_one, [&*block["means"]], "{name}, byte by byte");
        let mut commands = Commands::new(COMMAND_BYTES_MAX);
        if let Some(Ok(command)) = commands.next(&line).1 {
            let mut written = Vec::new();
            command.encode(&mut written);
            assert_eq!(read_commands([&written[..]]), [&*block["means"]], "{name}");
            let zeros =
                name.contains("leading zeros") || name.contains("do not fit 64 bits either");
            assert_eq!(written == line, !zeros, "{name}");
        }
    }
}

#[test]
fn every_reply_is_written_and_read_as_its_vector_says() {
    for block in blocks("hftp.txt") {
        let (name, bytes) = (&block["name"], bytes(&block["reply"]));
        let received = read_reply(continuation(&block), [&bytes[..]]).expect(name);
        assert_eq!(received.whole, Some(bytes.len()), "{name}");
        assert_eq!(write(continuation(&block), &received), bytes, "{name}");
        let (code, text) = received.status.as_ref().expect(name);
        let status = Status::of_code(*code).expect(name);
        assert_eq!(status.text(), text, "{name}");
        let quits = block["means"] == "quit";
        assert_eq!(block.contains_key("closes"), status.closes() || quits, "{name}");
    }
}

/// A reply as a server writes it.
fn write(continuation: Continuation, received: &Received) -> Vec<u8> {
    let mut out = Vec::new();
    let status = received.status.as_ref().and_then(|(code, _)| Status::of_code(*code));
    let status = status.expect("a status that is known");
    let names: Vec<&str> = received.names.iter().map(String::as_str).collect();
    let reply = match continuation {
        _ if status != Status::Ok => Reply::Status(status),
        Continuation::Nothing => Reply::Status(status),
        Continuation::Names => Reply::Names(&names),
        Continuation::Size => Reply::Size(received.size.expect("a size")),
        Continuation::Slice { size, form } => Reply::Slice { size, form },
    };
    reply.encode(&mut out);
    match reply {
        Reply::Slice { form: Form::Raw, .. } => out.extend_from_slice(&received.data),
        Reply::Slice { form: Form::Base64, .. } => {
            push_base64(&received.data, &mut out);
            push_line_end(&mut out);
        }
        _ => {}
    }
    out
}

#[test]
fn the_vectors_hold_every_command_and_every_status_but_the_servers_own_fault() {
    let blocks = blocks("hftp.txt");
    let codes: BTreeSet<String> = blocks
        .iter()
        .map(|block| block["reply"].split([' ', '"']).nth(1).unwrap_or_default().to_owned())
        .collect();
    let defined = (0..1000).filter_map(Status::of_code);
    let defined = defined.filter(|status| *status != Status::InternalError);
    assert_eq!(codes, defined.map(|status| status.code().to_string()).collect());
    for name in COMMAND_NAMES {
        assert!(blocks.iter().any(|block| block["means"].starts_with(name)), "{name}");
    }
    let mut out = Vec::new();
    Reply::Status(Status::InternalError).encode(&mut out);
    assert_eq!(out, b"199 INTERNAL SERVER ERROR\r\n");
}

#[test]
fn a_name_is_as_long_as_a_system_takes_it_and_a_longer_one_is_of_no_file() {
    let check = |length: usize, rest: &str, expected: String| {
        let line = format!("get_slice {}{rest}\r\n", "A".repeat(length));
        let mut commands = Commands::new(16 << 20);
        let found = match commands.next(line.as_bytes()).1.expect("a whole line") {
            Ok(command) => describe(&command),
            Err(status) => status.code().to_string(),
        };
        let rest = &rest[..rest.len().min(20)];
        assert!(found == expected, "{length} letters and {rest:?}: {:?}", found.get(..3));
    };
    let longest = "A".repeat(NAME_LENGTH_MAX);
    check(NAME_LENGTH_MAX, " 0 1", format!("get_slice {longest} 0 1 base64"));
    for length in [NAME_LENGTH_MAX + 1, 5 << 20] {
        check(length, " 0 1", "202".into());
        check(length, " 0 1 raw", "202".into());
        // What is wrong with an argument comes first, wherever it is.
        check(length, "/ 0 1", "201".into());
        check(length, " 0", "201".into());
        check(length, " 0 1 r", "201".into());
        check(length, &format!(" {} 1", "0".repeat(length)), "202".into());
    }
}

#[test]
fn what_is_before_a_line_that_closes_is_read_and_nothing_behind_it() {
    let check = |sent: &[u8], expected: &[&str]| {
        assert_eq!(read_commands([sent]), expected, "{sent:?}");
        assert_eq!(read_commands(sent.chunks(1)), expected, "{sent:?}, byte by byte");
    };
    check(b"help\r\nHELP\r\nhelp\nquit\r\n", &["help", "200", "100"]);
    check(b"help\r\n\r\nquit\r\n", &["help", "101"]);
    check(b"quit\r\nhelp\xff\r\n", &["quit", "101"]);
    // What is wrong first is told, even where the line ends in another way.
    check(b"\xe9\n", &["101"]);
    let long = [b"help\r\n".to_vec(), vec![b'x'; COMMAND_BYTES_MAX + 1]].concat();
    check(&long, &["help", "101"]);
}

#[test]
fn what_is_no_reply_is_an_error() {
    let slice = |size, form| Continuation::Slice { size, form };
    let raw = slice(5, Form::Raw);
    let base64 = slice(5, Form::Base64);
    let check = |continuation, reply: &[u8]| {
        assert_eq!(read_reply(continuation, [reply]), None, "{reply:?}");
        assert_eq!(read_reply(continuation, reply.chunks(1)), None, "{reply:?}, byte by byte");
    };
    check(Continuation::Nothing, b"0 OK\n");
    check(Continuation::Nothing, b"OK\r\n");
    check(Continuation::Nothing, b"x OK\r\n");
    check(Continuation::Nothing, b"65536 OK\r\n");
    check(Continuation::Nothing, b"0 \xff\r\n");
    check(Continuation::Nothing, &[b'0'; 1025]);
    check(Continuation::Size, b"0 OK\r\nmany\r\n");
    check(Continuation::Size, b"0 OK\r\n\r\n");
    check(Continuation::Names, b"0 OK\r\na\n");
    check(raw, b"0 OK\r\nContent-Length: 4\r\n\r\nabcd");
    check(raw, b"0 OK\r\nContent-Length: x\r\n");
    check(raw, b"0 OK\r\nContent-Type: 5\r\n");
    check(raw, b"0 OK\r\nContent-Length: 5\r\nabcde\r\n");
    check(base64, b"0 OK\r\naGVsbG8\r\n");
    check(base64, b"0 OK\r\naGVs\r\n");
    check(base64, b"0 OK\r\n\r\n");
    check(base64, b"0 OK\r\naGVsbG8h\r\n");
    check(base64, b"0 OK\r\naGVsbG8=\rx\r\n");
    check(base64, b"0 OK\r\naGVsbG8=\r\r\n");
    check(base64, b"0 OK\r\naGVsbG8=aGVs\r\n");
    // Told at once, not at the end of the line.
    check(base64, b"0 OK\r\naGVsbG8=[");
    check(base64, b"0 OK\r\naGVsb*8=\r\n");
    check(base64, b"0 OK\r\naGVsbG8=\n");
    check(slice(2, Form::Base64), b"0 OK\r\nQQ==QQ==\r\n");
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1_usize..40, 1..8)
}

/// Lines that are commands, or nearly.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = "(help|quit|get_slice|get_metadata|get_file_listing|x)?( [a-z0-9./]{0,8}){0,6}( raw)?\r?\n?";
    vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_cut_of_any_bytes_is_read_the_same(
        sent in prop_oneof![lines(), vec(any::<u8>(), 0..600)],
        sizes in sizes(),
    ) {
        prop_assert_eq!(read_commands(cut(&sent, &sizes)), read_commands([&sent[..]]));
    }

    #[test]
    fn every_command_is_read_as_it_was_written(
        name in "[A-Za-z0-9._-]{1,255}",
        (offset, size, raw) in any::<(u64, u64, bool)>(),
        sizes in sizes(),
    ) {
        let name = FileName::parse(&name).expect("a name");
        let form = if raw { Form::Raw } else { Form::Base64 };
        let commands = [
            Command::GetFileListing,
            Command::GetMetadata { name },
            Command::GetSlice { name, offset, size, form },
            Command::Help,
            Command::Quit,
        ];
        let mut sent = Vec::new();
        commands.iter().for_each(|command| command.encode(&mut sent));
        let expected: Vec<String> = commands.iter().map(describe).collect();
        prop_assert_eq!(read_commands(cut(&sent, &sizes)), expected);
    }

    #[test]
    fn every_slice_is_read_as_it_was_written_in_whatever_pieces(
        data in vec(any::<u8>(), 0..2000),
        groups in 1_usize..100,
        sizes in sizes(),
        raw: bool,
        behind in "[a-z]{0,5}",
    ) {
        let form = if raw { Form::Raw } else { Form::Base64 };
        let size = data.len() as u64;
        let mut sent = Vec::new();
        Reply::Slice { size, form }.encode(&mut sent);
        if raw {
            sent.extend_from_slice(&data);
        } else {
            // By pieces of whole groups it is the same as at once.
            let start = sent.len();
            data.chunks(3 * groups).for_each(|piece| push_base64(piece, &mut sent));
            let at_once = STANDARD.encode(&data);
            prop_assert_eq!(&sent[start..], at_once.as_bytes());
            push_line_end(&mut sent);
        }
        let length = sent.len();
        sent.extend_from_slice(behind.as_bytes());
        let continuation = Continuation::Slice { size, form };
        let received = read_reply(continuation, cut(&sent, &sizes)).expect("a reply");
        prop_assert_eq!(received.data, data);
        // Where nothing is left to be taken the end may not have been asked for.
        prop_assert!(received.whole.is_none_or(|taken| taken == length));
    }

    #[test]
    fn any_bytes_are_a_reply_or_an_error_however_they_are_cut(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..200),
            "0 OK\r\n(Content-Length: [0-9]\r\n\r\n)?[A-Za-z0-9+/=\r\n]{0,30}".prop_map(String::into_bytes),
        ],
        size in 0_u64..12,
        sizes in sizes(),
    ) {
        for continuation in [
            Continuation::Nothing,
            Continuation::Names,
            Continuation::Size,
            Continuation::Slice { size, form: Form::Raw },
            Continuation::Slice { size, form: Form::Base64 },
        ] {
            let read = |pieces| {
                let received = read_reply(continuation, pieces);
                received.map(|received| Received { whole: None, ..received })
            };
            prop_assert_eq!(read(cut(&bytes, &sizes)), read(vec![&bytes[..]]));
        }
    }
}
