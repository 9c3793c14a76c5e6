//! The central office of a lottery: sessions without sockets, drivers that run them, and a ledger.

#![forbid(unsafe_code)]

pub mod lifecycle;
pub mod session;

pub mod conn;
pub mod driver;
pub mod echo;
