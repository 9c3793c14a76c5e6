//! A server on a free port, and who connects to it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use bolillero_server::driver::{self, Driver, Limits, Listener};
use bolillero_server::lifecycle::Lifecycle;
use bolillero_server::session::Service;
use bolillero_server::tls::Secured;
use bolillero_tls::server::{Admission, ServerTls};
use socket2::{Domain, Socket, Type};
use tempfile::tempdir;

use crate::certificates::write_server_files;
use crate::client::{Client, NAMELESS, socket_from};

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a behaviour is to hold under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) driver: Driver,
    pub(crate) tls: bool,
}

pub(crate) struct Server {
    cell: Cell,
    pub(crate) address: SocketAddr,
    pub(crate) life: Lifecycle,
    ended: Option<Receiver<io::Result<()>>>,
}

impl Server {
    pub(crate) fn start(cell: Cell, service: impl Service + 'static, limits: Limits) -> Self {
        let service: Arc<dyn Service> = Arc::new(service);
        let service = if cell.tls { secure(service, Admission::Anyone, NEVER) } else { service };
        Self::serve(cell, service, limits)
    }

    /// Serves a service as it is: one that is to be reached over TLS is behind it already.
    pub(crate) fn serve(cell: Cell, service: Arc<dyn Service>, limits: Limits) -> Self {
        let socket = listen();
        let address = socket.local_addr().unwrap();
        let listeners = vec![Listener { socket, service }];
        let life = Lifecycle::new();
        let its_life = life.clone();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            let prepared = driver::prepare(cell.driver, listeners, &limits).unwrap();
            end.send(prepared.run(&its_life))
        });
        Self { cell, address, life, ended: Some(ended) }
    }

    /// Somebody who was let in.
    pub(crate) fn connect(&self) -> Client {
        self.connect_from(1)
    }

    /// See [`socket_from`].
    pub(crate) fn connect_from(&self, last: u8) -> Client {
        let client = self.knock_from(last);
        client.shake_hands().unwrap();
        client
    }

    /// Somebody who came, and may not be let in.
    pub(crate) fn knock(&self) -> Client {
        self.knock_from(1)
    }

    pub(crate) fn knock_from(&self, last: u8) -> Client {
        knock(self.cell, self.address, last)
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn join(&mut self) {
        self.ended.take().unwrap().recv_timeout(PATIENCE).unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.life.stop();
        if self.ended.is_some() && !thread::panicking() {
            self.join();
        }
    }
}

pub(crate) fn knock(cell: Cell, server: SocketAddr, last: u8) -> Client {
    let socket = socket_from(last, server);
    if cell.tls { Client::secured(socket, &NAMELESS) } else { Client::plain(socket) }
}

/// Has a service reached over TLS.
pub(crate) fn secure(
    service: Arc<dyn Service>,
    admission: Admission,
    handshake_time_max: Duration,
) -> Arc<dyn Service> {
    static SERVER_TLS: LazyLock<ServerTls> = LazyLock::new(|| {
        let directory = tempdir().unwrap();
        ServerTls::load(&write_server_files(directory.path())).unwrap()
    });
    Arc::new(Secured::new(service, &SERVER_TLS, admission, handshake_time_max).unwrap())
}

/// Longer than any test takes.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

/// The standard library's backlog of 128 overflows when the test's threads hold the processors, and
/// then the kernel makes a client wait for a second.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    socket.into()
}
