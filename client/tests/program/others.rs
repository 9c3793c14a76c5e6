//! `bolillero agency` against offices that others have built: with few workers, without sessions,
//! always busy.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bolillero_protocol::message::{Reply, Request};

use crate::office::{Fault, Office, Served, bodies, packet, rows};
use crate::running::Running;
use crate::setting::{BET, Setting, TIME_MAX, agency, finish, log, program, stderr};

/// An office that serves one connection after another, each by `serve`, and where it listens.
fn one_worker(mut serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(TIME_MAX)).unwrap();
            serve(stream);
        }
    });
    address
}

/// Reads all bytes of a connection, and has `office` answer them.
fn converse(stream: &mut TcpStream, office: &mut Office) -> Vec<u8> {
    let (mut connection, mut all) = (office.accept(), Vec::new());
    let mut bytes = [0; 4096];
    loop {
        let Ok(size @ 1..) = stream.read(&mut bytes) else { return all };
        all.extend_from_slice(&bytes[..size]);
        let mut answers = Vec::new();
        let stays = office.receive(&mut connection, &bytes[..size], &mut answers);
        if stream.write_all(&answers).is_err() || !stays {
            return all;
        }
    }
}

/// An office with one worker, and the bytes of each connection.
fn recorded(mut office: Office) -> (SocketAddr, Receiver<Vec<u8>>) {
    let (told, heard): (Sender<Vec<u8>>, _) = channel();
    let address = one_worker(move |mut stream| {
        let all = converse(&mut stream, &mut office);
        drop(told.send(all));
    });
    (address, heard)
}

fn request(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(&mut out);
    out
}

#[test]
fn base_closes_after_the_mark_and_asks_for_the_winners_on_a_connection_each() {
    let file = rows(3);
    let setting = Setting::new(Office::default(), &file);
    let (address, heard) = recorded(Office { busy_answers: 2, ..Office::default() });
    let output = finish(agency(&setting.file(), &address.to_string(), &["--base"]));
    assert!(output.status.success(), "{output:?}");
    let close = packet(&Reply::Close);
    let batch = request(&Request::Batch { body: &bodies(&file, 0)[0] });
    let mark = [&[5, 0, 0, 0, 2][..], b"1#"].concat();
    let question = [&[6, 0, 0, 0, 2][..], b"1#"].concat();
    let asked = [question, close.clone()].concat();
    let expected = [[batch, mark, close].concat(), asked.clone(), asked.clone(), asked];
    for (i, expected) in expected.into_iter().enumerate() {
        assert_eq!(heard.recv_timeout(TIME_MAX), Ok(expected), "connection {i}");
    }
    let log = log(&output);
    let waits = "INFO     action: wait | result: in_progress | reason: the draw is not done yet";
    assert_eq!(log.iter().filter(|line| line.starts_with(waits)).count(), 2, "{log:#?}");
    let tries = log.iter().filter(|line| line.contains("action: connect"));
    assert_eq!(tries.count(), 0, "an end in order is no lost connection: {log:#?}");
}

#[test]
fn an_agency_that_waits_for_the_draw_leaves_the_only_worker_to_the_others() {
    let setting = Setting::new(Office::default(), &rows(9));
    let mut office = Office { draws_after: 2, ..Office::default() };
    let address = one_worker(move |mut stream| drop(converse(&mut stream, &mut office)));
    let start = |id: &str| {
        let mut command = program(&["agency", "--base", "--id", id, "--bets"]);
        command.arg(setting.file()).args(["--server", &address.to_string()]);
        Running::start(command)
    };
    let mut first = start("1");
    first.wait_for("action: wait | result: in_progress | reason: the draw is not done yet");
    for running in [start("2"), first] {
        let ended = running.end_within(TIME_MAX);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.log.iter().any(|line| line.contains("cant_ganadores: 0")), "{ended:?}");
    }
}

