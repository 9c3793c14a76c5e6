//! `bolillero pki`: what it writes, for whom, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use bolillero_tls::Identity;
use bolillero_tls::files::certificates;
use bolillero_tls::identity::agency_of;
use bolillero_tls::server::{ServerFiles, ServerTls};
use tempfile::tempdir;

use crate::setting::{finish, program, stderr, stdout};

fn pki(dir: &Path, command: &str, options: &[&str]) -> Output {
    let dir = dir.to_str().unwrap();
    finish(program(&[&["pki", command, "--dir", dir], options].concat()))
}

fn listed(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The three commands of a trial, in a directory that is made.
fn try_out(dir: &Path) {
    for (command, options, said) in [
        ("init", &[][..], "next: bolillero pki server --dir "),
        ("server", &["--name", "localhost", "--name", "127.0.0.1"], ": localhost, 127.0.0.1, good"),
        ("agency", &["--id", "1", "--id", "7", "--id", "1"], "next: bolillero agency --id 1 --tls"),
    ] {
        let output = pki(dir, command, options);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(stdout(&output).contains(said), "{said}: {output:?}");
        assert!(stdout(&output).contains(", good until 20"), "{output:?}");
    }
}

#[test]
fn three_commands_make_all_that_a_trial_needs_and_keys_are_nobody_elses() {
    let place = tempdir().unwrap();
    let dir = place.path().join("pki");
    try_out(&dir);
    let whose = ["agency-1", "agency-7", "ca", "server"];
    let names: Vec<_> = whose
        .iter()
        .flat_map(|whose| [format!("{whose}-key.pem"), format!("{whose}.pem")])
        .collect();
    assert_eq!(listed(&dir), names, "nothing is left over");
    assert_eq!(mode(&dir), 0o700);
    for name in names.iter().filter(|name| name.contains("-key")) {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    for (name, id) in [("agency-1.pem", 1), ("agency-7.pem", 7)] {
        assert_eq!(agency_of(&certificates(&dir.join(name)).unwrap()[0]), Ok(id));
    }
    let identity = Identity { cert: dir.join("server.pem"), key: dir.join("server-key.pem") };
    ServerTls::load(&ServerFiles { identity, client_ca: Some(dir.join("ca.pem")) }).unwrap();
}

#[test]
fn another_implementation_finds_them_good() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl");
        return;
    }
    let place = tempdir().unwrap();
    let dir = place.path().join("pki");
    try_out(&dir);
    for (name, purpose, good) in [
        ("server.pem", "sslserver", true),
        ("server.pem", "sslclient", false),
        ("agency-7.pem", "sslclient", true),
        ("agency-7.pem", "sslserver", false),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"]);
        let output = finish({
            openssl.arg(dir.join("ca.pem")).arg(dir.join(name));
            openssl
        });
        assert_eq!(output.status.success(), good, "{name} {purpose}: {output:?}");
    }
}

#[test]
fn nothing_is_replaced_and_the_error_says_what_to_do() {
    let place = tempdir().unwrap();
    let dir = place.path().join("pki");
    try_out(&dir);
    let contents = || listed(&dir).iter().map(|name| fs::read(dir.join(name)).unwrap()).collect();
    let before: Vec<Vec<u8>> = contents();
    for (command, options, parts) in [
        ("init", &[][..], ["has an authority already", "name another --dir"]),
        ("server", &[], ["server.pem is there already", "move it away"]),
        ("agency", &["--id", "9", "--id", "7"], ["agency-7.pem is there already", "move it away"]),
    ] {
        let output = pki(&dir, command, options);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(parts.iter().all(|part| stderr(&output).contains(part)), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    assert!(before == contents(), "agency 9 has nothing, too");

    // One of two is enough to refuse.
    fs::remove_file(dir.join("ca.pem")).unwrap();
    let output = pki(&dir, "init", &[]);
    assert!(stderr(&output).contains("has an authority already"), "{output:?}");
    let output = pki(&dir, "agency", &["--id", "9"]);
    assert!(stderr(&output).contains("has no authority, ca.pem is missing: "), "{output:?}");
    let output = pki(&place.path().join("nowhere"), "server", &[]);
    assert!(stderr(&output).contains("`bolillero pki init --dir "), "{output:?}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!place.path().join("nowhere").exists());
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_written() {
    let place = tempdir().unwrap();
    let dir = place.path().join("pki");
    for (command, options, said) in [
        ("init", &["--days", "0"][..], "--days 0: is not 1 to 3650"),
        ("init", &["--days", "3651"], "--days 3651: is not 1 to 3650"),
        ("server", &["--days", "826"], "--days 826: is not 1 to 825"),
        ("server", &["--name", "host:5001"], "--name host:5001: is no name"),
        ("server", &["--name", ""], "--name : is no name"),
        ("agency", &["--id", "0"], "--id 0: an agency's number is 1 to 65535"),
        ("agency", &["--id", "65536"], "--id 65536: an agency's number is 1 to 65535"),
        ("agency", &["--id", "1", "--days", "0"], "--days 0: is not 1 to 825"),
        ("agency", &[], "--id <N>"),
    ] {
        let output = pki(&dir, command, options);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(said), "{said}: {output:?}");
    }
    assert!(!dir.exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let place = tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let output = pki(&file.join("pki"), "init", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("making the directory "), "{output:?}");
}
