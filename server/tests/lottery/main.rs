//! What the lottery answers, what its answers rest on, and that it draws once. Without network, disk or thread:
//! see [`support`].

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/chance.rs"]
mod chance;

mod base;
mod text;
mod identity;
mod sessions;
mod resuming;
mod fencing;
mod alarms;
mod order;
mod durability;
mod draw;
mod restart;
mod room;
mod waits;
mod pieces;
mod ending;
mod logging;
mod published;
mod model;
mod interleavings;
