//! The agency's side of Bolillero: sends a file of bets or a single one, asks for the winners,
//! fetches what is published, tries servers out, makes sample files, and loads an office with bets
//! of many agencies at once.
//!
//! ```text
//! args      what was typed                          config    what it means; every check
//! commands  from that to an outcome                 ending    the wish to end; signals bring it
//! source    CSV -> bets, with line numbers          batches   how a file is cut
//! encoding  names the encoding of a file that is not UTF-8
//! dialogue  what a conversation is, sans-IO         agency    sessions: exactly once, resumes
//! bet       a single one, opcode 1                  base      opcodes 1 to 8: for older offices
//! text      the text dialect, for offices that listen for it
//! winners   the documents that won, written one a line
//! echo      messages that have to come back         probe     whether a server is there, and right
//! talk      a conversation as bytes                 connect   a client's socket and clock
//! files     what a file server offers, fetched      generate  sample files
//! room      where operators talk: a terminal's or a script's guest
//! load      many agencies at once, and how fast     load/sockets  their sockets
//! pki       an authority and what it signs          pki/files  whole, and never replaced
//! log       the lines that deployed tools parse     progress  the bar on a terminal
//! ```

#![forbid(unsafe_code)]

pub mod args;
pub mod config;

mod commands;

mod encoding;
pub mod source;

pub mod batches;

pub mod dialogue;

pub mod talk;

pub mod agency;
pub mod base;
pub mod bet;
pub mod echo;
pub mod probe;
pub mod text;
pub mod winners;

pub mod files;

pub mod room;

pub mod connect;

pub mod ending;
mod signals;
pub mod threads;

pub mod generate;

pub mod load;

pub mod pki;

mod log;
mod progress;

pub use commands::execute;
