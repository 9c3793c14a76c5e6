//! What the network and the office's end do to an agency: away, silent, full, broken, or something else
//! altogether.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bolillero::agency::{Session, Terms};
use bolillero::base::Base;
use bolillero::connect::{self, Address, AddressSource, Listener, Pauses, converse};
use bolillero::dialogue::Stop;
use bolillero::ending::Ending;
use bolillero_protocol::message::Reply;
use socket2::{Domain, Socket, Type};

use crate::office::{Fault, Office, Served, bodies, cut, packet, rows};
use crate::setting::{Setting, TIME_MAX, agency, finish, log, program, stderr, stdout};

/// A port that refuses connections until it listens, and that nobody else can take.
fn closed_port() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    (socket, address)
}

#[test]
fn an_office_that_is_not_there_yet_is_waited_for_without_a_word_of_failure() {
    let setting = Setting::new(Office::default(), &rows(9));
    let (socket, address) = closed_port();
    let mut client = agency(&setting.file(), &address, &[]);
    let mut client = client.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen: Vec<_> = lines.by_ref().take(4).collect();
    assert!(seen[3].contains("action: connect | result: in_progress | reason: connection refused"));
    socket.listen(16).unwrap();
    let served = Served::on(socket.into(), Office::default());
    seen.extend(lines);
    assert!(client.wait().unwrap().success());
    assert_eq!(served.bodies(1), bodies(&rows(9), 0));
    assert!(!seen.iter().any(|line| line.contains("fail")), "{seen:?}");
}

#[test]
fn an_office_that_stays_away_ends_the_wait_in_time() {
    let setting = Setting::new(Office::default(), &rows(1));
    let (_socket, address) = closed_port();
    for options in [&["--connect-timeout", "20ms"][..], &["--connect-timeout", "20ms", "--base"]] {
        let output = finish(agency(&setting.file(), &address, options));
        assert_eq!(output.status.code(), Some(1));
        let said =
            format!("bolillero: no server answers at {address} for 20ms: connection refused\n");
        assert_eq!(stderr(&output), said);
    }
}

/// A host name that no resolver looks for: a label has 63 characters at most.
fn unresolvable() -> String {
    format!("{}:12345", "a".repeat(64))
}

#[test]
fn a_host_name_that_cannot_be_resolved_is_told_with_where_it_was_found() {
    let server = unresolvable();
    let host = server.trim_end_matches(":12345");
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("client")).unwrap();
    let file = directory.path().join("client/config.yaml");
    fs::write(file, format!("server:\n  address: \"{server}\"\n")).unwrap();
    let in_file = "server.address in client/config.yaml, line 2";
    let in_environment = "CLI_SERVER_ADDRESS in the environment";
    for (options, environment, source, comes_from) in [
        (&[][..], None, in_file, in_file),
        (&[], Some(&server), in_environment, in_environment),
        (&["--server", &server], None, "--server", ""),
    ] {
        let mut command = program(&[&["echo", "--id", "1"], options].concat());
        command.current_dir(directory.path()).env("CLI_CONNECT_TIMEOUT", "80ms");
        command.envs(environment.map(|server| ("CLI_SERVER_ADDRESS", server)));
        let output = finish(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let tries: Vec<_> =
            log(&output).into_iter().filter(|line| line.contains("action: connect")).collect();
        let reason = format!("reason: host name \"{host}\" cannot be resolved | pause: ");
        assert!(tries.len() > 1 && tries.iter().all(|line| line.contains(&reason)), "{tries:#?}");
        let named = format!(" | server: {server} | from: {source}");
        assert!(tries[0].ends_with(&named), "{tries:#?}");
        assert!(!tries[1].contains("from: "), "{tries:#?}");
        let mut said = format!(
            "bolillero: no server answers at {server} for 80ms: host name \"{host}\" cannot be \
             resolved"
        );
        if !comes_from.is_empty() {
            said += &format!(
                ". The address comes from {comes_from}: give another with --server HOST:PORT"
            );
        }
        assert_eq!(stderr(&output), said + "\n");
    }
}

