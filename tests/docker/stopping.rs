//! SIGTERM, to one container and to all.

use crate::deployment::{Deployment, follow, inspect, lines, signal};
use crate::engine::succeeded;
use crate::inputs::Inputs;
use crate::lines::assert_healthy_log;

/// The last line of a server and of a client: log parsers count the server's as the exit of a container.
const SERVER_ENDED: &str = "action: exit | result: success";
const CLIENT_ENDED: &str = "action: stop | result: success";
/// Seconds until docker would kill.
const STOP_SECONDS_MAX: &str = "2";

/// A lottery of which an agency is missing, so that all the others wait, connected, for the draw.
fn waiting_lottery() -> Deployment {
    let deployment = Deployment::lottery(&Inputs::find(), 100);
    deployment.up(&["server", "client1", "client2", "client3", "client4"]);
    for client in &deployment.clients[..4] {
        follow(client).wait_for("action: apuestas_enviadas");
    }
    deployment
}

fn assert_ended(container: &str) {
    assert_eq!(inspect(container, "{{.State.ExitCode}}"), "0", "{container}");
    let lines = lines(container);
    assert_healthy_log(&lines);
    let ended = if container == "server" { SERVER_ENDED } else { CLIENT_ENDED };
    assert!(lines.last().unwrap().ends_with(ended), "{container}: {lines:#?}");
}

#[test]
fn a_server_with_clients_ends_on_a_signal_and_they_wait_for_it_until_they_are_told_too() {
    let deployment = waiting_lottery();
    let ended = signal("server", "TERM", follow("server"));
    assert!(ended.lines.last().unwrap().ends_with(SERVER_ENDED), "{ended:?}");
    assert_ended("server");
    for client in &deployment.clients[..4] {
        follow(client).wait_for("action: connect | result: in_progress");
        signal(client, "TERM", follow(client));
        assert_ended(client);
    }
}

#[test]
fn a_waiting_client_ends_on_a_signal_and_the_others_go_on() {
    let deployment = waiting_lottery();
    signal("client2", "TERM", follow("client2"));
    assert_ended("client2");
    // Started again it goes on where the office stands; with the last one the draw is done.
    deployment.up(&["client2", "client5"]);
    deployment.finish();
}

#[test]
fn all_end_in_time_when_all_are_stopped() {
    let deployment = waiting_lottery();
    succeeded(deployment.compose(&["stop", "--timeout", STOP_SECONDS_MAX]));
    for container in ["server", "client1", "client2", "client3", "client4"] {
        assert_ended(container);
    }
}

#[test]
fn echo_clients_end_in_the_middle_of_their_pause() {
    let deployment = Deployment::new("echo", 3);
    deployment.configure_clients(12345, "INFO", 100, (1000, "1h"));
    deployment.up(&[]);
    for client in &deployment.clients {
        follow(client).wait_for("action: receive_message");
    }
    succeeded(deployment.compose(&["stop", "--timeout", STOP_SECONDS_MAX]));
    for container in ["server", "client1", "client2", "client3"] {
        assert_ended(container);
    }
}

#[test]
fn a_client_ends_while_there_is_no_server() {
    let deployment = Deployment::lottery(&Inputs::find(), 100);
    succeeded(deployment.compose(&["up", "-d", "--no-deps", "client1"]));
    follow("client1").wait_for("action: connect | result: in_progress");
    signal("client1", "TERM", follow("client1"));
    assert_ended("client1");
}
