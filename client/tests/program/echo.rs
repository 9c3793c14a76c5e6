//! `bolillero echo` against servers that answer lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::setting::{finish, log, program, stderr};

/// A server that answers each line by what `answer` makes of it, once; then it closes. Where that
/// is nothing it says nothing, and the connection stays.
pub(crate) fn server(answer: impl FnMut(&str) -> Option<String> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serve(listener, answer);
    address
}

/// The same on a listener that is there.
pub(crate) fn serve(
    listener: TcpListener,
    mut answer: impl FnMut(&str) -> Option<String> + Send + 'static,
) {
    // The thread ends with the test's process.
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            match answer(&line) {
                Some(answer) => stream.get_mut().write_all(answer.as_bytes()).unwrap(),
                None => silent.push(stream),
            }
        }
    });
}

fn echo(server: SocketAddr, options: &[&str]) -> std::process::Output {
    let server = server.to_string();
    finish(program(&[&["echo", "--id", "1", "--server", &server], options].concat()))
}

#[test]
fn messages_are_sent_on_connections_of_their_own_and_compared() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    let address = server(move |line| {
        seen.lock().unwrap().push(line.to_owned());
        Some(line.to_owned())
    });
    let output = echo(address, &["--amount", "3", "--period", "1ms"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
    let message = |k| format!("[CLIENT 1] Message N°{k}");
    let sent: Vec<_> = (1..=3).map(|k| message(k) + "\n").collect();
    assert_eq!(*lines.lock().unwrap(), sent);
    let config = format!(
        "INFO     action: config | result: success | client_id: 1 | server_address: {address} | \
         loop_amount: 3 | loop_period: 1ms | log_level: INFO"
    );
    let received = "INFO     action: receive_message | result: success | client_id: 1 | msg: ";
    let received = (1..=3).map(|k| format!("{received}{}", message(k)));
    let finished = "INFO     action: loop_finished | result: success | client_id: 1".to_owned();
    let expected: Vec<_> = [config].into_iter().chain(received).chain([finished]).collect();
    assert_eq!(log(&output), expected);
}

#[test]
fn the_last_message_is_not_paused_after() {
    let address = server(|line| Some(line.to_owned()));
    let output = echo(address, &["--amount", "1", "--period", "1h"]);
    assert!(output.status.success(), "{output:?}");
    let output = echo(address, &["--amount", "0", "--period", "1h"]);
    assert_eq!(log(&output).len(), 2, "{output:?}");
}

#[test]
fn an_answer_that_is_not_what_was_sent_is_a_failure() {
    type Answer = fn(&str) -> Option<String>;
    let cases: [(Answer, &str); 6] = [
        (|line| Some(line.to_uppercase()), "came back. Is what listens there an echo server?"),
        (|line| Some(line.replace('\n', "\r\n")), "came back"),
        (|line| Some(format!("{}x\n", line.trim_end())), "came back"),
        (|_| Some("\n".to_owned()), "\"\" came back"),
        (|line| Some(line.trim_end().to_owned()), "nothing came back: the connection ended"),
        (|_| None, "nothing came back: no answer in time"),
    ];
    for (answer, said) in cases {
        let output = echo(server(answer), &["--reply-timeout", "200ms"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let last = log(&output).pop().unwrap();
        let begin = "ERROR    action: receive_message | result: fail | client_id: 1 | error: ";
        assert!(last.starts_with(begin) && last.contains(said), "{last}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
}

#[test]
fn a_server_without_room_is_asked_again() {
    let mut busy = 2;
    let address = server(move |line| {
        busy -= i32::from(busy > 0);
        Some(if busy > 0 { "busy\n".to_owned() } else { line.to_owned() })
    });
    let output = echo(address, &["--amount", "1"]);
    assert!(output.status.success(), "{output:?}");
    let waited = "INFO     action: connect | result: in_progress | reason: the server has no room";
    assert!(log(&output)[1].starts_with(waited), "{output:?}");
}
