//! Servers whose words would steer a terminal, turn the direction of writing or hide: whatever the
//! command, they reach neither a log line nor a terminal as they are.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Output;

use bolillero_protocol::message::Reply;
use bolillero_protocol::visible::is_visible;
use tempfile::tempdir;

use crate::files::place;
use crate::office::{packet, rows};
use crate::room::hall::serve;
use crate::setting::{BET, TIME_MAX, finish, program, stderr, stdout};
use crate::shelf::Shelf;

/// Of each kind one, between letters that show that they were there.
const WORDS: &str = "<\u{1b}[2J\u{9b}\u{7f}|\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{200b}\u{feff}\
    \u{ad}\u{fe0f}\u{e0041}>";
/// How they are shown in a log line and on stderr.
const SHOWN: &str = r"\u202e\u2066\u200f\u061c\u2028\u200b\ufeff\u00ad\ufe0f\u{e0041}>";

/// A server that says this once something has come.
fn saying(said: impl Into<Vec<u8>>) -> String {
    let said = said.into();
    serve(move |mut stream: TcpStream| {
        stream.set_read_timeout(Some(TIME_MAX)).unwrap();
        if !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
            return;
        }
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(Shutdown::Write);
        // Until the client is gone.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn check(words: &[&str], output: &Output, shown: &str) {
    for text in [stdout(output), stderr(output)] {
        let hidden = text.chars().find(|c| *c != '\n' && !is_visible(*c));
        assert_eq!(hidden, None, "{words:?}: {text:?}");
    }
    assert!(stderr(output).contains(shown), "{words:?}: {output:?}");
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
}

#[test]
fn a_refusal_is_shown_without_what_steers_turns_or_hides() {
    let place = tempdir().unwrap();
    let file = place.path().join("bets.csv");
    std::fs::write(&file, rows(9)).unwrap();
    let agency = ["agency", "--id", "1", "--bets", file.to_str().unwrap()];
    let bet = [&["bet", "--id", "1"][..], &BET].concat();
    for words in [
        &bet[..],
        &agency,
        &[&agency[..], &["--base"]].concat(),
        &["probe"],
        &["load", "--agencies", "1", "--bets", "10"],
    ] {
        let server = saying(packet(&Reply::Error(WORDS)));
        let words = [words, &["--server", &server, "--reply-timeout", "5s"]].concat();
        let words: Vec<_> = match words[0] {
            "probe" | "load" => words[..words.len() - 2].to_vec(),
            _ => words,
        };
        let shown = if words[0] == "load" { "202e" } else { SHOWN };
        check(&words, &finish(program(&words)), shown);
    }
}

#[test]
fn what_an_echo_server_or_a_file_server_says_is_shown_without_it_too() {
    let echoed = format!("{WORDS}\n");
    for words in [&["echo", "--id", "1"][..], &["probe", "--service", "echo"]] {
        let server = saying(echoed.clone());
        let words = [words, &["--server", &server]].concat();
        check(&words, &finish(program(&words)), "202e");
    }
    // The protocol of files is ASCII: what else comes is no line of it.
    for (said, shown) in [
        (format!("202 {WORDS}\r\n"), "not ASCII"),
        ("202 <\u{1b}[2J\u{7f}|>\r\n".to_owned(), "202 < [2J  >"),
        ("0 OK\r\n<\u{1b}[2J>\r\n\r\n".to_owned(), "[2J>"),
    ] {
        for words in [&["files", "ls"][..], &["files", "cat", "a"], &["files", "get", "a"]] {
            let lies = vec![("get_", said.clone().into_bytes())];
            let server = place::serve(Shelf { lies, ..Shelf::default() }).to_string();
            let place = tempdir().unwrap();
            let mut command = program(&[&words[..2], &[&server], &words[2..]].concat());
            command.current_dir(place.path());
            check(words, &finish(command), shown);
        }
    }
}

#[test]
fn a_room_that_refuses_a_name_is_quoted_without_it() {
    let number = r#"{"sender_id": "Server", "status": 200, "content": 7}"#;
    let refusal = format!(r#"{{"sender_id": "Server", "status": 400, "content": "{}"}}"#, &WORDS);
    for said in [
        // JSON has no control characters in strings: they come escaped, or it is none.
        format!("{number}{}", refusal.replace(['\u{1b}'], r"\u001b")),
        format!("{number}{refusal}"),
        format!("{number}{{\"{WORDS}"),
    ] {
        let words = ["room", &saying(said), "--name", "ana", "--connect-timeout", "2s"];
        check(&words, &finish(program(&words)), "bolillero: ");
    }
}

#[test]
fn a_path_is_shown_without_it() {
    for words in [
        &["agency", "--id", "1", "--server", "127.0.0.1:1", "--bets", WORDS][..],
        &["pki", "server", "--dir", WORDS],
    ] {
        check(words, &finish(program(words)), SHOWN);
    }
}
