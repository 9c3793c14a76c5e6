//! What TLS around a session does, without network: each input is the test's, and the peer is a client
//! of rustls in memory.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

#[path = "../support/certificates.rs"]
mod certificates;
mod rig;

mod handshake;
mod inside;
mod records;
