//! What `bolillero echo` is told.

use super::client::{LoopOptions, sources};
use super::sources::Environment;
use super::{ClientConfig, UsageError};
use crate::args::EchoArgs;
use crate::connect::Listener;

/// What `bolillero echo` is to do.
#[derive(Debug)]
pub struct EchoConfig {
    /// Whom to work for, where, and the loop.
    pub client: ClientConfig,
}

impl EchoConfig {
    /// Finds out what was meant.
    ///
    /// # Errors
    /// [`UsageError`] names the first setting that cannot be meant.
    pub fn new(args: &EchoArgs, environment: &Environment<'_>) -> Result<Self, UsageError> {
        let sources = sources(&args.client.server, environment)?;
        let typed = LoopOptions { amount: args.amount.as_deref(), period: args.period.as_deref() };
        Ok(Self { client: ClientConfig::new(&args.client, Listener::Echo, typed, &sources)? })
    }
}
