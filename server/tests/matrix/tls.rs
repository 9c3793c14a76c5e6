//! What is so of TLS itself, for each driver: who comes in, what its bytes may be, and how it ends.

pub(crate) mod certificates;
pub(crate) mod handshakes;
pub(crate) mod records;
pub(crate) mod room;

use std::io::{ErrorKind, Read as _};
use std::sync::Arc;

use bolillero_tls::authority::Issued;
use bolillero_tls::rustls::crypto::ring::default_provider;
use bolillero_tls::rustls::pki_types::pem::PemObject as _;
use bolillero_tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use bolillero_tls::rustls::version::{TLS12, TLS13};
use bolillero_tls::rustls::{
    AlertDescription, ClientConfig, Error, RootCertStore, SupportedProtocolVersion,
};

use crate::certificates::CERTIFICATES;
use crate::client::Client;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What the handshakes of a client keep to that knows this version only, and shows this.
fn of_version(
    version: &'static SupportedProtocolVersion,
    shown: Option<&Issued>,
) -> Arc<ClientConfig> {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&CERTIFICATES.ca.cert)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(Issued { cert, key }) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate(cert)], key).unwrap()
        }
    })
}

/// Waits for the alert with which the other side ends a connection.
fn alert(client: &mut Client) -> AlertDescription {
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    match error.downcast::<Error>().unwrap() {
        Error::AlertReceived(alert) => alert,
        error => panic!("{error}"),
    }
}
