//! Who gets in.

use std::time::Duration;

use bolillero_server::driver::{Driver, Limits};
use bolillero_server::echo::Echo;

use crate::harness::{PATIENCE, Server};
use crate::limits;

pub(crate) fn idle_connections_do_not_keep_others_from_being_served(driver: Driver) {
    let n_idle = if driver == Driver::Threads { 200 } else { 2000 };
    let server = Server::start(driver, Echo::default(), limits());
    // Once somebody is served the limit on descriptors, which the clients need too, is raised.
    server.connect().exchange(b"ready\n");
    let mut idle: Vec<_> = (0..n_idle).map(|_| server.connect()).collect();
    let mut busy = server.connect();
    for i in 0..100 {
        busy.exchange(format!("busy {i}\n").as_bytes());
    }
    for client in &mut idle {
        client.exchange(b"still there\n");
    }
}

pub(crate) fn a_newcomer_without_room_is_told_so(driver: Driver) {
    let busy_time = Duration::from_millis(50);
    // However late this thread sends, the answer must not be lost to a reset.
    let linger_time_max = PATIENCE;
    let limits = Limits { connections_max: 2, busy_time, linger_time_max, ..limits() };
    let server = Server::start(driver, Echo::default(), limits);
    let mut inside = [server.connect(), server.connect()];
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    let mut newcomers = [server.connect(), server.connect(), server.connect()];
    for client in &mut newcomers {
        client.send(b"let me in\n");
        assert_eq!(client.rest(), b"busy\n");
    }
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
}

pub(crate) fn a_newcomer_gets_the_room_of_one_that_leaves(driver: Driver) {
    let limits = Limits { connections_max: 1, busy_time: 2 * PATIENCE, ..limits() };
    let server = Server::start(driver, Echo::default(), limits);
    let mut inside = server.connect();
    inside.exchange(b"inside\n");
    let (mut second, mut third) = (server.connect(), server.connect());
    second.send(b"second\n");
    third.send(b"third\n");
    drop(inside);
    second.expect(b"second\n");
    drop(second);
    third.expect(b"third\n");
}

pub(crate) fn accepting_goes_on_when_somebody_leaves(driver: Driver) {
    // No place to wait inside: who comes stays in the backlog, and no new edge tells of them.
    let limits = Limits { connections_max: 2, newcomers_max: 0, ..limits() };
    let server = Server::start(driver, Echo::default(), limits);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"hello\n");
    }
    for mut client in clients {
        client.expect(b"hello\n");
    }
}
