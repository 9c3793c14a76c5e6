//! Who may know what: read from the sources, so that a convenient shortcut fails a test.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends there.

use std::fs;
use std::path::{Path, PathBuf};

/// Names that make a file touch sockets, clocks, threads or files.
const SOCKETS: [&str; 4] = ["TcpStream", "TcpListener", "socket2", "rustix::net"];
const CLOCKS: [&str; 3] = ["Instant", "SystemTime", "thread::"];
const FILES: [&str; 3] = ["std::fs", "fs::File", "File::open"];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), code_of(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// A file without its comments and its tests.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).fold(
        String::new(),
        |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        },
    )
}

/// Holds that of the sources in `folder` only those whose path contains one of `allowed` use one of `names`.
fn check(folder: &str, names: &[&str], allowed: &[&str]) {
    for (path, code) in sources(folder) {
        let path = path.display().to_string();
        if allowed.iter().any(|part| path.contains(part)) {
            continue;
        }
        for name in names {
            assert!(!code.contains(name), "{path} uses {name}");
        }
    }
}

#[test]
fn the_protocol_does_no_input_or_output_of_its_own() {
    check("protocol/src", &SOCKETS, &[]);
    check("protocol/src", &FILES, &[]);
    check("protocol/src", &["Instant", "SystemTime", "std::thread", "println!", "print!"], &[]);
}

#[test]
fn only_connections_and_drivers_know_sockets() {
    let allowed = ["/conn", "/driver", "server/src/server.rs", "server/src/health.rs"];
    check("server/src", &SOCKETS, &allowed);
    let allowed = ["/connect.rs", "/connect/duplex.rs", "/connect/wire.rs", "/load/sockets.rs"];
    check("client/src", &SOCKETS, &allowed);
}

#[test]
fn only_conn_reads_and_writes_a_connections_socket() {
    check("server/src/driver", &[".read(", ".write(", ".write_all(", ".flush("], &[]);
}

#[test]
fn sessions_and_the_state_see_no_clock_thread_or_file() {
    for file in [
        "session.rs",
        "lottery.rs",
        "lottery/session.rs",
        "lottery/ask.rs",
        "lottery/owed.rs",
        "lottery/pieces.rs",
        "lottery/text.rs",
        "lottery/state.rs",
        "echo.rs",
        "files.rs",
        "files/session.rs",
        "files/answer.rs",
        "room.rs",
        "room/session.rs",
        "room/speaker.rs",
        "room/guests.rs",
        "room/bucket.rs",
        "room/refused.rs",
        "tls.rs",
        "tls/session.rs",
        "tls/inside.rs",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let code = code_of(&fs::read_to_string(&path).unwrap());
        for name in CLOCKS.iter().chain(&FILES).chain(&SOCKETS) {
            assert!(!code.contains(name), "{file} uses {name}");
        }
    }
}

#[test]
fn only_tls_knows_tls() {
    check("server/src", &["rustls"], &["server/src/tls"]);
    check("protocol/src", &["rustls", "bolillero_tls"], &[]);
    check("tls/src", &SOCKETS, &[]);
    check("tls/src", &FILES, &["/files.rs"]);
}

#[test]
fn files_are_made_where_their_modes_are_given() {
    // Elsewhere whoever may read a file would follow from the umask alone.
    let making = ["fs::File::create", " File::create", "(File::create", "fs::write("];
    let making = [&making[..], &["create_dir(", "create_dir_all(", ".create(true)"]].concat();
    let allowed = ["ledger/disk.rs", "server/src/data_dir.rs"];
    for folder in ["server/src", "client/src", "tls/src"] {
        check(folder, &making, &allowed);
    }
}

/// A clock that is set back, or was never right, changes the times in log lines and nothing else.
#[test]
fn only_the_log_asks_what_time_it_is() {
    let wall_clocks = ["SystemTime", "UNIX_EPOCH", "Local::", "Utc::", "Realtime"];
    for folder in ["protocol/src", "server/src", "client/src", "tls/src", "fs/src"] {
        // A certificate says from when until when it is good.
        check(folder, &wall_clocks, &["/log.rs", "tls/src/authority.rs"]);
    }
}

/// What is printed may quote a peer: where it is, what cannot be shown is escaped.
#[test]
fn only_those_that_escape_print() {
    let printing = ["stdout()", "stderr()"];
    let escaping = ["/log.rs", "/commands.rs", "client/src/main.rs", "/files.rs", "/room"];
    // Their words are their own, or bytes that were asked for.
    let own = ["/signals.rs", "/progress.rs", "/pki.rs", "/load.rs", "/winners.rs"];
    for folder in ["server/src", "client/src"] {
        check(folder, &printing, &[&escaping[..], &own].concat());
    }
    check("protocol/src", &printing, &[]);
    check("tls/src", &printing, &[]);
    check("fs/src", &printing, &[]);
}

#[test]
fn only_the_directory_touches_the_files_that_are_served() {
    check("server/src/files", &FILES, &["/directory.rs"]);
    check("server/src/files", &["rustix", "OwnedFd"], &["/directory.rs"]);
    check("server/src/files", &SOCKETS, &[]);
    // From memory everybody may ask, and of the disk only readers.
    check("server/src/files", &["Reach::Disk"], &["/directory.rs", "/reader.rs"]);
}

#[test]
fn only_the_folder_touches_the_files_that_are_fetched() {
    check("client/src/files", &FILES, &["/folder.rs"]);
    check("client/src/files", &["rustix", "OwnedFd"], &["/folder.rs"]);
    check("client/src/files", &CLOCKS, &[]);
}

#[test]
fn only_the_disk_touches_the_ledgers_files() {
    check("server/src/ledger", &FILES, &["/disk.rs", "/disk/"]);
    check("server/src/ledger", &["sync_data", "sync_all", "write_all_at"], &["/disk.rs", "/disk/"]);
}
