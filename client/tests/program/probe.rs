//! `bolillero probe` against what may listen where a server should.

use std::net::SocketAddr;
use std::process::{Command, Output};

use bolillero_protocol::message::Reply;
use socket2::{Domain, Socket, Type};

use crate::echo;
use crate::office::{Fault, Office, Served, packet};
use crate::running::Running;
use crate::setting::{TIME_MAX, finish, log, program};

fn probe(server: SocketAddr, service: &str, timeout: &str) -> Output {
    let server = server.to_string();
    finish(program(&["probe", "--service", service, "--timeout", timeout, "--server", &server]))
}

fn same(line: &str) -> Option<String> {
    Some(line.to_owned())
}

#[test]
fn a_server_that_speaks_as_it_should_is_well_and_nothing_is_stored() {
    let served = Served::new(Office::default());
    let output = probe(served.address, "lottery", "20s");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(log(&output), ["INFO     action: probe | result: success | service: lottery"]);
    let office = served.office.lock().unwrap();
    assert!(office.requests == 3 && office.lanes.is_empty(), "{office:?}");

    let output = probe(echo::server(same), "echo", "20s");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(log(&output), ["INFO     action: probe | result: success | service: echo"]);
}

#[test]
fn a_server_that_does_not_is_told() {
    let answer = |request, reply| Office::with_faults([(request, Fault::Answer(packet(&reply)))]);
    let lotteries = [
        (answer(0, Reply::Error("no")), "the office refused a batch of no bets: no"),
        (answer(0, Reply::Corrupt), "the office found the packet of a batch of no bets corrupt"),
        (answer(1, Reply::Ack), "answered ack (2) where the answer to a bet of agency 0"),
        (answer(2, Reply::Error("no")), "refused a batch of no bets behind a bet that was refused"),
        (answer(2, Reply::Winners { data: b"#", rest: 0 }), "answered winners (7)"),
        (Office::with_faults([(1, Fault::Silent)]), "for 300ms: no answer in time"),
    ];
    for (office, said) in lotteries {
        let timeout = if said.contains("300ms") { "300ms" } else { "20s" };
        failed(&probe(Served::new(office).address, "lottery", timeout), "lottery", said);
    }
    failed(&probe(echo::server(|_| Some("x\n".into())), "echo", "20s"), "echo", "\"x\" came back");
    failed(&probe(echo::server(|_| None), "echo", "300ms"), "echo", "for 300ms: no answer in time");
    // Each where the other is looked for.
    let said = "is an echo server, not a central office; `bolillero echo` speaks to it";
    failed(&probe(echo::server(same), "lottery", "1s"), "lottery", said);
    let said = "is a central office, not an echo server; `bolillero agency` speaks to it";
    failed(&probe(Served::new(Office::default()).address, "echo", "20s"), "echo", said);
}

fn failed(output: &Output, service: &str, said: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = log(output).pop().unwrap();
    let begin = format!("ERROR    action: probe | result: fail | service: {service} | error: ");
    assert!(last.starts_with(&begin) && last.contains(said), "{last}");
}

#[test]
fn a_server_that_is_not_there_yet_is_tried_until_the_time_is_over() {
    for (service, faults) in
        [("lottery", vec![(0, Fault::Drop), (2, Fault::Drop)]), ("echo", vec![])]
    {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        failed(&probe(address, service, "50ms"), service, "for 50ms: connection refused");
        let server = address.to_string();
        let options = ["probe", "--service", service, "--timeout", "1h", "--server", &server];
        let mut running = Running::start(program(&options));
        running.wait_for("action: connect | result: in_progress | reason: connection refused");
        socket.listen(16).unwrap();
        let _served = match service {
            "lottery" => Some(Served::on(socket.into(), Office::with_faults(faults))),
            _ => {
                echo::serve(socket.into(), same);
                None
            }
        };
        let ended = running.end_within(TIME_MAX);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.log.iter().any(|line| line.contains("fail")), "{ended:?}");
    }
}

/// As the server's. Were it read, memory would be gone before the first line.
#[test]
fn a_time_zone_that_cannot_be_read_is_utc_and_told_once() {
    for zone in ["/dev/zero", ":/dev/zero", "Nowhere/Else"] {
        let probe = program(&["probe", "--timeout", "100ms", "--server", "127.0.0.1:1"]);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]).env("TZ", zone);
        command.arg(probe.get_program()).args(probe.get_args());
        let output = finish(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = format!("WARNING  action: log | result: in_progress | error: TZ is {zone:?},");
        let log = log(&output);
        assert!(log[0].starts_with(&said), "{log:?}");
        assert!(log.iter().skip(1).all(|line| !line.contains("action: log")), "{log:?}");
    }
}
