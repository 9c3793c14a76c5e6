//! Asks whether a server takes connections, by one that says nothing: the server logs nothing of it.

use std::net::TcpStream;

use anyhow::Context as _;

use crate::config::HealthConfig;
use crate::failure::Failure;

/// Connects and closes.
///
/// # Errors
/// [`Failure::Setup`]: nobody took the connection in time.
pub fn ask(config: &HealthConfig) -> Result<(), Failure> {
    let connected = TcpStream::connect_timeout(&config.address, config.time_max);
    let connected = connected.with_context(|| format!("connecting to {}", config.address));
    connected.map(drop).map_err(Failure::Setup)
}
