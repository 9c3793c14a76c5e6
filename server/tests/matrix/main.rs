//! How a server behaves towards its peers, written once and run under each driver.

mod harness;

use std::net::Shutdown;
use std::thread;

use bolillero_server::driver::{Driver, Limits};
use bolillero_server::echo::Echo;

use harness::Server;

/// A test of each behaviour for each driver.
macro_rules! matrix {
    ($($behaviour:ident)*) => {
        mod pool { $(#[test] fn $behaviour() { super::$behaviour(super::Driver::Pool); })* }
        mod events { $(#[test] fn $behaviour() { super::$behaviour(super::Driver::Events); })* }
        mod threads { $(#[test] fn $behaviour() { super::$behaviour(super::Driver::Threads); })* }
    };
}

matrix! {
    a_request_cut_into_single_bytes_is_answered
    pipelined_requests_are_answered_in_order
    a_peer_that_sends_no_more_gets_its_answers
    idle_connections_do_not_keep_others_from_being_served
}

fn limits() -> Limits {
    Limits { workers: 2, ..Limits::default() }
}

fn a_request_cut_into_single_bytes_is_answered(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    for byte in b"first\nsecond\n" {
        client.send(&[*byte]);
    }
    client.expect(b"first\nsecond\n");
}

fn pipelined_requests_are_answered_in_order(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    let lines: Vec<u8> = (0..100_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let mut sender = harness::Client(client.0.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&lines));
        client.expect(&lines);
    });
}

fn a_peer_that_sends_no_more_gets_its_answers(driver: Driver) {
    let server = Server::start(driver, Echo::default(), limits());
    let mut client = server.connect();
    client.send(b"whole\nhalf");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"whole\nhalf");
}

fn idle_connections_do_not_keep_others_from_being_served(driver: Driver) {
    let n_idle = if driver == Driver::Threads { 200 } else { 2000 };
    let server = Server::start(driver, Echo::default(), limits());
    server.connect().exchange(b"the descriptor limit is raised now\n");
    let mut idle: Vec<_> = (0..n_idle).map(|_| server.connect()).collect();
    let mut busy = server.connect();
    for i in 0..100 {
        busy.exchange(format!("busy {i}\n").as_bytes());
    }
    for client in &mut idle {
        client.exchange(b"still there\n");
    }
}
