//! The commands that README and docs show, run in the order in which a reader pastes them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;

use crate::code_blocks::{Block, blocks, documents, repository};
use crate::process::Process;

/// The documents whose commands are run, in this order and in one directory.
const PASTED: [&str; 2] = ["README.md", "docs/services.md"];

#[test]
fn every_code_block_tells_how_it_is_tried() {
    for document in documents() {
        for Block { place, tag, .. } in blocks(&document) {
            let known = ["sh run", "sh run server", "sh docker", "sh manual", "text"];
            assert!(known.contains(&tag.as_str()), "{place}: {tag:?} is none of {known:?}");
        }
    }
}

#[test]
fn the_commands_of_the_documents_run_in_the_order_in_which_they_are_shown() {
    let directory = tempdir().unwrap();
    copy_what_a_reader_has(directory.path());
    let temporary = format!("{}/", directory.path().display());
    let mut script = String::from(PRELUDE);
    for Block { place, tag, text } in PASTED.iter().flat_map(|document| blocks(document)) {
        // So that two runs of these tests do not meet.
        let text = quoted(&text.replace("/tmp/", &temporary));
        match tag.as_str() {
            "sh run" => script.push_str(&format!("run {place} {text}\n")),
            "sh run server" => script.push_str(&format!("serve {place} {text}\n")),
            _ => {}
        }
    }
    script.push_str("stop_server\n");
    let file = directory.path().join("documents.sh");
    fs::write(&file, script).unwrap();
    let mut command = in_own_network();
    command.arg("sh").arg(&file).current_dir(directory.path());
    let programs = Path::new(env!("CARGO_BIN_EXE_bolillero-server")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", programs.display()));
    let ended = Process::start(command).end();
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.lines.join("\n"), ended.stderr);
}

/// Functions that the blocks are arguments of. A block that fails ends the script.
const PRELUDE: &str = r#"
set -eu
server=
trap '[ -z "$server" ] || kill "$server"' EXIT

run() {
    echo "== $1"
    bash -euo pipefail -c "$2" </dev/null
}

serve() {
    stop_server
    echo "== $1"
    # Here, and not only where the server starts: what the one before it wrote is not its own.
    : >server.log
    bash -c "exec $2" >>server.log 2>&1 &
    server=$!
    tries=0
    until grep -q 'action: listen' server.log; do
        kill -0 "$server" || { cat server.log; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 400 ]
        sleep 0.05
    done
}

stop_server() {
    [ -n "$server" ] || return 0
    kill -TERM "$server"
    wait "$server" || { cat server.log; exit 1; }
    server=
}
"#;

/// The commands use the default ports: in a network of their own where this machine gives one, so that nothing else is
/// there.
fn in_own_network() -> Command {
    let prefix = ["unshare", "--map-root-user", "--net", "sh", "-c"];
    let script = "ip link set lo up && exec \"$@\"";
    let command = |program: &[&str]| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        command
    };
    let mut trial = command(&prefix);
    trial.args([script, "sh", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    if trial.status().is_ok_and(|status| status.success()) {
        let mut command = command(&prefix);
        command.args([script, "sh"]);
        return command;
    }
    crate::tell(
        "no network namespace (unshare, ip): the documents' commands use this machine's ports",
    );
    command(&["env"])
}

/// What the commands read of the repository.
fn copy_what_a_reader_has(directory: &Path) {
    let files =
        fs::read_dir(repository().join(".data")).unwrap().map(|entry| entry.unwrap().path());
    let bets = files.filter(|path| path.extension().is_some_and(|extension| extension == "csv"));
    let configuration =
        ["server/config.ini", "client/config.yaml"].map(|file| repository().join(file));
    let documents = documents().into_iter().map(|document| repository().join(document));
    for file in bets.chain(configuration).chain(documents) {
        let copy = directory.join(file.strip_prefix(repository()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, copy).unwrap();
    }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
