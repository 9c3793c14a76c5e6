//! Every command under TLS: with certificates that are good, and with those that are not; records cut
//! anywhere; servers that do not speak it, or nothing else.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::time::Duration;

use bolillero_tls::authority::Validity;
use bolillero_tls::rustls::HandshakeKind;
use bolillero_tls::server::Admission;
use rustix::process::Signal;

use crate::files::place::Place;
use crate::office::{Office, Served, bodies, rows};
use crate::running::Running;
use crate::secure::{Event, Manners, Papers, Relay};
use crate::setting::{BET, TIME_MAX, finish, log, program, stderr, stdout};
use crate::shelf::content;
use crate::{echo, text};

const LOAD: [&str; 7] = ["--agencies", "2", "--bets", "300", "--winning-number", "1", "--json"];

/// Lets in agencies only.
fn certified() -> Manners {
    Manners { admission: Admission::Agency, ..Manners::default() }
}

fn run(words: &[&str], options: &[String]) -> Output {
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    finish(program(&[words, &options].concat()))
}

fn same(line: &str) -> Option<String> {
    Some(line.to_owned())
}

/// A file of bets of agency 1.
fn bets(papers: &Papers, n: usize) -> String {
    let path = papers.path("bets.csv");
    fs::write(&path, rows(n)).unwrap();
    path
}

/// Has every command that connects do its work, by a relay with `manners`.
fn work_with(papers: &Papers, manners: Manners, options: &[String]) {
    let relay = |to| Relay::new(papers, to, manners);
    let file = bets(papers, 100);
    for dialect in [&["--batch-bets-max", "7"][..], &["--batch-bets-max", "7", "--base"]] {
        let served = Served::new(Office::default());
        let relay = relay(served.address);
        let words = ["agency", "--id", "1", "--bets", &file, "--server", &relay.server()];
        done(&run(&[&words, dialect].concat(), options));
        assert_eq!(served.bodies(1), bodies(&rows(100), 7));
    }
    let (office, heard) = text::serve(&["100\n", "", "30000001\n"].map(text::answer));
    let way = relay(office);
    let words = ["agency", "--text", "--id", "1", "--bets", &file, "--server", &way.server()];
    let output = run(&words, options);
    done(&output);
    assert!(stdout(&output).contains("cant_ganadores: 1"), "{output:?}");
    assert_eq!(heard.join().unwrap().len(), 3);

    let served = Served::new(Office::default());
    let way = relay(served.address);
    done(&run(&[&["bet", "--id", "1", "--server", &way.server()], &BET[..]].concat(), options));
    assert_eq!(served.office.lock().unwrap().lane(1).last().0, 1);
    done(&run(&["probe", "--server", &way.server()], options));
    for load in [&[][..], &["--base"], &["--connection-per-request"]] {
        let served = Served::new(Office::default());
        let way = relay(served.address);
        let output =
            run(&[&["load", "--server", &way.server()], &LOAD[..], load].concat(), options);
        done(&output);
        assert!(stdout(&output).contains("\"handshakes\":{\"full\":"), "{output:?}");
        let bets = (1..=2).map(|agency| served.office.lock().unwrap().lane(agency).last().0);
        assert_eq!(bets.sum::<u64>(), 300);
    }
    let way = relay(echo::server(same));
    let words = ["echo", "--id", "1", "--amount", "2", "--period", "1ms", "--server"];
    done(&run(&[&words[..], &[&way.server()]].concat(), options));
    done(&run(&["probe", "--service", "echo", "--server", &way.server()], options));
}

