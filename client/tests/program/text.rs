//! `bolillero agency --text` against offices that answer by a script: what is said, when it is asked
//! again, and what is never sent twice.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};

use bolillero_protocol::text::text_of;
use tempfile::{TempDir, tempdir};

use crate::office::{bodies, rows};
use crate::setting::{TIME_MAX, agency, finish, log, stderr};

const BETS: usize = 100;
const OPTIONS: [&str; 3] = ["--text", "--batch-bets-max", "7"];

/// What an office does with a connection: reads so many frames, or to the last one, says this and
/// closes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    frames_max: usize,
    said: &'static [u8],
}

pub(crate) fn answer(said: &'static str) -> Answer {
    Answer { frames_max: usize::MAX, said: said.as_bytes() }
}

/// The frames of each connection.
pub(crate) type Heard = Vec<Vec<String>>;

/// An office that takes a connection for each answer, and no more.
pub(crate) fn serve(script: &[Answer]) -> (SocketAddr, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = script.to_vec();
    let office = thread::spawn(move || {
        let heard = script.into_iter().map(|answer| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIME_MAX)).unwrap();
            let frames = hear(&mut stream, answer.frames_max);
            stream.write_all(answer.said).unwrap();
            frames
        });
        heard.collect()
    });
    (address, office)
}

fn hear(stream: &mut TcpStream, frames_max: usize) -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    let is_last = |frames: &[String]| match frames {
        [.., last] if last == "FINISH" => true,
        [first, _] => first == "RESULTS",
        _ => false,
    };
    while frames.len() < frames_max && !is_last(&frames) {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut text).unwrap();
        frames.push(String::from_utf8(text).unwrap());
    }
    frames
}

/// Runs an agency with `file` against an office that answers by `script`.
fn run(file: &str, script: &[Answer]) -> (Output, Heard) {
    let directory: TempDir = tempdir().unwrap();
    let path = directory.path().join("bets.csv");
    std::fs::write(&path, file).unwrap();
    let (address, office) = serve(script);
    let output = finish(agency(&path, &address.to_string(), &OPTIONS));
    (output, office.join().unwrap())
}

/// What brings `BETS` bets.
fn bringing() -> Vec<String> {
    let batches = bodies(&rows(BETS), 7).into_iter().map(|body| text_of(&body).unwrap());
    let frames = std::iter::once("BET".to_owned()).chain(batches);
    frames.chain(["FINISH".to_owned()]).collect()
}

#[test]
fn a_file_is_brought_once_and_the_winners_are_asked_for_until_they_are_known() {
    let script = ["100\n", "", "", "300", "30000001,30000002\n"].map(answer);
    let (output, heard) = run(&rows(BETS), &script);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
    assert_eq!(heard[0], bringing());
    assert!(!heard[0].iter().any(|frame| frame.ends_with(';')), "other offices fail on it");
    for asked in &heard[1..] {
        assert_eq!(asked, &["RESULTS", "1"]);
    }
    let log = log(&output);
    assert!(log[0].contains(" | dialect: text | "), "{log:#?}");
    assert_eq!(log[1], "INFO     action: apuestas_enviadas | result: success | cantidad: 100");
    let waits =
        "INFO     action: consulta_ganadores | result: in_progress | note: waiting for the draw";
    assert_eq!(log[2], waits);
    for (line, reason) in log[3..6].iter().zip(["the draw is not", "the draw is not", "the line"]) {
        let wait = format!("INFO     action: wait | result: in_progress | reason: {reason}");
        assert!(line.starts_with(&wait), "{line}");
    }
    let told = "INFO     action: consulta_ganadores | result: success | cant_ganadores: 2";
    assert_eq!(log[6..], [told, "INFO     action: stop | result: success"]);
}

#[test]
fn nobody_who_won_is_no_winner() {
    let (output, _) = run(&rows(BETS), &["100\n", "NOWINNERS\n"].map(answer));
    assert!(output.status.success(), "{output:?}");
    assert!(log(&output).iter().any(|line| line.ends_with("| cant_ganadores: 0")), "{output:?}");
}

#[test]
fn what_is_not_counted_is_told_and_not_sent_again() {
    let early = Answer { frames_max: 3, said: b"ERROR\n" };
    let cut = Answer { frames_max: 3, said: b"" };
    let uncounted = "They are not sent again, since they could count twice: start again with the \
        same options but without --text";
    for (answer, code, said) in [
        (answer(""), 1, uncounted),
        (answer("10"), 1, uncounted),
        (answer("ERROR\n"), 1, uncounted),
        (early, 1, uncounted),
        (cut, 1, uncounted),
        (
            answer("99\n"),
            3,
            "this connection has sent 100 bets, and the office has stored 99 of it",
        ),
        (answer("NOWINNERS\n"), 1, "the answer cannot be read"),
    ] {
        let (output, heard) = run(&rows(BETS), &[answer]);
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{answer:?}: {}", stderr(&output));
        assert_eq!(heard.len(), 1);
    }
}

#[test]
fn an_error_in_answer_to_the_question_ends_the_work() {
    let (output, _) = run(&rows(BETS), &["100\n", "ERROR\n"].map(answer));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("the office refused the question for winners"), "{output:?}");
}

#[test]
fn a_file_that_would_not_be_brought_to_its_end_is_not_begun() {
    let comma = format!("{}Ana,\"Paz, hijo\",30000001,1990-01-01,1\r\n", rows(3));
    let semicolon = format!("{}A;na,Paz,30000001,1990-01-01,1\r\n", rows(3));
    for (file, said) in [
        (format!("{}bad row\r\n", rows(20)), "line 21: has 1 column"),
        (comma, "line 4: last name is not free of ',', ';', '#'"),
        (semicolon, "line 4: first name is not free of"),
        (String::new(), "has no bets"),
    ] {
        let (output, heard) = run(&file, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(said), "{said}: {}", stderr(&output));
        assert!(heard.is_empty());
    }
}

#[test]
fn the_text_dialect_is_no_other() {
    for other in [&["--base"][..], &["--draw", "0123456789abcdef"]] {
        let file = tempdir().unwrap();
        let options = [&["--text"][..], other].concat();
        let output = finish(agency(file.path(), "127.0.0.1:1", &options));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains("--text"), "{output:?}");
    }
}
