//! Who gets in.

use std::time::Duration;

use bolillero_server::driver::{AddressLimits, Driver, Limits};
use bolillero_server::echo::Echo;
use bolillero_server::session::{Flow, Input};

use crate::harness::{Cell, PATIENCE, Server};
use crate::sessions::{On, Script};
use crate::{each_address, limits};

pub(crate) fn idle_connections_do_not_keep_others_from_being_served(cell: Cell) {
    // Threads cost memory, and handshakes time.
    let n_idle = if cell.driver == Driver::Threads || cell.tls { 200 } else { 2000 };
    let server = Server::start(cell, Echo::default(), limits());
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

pub(crate) fn a_newcomer_without_room_is_told_so(cell: Cell) {
    let busy_time = Duration::from_millis(50);
    // However late this thread sends, the answer must not be lost to a reset.
    let linger_time_max = PATIENCE;
    let limits = Limits { connections_max: 2, busy_time, linger_time_max, ..limits() };
    let server = Server::start(cell, Echo::default(), limits);
    let mut inside = [server.connect(), server.connect()];
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    let mut newcomers = [server.knock(), server.knock(), server.knock()];
    for client in &mut newcomers {
        client.send(b"let me in\n");
        client.expect_turned_away(b"busy\n");
    }
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
}

pub(crate) fn a_newcomer_gets_the_room_of_one_that_leaves(cell: Cell) {
    let limits = Limits { connections_max: 1, busy_time: 2 * PATIENCE, ..limits() };
    let server = Server::start(cell, Echo::default(), limits);
    let mut inside = server.connect();
    inside.exchange(b"inside\n");
    let (mut second, mut third) = (server.knock(), server.knock());
    second.send(b"second\n");
    third.send(b"third\n");
    drop(inside);
    second.expect(b"second\n");
    drop(second);
    third.expect(b"third\n");
}

pub(crate) fn accepting_goes_on_when_somebody_leaves(cell: Cell) {
    // No place to wait inside: who comes stays in the backlog, and no new edge tells of them.
    let limits = Limits { connections_max: 2, newcomers_max: 0, ..limits() };
    let server = Server::start(cell, Echo::default(), limits);
    let mut clients: Vec<_> = (0..20).map(|_| server.knock()).collect();
    for client in &mut clients {
        client.send(b"hello\n");
    }
    for mut client in clients {
        client.expect(b"hello\n");
    }
}

pub(crate) fn an_address_with_all_its_connections_is_told_so_and_others_get_in(cell: Cell) {
    let busy_time = Duration::from_millis(50);
    let limits = Limits { addresses: each_address(2), busy_time, ..limits() };
    let server =
        Server::start(cell, Echo::default(), Limits { linger_time_max: PATIENCE, ..limits });
    let mut inside = [server.connect_from(2), server.connect_from(2)];
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    // One of a third address for each that is told.
    for _ in 0..5 {
        let mut one_more = server.knock_from(2);
        server.connect_from(3).exchange(b"from elsewhere\n");
        one_more.send(b"let me in\n");
        one_more.expect_turned_away(b"busy\n");
    }
    // So many that most of them are closed at once.
    let crowd: Vec<_> = (0..300).map(|_| server.knock_from(2)).collect();
    server.connect_from(3).exchange(b"from elsewhere\n");
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    for mut client in crowd {
        client.expect_cut();
    }
}

pub(crate) fn a_place_of_an_address_is_free_again_however_its_connection_ended(cell: Cell) {
    let open = |_| {
        On(|input: Input<'_>, out: &mut Vec<u8>| match input {
            Input::Bytes(b"panic\n") => panic!("as the peer wished"),
            Input::Bytes(b"bye\n") => Flow::Close,
            Input::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Flow::Continue
            }
            _ => Flow::Close,
        })
    };
    let busy_time = 2 * PATIENCE;
    let limits = Limits { addresses: each_address(1), busy_time, ..limits() };
    let server = Server::start(cell, Script(open), limits);
    let mut last = server.connect_from(2);
    last.exchange(b"inside\n");
    // Who gave up waiting holds no place either.
    drop(server.knock_from(2));
    for parting in ["panic\n", "bye\n", ""].into_iter().cycle().take(12) {
        let mut next = server.knock_from(2);
        last.send(parting.as_bytes());
        drop(last);
        next.exchange(b"inside\n");
        last = next;
    }
}

pub(crate) fn this_machine_itself_has_as_many_connections_as_there_are(cell: Cell) {
    let addresses = AddressLimits { max: Some(1), ..AddressLimits::default() };
    let limits = Limits { addresses, busy_time: 2 * PATIENCE, ..limits() };
    let server = Server::start(cell, Echo::default(), limits);
    let mut inside = [1, 1, 2, 2].map(|last| server.connect_from(last));
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
}