fn done(output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_command_works_with_a_certificate_and_without() {
    let papers = Papers::new();
    work_with(&papers, Manners::default(), &papers.trusting());
    work_with(&papers, certified(), &papers.showing("agency-1"));
}

#[test]
fn records_may_be_cut_anywhere_and_a_server_may_end_without_a_word() {
    let papers = Papers::new();
    let small = Manners { record_size_max: Some(32), write_size_max: 1, ..Manners::default() };
    work_with(&papers, small, &papers.trusting());
    work_with(&papers, Manners { says_goodbye: false, ..small }, &papers.trusting());
}

#[test]
fn files_come_whole_in_records_of_any_size() {
    let papers = Papers::new();
    let bytes = content(3_000_001);
    let place = Place::new(&[("a.csv", b"7\n"), ("big", &bytes)]);
    for (record_size_max, write_size_max) in [(None, usize::MAX), (Some(1000), 1499)] {
        let manners = Manners { record_size_max, write_size_max, ..Manners::default() };
        let relay = Relay::new(&papers, place.address(), manners);
        let options = papers.trusting();
        let output = run(&["files", "ls", &relay.server()], &options);
        assert_eq!(stdout(&output), "a.csv\nbig\n", "{output:?}");
        let output = run(&["files", "cat", &relay.server(), "big", "a.csv"], &options);
        assert!(output.stdout == [&bytes[..], b"7\n"].concat(), "{:?}", stderr(&output));
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().to_str().unwrap();
        done(&run(&["files", "get", &relay.server(), "--all", "--output", folder], &options));
        assert!(fs::read(here.path().join("big")).unwrap() == bytes);
    }
}

#[test]
fn a_later_connection_resumes_the_first_and_each_is_ended_with_a_word() {
    let papers = Papers::new();
    let relay = Relay::new(&papers, echo::server(same), certified());
    let words = ["echo", "--id", "1", "--amount", "3", "--period", "1ms", "--server"];
    done(&run(&[&words[..], &[&relay.server()]].concat(), &papers.showing("agency-1")));
    let next = || relay.events.recv_timeout(TIME_MAX).unwrap();
    let mut shaken = Vec::new();
    let mut goodbyes = 0;
    while goodbyes < 3 {
        match next() {
            Event::Goodbye => goodbyes += 1,
            event => shaken.push(event),
        }
    }
    let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed].map(Event::Shaken);
    assert_eq!(shaken, [full, resumed, resumed]);
}

#[test]
fn a_load_counts_its_handshakes() {
    let papers = Papers::new();
    let served = Served::new(Office::default());
    let relay = Relay::new(&papers, served.address, Manners::default());
    let words = ["load", "--connection-per-request", "--leave-open", "--window", "1", "--server"];
    let more = ["--agencies", "1", "--bets", "300", "--batch-bytes", "700", "--json"];
    let output = run(&[&words[..], &[&relay.server()], &more].concat(), &papers.trusting());
    done(&output);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["handshakes"]["full"], 1, "{report}");
    let batches = report["batches"].as_u64().unwrap();
    assert_eq!(report["handshakes"]["resumed"], batches - 1, "{report}");
}

#[test]
fn a_load_that_the_socket_does_not_take_at_once_is_sent_to_its_end() {
    let papers = Papers::new();
    let served = Served::new(Office::default());
    let relay = Relay::new(&papers, served.address, Manners::default());
    let words =
        ["load", "--base", "--leave-open", "--agencies", "1", "--window", "1024", "--server"];
    let more = ["--bets", "300000", "--batch-bytes", "60000"];
    done(&run(&[&words[..], &[&relay.server()], &more].concat(), &papers.trusting()));
    assert_eq!(served.office.lock().unwrap().lane(1).last().0, 300_000);
}

/// Each command that connects, to `server`.
fn commands(server: &str, bets: &str) -> Vec<Vec<String>> {
    let agency = ["agency", "--id", "1", "--bets", bets, "--server", server];
    let rows: [&[&str]; 8] = [
        &agency,
        &[&agency[..], &["--base"]].concat(),
        &[&agency[..], &["--text"]].concat(),
        &[&["bet", "--id", "1", "--server", server][..], &BET].concat(),
        &["echo", "--id", "1", "--server", server],
        &["probe", "--timeout", "20s", "--server", server],
        &["files", "ls", server],
        &[&["load", "--server", server][..], &LOAD].concat(),
    ];
    rows.map(|row| row.iter().map(|&word| word.to_owned()).collect()).to_vec()
}

