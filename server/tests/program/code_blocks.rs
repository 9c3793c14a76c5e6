//! The code blocks of the project's documents.
//!
//! Every code block says how it is tried, behind its language:
//!
//! ```text
//! sh run           pasted into a terminal; ends with success
//! sh run server    pasted into a terminal of its own, where it runs until the next block of this kind
//! sh docker        run by the docker tests
//! sh manual        not run: it needs a person, or another machine, or is what runs these tests
//! text             no commands
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// A code block of a document.
pub(crate) struct Block {
    /// Where it stands, for example `README.md:94`.
    pub(crate) place: String,
    /// Its language, and how it is tried.
    pub(crate) tag: String,
    pub(crate) text: String,
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All documents, by their paths in the repository.
pub(crate) fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["", "docs"] {
        for entry in fs::read_dir(repository().join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(Path::new(directory).join(name).to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The code blocks of a document, in order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let text = fs::read_to_string(repository().join(document)).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(tag) = line.trim_start().strip_prefix("```") else { continue };
        let body =
            lines.by_ref().map(|(line, _)| line).take_while(|line| line.trim_start() != "```");
        let text = body.map(|line| format!("{line}\n")).collect();
        blocks.push(Block { place: format!("{document}:{number}"), tag: tag.to_owned(), text });
    }
    blocks
}
