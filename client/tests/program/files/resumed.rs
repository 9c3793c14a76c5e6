//! Whatever ends, server or client, wherever: what has come is not fetched again.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::Signal;

use super::files;
use super::place::{Course, Place, Relay, serve, sum_line, unheard_address};
use crate::running::Running;
use crate::setting::{TIME_MAX, finish, stderr, stdout};
use crate::shelf::{Shelf, content};

const SLICE: usize = 10_000;
const SLICES: usize = 8;
/// What the server says beside the bytes of the file, on one connection.
const AROUND_MAX: u64 = 2000;
/// Less than any wait that is cut short here, and far more than ending takes on a loaded machine.
const SOON: Duration = Duration::from_secs(4);
const HOW: [&str; 5] = ["big", "--slice", "10000", "--window", "3"];

fn place_of(big: &[u8]) -> Place {
    let sums = sum_line(big, "big");
    Place::new(&[("big", big), ("SHA256SUMS", sums.as_bytes())])
}

#[test]
fn a_server_that_ends_at_any_slice_is_asked_for_the_rest() {
    let big = content(SLICE * SLICES);
    for is_old in [false, true] {
        for at in 0..=SLICES {
            let place = place_of(&big);
            let old = Shelf { is_old: true, ..Shelf::of(&[("big", &big)]) };
            let server = if is_old { serve(old) } else { place.address() };
            let cut = (at * SLICE) as u64 + 500;
            let relay =
                Relay::new(server, vec![Course::Cut(cut), Course::Cut(3000), Course::Cut(1)]);
            let output = place.get_from(&relay.server(), &HOW);
            assert!(output.status.success(), "{at}: {output:?}");
            assert!(place.here("big") == big, "cut at {at}");
            assert_eq!(place.listed(), ["big"]);
            let size = if is_old { big.len() * 4 / 3 } else { big.len() } as u64;
            let carried = relay.carried();
            // In base64 a slice of a group's characters may come again.
            assert!(carried < size + 4 * AROUND_MAX, "cut at {at}: {carried} bytes were carried");
            let checked = if is_old { "no checksum" } else { "sha256 ok" };
            assert_eq!(stdout(&output), format!("big: {} bytes, {checked}\n", big.len()));

            let relay = Relay::new(server, vec![Course::Cut(cut), Course::Cut(3000)]);
            let output = finish(files("cat", &relay.server(), &HOW));
            assert!(output.status.success() && output.stdout == big, "{at}: {:?}", stderr(&output));
        }
    }
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_where_it_ended() {
    let big = content(SLICE * SLICES);
    let asked = [Signal::TERM, Signal::INT, Signal::HUP].map(|signal| (signal, Some(1)));
    for (signal, code) in [(Signal::KILL, None)].into_iter().chain(asked) {
        for at in 1..SLICES {
            let place = place_of(&big);
            let (told, stalled) = channel();
            let relay =
                Relay::new(place.address(), vec![Course::Stall((at * SLICE) as u64 + 700, told)]);
            let mut get = files("get", &relay.server(), &HOW);
            get.arg("--output").arg(place.folder());
            let running = Running::start(get);
            stalled.recv_timeout(TIME_MAX).unwrap();
            // What is on its way to the program is written before long.
            let begin = std::time::Instant::now();
            let part = place.path("big.part");
            while fs::metadata(&part).map_or(0, |part| part.len()) < ((at - 1) * SLICE) as u64 + 1 {
                assert!(begin.elapsed() < TIME_MAX, "nothing is written");
                std::thread::yield_now();
            }
            running.signal(signal);
            let ended = running.end_within(SOON);
            assert_eq!(ended.code, code, "{ended:?}");
            if signal != Signal::KILL {
                let path = part.display();
                let said = format!(
                    "bolillero: big: asked to stop. What has come is in {path}: the same command \
                     goes on behind it\n"
                );
                assert_eq!(ended.stderr, said);
            }
            assert_eq!(place.listed(), ["big.part", "big.part.origin"]);
            let came = fs::read(&part).unwrap();
            assert!(big.starts_with(&came));

            let relay = Relay::new(place.address(), vec![]);
            let output = place.get_from(&relay.server(), &HOW);
            assert!(output.status.success(), "{output:?}");
            assert!(place.here("big") == big);
            assert_eq!(place.listed(), ["big"]);
            let rest = (big.len() - came.len()) as u64;
            assert!(relay.carried() < rest + AROUND_MAX, "{} of {rest}", relay.carried());
        }
    }
}

#[test]
fn a_run_of_all_files_that_was_killed_is_gone_on_with_and_succeeds() {
    let (a, b) = (content(SLICE), content(SLICES * SLICE));
    let sums = sum_line(&a, "a") + &sum_line(&b, "b");
    let place = Place::new(&[("a", &a), ("b", &b), ("c", b"7"), ("SHA256SUMS", sums.as_bytes())]);
    let how = ["--all", "--slice", "10000", "--window", "1"];
    // Among the questions before the files, before the first of them, and twice in b.
    for at in [100, 700, 5 * SLICE as u64, 3 * SLICE as u64] {
        let (told, stalled) = channel();
        let relay = Relay::new(place.address(), vec![Course::Stall(at, told)]);
        let mut get = files("get", &relay.server(), &how);
        let running = Running::start({
            get.arg("--output").arg(place.folder());
            get
        });
        stalled.recv_timeout(TIME_MAX).unwrap();
        running.signal(Signal::TERM);
        assert_eq!(running.end_within(SOON).code, Some(1));
    }
    for _ in 0..2 {
        let output = place.get(&how);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(place.listed(), ["SHA256SUMS", "a", "b", "c"]);
        assert!(place.here("a") == a && place.here("b") == b);
    }
}

#[test]
fn a_run_of_all_files_fetches_those_that_are_missing() {
    let (a, b) = (content(SLICE), content(3 * SLICE));
    let sums = sum_line(&a, "a") + &sum_line(&b, "b");
    let place = Place::new(&[("a", &a), ("b", &b), ("SHA256SUMS", sums.as_bytes())]);
    assert!(place.get(&["a"]).status.success());
    let relay = Relay::new(place.address(), vec![]);
    let output = place.get_from(&relay.server(), &["a", "b"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        stdout(&output),
        "a: 10000 bytes, sha256 ok, there already\nb: 30000 bytes, sha256 ok\n"
    );
    assert!(relay.carried() < b.len() as u64 + AROUND_MAX);
}

#[test]
fn a_server_that_ends_each_connection_at_the_same_byte_is_given_up() {
    let place = place_of(&content(SLICE));
    // As a server does that cannot read on: behind the size, before the first byte of the slice.
    let courses = (0..1000).map(|_| Course::Cut(100)).collect();
    let server = Relay::new(place.address(), courses).server();
    let options = [&HOW[..], &["--no-verify", "--connect-timeout", "1s"]].concat();
    let output = place.get_from(&server, &options);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = stderr(&output);
    assert!(told.contains("reason: the connection ended"), "{told}");
    assert!(told.contains(&format!("bolillero: no server answers at {server} for 1s: ")), "{told}");
}

#[test]
fn a_wait_for_a_server_is_told_on_stderr_and_ends_with_a_signal() {
    let nowhere = unheard_address().to_string();
    for (command, options) in [("ls", &[][..]), ("get", &["big"]), ("cat", &["big"])] {
        let mut client = files(command, &nowhere, options);
        // Its events are lines of stderr here.
        let (reader, writer) = std::io::pipe().unwrap();
        let mut client =
            client.stderr(writer).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
        let first = lines.next().unwrap().unwrap();
        assert!(
            first.contains("action: connect | result: in_progress | reason: connection refused")
        );
        let pid = rustix::process::Pid::from_raw(client.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(client.wait().unwrap().code(), Some(1));
    }
}