/// Has every command meet a server that it cannot use: told at once, on one connection, by words of
/// which each begins with `begins` and has all of `parts`.
fn refused(papers: &Papers, relay: &Relay, options: &[String], parts: &[&str]) {
    for words in commands(&relay.server(), &bets(papers, 3)) {
        relay.seen();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = run(&words, options);
        assert_eq!(output.status.code(), Some(1), "{words:?} {output:?}");
        let error = stderr(&output);
        for part in parts {
            assert!(error.contains(part), "{words:?}: {part:?} is not in {error}");
        }
        assert!(!error.contains("may be stored or not"), "{error}");
        let again = log(&output).iter().any(|line| line.contains("in_progress"));
        assert!(words[0] == "files" || words[0] == "load" || !again, "{words:?} {output:?}");
        // A load opens a connection for each agency before it says anything.
        let connections = if words[0] == "load" { 2 } else { 1 };
        let event = relay.events.recv_timeout(TIME_MAX).unwrap();
        let events = [vec![event], relay.seen()].concat();
        assert!(events.iter().all(|event| *event == Event::Refused), "{words:?} {events:?}");
        assert!(events.len() <= connections, "{words:?} {events:?}");
    }
}

#[test]
fn a_servers_certificate_that_is_not_good_is_told_with_the_reason() {
    let office = Served::new(Office::default()).address;
    let (papers, others) = (Papers::new(), Papers::new());
    let ca = others.path("ca.pem");
    let relay = Relay::new(&papers, office, Manners::default());
    let named = format!("the certificate of the server at {} is not good by --ca", relay.address);
    let parts = [&named, &*ca, "it is not signed by an authority that is trusted here"];
    refused(&papers, &relay, &others.trusting(), &parts);

    papers.serve_as("other.example", Validity::of(Duration::from_hours(1)));
    let relay = Relay::new(&papers, office, Manners::default());
    let parts = ["it is not for 127.0.0.1, but for", "other.example", "--server-name"];
    refused(&papers, &relay, &papers.trusting(), &parts);
    let named = [papers.trusting(), ["--server-name", "other.example"].map(str::to_owned).to_vec()];
    done(&run(&["probe", "--server", &relay.server()], &named.concat()));

    let mut past = Validity::of(Duration::ZERO);
    past.until = past.from + Duration::from_secs(1);
    papers.serve_as("127.0.0.1", past);
    let relay = Relay::new(&papers, office, Manners::default());
    refused(&papers, &relay, &papers.trusting(), &["it has expired"]);
}

#[test]
fn a_clients_certificate_that_is_missing_or_not_taken_is_told_with_the_reason() {
    let office = Served::new(Office::default()).address;
    let (papers, others) = (Papers::new(), Papers::new());
    let relay = Relay::new(&papers, office, certified());
    let parts = ["wants a certificate of this client", "Give --cert and --key"];
    refused(&papers, &relay, &papers.trusting(), &parts);

    papers.name("nobody", &[]);
    let ours = format!("does not take this client's certificate, --cert {}", papers.path("nobody"));
    refused(&papers, &relay, &papers.showing("nobody"), &[&ours]);

    fs::copy(papers.path("ca.pem"), others.path("ca.pem")).unwrap();
    let ours = format!("does not take this client's certificate, --cert {}", others.path("agency"));
    refused(&papers, &relay, &others.showing("agency-1"), &[&ours]);
}

#[test]
fn a_server_without_tls_and_one_with_nothing_else_are_told() {
    let papers = Papers::new();
    let file = bets(&papers, 3);
    let not_tls =
        "does not speak TLS (what came is not TLS). If it is the right address, go without";
    let busy = echo::server(|_| Some("busy\n".to_owned()));
    let strange = |address: SocketAddr, options: &[String], said: &str| {
        for words in commands(&address.to_string(), &file) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let output = run(&words, options);
            assert_eq!(output.status.code(), Some(1), "{words:?} {output:?}");
            assert!(stderr(&output).contains(said), "{words:?} {output:?}");
        }
    };
    strange(greeter(b"HTTP/1.1 400 Bad Request\r\n\r\n"), &papers.trusting(), not_tls);
    strange(greeter(b"\xff\0\0\0\0"), &papers.trusting(), not_tls);
    let relay = Relay::new(&papers, busy, Manners::default());
    strange(relay.address, &[], "speaks TLS: give --tls and --ca FILE");
}

/// Something that says `greeting` to whoever has said something, and reads on.
fn greeter(greeting: &'static [u8]) -> SocketAddr {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(TIME_MAX)).unwrap();
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(greeting).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    address
}

