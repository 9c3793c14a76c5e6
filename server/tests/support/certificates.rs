//! Certificates for tests: an authority, a server's certificate, and those of clients. Made once in
//! a process, when they are first needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bolillero_tls::Identity;
use bolillero_tls::authority::{Authority, Issued, Validity};
use bolillero_tls::client::{self, ClientFiles};
use bolillero_tls::rustls::ClientConfig;
use bolillero_tls::server::ServerFiles;
use tempfile::tempdir;

/// The authority of the office, and the certificate under which the office is reached.
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    pub(crate) ca: Issued,
    pub(crate) server: Issued,
}

pub(crate) static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let (authority, ca) = Authority::generate(valid()).unwrap();
    let server = authority.server(&["127.0.0.1".to_owned()], valid()).unwrap();
    Certificates { authority, ca, server }
});

/// For longer than any test takes.
pub(crate) fn valid() -> Validity {
    Validity::of(Duration::from_hours(24))
}

/// The certificate of an agency.
pub(crate) fn of_agency(agency: u32) -> Issued {
    CERTIFICATES.authority.agency(agency, valid()).unwrap()
}

/// Writes what a server needs into files, with the authority whose certificates clients must show.
pub(crate) fn write_server_files(directory: &Path) -> ServerFiles {
    let identity = write_identity(directory, "server", &CERTIFICATES.server);
    ServerFiles { identity, client_ca: Some(write_ca(directory)) }
}

/// Writes a certificate and its key into files of this name.
pub(crate) fn write_identity(directory: &Path, name: &str, issued: &Issued) -> Identity {
    let cert = write(directory, &format!("{name}.pem"), &issued.cert);
    Identity { cert, key: write(directory, &format!("{name}.key"), &issued.key) }
}

/// What a client's handshakes keep to that trusts the office's authority, and shows this.
pub(crate) fn client_config(shown: Option<&Issued>) -> Arc<ClientConfig> {
    let directory = tempdir().unwrap();
    let identity = shown.map(|issued| write_identity(directory.path(), "client", issued));
    client::load(&ClientFiles { ca: write_ca(directory.path()), identity }).unwrap()
}

fn write_ca(directory: &Path) -> PathBuf {
    write(directory, "ca.pem", &CERTIFICATES.ca.cert)
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}