#[test]
fn an_office_without_sessions_is_told_at_once_with_what_to_do() {
    type Serve = fn(TcpStream);
    fn answer(mut stream: TcpStream, reply: &Reply<'_>) {
        stream.read_exact(&mut [0; 9]).unwrap();
        stream.write_all(&packet(reply)).unwrap();
        // Until the client is gone.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let cases: [(Serve, &str); 4] = [
        (|stream| answer(stream, &Reply::Corrupt), "corrupt (-1)"),
        (|stream| answer(stream, &Reply::Error("opcode desconocido: 9#")), "an error (4): opcode "),
        (|mut stream| drop(stream.read_exact(&mut [0; 9])), "the end of the connection, 6 times "),
        // What it has not read resets the connection.
        (|mut stream| drop(stream.read_exact(&mut [0; 1])), "the end of the connection, 6 times "),
    ];
    let setting = Setting::new(Office::default(), &rows(9));
    for (serve, said) in cases {
        let address = one_worker(serve).to_string();
        let running = Running::start(agency(&setting.file(), &address, &[]));
        let ended = running.end_within(TIME_MAX);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let begin = format!("bolillero: the office answers the hello of a session with {said}");
        assert!(ended.stderr.starts_with(&begin), "{ended:?}");
        let end = "if it is an office without sessions, use --base, which speaks opcodes 1 to 8\n";
        assert!(ended.stderr.ends_with(end), "{ended:?}");
    }
}

#[test]
fn an_office_that_restarts_and_one_that_has_said_welcome_are_come_back_to() {
    let drops = |requests: std::ops::Range<usize>| {
        Office::with_faults(requests.map(|request| (request, Fault::Drop)))
    };
    // Five hellos find a connection that ends. Or one is welcomed, and seven behind it are not.
    for office in [drops(0..5), drops(1..8)] {
        let setting = Setting::new(office, &rows(9));
        let output = setting.agency(&[]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(setting.served.bodies(1), bodies(&rows(9), 0));
    }
}

fn busy() -> Fault {
    Fault::Last(packet(&Reply::Busy))
}

#[test]
fn busy_in_answer_to_any_request_means_to_try_again() {
    let file = rows(9);
    for dialect in [&[][..], &["--base"]] {
        for request in 0..6 {
            let office = Office::with_faults([(request, busy()), (request + 1, busy())]);
            let setting = Setting::new(office, &file);
            let output = setting.agency(&[&["--batch-bets-max", "3"], dialect].concat());
            assert!(output.status.success(), "{dialect:?} {request}: {output:?}");
            assert_eq!(setting.served.bodies(1), bodies(&file, 3), "{dialect:?} {request}");
        }
    }
    let setting = Setting::new(Office::with_faults([(0, busy()), (1, busy())]), "");
    let address = setting.served.address.to_string();
    let bet = [&["bet", "--id", "1", "--server", &address], &BET[..]].concat();
    let output = finish(program(&bet));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{output:?}");
}

#[test]
fn busy_on_connecting_means_the_same() {
    let file = rows(9);
    for dialect in [&[][..], &["--base"]] {
        let served = Served::new(Office::default());
        let (mut turned_away, office) = (2, served.address);
        let address = one_worker(move |mut stream| {
            if turned_away > 0 {
                turned_away -= 1;
                // What it is asked is read, so that the answer is not lost to a reset.
                stream.write_all(&packet(&Reply::Busy)).unwrap();
                let _ = stream.read(&mut [0; 4096]);
                return;
            }
            let server = TcpStream::connect(office).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
            let (mut from, mut to) = (server, stream);
            thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
        });
        let setting = Setting::new(Office::default(), &file);
        let output = finish(agency(&setting.file(), &address.to_string(), dialect));
        assert!(output.status.success(), "{dialect:?}: {output:?}");
        assert_eq!(served.bodies(1), bodies(&file, 0));
        let reason = "action: connect | result: in_progress | reason: the office is busy";
        assert!(log(&output)[1].contains(reason), "{output:?}");
    }
}