#[test]
fn a_handshake_that_is_not_answered_is_tried_again_until_the_time_is_over() {
    let papers = Papers::new();
    // The backlog takes connections, and nobody answers on them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let words = ["probe", "--timeout", "300ms", "--server", &server];
    let output = run(&words, &papers.trusting());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = "for 300ms: no TLS handshake in time: does the server speak TLS there?";
    assert!(stderr(&output).contains(said), "{output:?}");
}

#[test]
fn bytes_that_trickle_in_do_not_postpone_the_end_of_a_wait() {
    let papers = Papers::new();
    let served = Served::new(Office::default());
    let file = bets(&papers, 3);
    // All of it would take minutes.
    let (none, pause) = (Duration::ZERO, Duration::from_millis(300));
    for (pauses, reason) in
        [([pause, none], "no TLS handshake in time"), ([none, pause], "no answer in time")]
    {
        let trickling = Manners { write_size_max: 1, pauses, connections: 1, ..Manners::default() };
        let relay = Relay::new(&papers, served.address, trickling);
        let words = ["agency", "--id", "1", "--bets", &file, "--reply-timeout", "2s", "--server"];
        let output = run(&[&words[..], &[&relay.server()]].concat(), &papers.trusting());
        done(&output);
        let first = format!("action: connect | result: in_progress | reason: {reason}");
        assert!(stdout(&output).contains(&first), "{output:?}");
    }
}

#[test]
fn a_signal_ends_a_handshake_that_goes_on() {
    let papers = Papers::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let options = papers.trusting();
    let options = options.iter().map(String::as_str);
    let words: Vec<_> =
        ["probe", "--timeout", "1h", "--server", &server].into_iter().chain(options).collect();
    let running = Running::start(program(&words));
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(TIME_MAX)).unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    running.signal(Signal::TERM);
    // A try may take 5 s.
    let ended = running.end_within(Duration::from_secs(4));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.log.iter().any(|line| line.contains("fail")), "{ended:?}");
}

#[test]
fn files_and_names_that_cannot_be_used_are_told_before_a_socket_opens() {
    let (papers, others) = (Papers::new(), Papers::new());
    let [ca, cert, key] = ["ca.pem", "agency-1.pem", "agency-1-key.pem"].map(|n| papers.path(n));
    let other_key = others.path("agency-1-key.pem");
    let missing = papers.path("missing.pem");
    let served = Served::new(Office::default());
    let server = served.address.to_string();
    let cases: [(&[&str], &[&str]); 11] = [
        (&["--tls"], &["--tls: needs --ca FILE", "none is built in"]),
        (&["--ca", &ca], &["--tls"]),
        (&["--server-name", "x"], &["--tls"]),
        (&["--tls", "--ca", &ca, "--cert", &cert], &["--key"]),
        (&["--tls", "--ca", &ca, "--key", &key], &["--cert"]),
        (&["--tls", "--ca", &missing], &["--ca: reading ", "missing.pem: No such", "pki init"]),
        (&["--tls", "--ca", &key], &["--ca: ", &key, "holds no certificate", "pki init"]),
        (
            &["--tls", "--ca", &ca, "--cert", &missing, "--key", &key],
            &["--cert: reading ", "missing.pem: No such", "pki agency"],
        ),
        (
            &["--tls", "--ca", &ca, "--cert", &cert, "--key", &cert],
            &["--cert and --key: ", "holds no private key", "pki agency"],
        ),
        (
            &["--tls", "--ca", &ca, "--cert", &cert, "--key", &other_key],
            &["--cert and --key: ", "the key is not that of the certificate"],
        ),
        (&["--tls", "--ca", &ca, "--server-name", "a b"], &["--server-name a b: is no name of"]),
    ];
    for (options, parts) in cases {
        for words in commands(&server, "bets.csv") {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let output = finish(program(&[&words, options].concat()));
            assert_eq!(output.status.code(), Some(2), "{words:?} {output:?}");
            for part in parts {
                assert!(stderr(&output).contains(part), "{part:?}: {output:?}");
            }
        }
    }
    assert_eq!(served.office.lock().unwrap().requests, 0);
}
