//! The scripts that ask a running deployment, the health check, and make's docker targets.

use std::process::{Command, Output};

use crate::deployment::{Deployment, export, follow, inspect, lines};
use crate::engine::{docker, repository, run};
use crate::inputs::Inputs;
use crate::lines::{assert_healthy_log, count};
use crate::process::Process;

fn check_validated(output: &Output, result: &str) {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(said, format!("action: test_echo_server | result: {result}\n"), "{output:?}");
    assert_eq!(output.status.code(), Some(i32::from(result != "success")), "{output:?}");
}

#[test]
fn an_echo_server_is_found_good_on_whatever_port_it_has() {
    for port in [12345, 23456] {
        let deployment = Deployment::new("echo", 0);
        deployment.configure_server(port, "INFO");
        deployment.up(&[]);
        check_validated(&deployment.validate_echo_server(), "success");
        assert_healthy_log(&lines("server"));
        let lottery = deployment.make(&["test-container"]);
        assert!(!lottery.status.success(), "an echo server is no lottery: {lottery:?}");
    }
}

#[test]
fn a_lottery_is_found_good_and_is_no_echo_server() {
    let deployment = Deployment::lottery(&Inputs::find(), 100);
    deployment.up(&["server"]);
    let output = deployment.make(&["test-container"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("action: probe | result: success | service: lottery\n"), "{said}");
    check_validated(&deployment.validate_echo_server(), "fail");
    // Nothing was stored by that, and who comes next finds all as it was.
    assert_eq!(export(), b"");
    deployment.up(&[]);
    assert_eq!(deployment.exit_codes(&deployment.clients), [0; 5]);
}

#[test]
fn without_a_server_or_a_network_the_validation_fails_soon() {
    let deployment = Deployment::new("echo", 1);
    // No network.
    check_validated(&deployment.validate_echo_server(), "fail");
    // A server on another port than the file says.
    deployment.up(&[]);
    follow("client1").wait_for("action: receive_message");
    deployment.configure_server(1, "INFO");
    check_validated(&deployment.validate_echo_server(), "fail");
    // A network without a server.
    deployment.configure_server(12345, "INFO");
    docker(&["kill", "server"]);
    check_validated(&deployment.validate_echo_server(), "fail");
}

#[test]
fn the_health_check_turns_healthy_and_logs_nothing() {
    for (mode, lines_of_start) in [("lottery", 3), ("echo", 3)] {
        let deployment = Deployment::new(mode, 0);
        deployment.up(&["server"]);
        // Docker tells by an event what its check came to.
        let created = inspect("server", "{{.Created}}");
        let mut events = Command::new("docker");
        events.args(["events", "--since", &created, "--format", "{{.Status}}"]);
        events.args(["--filter", "container=server", "--filter", "event=health_status"]);
        Process::start(events).wait_for("health_status: healthy");
        let lines = lines("server");
        assert_healthy_log(&lines);
        assert_eq!(lines.len(), lines_of_start, "{lines:#?}");
        assert_eq!(count(&lines, "action: listen"), 1);
    }
}

#[test]
fn a_deployment_goes_on_with_its_ledger_and_another_one_starts_afresh() {
    let mut deployment = Deployment::lottery(&Inputs::find(), 100);
    let drawn = "action: sorteo | result: success";
    for (mode, clients, draws) in [
        ("lottery", 5, 1),
        // The same once more: the draw is done, and its lines are still there.
        ("lottery", 5, 1),
        ("lottery", 3, 1),
        ("single", 5, 0),
        ("lottery", 5, 1),
    ] {
        deployment.generate(&[("TP0_MODE", mode)], clients);
        let output = deployment.start();
        assert!(output.status.success(), "{mode} {clients}: {output:?}");
        assert_eq!(deployment.exit_codes(&deployment.clients), vec![0; clients], "{mode}");
        assert_eq!(count(&lines("server"), drawn), draws, "{mode} {clients}");
    }
}

#[test]
fn a_server_that_does_not_start_fails_the_start_and_stops_the_clients() {
    let volume = "bolillero-test-other-draw";
    let environment = [("BOLILLERO_VOLUME", volume)];
    let mut deployment = Deployment::with_environment(&environment, 0);
    let output = deployment.start();
    assert!(output.status.success(), "{output:?}");
    // The ledger in the volume is of a draw of no agencies.
    deployment.generate(&[("TP0_MODE", "single"), environment[0]], 1);
    let output = deployment.start();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "server: Exited (1)",
        "the ledger is of a draw with --agencies 0",
        "generate the compose file with another volume",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert_eq!(docker(&["ps", "-q", "--filter", "label=com.docker.compose.project=tp0"]), "");
}

#[test]
fn a_wrong_number_of_clients_is_refused_before_anything_is_built() {
    let deployment = Deployment::new("echo", 0);
    // There is no Dockerfile here: a build would fail with another message.
    let output = deployment.make(&["docker-compose-up", "N=abc"]);
    assert!(!output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("usage: ") && !told.contains("Dockerfile"), "{told}");
}

#[test]
fn the_docker_targets_say_what_is_missing() {
    let no_engine = ("DOCKER_HOST", "tcp://127.0.0.1:1");
    for (variable, arguments, said) in [
        (("PATH", "/nowhere"), &[][..], "docker: there is no command docker: install "),
        (no_engine, &[], "docker: no engine answers: start it"),
        (no_engine, &["compose"], "docker: no engine answers: start it"),
        (("DOCKER_CONFIG", "/nowhere"), &[], ""),
    ] {
        let mut command = Command::new("/bin/sh");
        command.arg("scripts/need-docker.sh").args(arguments).env(variable.0, variable.1);
        let output = run(command.current_dir(repository()));
        assert_eq!(output.status.success(), said.is_empty(), "{variable:?}: {output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.starts_with(said), "{variable:?}: {told}");
    }
}
