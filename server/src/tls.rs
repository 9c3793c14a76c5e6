//! TLS around any service: its sessions are opened inside, once a handshake is done. The services,
//! the drivers and the connections know nothing of it.
//!
//! ```text
//! bytes -> session: records, handshake -> inside: the wrapped session -> session: records -> bytes
//! ```

mod inside;
mod session;

use std::sync::Arc;
use std::time::Duration;

use bolillero_tls::rustls::server::UnbufferedServerConnection;
use bolillero_tls::rustls::{self, ServerConfig};
use bolillero_tls::server::{Admission, ServerTls};

use self::session::{Newcomer, TlsSession};
use crate::session::{Mailbox, Peer, Service, Session};

/// How long a handshake may take, unless that is said.
pub const HANDSHAKE_TIME_MAX_DEFAULT: Duration = Duration::from_secs(5);

/// A service behind TLS.
pub struct Secured {
    service: Arc<dyn Service>,
    admission: Admission,
    config: Arc<ServerConfig>,
    handshake_time_max: Duration,
}

impl Secured {
    /// Has `service` reached over `tls`, by whom `admission` lets in.
    ///
    /// # Errors
    /// With these certificates no connection can begin.
    pub fn new(
        service: Arc<dyn Service>,
        tls: &ServerTls,
        admission: Admission,
        handshake_time_max: Duration,
    ) -> Result<Self, rustls::Error> {
        let (config, admission) = (tls.config(admission), tls.admission(admission));
        UnbufferedServerConnection::new(Arc::clone(&config))?;
        Ok(Self { service, admission, config, handshake_time_max })
    }
}

impl Service for Secured {
    fn name(&self) -> &'static str {
        self.service.name()
    }

    fn open(&self, peer: Peer, mailbox: Mailbox) -> Box<dyn Session> {
        let tls = UnbufferedServerConnection::new(Arc::clone(&self.config));
        let tls = tls.expect("one was made of this configuration before");
        let service = Arc::clone(&self.service);
        let newcomer = Newcomer { service, peer, mailbox };
        Box::new(TlsSession::new(tls, newcomer, self.handshake_time_max))
    }

    fn descriptors_each(&self) -> usize {
        self.service.descriptors_each()
    }

    fn admission(&self) -> Option<&'static str> {
        Some(self.admission.name())
    }

    /// Who has not shaken hands cannot be told anything that it would understand.
    fn busy(&self) -> &[u8] {
        b""
    }
}
