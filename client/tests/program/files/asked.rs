//! What is refused before anything is sent.

use super::{files, place};
use crate::setting::{finish, stderr, stdout};
use crate::shelf::Shelf;

#[test]
fn what_cannot_be_meant_is_refused_before_a_socket_opens() {
    let cases: [(&str, &[&str], &str); 18] = [
        ("get", &["../etc/passwd"], "NAME \"../etc/passwd\": is no name of a file"),
        ("get", &[".."], "NAME \"..\": is no name of a file"),
        ("get", &["."], "NAME \".\": is no name of a file"),
        ("get", &["good", ""], "NAME \"\": is no name of a file"),
        ("get", &["a b"], "NAME \"a b\": is no name of a file"),
        ("get", &["a\r\nquit"], "NAME \"a\\r\\nquit\": is no name of a file"),
        ("get", &["ñ"], "NAME \"ñ\": is no name of a file"),
        ("cat", &[".."], "NAME \"..\": is no name of a file"),
        ("get", &[], "<NAME>"),
        ("cat", &[], "<NAME>"),
        ("get", &["a", "--all"], "--all"),
        ("get", &["a", "--window", "0"], "--window 0: the window is 1 to 64 slices"),
        ("get", &["a", "--window", "65"], "--window 65: "),
        ("cat", &["a", "--slice", "0"], "--slice 0: is not 1 to 1GiB"),
        ("get", &["a", "--slice", "2GiB"], "--slice 2GiB: "),
        ("get", &["a", "--slice", "1MB"], "--slice 1MB: "),
        ("ls", &["--reply-timeout", "0s"], "--reply-timeout 0s: "),
        ("ls", &["--connect-timeout", "soon"], "--connect-timeout soon: "),
    ];
    let shelf = std::sync::Arc::new(std::sync::Mutex::new(Shelf::default()));
    let server = place::serve_shared(shelf.clone()).to_string();
    for (command, options, said) in cases {
        let output = finish(files(command, &server, options));
        assert_eq!(output.status.code(), Some(2), "{options:?} {output:?}");
        assert!(stderr(&output).contains(said) && stdout(&output).is_empty(), "{output:?}");
    }
    let long = "a".repeat(256);
    assert_eq!(finish(files("get", &server, &[&long])).status.code(), Some(2));
    for server in ["", "host:0", "host:65536", "::1", "host:"] {
        let output = finish(files("ls", server, &[]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            stderr(&output).starts_with(&format!("bolillero: HOST[:PORT] {server}: is no host"))
        );
    }
    assert_eq!(shelf.lock().unwrap().asked, [""; 0]);
}

#[test]
fn a_host_alone_is_asked_at_the_port_that_is_usual() {
    // Whoever listens at that port of this machine: it is the port that is told.
    let output = finish(files("ls", "host.invalid", &["--connect-timeout", "1ms"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = "bolillero: no server answers at host.invalid:19500 for 1ms: ";
    assert!(stderr(&output).contains(said), "{output:?}");
}

#[test]
fn a_name_that_is_given_twice_is_fetched_once() {
    let place = place::Place::new(&[("a", b"1")]);
    let output = place.get(&["a", "a"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), "a: 1 byte, no checksum\n");
}
