//! The commands that README and docs show for docker, run in the order in which a reader pastes them.

use std::fs;
use std::process::Command;

use tempfile::tempdir;

use crate::code_blocks::{blocks, repository};
use crate::deployment::Deployment;
use crate::engine::{run, succeeded, within};

/// Two builds with every layer in the cache, and a few deployments.
const BLOCK_SECONDS_MAX: &str = "600";

#[test]
fn the_commands_of_the_documents_run_in_the_order_in_which_they_are_shown() {
    // The images are built, and no other deployment runs meanwhile.
    let _alone = Deployment::new("echo", 0);
    let directory = tempdir().unwrap();
    let tracked = run(Command::new("git").arg("ls-files").current_dir(repository()));
    for file in succeeded(tracked).lines() {
        let copy = directory.path().join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(repository().join(file), copy).unwrap();
    }
    for document in ["README.md", "docs/course.md"] {
        for block in blocks(document).into_iter().filter(|block| block.tag == "sh docker") {
            let mut command = within(BLOCK_SECONDS_MAX, "bash");
            command.args(["-euo", "pipefail", "-c", &block.text]).current_dir(directory.path());
            let output = run(&mut command);
            assert!(output.status.success(), "{}: {output:?}", block.place);
        }
    }
}
