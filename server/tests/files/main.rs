//! What the file service answers, and what it holds meanwhile. Without network: each turn is the
//! test's; only the readers are threads.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

mod folder;
#[path = "../support/gate.rs"]
mod gate;
mod rig;
#[path = "../../../protocol/tests/vectors/mod.rs"]
mod vectors;

mod replies;
mod listings;
mod names;
mod slices;
mod readers;
mod life;