#[test]
fn a_host_name_that_cannot_be_resolved_has_a_time_of_its_own() {
    let impatient = connect::Office {
        resolve_timeout: Duration::from_millis(20),
        ..office(&unresolvable(), Duration::from_millis(1))
    };
    let mut session = Session::new(Terms { agency: 1, window: 4, draw: None }, cut("", 3));
    let stop = converse(&impatient, &mut session, &Ending::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(&stop, Stop::Away { waited, .. } if waited == "20ms"), "{stop}");
}

#[test]
fn an_answer_that_stays_away_is_asked_for_on_a_new_connection() {
    let office = Office::with_faults([(0, Fault::Silent), (3, Fault::Silent)]);
    let setting = Setting::new(office, &rows(1));
    let output = setting.agency(&["--reply-timeout", "30ms"]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).contains("result: in_progress | reason: no answer in time"));
    assert_eq!(setting.served.bodies(1), bodies(&rows(1), 0));
}

/// An office at `address`, with pauses of `pause` and no end of patience.
fn office(address: &str, pause: Duration) -> connect::Office {
    connect::Office {
        server: Address::parse(address).unwrap(),
        source: AddressSource::Typed("--server"),
        sought: Listener::Office,
        tls: None,
        connect_timeout: Duration::from_hours(1),
        resolve_timeout: Duration::from_hours(1),
        reply_timeout: Duration::from_hours(1),
        peer_timeout: TIME_MAX,
        pauses: Pauses { first: pause, longest: pause },
    }
}

/// Runs a session in this process, with pauses too short to notice.
fn run_session(served: &Served, file: &str) {
    let office = office(&served.address.to_string(), Duration::from_micros(100));
    let mut session = Session::new(Terms { agency: 1, window: 4, draw: None }, cut(file, 3));
    converse(&office, &mut session, &Ending::default(), &mut |_| {}).unwrap();
}

/// In this process no thread ends what does not notice.
#[test]
fn a_conversation_ends_wherever_it_waits_when_that_is_asked() {
    let silent = |n| Office::with_faults([(n, Fault::Silent)]);
    let busy = Office::with_faults([(0, Fault::Last(packet(&Reply::Busy)))]);
    let draw_is_not_done = Office { busy_answers: 9, ..Office::default() };
    // How many requests have come when it waits: for an answer, for the draw, for the end of a pause.
    let cases = [(silent(0), 1), (silent(2), 3), (silent(5), 6), (busy, 1), (draw_is_not_done, 6)];
    for (served, requests) in cases.map(|(office, requests)| (Served::new(office), requests)) {
        let ending = Ending::default();
        let work = {
            let (address, ending) = (served.address.to_string(), ending.clone());
            thread::spawn(move || {
                let file = rows(12);
                let mut base = Base::new(1, "bets.csv", cut(&file, 3));
                converse(
                    &office(&address, Duration::from_hours(1)),
                    &mut base,
                    &ending,
                    &mut |_| {},
                )
            })
        };
        let begin = Instant::now();
        while served.office.lock().unwrap().requests < requests {
            assert!(begin.elapsed() < TIME_MAX, "request {requests} never came");
            thread::yield_now();
        }
        ending.ask();
        while !work.is_finished() {
            assert!(begin.elapsed() < TIME_MAX, "it goes on after request {requests}");
            thread::yield_now();
        }
        let stop = work.join().unwrap().unwrap_err();
        assert!(matches!(stop, Stop::Asked), "after request {requests}: {stop}");
    }
}

#[test]
fn connections_that_break_at_every_request_lose_and_double_nothing() {
    let file = rows(30);
    for fault in [Fault::Drop, Fault::DropAfter, Fault::Last(packet(&Reply::Close)), Fault::NoRoom]
    {
        for first in 0..8 {
            let faults = (first..60).step_by(7).map(|request| (request, fault.clone()));
            let served = Served::new(Office::with_faults(faults));
            run_session(&served, &file);
            assert_eq!(served.bodies(1), bodies(&file, 3), "{fault:?} from request {first}");
        }
    }
}

