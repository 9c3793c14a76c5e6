//! Files that are others by the time they are fetched.

use std::sync::mpsc::channel;

use rustix::process::Signal;

use super::files;
use super::place::{Course, Place, Relay, serve, sum_line};
use crate::running::Running;
use crate::setting::{TIME_MAX, finish, stderr, stdout};
use crate::shelf::{Shelf, content};

const SLICE: usize = 10_000;
const HOW: [&str; 5] = ["big", "--slice", "10000", "--window", "2"];

/// Leaves a part of the file that a run which was killed has fetched.
fn leave_a_part(place: &Place) {
    let (told, stalled) = channel();
    let relay = Relay::new(place.address(), vec![Course::Stall(3 * SLICE as u64, told)]);
    let mut get = files("get", &relay.server(), &HOW);
    get.arg("--output").arg(place.folder());
    let running = Running::start(get);
    stalled.recv_timeout(TIME_MAX).unwrap();
    let begin = std::time::Instant::now();
    while std::fs::metadata(place.path("big.part")).map_or(0, |part| part.len()) == 0 {
        assert!(begin.elapsed() < TIME_MAX, "nothing is written");
        std::thread::yield_now();
    }
    running.signal(Signal::KILL);
    running.end_within(TIME_MAX);
}

#[test]
fn a_file_that_changed_between_two_runs_is_begun_anew_and_that_is_told() {
    let (old, mut same_size) = (content(5 * SLICE), content(5 * SLICE));
    same_size[0] ^= 1;
    let longer = content(6 * SLICE + 1);
    // The file, whether its checksum was known, the file that replaces it.
    for (summed, new, anew) in [
        (true, &same_size, true),
        (true, &longer, true),
        (false, &longer, true),
        (false, &old, false),
    ] {
        let place = Place::new(&[]);
        let put = |content: &[u8]| {
            place.put("big", content);
            if summed {
                place.put("SHA256SUMS", sum_line(content, "big").as_bytes());
            }
        };
        put(&old);
        leave_a_part(&place);
        put(new);
        let output = place.get(&HOW);
        assert!(output.status.success(), "{output:?}");
        assert!(place.here("big") == *new);
        let told = stderr(&output);
        let said = told.starts_with("bolillero: big: it changed on the server after ")
            && told.ends_with(" bytes of it had come: begins anew\n");
        assert_eq!(said, anew, "{told}");
        assert_eq!(place.listed(), ["big"]);
    }
}

#[test]
fn a_file_that_changes_while_it_is_fetched_is_begun_anew_or_told() {
    let (old, shorter, longer) = (content(5 * SLICE), content(2 * SLICE), content(7 * SLICE));
    for (summed, new) in [(true, &shorter), (false, &shorter), (false, &longer)] {
        let place = Place::new(&[]);
        let put = |content: &[u8]| {
            if summed {
                place.put("SHA256SUMS", sum_line(content, "big").as_bytes());
            }
            place.put("big", content);
        };
        let stalled_relay = || {
            let (told, stalled) = channel();
            let course = Course::Stall(2 * SLICE as u64, told);
            (Relay::new(place.address(), vec![course]), stalled)
        };
        let impatient = [&HOW[..], &["--reply-timeout", "100ms"]].concat();
        put(&old);
        let (relay, stalled) = stalled_relay();
        let output = std::thread::scope(|scope| {
            let getting = scope.spawn(|| place.get_from(&relay.server(), &impatient));
            stalled.recv_timeout(TIME_MAX).unwrap();
            put(new);
            getting.join().unwrap()
        });
        assert!(output.status.success(), "{output:?}");
        assert!(place.here("big") == *new);
        assert!(stderr(&output).contains(" bytes of it had come: begins anew\n"), "{output:?}");

        // Bytes that were printed cannot be taken back.
        put(&old);
        let (relay, stalled) = stalled_relay();
        let output = std::thread::scope(|scope| {
            let printing = scope.spawn(|| finish(files("cat", &relay.server(), &impatient)));
            stalled.recv_timeout(TIME_MAX).unwrap();
            put(new);
            printing.join().unwrap()
        });
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let last = "bolillero: big: it changed on the server while it was read: start again\n";
        assert!(stderr(&output).ends_with(last), "{:?}", stderr(&output));
        assert!(old.starts_with(&output.stdout));
    }
}

#[test]
fn a_checksum_that_is_renewed_with_the_file_is_looked_up_again() {
    // The checksums are read before the file, and are of an older one.
    let place = Place::new(&[("big", b"newer")]);
    place.put("SHA256SUMS", sum_line(b"older", "big").as_bytes());
    let (told, stalled) = channel();
    // Behind the checksums, and before the file's own bytes.
    let relay = Relay::new(place.address(), vec![Course::Stall(250, told)]);
    let options = ["big", "--reply-timeout", "100ms"];
    let output = std::thread::scope(|scope| {
        let getting = scope.spawn(|| place.get_from(&relay.server(), &options));
        stalled.recv_timeout(TIME_MAX).unwrap();
        place.put("SHA256SUMS", sum_line(b"newer", "big").as_bytes());
        getting.join().unwrap()
    });
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), "big: 5 bytes, sha256 ok\n");
}

#[test]
fn a_file_that_is_always_another_is_given_up() {
    let lies = vec![("get_slice", b"203 OFFSET EXCEEDS FILE SIZE\r\n".to_vec())];
    let shelf = Shelf { lies, ..Shelf::of(&[("big", b"12345")]) };
    let server = serve(shelf).to_string();
    let place = Place::new(&[]);
    let said =
        "bolillero: big: it changed on the server 3 times while it was fetched: try again later\n";
    for output in [place.get_from(&server, &HOW), finish(files("cat", &server, &HOW))] {
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), said));
    }
}
