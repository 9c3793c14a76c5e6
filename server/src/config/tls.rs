//! What a server is told of TLS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bolillero_tls::Identity;
use bolillero_tls::server::{Admission, ServerFiles, ServerTls};

use super::units::deadline_flag;
use crate::args::TlsArgs;
use crate::session::Service;
use crate::tls::Secured;

/// How services are reached over TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    server: ServerTls,
    handshake_time_max: Duration,
}

impl Tls {
    /// Reads the files that are named, if any are.
    pub(super) fn new(args: &TlsArgs) -> anyhow::Result<Option<Self>> {
        let handshake_time_max =
            deadline_flag("tls-handshake-timeout", &args.tls_handshake_timeout)?;
        let Some((cert, key)) = args.tls_cert.clone().zip(args.tls_key.clone()) else {
            return Ok(None);
        };
        let client_ca = args.tls_client_ca.clone();
        let files = ServerFiles { identity: Identity { cert, key }, client_ca };
        let server = ServerTls::load(&files).context("TLS")?;
        Ok(Some(Self { server, handshake_time_max }))
    }

    /// Has `service` reached by whom `admission` lets in.
    ///
    /// # Errors
    /// With these files no connection can begin.
    pub fn secure(
        &self,
        service: Arc<dyn Service>,
        admission: Admission,
    ) -> anyhow::Result<Secured> {
        let secured = Secured::new(service, &self.server, admission, self.handshake_time_max);
        secured.context("preparing TLS")
    }
}