#[test]
fn an_office_without_room_for_a_connection_is_tried_again() {
    let busy = Fault::Last(packet(&Reply::Busy));
    let served = Served::new(Office::with_faults((0..5).map(|request| (request, busy.clone()))));
    run_session(&served, &rows(30));
    assert_eq!(served.bodies(1), bodies(&rows(30), 3));
}

#[test]
fn an_office_that_accepts_and_never_answers_is_no_office() {
    let setting = Setting::new(Office::default(), &rows(1));
    let (socket, address) = closed_port();
    socket.listen(16).unwrap();
    let options = ["--connect-timeout", "200ms", "--reply-timeout", "50ms"];
    let output = finish(agency(&setting.file(), &address, &options));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = format!("bolillero: no server answers at {address} for 200ms: no answer in time\n");
    assert_eq!(stderr(&output), said);
    // Without a session nobody can know what became of the batch.
    let output = finish(agency(&setting.file(), &address, &[&options[..], &["--base"]].concat()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("may be stored or not"), "{output:?}");
}

/// A way to `office` whose n-th connection delivers so many bytes of what the office says, then
/// nothing more, and stays open. Those behind the last of `limits` deliver all.
fn falls_silent(office: SocketAddr, limits: &'static [usize]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The threads end with the test's process.
    thread::spawn(move || {
        let limits = limits.iter().copied().chain(std::iter::repeat(usize::MAX));
        for (stream, limit) in listener.incoming().zip(limits) {
            let client = stream.unwrap();
            let server = TcpStream::connect(office).unwrap();
            let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
            thread::spawn(move || forward(client, server, usize::MAX));
            thread::spawn(move || forward(&ends[1], &ends[0], limit));
        }
    });
    address
}

/// Forwards up to `left` bytes, byte by byte. Where more come it does nothing any more.
fn forward(from: impl Read, mut to: impl Write, mut left: usize) {
    for byte in BufReader::new(from).bytes().map_while(Result::ok) {
        if left == 0 {
            loop {
                thread::park();
            }
        }
        left -= 1;
        if to.write_all(&[byte]).is_err() {
            return;
        }
    }
}

#[test]
fn a_network_that_goes_silent_is_noticed_and_nothing_is_lost_or_doubled() {
    let setting = Setting::new(Office::default(), &rows(40));
    // In the first answer, in that to the knock, behind the first, within a receipt, and in the
    // middle of the receipts.
    let address = falls_silent(setting.served.address, &[0, 0, 96, 120, 500]);
    let options = ["--reply-timeout", "200ms", "--batch-bets-max", "3", "--window", "2"];
    let output = finish(agency(&setting.file(), &address.to_string(), &options));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(setting.served.bodies(1), bodies(&rows(40), 3));
    let noticed = "action: connect | result: in_progress | reason: no answer in time";
    assert!(stdout(&output).matches(noticed).count() >= 4, "{output:?}");
}

/// Something that says `greeting` to whoever connects, then what it is told; counts who came.
fn stranger(greeting: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = came.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            let answers = stream.try_clone().unwrap();
            thread::spawn(move || {
                if stream.write_all(greeting).is_ok() {
                    forward(answers, stream, usize::MAX);
                }
            });
        }
    });
    (address, came)
}

#[test]
fn what_is_no_office_is_told_at_once() {
    let setting = Setting::new(Office::default(), &rows(1));
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is a web server (HTTP), not a central office\n"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "is a server of secure shells (SSH), not a central office\n"),
        // It sends back what it is sent.
        (b"", "is an echo server, not a central office; `bolillero echo` speaks to it\n"),
        (
            b"what nobody knows\n",
            "opcode 119 is unknown or not for this side. Is what listens there a central office?\n",
        ),
    ];
    for (greeting, said) in cases {
        for dialect in [&[][..], &["--base"]] {
            let (address, came) = stranger(greeting);
            let output = finish(agency(&setting.file(), &address.to_string(), dialect));
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let error = stderr(&output);
            assert!(error.ends_with(said), "{error}");
            assert_eq!(came.load(Ordering::SeqCst), 1, "it was tried again: {output:?}");
            let waited = log(&output).iter().any(|line| line.contains("in_progress"));
            assert!(!waited, "{output:?}");
        }
    }
}
