//! The central office of a lottery: keeps every bet it acknowledged, draws once, tells the winners.
//!
//! ```text
//! args -> config -> server::run          from what was typed to a server's whole life
//! driver -> conn -> session              sockets are driven, turned, and left behind: sessions have none
//! lottery::session -> lottery::Office    an agency asks, the office knows the state
//! files                                  what is published, by name
//! room                                   where operators talk
//! tls                                    any of these sessions, inside TLS
//! ledger -> ledger::committer -> disk    records gather, one sync makes them durable, answers leave
//! ```

#![forbid(unsafe_code)]

pub mod args;
pub mod config;
pub mod commands;
pub mod server;
pub mod health;
pub mod signals;
pub mod lifecycle;
pub mod failure;
pub mod hint;
pub mod log;
mod data_dir;

mod sync;
pub mod threads;

pub mod session;
pub mod limits;
pub mod conn;
pub mod driver;
pub mod tls;
pub mod echo;
pub mod files;
pub mod room;

pub mod lottery;
pub mod ledger;
pub mod audit;
