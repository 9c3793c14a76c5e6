//! Whole deployments under a real docker engine: images, compose, scripts, faults. `make test-docker`
//! runs them, one at a time; without the feature `docker` they are not even built.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what goes wrong in a test is a failure, in its helpers too, and is told"
)]

#[path = "../../server/tests/program/code_blocks.rs"]
#[allow(dead_code, reason = "the server's own tests use all of it")]
mod code_blocks;
#[path = "../../server/tests/program/inputs.rs"]
#[allow(dead_code, reason = "the server's own tests use all of it")]
mod inputs;
#[path = "../../server/tests/program/lines.rs"]
mod lines;
#[path = "../../server/tests/program/process.rs"]
#[allow(dead_code, reason = "the server's own tests use all of it")]
mod process;

mod deployment;
mod engine;

mod documents;
mod echo;
mod faults;
mod images;
mod lottery;
mod scripts;
mod single;
mod stopping;
mod volumes;

/// Says that something is not tried here.
fn tell_skipped(what: &str) {
    eprintln!("skipped: {what}");
}
