//! The two programs, with the options that tests need, and what every healthy run of them keeps to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::process::{Ended, Process};
use crate::wire::Wire;

pub(crate) use crate::inputs::WINNING_NUMBER;
pub(crate) use crate::lines::{assert_form, assert_healthy_log, bets_received, count, field};

/// What `serve` is told where a test does not say otherwise. Small files, because allocating them
/// is what a start takes longest for.
const DEFAULTS: [(&str, &str); 3] =
    [("--listen", "127.0.0.1:0"), ("--winning-number", "7574"), ("--segment-size", "1MiB")];

pub(crate) fn server_program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bolillero-server"));
    // What is set where the tests run must not decide about them.
    for key in ["SERVER_PORT", "SERVER_IP", "SERVER_LISTEN_BACKLOG", "LOGGING_LEVEL"] {
        command.env_remove(key);
    }
    command
}

pub(crate) fn serve(data_dir: &Path, options: &[&str]) -> Command {
    let mut command = server_program();
    command.arg("serve").arg("--data-dir").arg(data_dir).args(options);
    for (name, value) in DEFAULTS.iter().filter(|(name, _)| !options.contains(name)) {
        command.args([name, value]);
    }
    command
}

pub(crate) fn export(data_dir: &Path) -> Vec<u8> {
    let output = server_program().arg("export").arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The report on a sound ledger.
pub(crate) fn verify(data_dir: &Path) -> String {
    let output = server_program().arg("verify").arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(report.lines().last(), Some("sound"));
    report
}

/// A server that listens.
pub(crate) struct Office {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Office {
    pub(crate) fn start(data_dir: &Path, options: &[&str]) -> Self {
        Self::listening(Process::start(serve(data_dir, options)))
    }

    /// Waits until it listens.
    pub(crate) fn listening(mut process: Process) -> Self {
        let address = listens(&mut process, "lottery");
        Self { process, address }
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// A field of what the server said about its ledger at its start.
    pub(crate) fn recovered(&self, name: &str) -> String {
        let line = self.process.seen().iter().find(|line| line.contains("action: recover"));
        field(line.unwrap(), name).to_owned()
    }

    /// Ends it in order, after a run in which nothing went wrong.
    pub(crate) fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        let ended = self.process.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.lines.last().unwrap().ends_with("action: exit | result: success"));
        ended
    }
}

/// Waits until a service listens; returns where. They are told in the order of their options.
pub(crate) fn listens(process: &mut Process, service: &str) -> SocketAddr {
    let line =
        process.wait_for(&format!("action: listen | result: success | service: {service} |"));
    field(&line, "address").parse().unwrap()
}

/// Keeps a port for servers that live one after another, so that neither another test nor the
/// outgoing end of a connection takes it in between.
pub(crate) struct Port {
    address: SocketAddr,
    _reserved: Socket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
        // With this option on both, a socket that does not listen shares its port with one that does.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, _reserved: socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The agencies 1, 2, … as processes, one for each of `files`.
pub(crate) fn start_agencies(
    address: SocketAddr,
    files: &[PathBuf],
    options: &[&str],
) -> Vec<Process> {
    let start = |(id, file): (u32, &PathBuf)| start_agency(address, id, file, options);
    (1..).zip(files).map(start).collect()
}

pub(crate) fn start_agency(address: SocketAddr, id: u32, file: &Path, options: &[&str]) -> Process {
    let (id, address) = (id.to_string(), address.to_string());
    let mut command = client_program();
    command.args(["agency", "--id", &id, "--server", &address, "--bets"]).arg(file).args(options);
    Process::start(command)
}

pub(crate) fn client_program() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_bolillero-server")).with_file_name("bolillero");
    assert!(
        program.exists(),
        "{}: the agency's program is not built; run `cargo test --workspace`, or `cargo build -p bolillero` first",
        program.display()
    );
    Command::new(program)
}

/// Waits until they have all done their work; returns how many winners each was told.
pub(crate) fn finish_agencies(agencies: Vec<Process>) -> Vec<u64> {
    agencies.into_iter().map(|agency| winners_told(&agency.end())).collect()
}

fn winners_told(agency: &Ended) -> u64 {
    assert_eq!((agency.code, agency.stderr.as_str()), (Some(0), ""), "{agency:?}");
    assert_healthy_log(&agency.lines);
    let told = |line: &&String| line.contains("action: consulta_ganadores | result: success");
    let told: Vec<&String> = agency.lines.iter().filter(told).collect();
    let [told] = *told else { panic!("winners are told once: {agency:?}") };
    field(told, "cant_ganadores").parse().unwrap()
}
