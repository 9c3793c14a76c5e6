//! A deployment in a temporary directory: the repository's compose parts, copied, and the containers
//! that come of them. Only one at a time, since their names are fixed; all is removed in the end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tempfile::{TempDir, tempdir};

use crate::engine::{build_images, docker, repository, run, succeeded, try_docker, within};
use crate::inputs::Inputs;
use crate::lines::assert_healthy_log;
use crate::process::{Ended, Process};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const PARTS: [&str; 8] = [
    "Makefile",
    "generar-compose.sh",
    "validar-echo-server.sh",
    "scripts/compose-up.sh",
    "scripts/need-docker.sh",
    "scripts/probe-container.sh",
    "server/config.ini",
    "client/config.yaml",
];
const COMPOSE_FILE: &str = "docker-compose-dev.yaml";
/// How long a script or a target of ours may take.
const SCRIPT_SECONDS_MAX: &str = "60";

pub(crate) struct Deployment {
    directory: TempDir,
    pub(crate) clients: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Deployment {
    /// The files of a deployment; nothing runs yet.
    pub(crate) fn new(mode: &str, clients: usize) -> Self {
        Self::with_environment(&[("TP0_MODE", mode)], clients)
    }

    pub(crate) fn with_environment(environment: &[(&str, &str)], clients: usize) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        build_images();
        let there = docker(&["ps", "-aq", "--filter", "label=com.docker.compose.project=tp0"]);
        assert_eq!(there, "", "containers of a deployment are there: make docker-compose-down");
        let directory = tempdir().unwrap();
        for part in PARTS {
            let copy = directory.path().join(part);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(repository().join(part), copy).unwrap();
        }
        let mut deployment = Self { directory, clients: Vec::new(), _alone: alone };
        deployment.generate(environment, clients);
        deployment
    }

    /// Writes the compose file, also over an earlier one.
    pub(crate) fn generate(&mut self, environment: &[(&str, &str)], clients: usize) {
        let mut generator = Command::new("sh");
        generator.args(["generar-compose.sh", COMPOSE_FILE, &clients.to_string()]);
        generator.env_remove("TP0_MODE").env_remove("BOLILLERO_VOLUME");
        generator.envs(environment.iter().copied()).current_dir(self.directory.path());
        succeeded(run(&mut generator));
        self.clients = (1..=clients).map(|id| format!("client{id}")).collect();
    }

    /// Starts all services as `make docker-compose-up` does once the images are there.
    pub(crate) fn start(&self) -> Output {
        let mut command = within(SCRIPT_SECONDS_MAX, "sh");
        command.args(["scripts/compose-up.sh", COMPOSE_FILE]);
        run(command.current_dir(self.directory.path()))
    }

