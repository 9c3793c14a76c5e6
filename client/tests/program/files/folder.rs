//! What is there already, here: never written over, never followed, never shared.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};

use super::place::{Place, sum_line};
use crate::setting::{stderr, stdout};

#[test]
fn a_file_that_is_there_is_replaced_only_when_that_is_asked_for() {
    let place = Place::new(&[("a", b"theirs")]);
    let refused = |more: &str, summed: bool| {
        if summed {
            place.put("SHA256SUMS", sum_line(b"theirs", "a").as_bytes());
        }
        let output = place.get(&["a"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said =
            format!("bolillero: a: there is such a file already{more}: --force replaces it\n");
        assert_eq!(stderr(&output), said);
    };
    fs::write(place.path("a"), "ours").unwrap();
    refused(", with other bytes", false);
    fs::write(place.path("a"), "theist").unwrap();
    refused(", with other bytes", false);
    refused(", with other bytes", true);
    fs::write(place.path("a"), "ours").unwrap();
    refused(", with other bytes", true);
    assert_eq!(place.here("a"), b"ours");
    assert_eq!(place.listed(), ["a"]);
    let output = place.get(&["a", "--force"]);
    assert_eq!(stdout(&output), "a: 6 bytes, sha256 ok\n");
    assert_eq!(place.here("a"), b"theirs");
    assert_eq!(stdout(&place.get(&["a"])), "a: 6 bytes, sha256 ok, there already\n");
}

#[test]
fn a_link_is_neither_followed_nor_written_through() {
    let place = Place::new(&[("a", b"theirs")]);
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    for there in [true, false] {
        if there {
            fs::write(&target, "precious").unwrap();
        } else {
            fs::remove_file(&target).unwrap();
        }
        for (link, forced) in
            [("a", false), ("a.part", false), ("a.part", true), ("a.part.origin", false)]
        {
            symlink(&target, place.path(link)).unwrap();
            let output = place.get(if forced { &["a", "--force"] } else { &["a"] });
            assert_eq!(output.status.code(), Some(1), "{link}: {output:?}");
            assert!(place.path(link).is_symlink(), "{link}");
            assert_eq!(target.exists(), there, "{link}");
            let told = stderr(&output);
            let named =
                link == "a" || told.contains(&format!("{link} is a link or no regular file"));
            assert!(named, "{told}");
            for name in place.listed() {
                fs::remove_file(place.path(&name)).unwrap();
            }
        }
    }
    // A link in the place of the file itself is replaced, not what it leads to.
    fs::write(&target, "precious").unwrap();
    symlink(&target, place.path("a")).unwrap();
    assert!(place.get(&["a", "--force"]).status.success());
    assert_eq!(
        (fs::read(&target).unwrap(), place.here("a")),
        (b"precious".to_vec(), b"theirs".to_vec())
    );
    assert!(!place.path("a").is_symlink());
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let place = Place::new(&[("a", b"theirs")]);
    for kind in [FileType::Fifo, FileType::Directory] {
        let part = place.path("a.part");
        match kind {
            FileType::Directory => fs::create_dir(&part).unwrap(),
            kind => mknodat(CWD, &part, kind, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        }
        let output = place.get(&["a"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("a.part is a link or no regular file"), "{output:?}");
        let _ = fs::remove_file(&part).or_else(|_| fs::remove_dir(&part));
    }
}

#[test]
fn a_part_that_this_program_did_not_begin_is_left_alone() {
    for origin in [None, Some("6 -"), Some("6 12\n"), Some("x -\n"), Some("\u{fffd}\n")] {
        let place = Place::new(&[("a", b"theirs")]);
        fs::write(place.path("a.part"), "of somebody else").unwrap();
        origin.inspect(|text| fs::write(place.path("a.part.origin"), text).unwrap());
        let output = place.get(&["a"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let theirs = if origin.is_some() { "a.part.origin" } else { "a.part" };
        let said = format!(
            "{theirs} is there already, and no download of this program: remove it, or give \
             --force\n"
        );
        assert!(stderr(&output).ends_with(&said), "{output:?}");
        if let Some(origin) = origin {
            assert_eq!(place.here("a.part.origin"), origin.as_bytes());
        }
        assert_eq!(place.here("a.part"), b"of somebody else");
        assert!(place.get(&["a", "--force"]).status.success());
        assert_eq!(place.listed(), ["a"]);
    }
}

#[test]
fn a_part_whose_origin_was_not_written_any_more_is_begun_anew() {
    let place = Place::new(&[("a", b"theirs")]);
    fs::write(place.path("a.part"), "spoilt").unwrap();
    fs::write(place.path("a.part.origin"), "").unwrap();
    assert!(place.get(&["a"]).status.success());
    assert_eq!(place.here("a"), b"theirs");
    assert_eq!(place.listed(), ["a"]);
}

#[test]
fn two_processes_do_not_write_one_part() {
    let place = Place::new(&[("a", b"theirs")]);
    fs::write(place.path("a.part"), "the").unwrap();
    fs::write(place.path("a.part.origin"), "6 -\n").unwrap();
    let other = fs::File::open(place.path("a.part")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let output = place.get(&["a"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("a.part is being written by another process"), "{output:?}");
    assert_eq!(place.here("a.part"), b"the");
    drop(other);
    assert!(place.get(&["a"]).status.success());
    assert_eq!(place.here("a"), b"theirs");
}

#[test]
fn a_part_and_a_file_of_that_name_can_both_be_fetched() {
    let place = Place::new(&[("a", b"1"), ("a.part", b"22"), ("a.part.origin", b"333")]);
    for force in [&[][..], &["--force"]] {
        let output = place.get(&[&["--all"], force].concat());
        assert!(output.status.success(), "{output:?}");
        let found = ["a", "a.part", "a.part.origin"].map(|name| place.here(name).len());
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(place.listed().len(), 3);
    }
}

#[test]
fn the_directory_is_made_and_one_that_cannot_be_is_told() {
    let place = Place::new(&[("a", b"theirs")]);
    let deep = place.path("not/there/yet");
    let output = place.get_from(&place.server(), &["a", "--output", &deep.display().to_string()]);
    // The folder that the test adds is the second of them.
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let get = |folder: &std::path::Path| {
        let mut command = super::files("get", &place.server(), &["a"]);
        command.arg("--output").arg(folder);
        crate::setting::finish(command)
    };
    assert!(get(&deep).status.success());
    assert_eq!(fs::read(deep.join("a")).unwrap(), b"theirs");
    let output = get(&deep.join("a"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = format!("bolillero: making the directory {}: ", deep.join("a").display());
    assert!(stderr(&output).starts_with(&said), "{output:?}");
}
