//! The ledger against a disk that fails: everything that became durable is there again, exactly once
//! and in order, and nothing else than what was appended.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

#[path = "../support/chance.rs"]
mod chance;

mod beside;
mod copies;
mod damage;
mod directory;
mod drawn;
mod end;
mod faults;
mod life;
mod memory;
mod order;
mod readers;
mod refusal;
mod repair;
mod room;
mod waiters;
mod whole;
