//! What a deployment is written from: the compose generator, the Dockerfiles, the files of
//! configuration. Needs a shell and no docker; what becomes of them under docker is `docker/`'s.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bolillero_protocol::bet::Bet;
use tempfile::tempdir;

const MODES: [&str; 3] = ["lottery", "echo", "single"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The shells that are here; `sh` always is.
fn shells() -> Vec<&'static [&'static str]> {
    let answers = |shell: &&[&str]| {
        let mut command = Command::new(shell[0]);
        let command = command.args(&shell[1..]).args(["-c", "true"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let shells: [&[&str]; 4] = [&["sh"], &["dash"], &["busybox", "sh"], &["bash", "--posix"]];
    let found: Vec<_> = shells.into_iter().filter(answers).collect();
    assert_eq!(found[0], ["sh"]);
    found
}

/// Runs the generator in `directory` under a shell.
fn generate(
    shell: &[&str],
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Output {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(repository().join("generar-compose.sh")).args(arguments);
    // What is set where the tests run must not decide about them.
    command.env_remove("TP0_MODE").env_remove("BOLILLERO_VOLUME").envs(environment.to_vec());
    command.current_dir(directory).output().unwrap()
}

/// What the generator writes.
fn compose(n: u32, environment: &[(&str, &str)]) -> String {
    let directory = tempdir().unwrap();
    let output =
        generate(&["sh"], directory.path(), &["compose.yaml", &n.to_string()], environment);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    fs::read_to_string(directory.path().join("compose.yaml")).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

/// The lines of one service, or of another part that begins with `head`.
fn part<'a>(compose: &'a str, head: &str) -> Vec<&'a str> {
    let indent = head.len() - head.trim_start().len();
    let deeper = |line: &&str| line.len() - line.trim_start().len() > indent;
    let lines = compose.lines().skip_while(|line| *line != head);
    lines.skip(1).take_while(deeper).map(str::trim_start).collect()
}

#[test]
fn the_committed_compose_file_is_what_is_written_for_five_agencies() {
    assert!(
        read("docker-compose-dev.yaml") == compose(5, &[]),
        "write it anew: ./generar-compose.sh docker-compose-dev.yaml 5"
    );
}

#[test]
fn the_same_input_gives_the_same_bytes_under_every_shell() {
    let directory = tempdir().unwrap();
    for mode in MODES {
        for n in [0, 1, 2, 1000] {
            let expected = compose(n, &[("TP0_MODE", mode)]);
            for shell in shells() {
                let arguments = ["compose.yaml", &n.to_string()];
                let output = generate(shell, directory.path(), &arguments, &[("TP0_MODE", mode)]);
                assert!(output.status.success(), "{shell:?} {mode} {n}: {output:?}");
                let written = fs::read_to_string(directory.path().join("compose.yaml")).unwrap();
                assert!(written == expected, "{shell:?} {mode} {n}");
            }
        }
    }
}

#[test]
fn every_mode_has_its_commands_mounts_and_services() {
    let config = "source: ./server/config.ini";
    let client_config = "source: ./client/config.yaml";
    let bets = "source: ./.data/agency-3.csv";
    for (mode, server, client, ledger, bets_mounted) in [
        ("lottery", "[serve,", "[agency]", true, true),
        ("echo", "[echo,", "[echo]", false, false),
        ("single", "[serve,", "[bet]", true, false),
    ] {
        let compose = compose(3, &[("TP0_MODE", mode)]);
        let services: Vec<&str> =
            compose.lines().filter_map(|line| line.strip_prefix("    container_name: ")).collect();
        assert_eq!(services, ["server", "client1", "client2", "client3"], "{mode}");
        let of_server = part(&compose, "  server:");
        assert!(of_server.iter().any(|line| line.starts_with(&format!("command: {server}"))));
        assert!(of_server.contains(&"image: server:latest") && of_server.contains(&config));
        assert_eq!(of_server.contains(&"target: /data"), ledger, "{mode}");
        let of_client = part(&compose, "  client3:");
        let waits = "- CLI_CONNECT_TIMEOUT=2m";
        for line in ["image: client:latest", &format!("command: {client}"), "- CLI_ID=3", waits] {
            assert!(of_client.contains(&line), "{mode}: {line}");
        }
        assert!(of_client.contains(&client_config));
        assert_eq!(of_client.contains(&bets), bets_mounted, "{mode}");
        assert_eq!(compose.lines().next(), Some("name: tp0"));
    }
}

#[test]
fn the_server_is_told_how_many_agencies_there_are() {
    for n in [0, 1, 3, 1000] {
        for mode in ["lottery", "single"] {
            let compose = compose(n, &[("TP0_MODE", mode)]);
            assert!(compose.contains(&format!("--agencies, '{n}',")), "{mode} {n}");
            assert_eq!(compose.matches("image: client:latest").count(), n as usize);
        }
    }
}

#[test]
fn whatever_is_mounted_is_read_only_and_has_to_be_there() {
    for mode in MODES {
        let compose = compose(2, &[("TP0_MODE", mode)]);
        let mounts: Vec<&str> = compose.split("- type: bind\n").skip(1).collect();
        assert_eq!(mounts.len(), if mode == "lottery" { 5 } else { 3 });
        for mount in mounts {
            let lines: Vec<&str> = mount.lines().take(5).map(str::trim_start).collect();
            let [source, target, rest @ ..] = &lines[..] else { panic!("{mount}") };
            let path = source.strip_prefix("source: .").unwrap();
            assert_eq!(target.strip_prefix("target: "), Some(path));
            assert_eq!(rest, ["read_only: true", "bind:", "create_host_path: false"]);
        }
    }
}

#[test]
fn every_container_is_confined_and_none_is_told_a_log_level() {
    for mode in MODES {
        let compose = compose(2, &[("TP0_MODE", mode)]);
        for line in [
            "    read_only: true",
            "    cap_drop: [ALL]",
            "    security_opt: ['no-new-privileges:true']",
            "    networks: [testing_net]",
            "    stop_grace_period: 3s",
        ] {
            assert_eq!(compose.lines().filter(|found| *found == line).count(), 3, "{line}");
        }
        // The environment goes before the mounted files, so what is in them would mean nothing.
        for forbidden in ["log", "level", "loop", "amount", "port", "cli_l", "cli_s", "cli_b"] {
            let found = compose.to_ascii_lowercase().contains(forbidden);
            assert!(!found, "{mode}: {forbidden}");
        }
    }
}

#[test]
fn the_network_has_room_for_all() {
    for (n, subnet) in [
        (0, "172.25.125.0/24"),
        (250, "172.25.125.0/24"),
        (251, "172.25.124.0/22"),
        (1000, "172.25.124.0/22"),
    ] {
        let compose = compose(n, &[]);
        assert_eq!(part(&compose, "  testing_net:").last(), Some(&&*format!("- subnet: {subnet}")));
    }
}

#[test]
fn the_ledger_is_in_a_volume_of_its_own_or_in_the_one_that_is_named() {
    for mode in MODES {
        let unnamed = compose(1, &[("TP0_MODE", mode), ("BOLILLERO_VOLUME", "")]);
        assert_eq!(unnamed, compose(1, &[("TP0_MODE", mode)]));
        assert!(!unnamed.contains("\nvolumes:"));
        let named = compose(1, &[("TP0_MODE", mode), ("BOLILLERO_VOLUME", "provincia_1.a-b")]);
        if mode == "echo" {
            assert_eq!(named, unnamed);
            continue;
        }
        assert!(part(&named, "  server:").contains(&"source: ledger"));
        assert_eq!(part(&named, "volumes:"), ["ledger:", "name: provincia_1.a-b"]);
    }
}

#[test]
fn each_client_has_a_valid_bet_of_its_own() {
    let compose = compose(1000, &[("TP0_MODE", "single")]);
    let mut documents = HashSet::new();
    let mut bets = HashSet::new();
    for client in 1..=1000 {
        let lines = part(&compose, &format!("  client{client}:"));
        let value = |key: &str| {
            let key = format!("- {key}=");
            lines.iter().find_map(|line| line.strip_prefix(&*key)).unwrap()
        };
        let bet = Bet {
            agency: value("CLI_ID"),
            first_name: value("NOMBRE"),
            last_name: value("APELLIDO"),
            document: value("DOCUMENTO"),
            birth_date: value("NACIMIENTO"),
            number: value("NUMERO"),
        };
        assert_eq!((bet.agency, bet.check_fields()), (&*client.to_string(), Ok(())), "{bet:?}");
        assert!(bet.document.len() == 8 && documents.insert(bet.document), "{bet:?}");
        bets.insert((bet.first_name, bet.last_name, bet.birth_date, bet.number));
        if client == 1 {
            let Bet { first_name, last_name, document, birth_date, number, .. } = bet;
            let first = [first_name, last_name, document, birth_date, number];
            assert_eq!(first, ["Santiago Lionel", "Lorca", "30904465", "1999-03-17", "7574"]);
        }
    }
    assert_eq!(bets.len(), 1000);
}

#[test]
fn arguments_that_mean_nothing_are_told_and_nothing_is_written() {
    type Environment = &'static [(&'static str, &'static str)];
    let usage = "usage: ";
    let rows: [(&[&str], Environment, &str); 26] = [
        (&[], &[], usage),
        (&["out.yaml"], &[], usage),
        (&["out.yaml", "5", "6"], &[], usage),
        (&["", "5"], &[], usage),
        (&["out.yaml", ""], &[], usage),
        (&["out.yaml", "-1"], &[], usage),
        (&["out.yaml", "+1"], &[], usage),
        (&["out.yaml", " 1"], &[], usage),
        (&["out.yaml", "1 "], &[], usage),
        (&["out.yaml", "05"], &[], usage),
        (&["out.yaml", "1e2"], &[], usage),
        (&["out.yaml", "x5"], &[], usage),
        (&["out.yaml", "1001"], &[], usage),
        (&["out.yaml", "10000"], &[], usage),
        (&["out.yaml", "99999999999999999999"], &[], usage),
        (&["out.yaml", "1\n2"], &[], usage),
        (&["out.yaml", "5"], &[("TP0_MODE", "lotto")], "TP0_MODE=lotto: not lottery, echo or "),
        (&["out.yaml", "5"], &[("TP0_MODE", "Echo")], "TP0_MODE=Echo: "),
        (&["out.yaml", "5"], &[("BOLILLERO_VOLUME", "a")], "BOLILLERO_VOLUME=a: "),
        (&["out.yaml", "5"], &[("BOLILLERO_VOLUME", "-ab")], "BOLILLERO_VOLUME=-ab: "),
        (&["out.yaml", "5"], &[("BOLILLERO_VOLUME", "a b")], "BOLILLERO_VOLUME=a b: "),
        (&["out.yaml", "5"], &[("BOLILLERO_VOLUME", "./ab")], "BOLILLERO_VOLUME=./ab: "),
        (&["out.yaml", "5"], &[("BOLILLERO_VOLUME", "ab\nc")], "BOLILLERO_VOLUME=ab\nc: "),
        (&["no/such/out.yaml", "5"], &[], "no/such/out.yaml: cannot be written: "),
        (&[".", "5"], &[], ".: not a file: "),
        (&["/dev/null", "5"], &[], "/dev/null: not a file: "),
    ];
    for (arguments, environment, said) in rows {
        for shell in shells() {
            let directory = tempdir().unwrap();
            let output = generate(shell, directory.path(), arguments, environment);
            assert_eq!(output.status.code(), Some(2), "{shell:?} {arguments:?} {environment:?}");
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(stderr.contains(said), "{shell:?} {arguments:?} {environment:?}: {stderr}");
            assert_eq!(names(directory.path()), [""; 0], "{arguments:?}");
        }
    }
}

#[test]
fn a_file_is_replaced_whole_or_stays_as_it_was() {
    for shell in shells() {
        let directory = tempdir().unwrap();
        let file = directory.path().join("out.yaml");
        fs::write(&file, "as it was").unwrap();
        assert_eq!(
            generate(shell, directory.path(), &["out.yaml", "x"], &[]).status.code(),
            Some(2)
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "as it was");
        assert!(generate(shell, directory.path(), &["out.yaml", "3"], &[]).status.success());
        assert_eq!(fs::read_to_string(&file).unwrap(), compose(3, &[]));
        assert_eq!(names(directory.path()), ["out.yaml"]);
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    // A limit on the size of files stands for it: the shell, told to ignore the signal, sees a write fail.
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("out.yaml"), "as it was").unwrap();
    let script = repository().join("generar-compose.sh");
    let script = format!("trap '' XFSZ; ulimit -f 1; exec sh '{}' out.yaml 1000", script.display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env_remove("TP0_MODE").env_remove("BOLILLERO_VOLUME");
    let output = command.current_dir(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("out.yaml: cannot be written: "));
    assert_eq!(fs::read_to_string(directory.path().join("out.yaml")).unwrap(), "as it was");
    assert_eq!(names(directory.path()), ["out.yaml"]);
}

#[test]
fn the_images_share_every_stage_but_their_last() {
    let stages = ["server/Dockerfile", "client/Dockerfile"].map(|path| {
        let text = read(path);
        let (shared, last) = text.split_once("\nFROM scratch\n").unwrap();
        assert!(!last.contains("FROM ") && !last.contains("RUN "), "{path}");
        // The first line names the image.
        shared.split_once('\n').unwrap().1.to_owned()
    });
    assert!(stages[0].contains("cargo build"));
    assert!(stages[0] == stages[1], "what one image builds the other finds in the cache");
}

/// A copy keeps the modes of what is in a directory: the one for the ledger is within another.
#[test]
fn the_images_directory_for_the_ledger_is_private() {
    let dockerfile = read("server/Dockerfile");
    for part in [
        "install -d -m 0700 /out/volume/data ",
        "COPY --from=server --chown=10001:10001 /out/volume /\n",
    ] {
        assert!(dockerfile.contains(part), "{part}");
    }
}

#[test]
fn what_stands_in_for_sources_compiles_without_warnings() {
    let dockerfile = read("server/Dockerfile");
    let stand_in = dockerfile.split("printf '").nth(1).unwrap().split('\'').next().unwrap();
    let directory = tempdir().unwrap();
    let source = directory.path().join("stand_in.rs");
    fs::write(&source, stand_in.replace("\\n", "\n")).unwrap();
    for kind in ["lib", "bin"] {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--crate-type", kind, "--emit", "metadata"]);
        // The workspace's lints, as far as they look at a file like this.
        rustc.args(["-D", "warnings", "-W", "missing_docs", "-W", "unreachable_pub"]);
        let output = rustc.arg(&source).current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{kind}: {output:?}");
    }
}

#[test]
fn every_manifest_of_the_workspace_reaches_the_build() {
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"protocol") && members.contains(&"tests"), "{members:?}");
    let (dockerfile, context) = (read("server/Dockerfile"), read(".dockerignore"));
    for member in members {
        let copied = format!("COPY {member}/Cargo.toml {member}/");
        assert!(dockerfile.lines().any(|line| line == copied), "server/Dockerfile: {copied}");
        let let_in = format!("!{member}/Cargo.toml");
        assert!(context.lines().any(|line| line == let_in), ".dockerignore: {let_in}");
    }
}

#[test]
fn the_files_of_configuration_have_the_keys_that_deployments_know() {
    let ini = read("server/config.ini");
    let keys: Vec<&str> = ini.lines().map(|line| line.split(" = ").next().unwrap()).collect();
    let known = ["SERVER_PORT", "SERVER_IP", "SERVER_LISTEN_BACKLOG", "LOGGING_LEVEL"];
    assert_eq!(keys, [&["[DEFAULT]"][..], &known].concat());
    assert!(ini.contains("SERVER_PORT = 12345\nSERVER_IP = server\n"));

    let yaml = read("client/config.yaml");
    let keys: Vec<&str> = yaml.lines().map(|line| line.split(':').next().unwrap()).collect();
    let known = ["server", "  address", "loop", "  amount", "  period", "log", "  level"];
    assert_eq!(keys, [&known[..], &["batch", "  maxAmount"]].concat());
    assert!(yaml.contains("  address: \"server:12345\"\n"));
}
