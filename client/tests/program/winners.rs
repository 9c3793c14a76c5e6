//! `bolillero agency --winners`: the documents that won, in every dialect. And an agency without a bet.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::office::{Office, Served, bodies, rows};
use crate::setting::{Setting, agency, finish, log, stderr, stdout};
use crate::text::{answer, serve};

const DOCUMENTS: &str = "30000001\n07\n30000001\n";

/// An agency with these options, at an office where [`DOCUMENTS`] have won, in each dialect.
fn run(dialect: Option<&str>, output: &str) -> Output {
    let winners = b"30000001#07#30000001#".to_vec();
    let setting =
        Setting::new(Office { winners, busy_answers: 1, ..Office::default() }, &rows(100));
    let mut options = vec!["--winners", output];
    options.extend(dialect);
    if dialect != Some("--text") {
        return setting.agency(&options);
    }
    let (address, office) = serve(&["100\n", "", "30000001,07,30000001\n"].map(answer));
    let output = finish(agency(&setting.file(), &address.to_string(), &options));
    office.join().unwrap();
    output
}

#[test]
fn winners_are_written_one_a_line_to_a_file_or_to_stdout_with_the_log_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    for dialect in [None, Some("--base"), Some("--text")] {
        let path = directory.path().join("winners.txt");
        fs::write(&path, "older").unwrap();
        let output = run(dialect, path.to_str().unwrap());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), DOCUMENTS, "{dialect:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
        let counted = "action: consulta_ganadores | result: success | cant_ganadores: 3";
        assert!(log(&output).iter().any(|line| line.ends_with(counted)), "{output:?}");

        let output = run(dialect, "-");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&output), DOCUMENTS, "{dialect:?}");
        assert!(stderr(&output).contains(counted), "{output:?}");
    }
}

#[test]
fn nobody_who_won_is_an_empty_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("winners.txt");
    let setting = Setting::new(Office::default(), &rows(3));
    assert!(setting.agency(&["--winners", path.to_str().unwrap()]).status.success());
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let setting = Setting::new(Office::default(), &rows(3));
    setting.served.office.lock().unwrap().winners = b"30000001#".repeat(10_000);
    let server = setting.served.address.to_string();
    let mut client = agency(&setting.file(), &server, &["--winners", "-"]);
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(client.stdout.take());
    assert!(client.wait().unwrap().success());
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_a_bet_is_sent() {
    let setting = Setting::new(Office::default(), &rows(3));
    let directory = tempfile::tempdir().unwrap();
    let (missing, link) = (directory.path().join("no/such/file"), directory.path().join("link"));
    std::os::unix::fs::symlink(setting.file(), &link).unwrap();
    for (path, said) in [
        (missing.as_path(), "No such file or directory"),
        (directory.path(), "no regular file: name a file, or - for stdout"),
        (Path::new("/dev/null"), "no regular file: name a file, or - for stdout"),
        (&link, "no regular file: name a file, or - for stdout"),
        (&setting.file(), "it is the file of bets: name another"),
    ] {
        let output = setting.agency(&["--winners", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let begin = format!("writing the winners to {}: ", path.display());
        let told = stderr(&output);
        assert!(told.contains(&begin) && told.contains(said), "{said}: {told}");
    }
    assert_eq!(setting.served.office.lock().unwrap().requests, 0);
    assert_eq!(fs::read_to_string(setting.file()).unwrap(), rows(3));
}

#[test]
fn an_agency_without_a_bet_takes_part_only_where_that_is_meant() {
    for file in ["", "\r\n\n\r\n", "\u{feff}", "\u{feff}\r\n"] {
        for dialect in [&[][..], &["--base"]] {
            let setting = Setting::new(Office::default(), file);
            let output = setting.agency(dialect);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let named = setting.file().display().to_string();
            let said = format!("{named} has no bets: nothing was sent. If this agency takes part");
            let told = stderr(&output);
            assert!(told.contains(&said) && told.contains("--allow-empty"), "{told}");
            assert_eq!(setting.served.office.lock().unwrap().requests, 0, "{file:?}");

            let output = setting.agency(&[dialect, &["--allow-empty"]].concat());
            assert!(output.status.success(), "{output:?}");
            assert!(setting.served.office.lock().unwrap().lane(1).finished, "{file:?}");
        }
    }
    // With a bet it is an option that changes nothing.
    let setting = Setting::new(Office::default(), &rows(3));
    assert!(setting.agency(&["--allow-empty"]).status.success());
    assert_eq!(setting.served.bodies(1), bodies(&rows(3), 0));
}

#[test]
fn the_text_dialect_cannot_say_that_there_is_no_bet() {
    let served = Served::new(Office::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    for more in [&["--text"][..], &["--text", "--allow-empty"]] {
        let output = finish(agency(file.path(), &served.address.to_string(), more));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("the text dialect cannot say"), "{output:?}");
    }
}
