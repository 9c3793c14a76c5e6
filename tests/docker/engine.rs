//! Commands of docker, each with a time limit, and the images that all tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

/// Far more than any command takes on a loaded machine, also fifty containers at once.
const COMMAND_SECONDS_MAX: &str = "180";
/// A first build, with all dependencies to be fetched and compiled.
const BUILD_SECONDS_MAX: &str = "1200";
/// What `timeout` says of a command that it ended.
const TIMED_OUT: i32 = 124;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `docker` to its end and returns what it wrote, without the last line feed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    succeeded(try_docker(arguments))
}

/// Runs `docker` to its end, which may be a failure.
pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    let mut command = within(COMMAND_SECONDS_MAX, "docker");
    run(command.args(arguments))
}

/// A command that is ended when its time is over.
pub(crate) fn within(seconds: &str, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", seconds, program]);
    command
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert_ne!(output.status.code(), Some(TIMED_OUT), "took too long: {command:?}: {output:?}");
    output
}

pub(crate) fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Builds both images, once for all tests.
pub(crate) fn build_images() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        build_image("server");
        build_image("client");
    });
}

/// Builds one image as a user would; returns what the builder said.
pub(crate) fn build_image(name: &str) -> String {
    let mut command = within(BUILD_SECONDS_MAX, "docker");
    let file = format!("./{name}/Dockerfile");
    command.args(["build", "-f", &file, "-t", &format!("{name}:latest"), "."]);
    let output = run(command.current_dir(repository()));
    assert!(output.status.success(), "{output:?}");
    // Which of the two it is depends on the builder.
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
