//! `bolillero-server echo` and `health`: what tools that know only lines and exit codes rely on.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;

use tempfile::tempdir;

use crate::for_every_driver;
use crate::office::{Office, Port, listens, serve, server_program};
use crate::process::{Ended, Process};

fn start_echo(options: &[&str]) -> Office {
    let mut command = server_program();
    command.args(["echo", "--listen", "127.0.0.1:0"]).args(options);
    let mut process = Process::start(command);
    let address = listens(&mut process, "echo");
    Office { process, address }
}

/// Says `bytes` and then no more; returns all that is answered.
fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).unwrap();
    answered
}

fn health(options: &[&str], environment: &[(&str, &str)], directory: &Path) -> Ended {
    let mut command = server_program();
    command.arg("health").args(options).envs(environment.iter().copied()).current_dir(directory);
    Process::start(command).end()
}

/// The messages from the first connection on, without their times.
fn messages(ended: &Ended) -> Vec<&str> {
    let messages = ended.lines.iter().map(|line| &line[29..]);
    let parts = ["accept_connections", "receive_message"];
    messages.filter(|line| parts.iter().any(|part| line.contains(part))).collect()
}

for_every_driver! { an_echo_server_answers_and_logs_as_deployed_tools_expect }

fn an_echo_server_answers_and_logs_as_deployed_tools_expect(driver: &str) {
    let office = start_echo(&["--driver", driver]);
    let said = "[CLIENT 1] Message N°1\n";
    assert_eq!(say(office.address, said.as_bytes()), said.as_bytes());
    // Without an end, and with what would break the log's own form.
    assert_eq!(say(office.address, b"a | b"), b"a | b");
    let ended = office.stop();
    assert_eq!(
        messages(&ended),
        [
            "action: accept_connections | result: in_progress",
            "action: accept_connections | result: success | ip: 127.0.0.1",
            "action: accept_connections | result: in_progress",
            "action: receive_message | result: success | ip: 127.0.0.1 | msg: [CLIENT 1] Message N°1",
            "action: accept_connections | result: success | ip: 127.0.0.1",
            "action: accept_connections | result: in_progress",
            "action: receive_message | result: success | ip: 127.0.0.1 | msg: a   b",
        ]
    );
}

#[test]
fn a_message_that_steers_turns_or_hides_is_echoed_as_it_is_and_logged_as_it_can_be_shown() {
    let office = start_echo(&[]);
    let said = "a\u{1b}[2J\u{202e}b\u{2028}\u{200b}c\u{ad}\u{e0041} ñ\r\n";
    assert_eq!(say(office.address, said.as_bytes()), said.as_bytes());
    assert_eq!(say(office.address, b"\xff\n"), b"\xff\n");
    let ended = office.stop();
    let logged: Vec<_> =
        messages(&ended).into_iter().filter_map(|line| line.split_once("msg: ")).collect();
    let shown = r"a [2J\u202eb\u2028\u200bc\u00ad\u{e0041} ñ";
    assert_eq!(logged.iter().map(|(_, text)| *text).collect::<Vec<_>>(), [shown, "\u{fffd}"]);
}

#[test]
fn a_line_over_the_limit_closes_its_connection_only() {
    let office = start_echo(&["--max-line", "8"]);
    assert_eq!(say(office.address, b"12345678\n123456789\nabc\n"), b"12345678\n");
    assert_eq!(say(office.address, b"abc\n"), b"abc\n");
    office.stop();
}

#[test]
fn an_echo_server_ends_at_once_with_clients_connected() {
    let office = start_echo(&[]);
    let mut silent = TcpStream::connect(office.address).unwrap();
    let mut half = TcpStream::connect(office.address).unwrap();
    half.write_all(b"a\nb").unwrap();
    half.read_exact(&mut [0; 2]).unwrap();
    office.stop();
    assert_eq!(silent.read(&mut [0; 9]).unwrap(), 0);
    assert_eq!(half.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn a_server_that_takes_connections_is_healthy_and_logs_nothing_of_it() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let office = Office::start(&data_dir, &["--log-level", "debug"]);
    let address = office.address.to_string();
    let port = office.address.port().to_string();
    let everywhere = format!("0.0.0.0:{port}");
    std::fs::create_dir(directory.path().join("server")).unwrap();
    let file = format!("[DEFAULT]\nSERVER_PORT = {port}");
    for (options, environment) in [
        (&["--listen", &address][..], &[][..]),
        (&["--listen", &everywhere], &[]),
        (&["--listen", "0.0.0.0"], &[("SERVER_PORT", port.as_str())]),
        (&[], &[("SERVER_PORT", port.as_str())]),
    ] {
        let ended = health(options, environment, directory.path());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{options:?}");
        assert_eq!(ended.lines.len(), 0, "{ended:?}");
    }
    // As in a container: the file lies where both commands look.
    std::fs::write(directory.path().join("server/config.ini"), file).unwrap();
    assert_eq!(health(&[], &[], directory.path()).code, Some(0));
    let ended = office.stop();
    let of_connections = ["accept", "close", "ip:"];
    let said = |line: &&String| of_connections.iter().any(|part| line.contains(part));
    assert_eq!(ended.lines.iter().find(said), None);
}

#[test]
fn a_server_that_is_not_there_or_not_meant_is_told_by_the_exit_code() {
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let address = port.address().to_string();
    for (options, code, said) in [
        (&["--listen", address.as_str()][..], 1, address.as_str()),
        (&["--listen", "127.0.0.1:x"], 2, "--listen 127.0.0.1:x"),
        (&["--timeout", "soon"], 2, "--timeout soon"),
        (&["--config", "/nowhere/config.ini"], 2, "/nowhere/config.ini"),
    ] {
        let ended = health(options, &[], directory.path());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    // Who listens and accepts nobody takes connections all the same: the kernel keeps them.
    let mut busy = serve(&directory.path().join("data"), &["--max-connections", "1"]);
    busy.args(["--busy-delay", "10m"]);
    let office = Office::listening(Process::start(busy));
    let _first = office.connect();
    let ended = health(&["--listen", &office.address.to_string()], &[], directory.path());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    office.stop();
}
