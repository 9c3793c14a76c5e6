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

use self::hub::Runner;
use self::reactor::Reactor;
use self::workers::Workers;
use crate::lifecycle::Lifecycle;
pub use crate::limits::Limits;
use crate::session::Service;

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

/// Serves on the calling thread until `life` was asked to stop and all connections are closed, or
/// the time for that is over. Enters [`Phase::Draining`](crate::lifecycle::Phase::Draining); the
/// other phases are the caller's.
///
/// # Errors
/// A limit of 0, what the operating system refuses at start, and a failure to wait for events.
pub fn run(
    driver: Driver,
    listeners: Vec<Listener>,
    limits: &Limits,
    life: &Lifecycle,
) -> io::Result<()> {
    let own = if driver == Driver::Threads { 2 } else { 1 };
    let of_sessions = listeners.iter().map(|listener| listener.service.descriptors_each()).max();
    let limits = limits.fitted(own + of_sessions.unwrap_or(0))?;
    let runner = match driver {
        Driver::Pool => Runner::Pool(Workers::new(limits.workers)),
        Driver::Events => Runner::Reactor,
        Driver::Threads => Runner::Threads,
    };
    Reactor::new(runner, listeners, limits)?.run(life)
}
