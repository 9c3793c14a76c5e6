//! What a server's handshakes keep to: its certificate, and whose certificates it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bolillero_protocol::log_line;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};

use crate::explain::explain;
use crate::files::{FileError, authorities, certificates, private_key};
use crate::identity::{agency_of, describe};
use crate::{Identity, provider};

/// The files a server's TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its own certificate.
    pub identity: Identity,
    /// The authority whose certificates clients must show, if they must.
    pub client_ca: Option<PathBuf>,
}

/// Whom a service lets in where certificates of clients are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Whoever comes, without a certificate.
    Anyone,
    /// Who shows a certificate of the authority.
    Certified,
    /// Who shows one that names one agency.
    Agency,
}

impl Admission {
    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Certified => "certified",
            Self::Agency => "agency",
        }
    }
}

/// What the handshakes of a server's services keep to.
#[derive(Debug, Clone)]
pub struct ServerTls {
    anyone: Arc<ServerConfig>,
    /// Nothing where clients show no certificates.
    known: Option<Known>,
}

/// The same, for clients that have to show certificates.
#[derive(Debug, Clone)]
struct Known {
    certified: Arc<ServerConfig>,
    agency: Arc<ServerConfig>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`FileError`]: the first file that is of no use.
    pub fn load(files: &ServerFiles) -> Result<Self, FileError> {
        let Identity { cert, key } = &files.identity;
        let (chain, key) = (certificates(cert)?, private_key(key)?);
        let configure = |clients| {
            let config = configure(chain.clone(), key.clone_key(), clients).map(Arc::new);
            config.map_err(|error| FileError::Unusable { identity: files.identity.clone(), error })
        };
        let anyone = configure(Arc::new(NoClientAuth))?;
        let Some(path) = &files.client_ca else { return Ok(Self { anyone, known: None }) };
        let of_authority = verifier(path)?;
        let take = |names_agency| {
            let of_authority = Arc::clone(&of_authority);
            configure(Arc::new(ClientCertificates { of_authority, names_agency }))
        };
        let known = Known { certified: take(false)?, agency: take(true)? };
        Ok(Self { anyone, known: Some(known) })
    }

    /// Whom a service really lets in that would let in whom `wanted` says: without an authority for
    /// clients that is anyone.
    #[must_use]
    pub fn admission(&self, wanted: Admission) -> Admission {
        if self.known.is_some() { wanted } else { Admission::Anyone }
    }

    /// What the handshakes of that service keep to.
    #[must_use]
    pub fn config(&self, admission: Admission) -> Arc<ServerConfig> {
        Arc::clone(match (admission, &self.known) {
            (Admission::Anyone, _) | (_, None) => &self.anyone,
            (Admission::Certified, Some(known)) => &known.certified,
            (Admission::Agency, Some(known)) => &known.agency,
        })
    }
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients);
    let mut config = builder.with_single_cert(chain, key)?;
    // Tickets hold the session themselves: however many come back, the server keeps nothing for it.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}

fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let authorities = Arc::new(authorities(path)?);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider());
    let without = |_| FileError::Without { path: path.to_owned(), wanted: "usable certificate" };
    builder.build().map_err(without)
}

/// Whose certificates are good: those of an authority, and where that is asked only those that name
/// an agency.
#[derive(Debug)]
struct ClientCertificates {
    of_authority: Arc<dyn ClientCertVerifier>,
    names_agency: bool,
}

impl ClientCertVerifier for ClientCertificates {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.of_authority.root_hint_subjects()
    }

    /// Says itself which certificate is not good: nobody else gets to see it.
    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.of_authority.verify_client_cert(certificate, intermediates, now);
        let verified = verified.and_then(|verified| match agency_of(certificate) {
            Err(nameless) if self.names_agency => {
                let nameless = OtherError(Arc::new(nameless));
                Err(Error::InvalidCertificate(CertificateError::Other(nameless)))
            }
            _ => Ok(verified),
        });
        if let Err(error) = &verified {
            let (certificate, error) = (describe(certificate), explain(error));
            let [certificate, error] = [&certificate, &error].map(|text| log_line::value(text));
            log::warn!(
                "action: check_certificate | result: fail | certificate: {certificate} | error: {error}"
            );
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.of_authority.supported_verify_schemes()
    }
}
