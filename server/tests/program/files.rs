//! Files over HFTP from outside: beside a lottery, and alone as deployed scripts start it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::for_every_driver;
use crate::inputs::Inputs;
use crate::office::{
    Office, Port, count, finish_agencies, listens, server_program, start_agencies,
};
use crate::process::Process;

/// Sends commands, of which the last is to be `quit`; returns all that is answered.
fn fetch(address: SocketAddr, commands: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    let mut answered = String::new();
    stream.read_to_string(&mut answered).unwrap();
    answered
}

/// The bytes of a file, by one raw slice.
fn fetch_file(address: SocketAddr, name: &str) -> String {
    let size = fetch(address, &format!("get_metadata {name}\r\nquit\r\n"));
    let size = size.split("\r\n").nth(1).unwrap();
    let answered = fetch(address, &format!("get_slice {name} 0 {size} raw\r\nquit\r\n"));
    let header = format!("0 OK\r\nContent-Length: {size}\r\n\r\n");
    let rest = answered.strip_prefix(&header).unwrap_or_else(|| panic!("{answered}"));
    rest.strip_suffix("0 OK\r\n").unwrap().to_owned()
}

fn alone(directory: &Path, options: &[&str]) -> Command {
    let mut command = server_program();
    command.arg("files").args(options).current_dir(directory);
    command
}

/// The address that the first line says, after which it is served.
fn serving(process: &mut Process, directory: &str) -> SocketAddr {
    let line = process.wait_for("Serving");
    let said = line.strip_prefix(&format!("Serving {directory} on ")).unwrap();
    said.strip_suffix('.').unwrap().parse().unwrap()
}

for_every_driver! { results_are_fetched_from_the_server_that_drew_them }

fn results_are_fetched_from_the_server_that_drew_them(driver: &str) {
    let directory = tempdir().unwrap();
    let options = ["--agencies", "2", "--files", "127.0.0.1:0", "--driver", driver];
    let mut office = Office::start(directory.path(), &options);
    let files = listens(&mut office.process, "files");
    assert_eq!(fetch(files, "get_file_listing\r\nquit\r\n"), "0 OK\r\n\r\n0 OK\r\n");

    finish_agencies(start_agencies(office.address, &Inputs::find().files[..2], &[]));
    office.process.wait_for("action: publish");
    let names = ["SHA256SUMS", "draw.json", "winners-agency-1.csv", "winners-agency-2.csv"];
    let listing = fetch(files, "get_file_listing\r\nquit\r\n");
    assert_eq!(listing, format!("0 OK\r\n{}\r\n\r\n0 OK\r\n", names.join("\r\n")));
    let sums = fetch_file(files, "SHA256SUMS");
    assert_eq!(sums.lines().count(), 3);
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let digest = Sha256::digest(fetch_file(files, name));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, sum, "{name}");
        // Winners' documents and no bettor's name.
        let content = fetch_file(files, name);
        let of_winners = name.starts_with("winners");
        assert!(
            !of_winners || content.lines().all(|line| line.parse::<u64>().is_ok()),
            "{content}"
        );
    }
    office.stop();
}

#[test]
fn another_directory_is_served_beside_the_lottery_and_made_when_missing() {
    let directory = tempdir().unwrap();
    let made = directory.path().join("a/b");
    let options = ["--files", "127.0.0.1:0", "--files-dir", made.to_str().unwrap()];
    let mut office = Office::start(&directory.path().join("data"), &options);
    let files = listens(&mut office.process, "files");
    fs::write(made.join("a.txt"), "hello").unwrap();
    assert_eq!(fetch_file(files, "a.txt"), "hello");
    fs::remove_dir_all(&made).unwrap();
    assert_eq!(fetch(files, "get_metadata a.txt\r\nquit\r\n"), "202 FILE NOT FOUND\r\n0 OK\r\n");
    // To be looked into, it was made again.
    fs::write(made.join("a.txt"), "again").unwrap();
    assert_eq!(fetch_file(files, "a.txt"), "again");
    office.stop();
}

#[test]
fn deployed_scripts_start_and_stop_a_server_of_files_as_they_always_did() {
    for (options, served, signal) in [
        (&["-d", "files", "-p", "0", "-a", "127.0.0.1"][..], "files", Signal::INT),
        (&["--datadir=files", "--port=0", "--address=127.0.0.1"], "files", Signal::TERM),
        (&["--listen", "127.0.0.1:0", "--dir", "./files"], "./files", Signal::TERM),
        (&["--port", "0"], "testdata", Signal::INT),
    ] {
        let directory = tempdir().unwrap();
        let mut process = Process::start(alone(directory.path(), options));
        let address = serving(&mut process, served);
        assert!(process.seen()[0].starts_with("Serving "), "it is the first line");
        // Nothing says otherwise: all addresses of this machine.
        assert_eq!(address.ip().is_unspecified(), served == "testdata");
        let reached = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        fs::write(directory.path().join(served).join("a.txt"), "hello").unwrap();
        assert_eq!(fetch_file(reached, "a.txt"), "hello");
        let silent = TcpStream::connect(reached).unwrap();
        process.signal(signal);
        let ended = process.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(count(&ended.lines, "result: fail"), 0, "{ended:?}");
        drop(silent);
    }
}

#[test]
fn what_deployed_scripts_cannot_mean_is_a_usage_error() {
    let directory = tempdir().unwrap();
    for (options, said) in [
        (&["-p", "http"][..], "--port http: not a port, 0 to 65535"),
        (&["-p", "65536"], "--port 65536: not a port, 0 to 65535"),
        (&["-p", "-1"], "-1"),
        (&["testdata"], "testdata"),
        (&["-a", "no host"], "--address no host: "),
        (&["--listen", "127.0.0.1:0", "-p", "7"], "--port"),
        (&["--file-readers", "0"], "--file-readers 0: not 1 to 64"),
        (&["--max-command", "0"], "--max-command 0: "),
        (&["--max-listing", "65MiB"], "--max-listing 65MiB: more than 64MiB"),
        (&["--command-timeout", "soon"], "--command-timeout soon: "),
    ] {
        let ended = Process::start(alone(directory.path(), options)).end();
        assert_eq!((ended.code, ended.lines.len()), (Some(2), 0), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    assert!(!directory.path().join("testdata").exists());
}

#[test]
fn a_port_in_use_and_a_directory_that_cannot_be_are_told() {
    let directory = tempdir().unwrap();
    let port = Port::reserve();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    fs::write(directory.path().join("file"), "").unwrap();
    for (options, said) in [
        (["--listen", &taken, "-d", "testdata"], format!("listening on {taken}: ")),
        (["--listen", &port.address().to_string(), "-d", "file/x"], "creating file/x: ".to_owned()),
    ] {
        let ended = Process::start(alone(directory.path(), &options)).end();
        assert_eq!((ended.code, ended.lines.len()), (Some(1), 0), "{ended:?}");
        assert!(ended.stderr.contains(&said), "{ended:?}");
    }
}
