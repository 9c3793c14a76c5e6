//! Each command of the client at each service that it is not for: it says what is there.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::tempdir;

use crate::office::{Office, client_program, listens, server_program};
use crate::process::Process;

/// What listens, as an error calls it, and the command that speaks to it.
const SERVICES: [(&str, &str); 5] = [
    ("a central office", "; `bolillero agency` speaks to it"),
    ("a central office's text dialect", "; `bolillero agency --text` speaks to it"),
    ("a file server (HFTP)", "; `bolillero files` speaks to it"),
    ("a room", "; `bolillero room` speaks to it"),
    ("an echo server", "; `bolillero echo` speaks to it"),
];
/// Long enough for an answer on a loaded machine. What says nothing is asked what it is behind it.
const TIME: &str = "4s";

/// The commands, and which of the services each is for.
fn commands(file: &str) -> Vec<(usize, Vec<&str>)> {
    let bet = "bet --id 1 --first-name A --last-name B --document 1 --birth-date 1990-01-01";
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    vec![
        (0, [words("agency --id 1 --bets"), vec![file]].concat()),
        (0, [words("agency --base --id 1 --bets"), vec![file]].concat()),
        (0, [words(bet), words("--number 7")].concat()),
        (0, words("probe")),
        (1, [words("agency --text --id 1 --bets"), vec![file]].concat()),
        (2, words("files ls")),
        (2, words("files cat draw.json")),
        (3, words("room --name ana")),
        (4, words("echo --id 1 --amount 1")),
        (4, words("probe --service echo")),
    ]
}

fn start(words: &[&str], server: &str, directory: &Path) -> Process {
    let mut command = client_program();
    match words {
        ["files", what, names @ ..] => command.args(["files", what, server]).args(names),
        ["room", rest @ ..] => command.args(["room", server]).args(rest),
        _ => command.args(words).args(["--server", server]),
    };
    let wait = if words[0] == "probe" { "--timeout" } else { "--reply-timeout" };
    Process::start({
        command.args([wait, TIME]).current_dir(directory);
        command
    })
}

/// One of each service, with where each listens.
fn start_services(directory: &Path) -> (Vec<SocketAddr>, Office, Process) {
    let any = "127.0.0.1:0";
    let options = ["--listen-text", any, "--files", any, "--room", any, "--room-plaintext"];
    let mut office = Office::start(&directory.join("office"), &options);
    let others = ["lottery-text", "files", "room"].map(|name| listens(&mut office.process, name));
    let mut command = server_program();
    command.args(["echo", "--listen", any]);
    let mut echo = Process::start(command);
    let addresses = [&[office.address][..], &others, &[listens(&mut echo, "echo")]].concat();
    (addresses, office, echo)
}

#[test]
fn whatever_is_asked_of_another_service_the_answer_names_that() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("bets.csv");
    fs::write(&file, "Ana,Paz,30000001,1990-01-01,1\r\n").unwrap();
    let (addresses, _office, _echo) = start_services(directory.path());
    let mut asked = Vec::new();
    for (sought, words) in commands(file.to_str().unwrap()) {
        for (found, address) in addresses.iter().enumerate().filter(|(found, _)| *found != sought) {
            let server = address.to_string();
            let ((found, command), (sought, _)) = (SERVICES[found], SERVICES[sought]);
            let said = format!("what listens at {server} is {found}, not {sought}{command}\n");
            asked.push((words.join(" "), said, start(&words, &server, directory.path())));
        }
    }
    for (words, said, process) in asked {
        let ended = process.end();
        assert_eq!(ended.code, Some(1), "{words}: {said}: {ended:?}");
        assert!(ended.stderr.ends_with(&said), "{words}: no {said} in {ended:?}");
    }
}

#[test]
fn what_speaks_no_tls_is_told_whether_it_answers_a_handshake_or_not() {
    let directory = tempdir().unwrap();
    let (addresses, _office, _echo) = start_services(directory.path());
    let pki = directory.path().join("pki");
    let made = client_program().args(["pki", "init", "--dir"]).arg(&pki).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let ca = pki.join("ca.pem").to_str().unwrap().to_owned();
    let asked: Vec<_> = addresses
        .iter()
        .map(|address| {
            let words = ["probe", "--tls", "--ca", &ca];
            start(&words, &address.to_string(), directory.path())
        })
        .collect();
    for (process, (service, _)) in asked.into_iter().zip(SERVICES) {
        let ended = process.end();
        assert_eq!(ended.code, Some(1), "{service}: {ended:?}");
        assert!(ended.stderr.contains(" does not speak TLS ("), "{service}: {ended:?}");
        assert!(ended.stderr.contains("go without --tls"), "{service}: {ended:?}");
    }
}
