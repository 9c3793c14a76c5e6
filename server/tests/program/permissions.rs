//! Who on this machine may read what the programs make: nobody else, unless a directory is named for
//! everybody. The umask takes away from that, and adds nothing.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;

use crate::auditing::audit;
use crate::office::{
    Office, client_program, count, finish_agencies, listens, serve, server_program, start_agency,
};
use crate::process::Process;

/// The command with this umask.
fn with_umask(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The modes of a directory and of all below it.
fn modes(path: &Path) -> BTreeMap<PathBuf, u32> {
    let mut modes = BTreeMap::from([(path.to_owned(), mode(path))]);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes.append(&mut self::modes(&entry.unwrap().path()));
        }
    }
    modes
}

fn assert_modes(path: &Path, directory: u32, file: u32) {
    for (path, mode) in modes(path) {
        let expected = if path.is_dir() { directory } else { file };
        assert_eq!(format!("{mode:o}"), format!("{expected:o}"), "{}", path.display());
    }
}

/// A server with one agency, which has drawn and published.
fn drawn(umask: &str, data_dir: &Path, options: &[&str]) {
    let file = data_dir.with_file_name("bets.csv");
    fs::write(&file, "Ana,Paz,30000001,1990-01-01,7574\r\n").unwrap();
    let options = [&["--agencies", "1", "--segment-size", "128KiB"], options].concat();
    let mut office =
        Office::listening(Process::start(with_umask(umask, &serve(data_dir, &options))));
    let agency = start_agency(office.address, 1, &file, &[]);
    assert_eq!(finish_agencies(vec![agency]), [1]);
    office.process.wait_for("action: publish | result: success");
    let ended = office.stop();
    assert_eq!(count(&ended.lines, "check_permissions"), 0, "{ended:?}");
}

#[test]
fn what_a_server_makes_is_its_users_alone() {
    for umask in ["000", "022", "077"] {
        let place = tempdir().unwrap();
        let data_dir = place.path().join("made/data");
        fs::create_dir(place.path().join("made")).unwrap();
        drawn(umask, &data_dir, &[]);
        let made: Vec<_> = modes(&data_dir).into_keys().collect();
        for name in ["LOCK", "ledger/00000001.log", "published/draw.json", "published/SHA256SUMS"] {
            assert!(made.contains(&data_dir.join(name)), "{name}: {made:?}");
        }
        assert_modes(&data_dir, 0o700, 0o600);
    }
}

#[test]
fn a_directory_that_is_named_for_results_is_everybodys_to_read_as_far_as_the_umask_goes() {
    for (umask, directory, file) in
        [("000", 0o755, 0o644), ("027", 0o750, 0o640), ("077", 0o700, 0o600)]
    {
        let place = tempdir().unwrap();
        let (data_dir, published) = (place.path().join("data"), place.path().join("srv/results"));
        // The file service makes it first, where it serves it.
        for options in [&[][..], &["--files", "127.0.0.1:0"]] {
            let named = ["--published", published.to_str().unwrap()];
            drawn(umask, &data_dir, &[&named[..], options].concat());
            assert_modes(&place.path().join("srv"), directory, file);
            assert_modes(&data_dir, 0o700, 0o600);
            assert!(published.join("winners-agency-1.csv").exists());
            assert!(!data_dir.join("published").exists());
            fs::remove_dir_all(place.path().join("srv")).unwrap();
            fs::remove_dir_all(&data_dir).unwrap();
        }
    }
}

