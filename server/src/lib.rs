//! The central office of a lottery: sessions without sockets, drivers that run them, and a ledger.

#![forbid(unsafe_code)]

pub mod ledger;
pub mod lifecycle;
pub mod lottery;
pub mod session;

pub mod conn;
pub mod driver;
pub mod echo;
