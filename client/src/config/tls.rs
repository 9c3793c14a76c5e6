//! What `--tls` and its files mean: whose certificates are good, which one is ours, and by which name
//! the server goes. Opens no socket.

use std::path::Path;
use std::sync::Arc;

use bolillero_tls::client::{ClientFiles, load};
use bolillero_tls::files::FileError;
use bolillero_tls::rustls::client::ClientConnection;
use bolillero_tls::rustls::pki_types::ServerName;
use bolillero_tls::{Identity, rustls};

use super::UsageError;
use crate::args::TlsArgs;
use crate::connect::Address;

/// What the handshakes of a run keep to. All are made from one, so that a later one can resume an
/// earlier one.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<rustls::ClientConfig>,
    server_name: ServerName<'static>,
    files: ClientFiles,
}

impl Tls {
    /// Reads the files; none where TLS is not asked for. The server's name is its host, unless
    /// another is given.
    ///
    /// # Errors
    /// [`UsageError`] names the option, the file, and what it should be.
    pub fn new(args: &TlsArgs, server: &Address) -> Result<Option<Self>, UsageError> {
        if !args.tls {
            return Ok(None);
        }
        let Some(ca) = args.ca.clone() else {
            return Err(UsageError {
                setting: "--tls".to_owned(),
                problem: "needs --ca FILE, the authority whose certificate the server must show; \
                          none is built in"
                    .to_owned(),
            });
        };
        let identity = args.cert.clone().zip(args.key.clone());
        let identity = identity.map(|(cert, key)| Identity { cert, key });
        let files = ClientFiles { ca, identity };
        let server_name = server_name(args.server_name.as_deref(), server)?;
        let config = load(&files).map_err(|error| blame(&error, &files))?;
        Ok(Some(Self { config, server_name, files }))
    }

    /// One connection's session, which has not said anything yet.
    ///
    /// # Errors
    /// No randomness can be had.
    pub fn connect(&self) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(Arc::clone(&self.config), self.server_name.clone())
    }

    /// The file of the authority that is trusted.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.files.ca
    }

    /// The file of our certificate, if there is one.
    #[must_use]
    pub fn cert(&self) -> Option<&Path> {
        self.files.identity.as_ref().map(|identity| identity.cert.as_path())
    }
}

fn server_name(typed: Option<&str>, server: &Address) -> Result<ServerName<'static>, UsageError> {
    let name = typed.unwrap_or(server.host()).to_owned();
    let (setting, problem) = match typed {
        Some(name) => (format!("--server-name {name}"), "is no name of a host, and no address"),
        None => {
            (format!("the host {name}"), "can stand in no certificate: give --server-name NAME")
        }
    };
    ServerName::try_from(name).map_err(|_| UsageError { setting, problem: problem.to_owned() })
}

/// Says which option a file belongs to, and what is to be in it.
fn blame(error: &FileError, files: &ClientFiles) -> UsageError {
    let (setting, needed) = match error {
        FileError::Unusable { .. } => ("--cert and --key", PAIR),
        FileError::NotOfAuthority { .. } => ("--ca", AUTHORITY),
        FileError::Read { path, .. }
        | FileError::NotPem { path, .. }
        | FileError::Without { path, .. } => match &files.identity {
            Some(Identity { cert, key }) if cert == path && key == path => {
                ("--cert and --key", PAIR)
            }
            Some(Identity { cert, .. }) if cert == path => ("--cert", CERTIFICATE),
            Some(Identity { key, .. }) if key == path => ("--key", KEY),
            _ => ("--ca", AUTHORITY),
        },
    };
    let problem = format!("{error}. What is needed is {needed}");
    UsageError { setting: setting.to_owned(), problem }
}

const AUTHORITY: &str =
    "the authority's certificate, as PEM: `bolillero pki init` writes one to ca.pem";
const CERTIFICATE: &str =
    "this client's certificate, as PEM: `bolillero pki agency` writes one to agency-N.pem";
const KEY: &str =
    "the private key of --cert, as PEM: `bolillero pki agency` writes it to agency-N-key.pem";
const PAIR: &str = "a certificate and its own private key, as PEM: `bolillero pki agency` writes \
    them to agency-N.pem and agency-N-key.pem";
