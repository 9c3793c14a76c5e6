//! Deadlines, the server's stop, and what is logged.

use bolillero_server::files::FilesLimits;

use crate::folder::gated;
use crate::gate::Gate;
use crate::rig::{Client, FILES, directory, service, take_log_lines};

#[test]
fn a_deadline_runs_within_a_command_and_between_two_and_never_while_an_answer_is_owed() {
    let gate = Gate::default();
    let limits = FilesLimits::default();
    let mut client = Client::new(&service(gated(&gate)));
    let idle = client.wait().unwrap();
    assert_eq!(idle.time_max, limits.idle_time_max);
    client.send("h");
    let partial = client.wait().unwrap();
    assert_eq!(partial.time_max, limits.command_time_max);
    assert_ne!(partial.id, idle.id);
    client.send("el");
    assert_eq!(client.wait(), Some(partial), "a byte more does not postpone it");
    client.exchange("p\r\n");
    let next = client.wait().unwrap();
    assert_eq!(next.time_max, limits.idle_time_max);
    assert_ne!(next.id, idle.id, "a command begins another wait");
    client.send("get_metadata cold\r\nhel");
    assert_eq!(client.wait(), None, "it is the disk that is slow");
    gate.open();
    client.read_all();
    assert_eq!(client.wait().unwrap().time_max, limits.command_time_max);
    take_log_lines();
    client.time_out();
    assert!(client.is_closed());
    let line = "INFO action: close | result: success | ip: 127.0.0.1 | \
                reason: unfinished command for too long";
    assert_eq!(take_log_lines(), [line]);
}

#[test]
fn a_stop_closes_the_silent_at_once_and_others_when_they_have_what_they_are_owed() {
    let (_place, directory) = directory(&FILES);
    let files = service(directory);
    for said in ["", "hel", "help\r\n"] {
        let mut client = Client::new(&files);
        client.send(said);
        let owed = client.read();
        client.stop();
        assert!(client.is_closed(), "{said:?}");
        assert_eq!(owed.is_empty(), said != "help\r\n");
    }
    let gate = Gate::default();
    let mut client = Client::new(&service(gated(&gate)));
    client.send("get_metadata cold\r\nget_metadata warm\r\n");
    client.stop();
    assert!(!client.is_closed());
    gate.open();
    assert_eq!(client.read_all(), b"0 OK\r\n9\r\n0 OK\r\n9\r\n");
    // What had arrived meanwhile is handed in first, and then it is told again.
    assert_eq!(client.exchange("get_metadata warm\r\n"), "0 OK\r\n9\r\n");
    client.stop();
    assert!(client.is_closed());
}

#[test]
fn a_healthy_run_is_logged_without_a_failure_and_in_fields_that_tools_can_split() {
    let (_place, directory) = directory(&FILES);
    let files = service(directory);
    take_log_lines();
    let mut client = Client::new(&files);
    client
        .exchange("get_file_listing\r\nget_metadata hello.txt\r\nget_slice hello.txt 0 5 raw\r\n");
    client
        .exchange("get_slice nowhere 0 5\r\nget_slice hello.txt 9 9\r\nwhat | is this\r\nquit\r\n");
    assert_eq!(
        take_log_lines(),
        [
            "command: get_file_listing",
            "command: get_metadata | file: hello.txt",
            "command: get_slice | file: hello.txt",
            "command: get_slice | file: nowhere",
            "command: get_slice | file: hello.txt",
            "status: 200",
            "command: quit",
        ]
        .map(|rest| format!(
            "DEBUG action: receive_request | result: success | ip: 127.0.0.1 | {rest}"
        ))
    );
    Client::new(&files).exchange("help\n");
    let line = "DEBUG action: receive_request | result: fail | ip: 127.0.0.1 | status: 100";
    assert_eq!(take_log_lines(), [line]);
}
