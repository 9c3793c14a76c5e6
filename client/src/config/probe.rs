//! What `bolillero probe` is told.

use super::client::{log_level, server, sources};
use super::sources::Environment;
use super::{LogLevel, Tls, UsageError, time_flag};
use crate::args::{ProbeArgs, Service};
use crate::connect::{Listener, Office, Pauses};

/// What `bolillero probe` is to do.
#[derive(Debug)]
pub struct ProbeConfig {
    /// What should be there.
    pub service: Service,
    /// Where, and how long to try.
    pub office: Office,
    /// What is logged.
    pub log_level: LogLevel,
}

impl ProbeConfig {
    /// Finds out what was meant.
    ///
    /// # Errors
    /// [`UsageError`] names the first setting that cannot be meant.
    pub fn new(args: &ProbeArgs, environment: &Environment<'_>) -> Result<Self, UsageError> {
        let sources = sources(&args.server, environment)?;
        let timeout = time_flag("timeout", &args.timeout)?;
        let (server, source) = server(&args.server, &sources)?;
        Ok(Self {
            service: args.service,
            office: Office {
                tls: Tls::new(&args.server.tls, &server)?,
                server,
                source,
                sought: match args.service {
                    Service::Lottery => Listener::Office,
                    Service::Echo => Listener::Echo,
                },
                connect_timeout: timeout,
                resolve_timeout: timeout,
                reply_timeout: timeout,
                peer_timeout: timeout,
                pauses: Pauses::default(),
            },
            log_level: log_level(&args.server, &sources)?,
        })
    }
}
