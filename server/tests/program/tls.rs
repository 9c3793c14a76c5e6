//! The program over TLS: its files, its options, what it says of them, and how it ends.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bolillero_tls::authority::Validity;
use bolillero_tls::rustls::{AlertDescription, Error};
use tempfile::tempdir;

use crate::certificates::{CERTIFICATES, client_config, of_agency, valid, write_identity};
use crate::for_every_driver;
use crate::main_job::kill_again_and_again;
use crate::office::{Office, count, listens, serve, server_program, start_agency};
use crate::process::{Ended, Process};
use crate::secured::{Secured, connect, server_options};
use crate::wire::{ACK, Wire, batch, packet};

/// What the first listener of a service says, without its address.
fn admission<'a>(lines: &'a [String], service: &str) -> Option<&'a str> {
    let told = format!("action: listen | result: success | service: {service} |");
    let line = lines.iter().find(|line| line.contains(&told)).unwrap();
    line.split_once("| tls: ").map(|(_, admission)| admission)
}

/// A line of an object, and nothing behind it yet.
fn line_of(wire: &mut Wire<Secured>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        wire.0.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

for_every_driver! { every_listener_is_reached_over_tls_until_the_server_is_stopped }

fn every_listener_is_reached_over_tls_until_the_server_is_stopped(driver: &str) {
    let directory = tempdir().unwrap();
    let options = server_options(directory.path());
    let mut command = serve(&directory.path().join("data"), &["--agencies", "2"]);
    command.args(["--listen-text", "127.0.0.1:0", "--files", "127.0.0.1:0"]);
    command.args(["--room", "127.0.0.1:0", "--tls-anyone", "files", "--driver", driver]);
    let mut office = Office::listening(Process::start({
        command.args(options);
        command
    }));
    let [text, files, room] =
        ["lottery-text", "files", "room"].map(|service| listens(&mut office.process, service));
    let seen = office.process.seen();
    let told = ["lottery", "lottery-text", "files", "room"].map(|name| admission(seen, name));
    assert_eq!(told, ["agency", "agency", "anyone", "certified"].map(Some));

    let [first, second] = [1, 2].map(|agency| client_config(Some(&of_agency(agency))));
    let operator = CERTIFICATES.authority.client("operator", &[], valid()).unwrap();
    let mut agency = connect(office.address, &first);
    agency.exchange(&batch(1, 30_000_000, 10), &ACK);
    let mut of_text = connect(text, &second);
    of_text.send(b"\0\x03BET\0\x212,Eva,Luna,1,1992-02-29,3;");
    let mut reader = connect(files, &client_config(None));
    reader.exchange(b"get_file_listing\r\n", b"0 OK\r\n\r\n");
    let mut guest = connect(room, &client_config(Some(&operator)));
    assert_eq!(
        line_of(&mut guest),
        "{\"sender_id\": \"Server\", \"status\": 200, \"content\": 1}\n"
    );
    let mut silent = TcpStream::connect(office.address).unwrap();
    // Who came before this one is inside.
    connect(office.address, &second).exchange(&packet(3, "0#"), &ACK);

    let ended = office.stop();
    assert_eq!(count(&ended.lines, ": fail"), 0, "{ended:?}");
    agency.expect_last(&crate::wire::CLOSE);
    for mut wire in [of_text, reader, guest] {
        wire.expect_last(b"");
    }
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn agencies_over_tls_resume_by_themselves_after_every_kill() {
    let directory = tempdir().unwrap();
    let server = server_options(directory.path());
    let ca = server[5].as_str();
    kill_again_and_again(&server.each_ref().map(String::as_str), |address, files, options| {
        let start = |(id, file): (u32, &PathBuf)| {
            let own = write_identity(directory.path(), &format!("agency-{id}"), &of_agency(id));
            let [cert, key] = [&own.cert, &own.key].map(|path| path.to_str().unwrap());
            let tls = ["--tls", "--ca", ca, "--cert", cert, "--key", key];
            start_agency(address, id, file, &[options, &tls].concat())
        };
        (1..).zip(files).map(start).collect()
    });
}

#[test]
fn who_is_not_let_in_is_told_by_an_alert_and_in_the_log() {
    let directory = tempdir().unwrap();
    let options = server_options(directory.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut office = Office::start(&directory.path().join("data"), &options);
    let now = std::time::SystemTime::now();
    let day = Duration::from_hours(24);
    let expired = Validity { from: now - 2 * day, until: now - day };
    let expired = CERTIFICATES.authority.agency(1, expired).unwrap();
    let check = |shown, alert| {
        let mut refused = connect(office.address, &client_config(shown));
        let error = refused.0.read(&mut [0]).unwrap_err().downcast::<Error>().unwrap();
        assert_eq!(error, Error::AlertReceived(alert));
    };
    check(Some(&expired), AlertDescription::CertificateExpired);
    check(None, AlertDescription::CertificateRequired);
    let mut plain = office.connect();
    plain.send(&packet(3, "0#"));
    plain.expect_last(&[21, 3, 3, 0, 2, 2, 10]);
    for said in [
        "action: check_certificate | result: fail | certificate: bolillero://agency/1 sha256 ",
        "error: no certificate was shown",
        "error: what came is not TLS, and this port takes nothing else",
    ] {
        office.process.wait_for(said);
    }
    connect(office.address, &client_config(Some(&of_agency(1)))).exchange(&packet(3, "0#"), &ACK);
    // A probe says nothing, and nothing is said of it.
    let mut probe = server_program();
    probe.args(["health", "--listen", &office.address.to_string()]);
    assert_eq!(Process::start(probe).end().code, Some(0));
    let ended = office.stop();
    assert_eq!(count(&ended.lines, "tls_handshake | result: fail"), 3, "{ended:?}");
}

#[test]
fn files_of_no_use_are_named_and_nothing_is_made() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let [_, cert, _, key, _, ca] = &server_options(directory.path());
    let other = write_identity(directory.path(), "other", &of_agency(1)).key;
    let other = other.to_str().unwrap();
    let junk = directory.path().join("junk.pem");
    fs::write(&junk, "no PEM\n").unwrap();
    let (junk, missing) = (junk.to_str().unwrap(), "/nowhere/it.pem");
    let check = |options: &[&str], said: &[&str]| {
        let ended = Process::start(serve(&data_dir, options)).end();
        assert_eq!((ended.code, ended.lines.len()), (Some(2), 0), "{ended:?}");
        for part in said {
            assert!(ended.stderr.contains(part), "{:?} does not say {part:?}", ended.stderr);
        }
    };
    let own = ["--tls-cert", cert, "--tls-key", key];
    let with = |more: [&'static str; 2]| [&own[..], &more].concat();
    check(&["--tls-cert", missing, "--tls-key", key], &[missing]);
    check(&["--tls-cert", cert, "--tls-key", missing], &[missing]);
    check(&["--tls-cert", junk, "--tls-key", key], &[junk, "holds no certificate"]);
    check(&["--tls-cert", cert, "--tls-key", junk], &[junk, "holds no private key"]);
    check(&["--tls-cert", key, "--tls-key", cert], &[key, "holds no certificate"]);
    check(
        &["--tls-cert", cert, "--tls-key", other],
        &[cert, other, "the key is not that of the certificate"],
    );
    check(&[&own[..], &["--tls-client-ca", junk]].concat(), &[junk, "holds no certificate"]);
    check(&[&own[..], &["--tls-client-ca", missing]].concat(), &[missing]);
    check(&with(["--tls-handshake-timeout", "0s"]), &["--tls-handshake-timeout 0s"]);
    check(&with(["--tls-anyone", "lottery"]), &["--tls-anyone", "lottery"]);
    // One option that needs another.
    check(&["--tls-cert", cert], &["--tls-key"]);
    check(&["--tls-key", key], &["--tls-cert"]);
    check(&["--tls-client-ca", ca], &["--tls-cert"]);
    check(&["--room", "127.0.0.1:0"], &["--room 127.0.0.1:0", "--tls-cert", "--room-plaintext"]);
    assert!(!data_dir.exists());
}

#[test]
fn a_room_may_be_without_tls_beside_a_lottery_with_it() {
    let directory = tempdir().unwrap();
    let options = server_options(directory.path());
    let own: Vec<&str> = options[..4].iter().map(String::as_str).collect();
    let options = [&own[..], &["--room", "127.0.0.1:0", "--room-plaintext"]].concat();
    let mut office = Office::start(&directory.path().join("data"), &options);
    let room = listens(&mut office.process, "room");
    assert_eq!(admission(office.process.seen(), "lottery"), Some("anyone"));
    assert_eq!(admission(office.process.seen(), "room"), None);
    let mut guest = Wire::connect(room);
    guest.expect(b"{\"sender_id\": \"Server\", \"status\": 200, \"content\": 1}\n");
    connect(office.address, &client_config(None)).exchange(&packet(3, "0#"), &ACK);
    office.stop();
    guest.expect_last(b"");
}

#[test]
fn services_that_keep_nothing_are_served_over_tls_too() {
    let directory = tempdir().unwrap();
    let [own @ .., ca_option, ca] = server_options(directory.path());
    fs::write(directory.path().join("a.txt"), "hello").unwrap();
    let reply = &b"0 OK\r\n5\r\n"[..];
    for (command, request, reply) in
        [("echo", &b"a line\n"[..], &b"a line\n"[..]), ("files", b"get_metadata a.txt\r\n", reply)]
    {
        let of_clients = [ca_option.clone(), ca.clone()];
        for (more, admission, shown) in
            [(&[][..], "anyone", None), (&of_clients, "certified", Some(of_agency(1)))]
        {
            let mut process = start(command, &[&own, more].concat(), directory.path());
            let line = process.wait_for(&format!("service: {command} | address: "));
            let (_, told) = line.split_once("address: ").unwrap();
            let (address, told) = told.split_once(" | tls: ").unwrap();
            assert_eq!(told, admission);
            let mut wire = connect(address.parse().unwrap(), &client_config(shown.as_ref()));
            wire.exchange(request, reply);
            process.signal(rustix::process::Signal::TERM);
            let ended: Ended = process.end();
            assert_eq!((ended.code, count(&ended.lines, ": fail")), (Some(0), 0), "{ended:?}");
            wire.expect_last(b"");
        }
    }
}

fn start(command: &str, options: &[String], directory: &Path) -> Process {
    let mut program = server_program();
    program.args([command, "--listen", "127.0.0.1:0"]).args(options);
    if command == "files" {
        program.arg("--datadir").arg(directory);
    }
    Process::start(program)
}
