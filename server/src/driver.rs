//! Runs sessions on sockets, in one of three ways. Behaviour is the same under all of them; what
//! differs is where a connection is turned.

mod accept;
mod addresses;
mod alarm;
mod hub;
mod reactor;
mod schedule;
mod slot;
mod slots;
mod threads;
mod workers;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use thiserror::Error;

use self::hub::Runner;
use self::reactor::Reactor;
use self::workers::Workers;
use crate::lifecycle::Lifecycle;
use crate::limits::LimitsError;
pub use crate::limits::{AddressLimits, Limits};
use crate::session::Service;
use crate::threads::NoThread;

/// Where connections are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Driver {
    /// On a fixed number of workers; a silent, slow or waiting connection holds none
    #[default]
    Pool,
    /// All on one thread, the one that watches the sockets: the smallest footprint
    Events,
    /// Each on a thread of its own: for comparison and debugging
    Threads,
}

/// A bound socket and the service of those who connect to it.
pub struct Listener {
    /// Listens already. Its options are set by the driver.
    pub socket: TcpListener,
    /// Opens their sessions.
    pub service: Arc<dyn Service>,
}

/// Why a driver cannot serve.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Nothing can be served under these limits.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The system grants too few threads.
    #[error(transparent)]
    Thread(#[from] NoThread),
    /// The operating system refuses something else.
    #[error("watching the sockets")]
    Io(#[from] io::Error),
}

/// A driver that has its threads and descriptors, and has taken in nobody yet.
pub struct Prepared(Reactor);

/// Takes what a driver needs of the system, so that a server says that it listens only when it can
/// serve.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare(
    driver: Driver,
    listeners: Vec<Listener>,
    limits: &Limits,
) -> Result<Prepared, PrepareError> {
    let own = if driver == Driver::Threads { 2 } else { 1 };
    let of_sessions = listeners.iter().map(|listener| listener.service.descriptors_each()).max();
    let limits = limits.fitted(own + of_sessions.unwrap_or(0))?;
    let runner = match driver {
        Driver::Pool => Runner::Pool(Workers::start(limits.workers)?),
        Driver::Events => Runner::Reactor,
        Driver::Threads => Runner::Threads,
    };
    Ok(Prepared(Reactor::new(runner, listeners, limits)?))
}

impl Prepared {
    /// Serves on the calling thread until `life` was asked to stop and all connections are closed,
    /// or the time for that is over. Enters [`Phase::Draining`](crate::lifecycle::Phase::Draining);
    /// the other phases are the caller's.
    ///
    /// # Errors
    /// A failure to wait for events.
    pub fn run(self, life: &Lifecycle) -> io::Result<()> {
        self.0.run(life)
    }
}
