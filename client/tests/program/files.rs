//! `bolillero files` against the file service, and against servers that are older, die or lie.

mod asked;
mod changing;
mod folder;
pub(crate) mod place;
mod resumed;

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use bolillero_protocol::words::counted;

use crate::setting::{finish, program, stderr, stdout};
use crate::shelf::{Shelf, content};
use place::{Place, sum_line};

/// `bolillero files COMMAND SERVER` with these options.
fn files(command: &str, server: &str, options: &[&str]) -> Command {
    program(&[&["files", command, server], options].concat())
}

#[test]
fn ls_tells_names_and_sizes_in_the_servers_order() {
    let place = Place::new(&[("draw.json", b"{}"), ("Z.csv", b""), ("a.csv", &[0; 12_345])]);
    for (options, expected) in [
        (&[][..], "Z.csv\na.csv\ndraw.json\n"),
        (&["--long"], "           0 Z.csv\n       12345 a.csv\n           2 draw.json\n"),
    ] {
        let output = finish(files("ls", &place.server(), options));
        assert!(output.status.success(), "{output:?}");
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (expected, ""));
    }
    let nothing = Place::new(&[]);
    for options in [&[][..], &["--long"]] {
        let output = finish(files("ls", &nothing.server(), options));
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn files_of_every_size_around_a_slice_are_printed_and_fetched_as_they_are() {
    const SLICE: usize = 4096;
    let sizes = [0, 1, SLICE - 1, SLICE, SLICE + 1, 10 * SLICE, 10 * SLICE + 7];
    let names = sizes.map(|size| format!("f{size}"));
    let contents = sizes.map(content);
    let all: Vec<_> = names.iter().map(String::as_str).zip(contents.iter().map(|b| &**b)).collect();
    let place = Place::new(&all);
    let old = place::serve(Shelf { is_old: true, ..Shelf::of(&all) }).to_string();
    for (server, window) in [(&place.server(), "1"), (&place.server(), "64"), (&old, "4")] {
        let how = ["--slice", "4KiB", "--window", window];
        let named: Vec<_> = names.iter().map(String::as_str).collect();
        let output = finish(files("cat", server, &[&how[..], &named].concat()));
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout == contents.concat(), "window {window}");

        let here = tempfile::tempdir().unwrap();
        let mut get = files("get", server, &[&how[..], &["--all"]].concat());
        let output = finish({
            get.current_dir(here.path());
            get
        });
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stderr(&output), "");
        for (name, content) in &all {
            assert!(fs::read(here.path().join(name)).unwrap() == *content, "{name}");
            let line = format!("{name}: {}, no checksum\n", counted(content.len(), "byte"));
            assert!(stdout(&output).contains(&line), "{output:?}");
        }
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), sizes.len(), "nothing is left over");
    }
}

#[test]
fn checksums_are_compared_where_the_server_has_them() {
    let draw = b"{\"draw\": 1}\n";
    let sums = sum_line(draw, "draw.json");
    let place =
        Place::new(&[("draw.json", draw), ("b.csv", b"7\n"), ("SHA256SUMS", sums.as_bytes())]);
    let output = place.get(&["--all"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        stdout(&output),
        "SHA256SUMS: 76 bytes, no checksum\nb.csv: 2 bytes, no checksum\n\
         draw.json: 12 bytes, sha256 ok\n"
    );
    assert_eq!(place.here("draw.json"), draw);
    let output = place.get(&["draw.json", "--no-verify", "--force"]);
    assert_eq!(stdout(&output), "draw.json: 12 bytes, not verified\n");
}

#[test]
fn all_files_can_be_fetched_again_and_again_and_what_differs_is_named() {
    let (draw, big) = (b"{\"draw\": 1}\n", content(100_000));
    let sums = sum_line(draw, "draw.json");
    let place = Place::new(&[
        ("draw.json", draw),
        ("big", &big),
        ("empty", b""),
        ("SHA256SUMS", sums.as_bytes()),
    ]);
    let all = ["--all", "--slice", "10000"];
    assert!(place.get(&all).status.success());
    let output = place.get(&all);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        stdout(&output),
        "SHA256SUMS: 76 bytes, no checksum, there already\n\
         big: 100000 bytes, no checksum, there already\n\
         draw.json: 12 bytes, sha256 ok, there already\n\
         empty: 0 bytes, no checksum, there already\n"
    );
    let output = place.get(&["--all", "--no-verify"]);
    assert!(output.status.success(), "{output:?}");

    // One byte, wherever it is, of the same size; then another size.
    for at in [0, 50_000, 99_999, 100_000] {
        let mut other = big.clone();
        other.truncate(at + 1);
        match other.get_mut(at) {
            Some(byte) => *byte ^= 1,
            None => other.push(0),
        }
        other.extend_from_slice(big.get(at + 1..).unwrap_or_default());
        place.put("big", &other);
        let output = place.get(&all);
        assert_eq!(output.status.code(), Some(1), "{at}: {output:?}");
        let said = "bolillero: big: there is such a file already, with other bytes: --force \
                    replaces it\nbolillero: 1 of 4 files could not be had: see above\n";
        assert_eq!(stderr(&output), said, "{at}");
        assert!(place.here("big") == big);
    }
    assert_eq!(place.listed(), ["SHA256SUMS", "big", "draw.json", "empty"], "nothing is left over");
}