#[test]
fn a_directory_that_others_get_into_is_warned_of_once_and_stays_as_it_is() {
    let place = tempdir().unwrap();
    let data_dir = place.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    for (mode, warned) in [(0o700, false), (0o755, true), (0o2770, true), (0o711, true)] {
        fs::set_permissions(&data_dir, Permissions::from_mode(mode)).unwrap();
        let ended = Office::start(&data_dir, &[]).stop();
        assert_eq!(self::mode(&data_dir), mode, "it is not changed");
        let lines: Vec<_> =
            ended.lines.iter().filter(|line| line.contains("check_permissions")).collect();
        if !warned {
            assert_eq!(lines, [""; 0]);
            continue;
        }
        let [line] = lines[..] else { panic!("{ended:?}") };
        let path = data_dir.display();
        assert!(
            line.contains(" WARNING  action: check_permissions | result: in_progress"),
            "{line}"
        );
        assert!(line.contains(&format!("| directory: {path} | mode: {mode:04o} |")), "{line}");
        assert!(line.contains(&format!("chmod 700 {path}")), "{line}");
    }
    // What an earlier build has made is open one below another.
    for name in ["", "ledger"] {
        fs::set_permissions(data_dir.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let ended = Office::start(&data_dir, &[]).stop();
    assert_eq!(count(&ended.lines, "check_permissions"), 2, "{ended:?}");
    fs::set_permissions(&data_dir, Permissions::from_mode(0o700)).unwrap();
    let ended = Office::start(&data_dir, &[]).stop();
    assert_eq!(count(&ended.lines, "check_permissions"), 0, "{ended:?}");
}

#[test]
fn a_lock_file_that_others_may_open_is_made_private() {
    let place = tempdir().unwrap();
    let lock = place.path().join("LOCK");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
    // As another user's program would hold it.
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let ended = Process::start(serve(place.path(), &[])).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("or another user of this machine holds its LOCK"), "{ended:?}");
    assert_eq!(mode(&lock), 0o600);
    drop(held);
    Office::start(place.path(), &[]).stop();
    assert_eq!(mode(&lock), 0o600);
}

#[test]
fn a_link_in_place_of_the_lock_file_is_not_followed() {
    let place = tempdir().unwrap();
    let [data_dir, precious] = ["data", "precious"].map(|name| place.path().join(name));
    fs::create_dir(&data_dir).unwrap();
    fs::write(&precious, "mine").unwrap();
    fs::set_permissions(&precious, Permissions::from_mode(0o644)).unwrap();
    symlink(&precious, data_dir.join("LOCK")).unwrap();
    let ended = Process::start(serve(&data_dir, &[])).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("opening LOCK in "), "{ended:?}");
    assert_eq!(mode(&precious), 0o644);
}

#[test]
fn an_export_and_a_repaired_ledger_are_their_users_alone() {
    let place = tempdir().unwrap();
    let data_dir = place.path().join("data");
    drawn("022", &data_dir, &[]);
    let [rows, link, mended] =
        ["rows.csv", "link.csv", "mended"].map(|name| place.path().join(name));
    let precious = place.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    symlink(&precious, &link).unwrap();
    for path in [&rows, &link] {
        let export = audit("export", &data_dir, &["--output", path.to_str().unwrap()]);
        let ended = Process::start(with_umask("000", &export)).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!((mode(path), fs::symlink_metadata(path).unwrap().is_file()), (0o600, true));
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine", "no link is followed");
    let repair = audit("repair", &data_dir, &["--output", mended.to_str().unwrap()]);
    let ended = Process::start(with_umask("000", &repair)).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_modes(&mended, 0o700, 0o600);
}

#[test]
fn an_export_to_a_link_to_what_is_no_file_is_written_there() {
    let place = tempdir().unwrap();
    let data_dir = place.path().join("data");
    drawn("022", &data_dir, &[]);
    let export = audit("export", &data_dir, &["--output", "/dev/stdout"]);
    let ended = Process::start(export).end();
    assert_eq!(
        (ended.code, ended.lines),
        (Some(0), vec!["1,Ana,Paz,30000001,1990-01-01,7574".to_owned()])
    );
}

#[test]
fn what_a_client_makes_is_its_users_alone() {
    let place = tempdir().unwrap();
    let served = place.path().join("served");
    let mut files = server_program();
    files.args(["files", "--listen", "127.0.0.1:0", "--dir"]).arg(&served);
    let mut server = Process::start(with_umask("000", &files));
    let address = listens(&mut server, "files").to_string();
    assert_eq!(mode(&served), 0o700);
    fs::write(served.join("a.txt"), "hello").unwrap();
    for (umask, options) in [
        ("000", &["generate", "--agencies", "1", "--bets", "9", "--output", "made/sample"][..]),
        ("000", &["files", "get", &address, "a.txt", "--output", "made/fetched"]),
        ("077", &["generate", "--agencies", "1", "--bets", "9", "--output", "made/again"]),
    ] {
        let mut command = client_program();
        command.args(options).current_dir(place.path());
        let ended = Process::start(with_umask(umask, &command)).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_modes(&place.path().join("made"), 0o700, 0o600);
    let mut pki = client_program();
    pki.args(["pki", "init", "--dir", "pki"]).current_dir(place.path());
    assert_eq!(Process::start(with_umask("000", &pki)).end().code, Some(0));
    let pki = place.path().join("pki");
    let modes = ["", "ca-key.pem", "ca.pem"].map(|name| mode(&pki.join(name)));
    // The authority's certificate is for all who connect.
    assert_eq!(modes, [0o700, 0o600, 0o644]);
    server.kill();
}
