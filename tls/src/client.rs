//! What a client's handshakes keep to: whose certificates it trusts, and its own.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::files::{FileError, authorities, certificates, private_key};
use crate::{Identity, provider};

/// The files a client's TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authority whose certificates servers must show.
    pub ca: PathBuf,
    /// Its own certificate, if it has one.
    pub identity: Option<Identity>,
}

/// Reads the files.
///
/// # Errors
/// [`FileError`]: the first file that is of no use.
pub fn load(files: &ClientFiles) -> Result<Arc<ClientConfig>, FileError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::NotOfAuthority { path: files.ca.clone(), error })?
        .with_root_certificates(authorities(&files.ca)?);
    let Some(identity) = &files.identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let (chain, key) = (certificates(&identity.cert)?, private_key(&identity.key)?);
    let config = builder.with_client_auth_cert(chain, key);
    let unusable = |error| FileError::Unusable { identity: identity.clone(), error };
    Ok(Arc::new(config.map_err(unusable)?))
}