    /// A lottery among the agencies of `inputs`, each with its file, in batches of so many bets.
    pub(crate) fn lottery(inputs: &Inputs, batch_bets_max: u64) -> Self {
        let deployment = Self::new("lottery", inputs.files.len());
        for (id, file) in (1..).zip(&inputs.files) {
            let copy = deployment.path(&format!(".data/agency-{id}.csv"));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, &copy).unwrap();
            // The containers' user is none of this machine.
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
        }
        deployment.configure_clients(12345, "INFO", batch_bets_max, (5, "5s"));
        deployment
    }

    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.directory.path().join(part)
    }

    /// Writes the clients' file over, as other tools do: exactly the known keys, no last line feed.
    pub(crate) fn configure_clients(
        &self,
        port: u16,
        level: &str,
        batch_bets_max: u64,
        (amount, period): (u32, &str),
    ) {
        let text = format!(
            "server:\n  address: \"server:{port}\"\nloop:\n  amount: {amount}\n  period: \"{period}\"\n\
             log:\n  level: \"{level}\"\nbatch:\n  maxAmount: {batch_bets_max}"
        );
        fs::write(self.path("client/config.yaml"), text).unwrap();
    }

    /// Writes the server's file over, likewise.
    pub(crate) fn configure_server(&self, port: u16, level: &str) {
        let text = format!(
            "[DEFAULT]\nSERVER_PORT = {port}\nSERVER_IP = server\nSERVER_LISTEN_BACKLOG = 5\n\
             LOGGING_LEVEL = {level}"
        );
        fs::write(self.path("server/config.ini"), text).unwrap();
    }

    pub(crate) fn compose(&self, arguments: &[&str]) -> Output {
        let file = self.path(COMPOSE_FILE);
        try_docker(&[&["compose", "-f", file.to_str().unwrap()], arguments].concat())
    }

    /// Starts these services, or all where none is named.
    pub(crate) fn up(&self, services: &[&str]) {
        succeeded(self.compose(&[&["up", "-d"], services].concat()));
    }

    /// Runs a target of the Makefile, one that builds nothing.
    pub(crate) fn make(&self, arguments: &[&str]) -> Output {
        let mut command = within(SCRIPT_SECONDS_MAX, "make");
        command.arg("--no-print-directory").arg("--directory").arg(self.directory.path());
        run(command.args(arguments))
    }

    pub(crate) fn validate_echo_server(&self) -> Output {
        run(within(SCRIPT_SECONDS_MAX, "sh").arg(self.path("validar-echo-server.sh")))
    }

    /// The exit codes of containers, once they have all ended.
    pub(crate) fn exit_codes(&self, containers: &[String]) -> Vec<i32> {
        let mut arguments = vec!["wait"];
        arguments.extend(containers.iter().map(String::as_str));
        docker(&arguments).lines().map(|code| code.parse().unwrap()).collect()
    }

    /// Waits until every client has done its work, and holds what all have logged against the form
    /// of a healthy run. The lines are those of the server and of each client.
    pub(crate) fn finish(&self) -> Ran {
        assert_eq!(self.exit_codes(&self.clients), vec![0; self.clients.len()], "{}", self.told());
        let clients: Vec<Vec<String>> = self.clients.iter().map(|name| lines(name)).collect();
        let server = lines("server");
        for lines in clients.iter().chain([&server]) {
            assert_healthy_log(lines);
        }
        Ran { server, clients }
    }

    /// All that every container has logged, for a test that fails.
    fn told(&self) -> String {
        let output = self.compose(&["logs", "--tail", "15"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.told());
        }
        let down = self.compose(&["down", "--timeout", "0", "--volumes", "--remove-orphans"]);
        if !down.status.success() {
            eprintln!("a deployment could not be removed: {down:?}");
        }
    }
}

/// What a deployment's containers have logged.
pub(crate) struct Ran {
    pub(crate) server: Vec<String>,
    /// Client 1's first.
    pub(crate) clients: Vec<Vec<String>>,
}

impl Ran {
    /// How often each of these parts of a line is in the clients' logs, the same in each.
    pub(crate) fn assert_each_client_says(&self, parts: &[(&str, usize)]) {
        for client in &self.clients {
            for (part, times) in parts {
                let found = crate::lines::count(client, part);
                assert_eq!(found, *times, "{part}: {client:#?}");
            }
        }
    }
}

/// What a container has logged; nothing of ours writes to stderr unless it fails.
pub(crate) fn lines(container: &str) -> Vec<String> {
    let output = try_docker(&["logs", container]);
    assert!(output.stderr.is_empty(), "{container}: {output:?}");
    succeeded(output).lines().map(str::to_owned).collect()
}

/// The lines of a container as they come, from the first one on.
pub(crate) fn follow(container: &str) -> Process {
    let mut command = Command::new("docker");
    command.args(["logs", "--follow", container]);
    Process::start(command)
}

/// What a signal or a kill leaves of a container that was followed.
pub(crate) fn signal(container: &str, signal: &str, followed: Process) -> Ended {
    docker(&["kill", "--signal", signal, container]);
    followed.end()
}

/// All bets in the ledger of the server's container, which may have ended.
pub(crate) fn export() -> Vec<u8> {
    let program = ["server:latest", "export", "--data-dir", "/data"];
    let output = try_docker(&[&["run", "--rm", "--volumes-from", "server"], &program[..]].concat());
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A field of a container or an image.
pub(crate) fn inspect(object: &str, template: &str) -> String {
    docker(&["inspect", "--format", template, object])
}

/// Files of so many agencies, made by the client's own image.
pub(crate) fn generated(agencies: usize, bets: u64, directory: &Path) -> Inputs {
    let mount = format!("{}:/made", directory.display());
    let user =
        format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    build_images();
    let run = ["run", "--rm", "--user", &user, "--volume", &mount, "client:latest"];
    let (agencies_text, bets) = (agencies.to_string(), bets.to_string());
    let what = ["generate", "--output", "/made", "--agencies", &agencies_text, "--bets", &bets];
    docker(&[&run[..], &what].concat());
    let files = (1..=agencies).map(|id| directory.join(format!("agency-{id}.csv"))).collect();
    Inputs { files, is_dataset: false }
}
