//! A server whose log nobody takes: it serves as well, and ends as well.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::office::{Port, assert_form, export, serve};
use crate::process::{PATIENCE, Process};
use crate::wire::{ACK, CLOSE, Wire, batch, batch_rows};

/// Batches in one write, and how often: more lines than a pipe takes.
const BATCHES: u32 = 50;
const ROUNDS: u32 = 40;

/// Returns the rows of what it stored.
fn store(wire: &mut Wire) -> String {
    let mut rows = String::new();
    for round in 0..ROUNDS {
        let first = |n| 30_000_000 + round * BATCHES + n;
        let sent: Vec<u8> = (0..BATCHES).flat_map(|n| batch(1, first(n), 1)).collect();
        wire.exchange(&sent, &ACK.repeat(BATCHES as usize));
        rows.extend((0..BATCHES).map(|n| batch_rows(1, first(n), 1)));
    }
    rows
}

#[test]
fn a_full_pipe_holds_neither_the_bets_nor_the_end() {
    let directory = tempdir().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = serve(directory.path(), &["--segment-size", "16MiB"]);
    command.stdout(writer);
    let process = Process::start_with_stdout(command);
    let mut wire = Wire::connect(listens_at(&mut reader));
    let expected = store(&mut wire);
    process.signal(Signal::TERM);
    let ended = process.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    wire.expect_last(&CLOSE);
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
    // What the pipe took are whole lines.
    let lines: Vec<String> = BufReader::new(reader).lines().map(Result::unwrap).collect();
    lines.iter().for_each(|line| assert_form(line));
    assert!(lines.len() < (BATCHES * ROUNDS) as usize, "the pipe took everything");
}

#[test]
fn a_reader_that_goes_away_is_not_missed() {
    let directory = tempdir().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = serve(directory.path(), &["--segment-size", "16MiB"]);
    command.stdout(writer);
    let process = Process::start_with_stdout(command);
    let mut wire = Wire::connect(listens_at(&mut reader));
    drop(reader);
    let expected = store(&mut wire);
    process.signal(Signal::TERM);
    let ended = process.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
}

#[test]
fn a_server_that_is_started_without_a_stdout_serves() {
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let listen = port.address().to_string();
    let serve = serve(directory.path(), &["--listen", &listen, "--segment-size", "16MiB"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(serve.get_program()).args(serve.get_args());
    command.stdout(Stdio::null());
    let process = Process::start_with_stdout(command);
    let mut wire = connect_when_it_listens(&port);
    let expected = store(&mut wire);
    process.signal(Signal::TERM);
    let ended = process.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
}

/// Reads no more than the lines up to the one with the address.
fn listens_at(reader: &mut std::io::PipeReader) -> std::net::SocketAddr {
    use std::io::Read as _;
    let mut text = String::new();
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
        if let Some((_, address)) = text.split_once("| address: ")
            && let Some(address) = address.strip_suffix('\n')
        {
            return address.parse().unwrap();
        }
    }
}

/// Nothing but the listening itself tells when it does.
pub(crate) fn connect_when_it_listens(port: &Port) -> Wire {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match std::net::TcpStream::connect(port.address()) {
            Ok(stream) => return Wire::over(stream),
            Err(_) => std::thread::yield_now(),
        }
    }
    panic!("nobody listens on {}", port.address());
}
