//! What the room does, and what each of its guests is sent. Without network: each turn is the
//! test's.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

#[path = "../support/log_lines.rs"]
mod log_lines;
mod rig;

mod talk;
mod names;
mod limits;
mod life;