#[test]
fn checksums_are_brought_up_to_date_where_the_new_ones_hold_all_of_the_old() {
    let (a, b) = (sum_line(b"1", "a"), sum_line(b"2", "b"));
    let both = [a.clone(), b.clone()].concat();
    let place = Place::new(&[("a", b"1"), ("SHA256SUMS", a.as_bytes())]);
    assert!(place.get(&["--all"]).status.success());
    place.put("b", b"2");
    place.put("SHA256SUMS", both.as_bytes());
    let output = place.get(&["--all"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.here("SHA256SUMS"), both.as_bytes());

    // Of the same size, and another draw's.
    place.put("a", b"3");
    let others = sum_line(b"3", "a") + &b;
    place.put("SHA256SUMS", others.as_bytes());
    let output = place.get(&["--all"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for name in ["SHA256SUMS", "a"] {
        let said =
            format!("bolillero: {name}: there is such a file already, with other bytes: --force");
        assert!(stderr(&output).contains(&said), "{output:?}");
    }
    assert_eq!((place.here("SHA256SUMS"), place.here("a")), (both.into_bytes(), b"1".to_vec()));
    assert!(place.get(&["--all", "--force"]).status.success());
    assert_eq!((place.here("SHA256SUMS"), place.here("a")), (others.into_bytes(), b"3".to_vec()));

    // One that is no file of checksums is somebody's.
    std::fs::write(place.path("SHA256SUMS"), "mine").unwrap();
    assert_eq!(place.get(&["--all"]).status.code(), Some(1));
    assert_eq!(place.here("SHA256SUMS"), b"mine");
}

#[test]
fn wrong_bytes_are_removed_and_told_with_both_checksums() {
    let sums = sum_line(b"right", "a.csv");
    let place =
        Place::new(&[("a.csv", b"wrong"), ("b.csv", b"7"), ("SHA256SUMS", sums.as_bytes())]);
    let output = place.get(&["a.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = &sum_line(b"wrong", "")[..64];
    let said =
        format!("bolillero: a.csv: its SHA-256 is {found}, SHA256SUMS says {}: ", &sums[..64]);
    assert!(stderr(&output).starts_with(&said), "{output:?}");
    assert_eq!(place.listed(), [""; 0], "nothing is left of it");

    // Others are fetched all the same, and without the checksums it is.
    let output = place.get(&["a.csv", "b.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).ends_with("bolillero: 1 of 2 files could not be had: see above\n"));
    assert_eq!(place.listed(), ["b.csv"]);
    assert!(place.get(&["a.csv", "--no-verify"]).status.success());
    assert_eq!(place.here("a.csv"), b"wrong");
}

#[test]
fn checksums_that_cannot_be_read_are_told_with_their_line() {
    let place = Place::new(&[("a.csv", b"7"), ("SHA256SUMS", b"\nno sums here\n")]);
    let output = place.get(&["a.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = "bolillero: SHA256SUMS: line 2 is no checksum and name as sha256sum writes them; ";
    assert!(stderr(&output).starts_with(said), "{output:?}");
    let many = Shelf {
        lies: vec![("get_metadata SHA256SUMS", b"0 OK\r\n8388609\r\n".to_vec())],
        ..Shelf::default()
    };
    let output = finish(files("get", &place::serve(many).to_string(), &["a.csv"]));
    assert!(stderr(&output).contains("SHA256SUMS has 8388609 bytes, over 8388608; --no-verify"));
}

#[test]
fn a_name_that_the_server_does_not_have_is_told_and_others_are_had() {
    let place = Place::new(&[("a.csv", b"1\n"), ("b.csv", b"2\n")]);
    let missing = "bolillero: c.csv: the server says 202 FILE NOT FOUND; `bolillero files ls` \
                   tells what is there\n";
    let output = finish(files("cat", &place.server(), &["c.csv"]));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), missing));
    let output = finish(files("cat", &place.server(), &["a.csv", "c.csv", "b.csv"]));
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), "1\n2\n"));
    let last = "bolillero: 1 of 3 files could not be had: see above\n";
    assert_eq!(stderr(&output), [missing, last].concat());
    let output = place.get(&["a.csv", "c.csv", "b.csv"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), [missing, last].concat()));
    assert_eq!(place.listed(), ["a.csv", "b.csv"]);
}

#[test]
fn a_thousand_files_are_listed_and_fetched() {
    let place = Place::new(&[]);
    let mut sums = String::new();
    for i in 0..999 {
        let (name, content) = (format!("winners-agency-{i:04}.csv"), format!("{i}\r\n"));
        place.put(&name, content.as_bytes());
        sums += &sum_line(content.as_bytes(), &name);
    }
    place.put("SHA256SUMS", sums.as_bytes());
    let output = finish(files("ls", &place.server(), &["--long"]));
    assert_eq!(stdout(&output).lines().count(), 1000, "{output:?}");
    let output = place.get(&["--all"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output).matches(" sha256 ok\n").count(), 999);
    assert_eq!(place.listed().len(), 1000);
    assert_eq!(place.here("winners-agency-0998.csv"), b"998\r\n");
}

#[test]
fn a_stdout_that_is_closed_is_no_failure() {
    let big = content(8 << 20);
    let place = Place::new(&[("big", &big)]);
    for i in 0..3000 {
        place.put(&format!("{i:0>240}"), b"");
    }
    for (command, options) in [("cat", &["big"][..]), ("ls", &[])] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = files(command, &place.server(), options);
        let mut child = child.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
        drop(reader);
        let output = child_output(&mut child);
        assert_eq!(output, (Some(0), String::new()), "{command}");
    }
    // What is fetched is fetched, whoever is told.
    let mut get = files("get", &place.server(), &["big", "--output"]);
    let mut get = get.arg(place.folder()).stdout(Stdio::piped()).spawn().unwrap();
    drop(get.stdout.take());
    assert!(get.wait().unwrap().success());
    assert!(place.here("big") == big);
}

#[test]
fn memory_does_not_grow_with_files_slices_or_the_window() {
    const SIZE: u64 = 96 << 20;
    let place = Place::new(&[("sparse", b"")]);
    place.grow("sparse", SIZE);
    let mut cat = files("cat", &place.server(), &["sparse", "--slice", "32MiB", "--window", "64"]);
    let mut cat = cat.stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = vec![1; 1 << 20];
    for _ in 1..SIZE >> 20 {
        cat.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
    }
    // It waits for somebody to read the rest.
    let status = fs::read_to_string(format!("/proc/{}/status", cat.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 32 << 10, "{peak} kB");
    let rest = cat.stdout.as_mut().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(rest, 1 << 20);
    assert!(cat.wait().unwrap().success());
}

fn child_output(child: &mut std::process::Child) -> (Option<i32>, String) {
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (child.wait().unwrap().code(), told)
}

#[test]
fn a_server_that_is_not_there_or_is_none_is_told() {
    let nowhere = place::unheard_address().to_string();
    for (command, options) in [("ls", &[][..]), ("get", &["a"]), ("cat", &["a"])] {
        let waiting = [options, &["--connect-timeout", "20ms"]].concat();
        let output = finish(files(command, &nowhere, &waiting));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let last =
            format!("bolillero: no server answers at {nowhere} for 20ms: connection refused\n");
        assert!(stderr(&output).ends_with(&last) && output.stdout.is_empty(), "{output:?}");

        let web = Shelf {
            lies: vec![("help", b"HTTP/1.1 400 Bad Request\r\n".to_vec())],
            ..Shelf::default()
        };
        let output = finish(files(command, &place::serve(web).to_string(), options));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = "is a web server (HTTP), not a file server (HFTP)\n";
        assert!(stderr(&output).ends_with(said), "{output:?}");
    }
}

#[test]
fn sizes_that_no_file_has_are_not_added_up() {
    let lies = vec![
        ("get_metadata SHA256SUMS", b"202 FILE NOT FOUND\r\n".to_vec()),
        ("get_metadata", format!("0 OK\r\n{}\r\n", u64::MAX).into_bytes()),
    ];
    let server = place::serve(Shelf { lies, ..Shelf::default() }).to_string();
    let output = Place::new(&[]).get_from(&server, &["a", "b"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for name in ["a", "b"] {
        let said = format!("bolillero: {name}: the server says 202 FILE NOT FOUND");
        assert!(stderr(&output).contains(&said), "{output:?}");
    }
}

#[test]
fn a_server_without_room_is_waited_for() {
    let place = Place::new(&[("a", b"1")]);
    let relay = place::Relay::new(
        place.address(),
        vec![
            place::Course::Say(b"199 INTERNAL SERVER ERROR\r\n"),
            place::Course::Say(b"199 INTERNAL SERVER ERROR\r\n"),
        ],
    );
    let output = finish(files("cat", &relay.server(), &["a"]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), "1");
    let waits = stderr(&output).matches("reason: the server has no room at present").count();
    assert_eq!(waits, 2, "{output:?}");
}
