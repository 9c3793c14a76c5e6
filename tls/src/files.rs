//! PEM files: certificates and private keys. An error names the file, and what it should hold.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Identity;
use crate::explain::explain;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("reading {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It is no PEM file, or a damaged one.
    #[error("{}: not PEM: {error}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// It holds something else.
    #[error("{}: holds no {wanted}", path.display())]
    Without {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A certificate in it is not one of an authority that can be used.
    #[error("{}: no certificate of an authority: {}", path.display(), explain(error))]
    NotOfAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: rustls::Error,
    },
    /// A certificate and a key cannot be used together, or one of them not at all.
    #[error("{} and {}: {}", identity.cert.display(), identity.key.display(), explain(error))]
    Unusable {
        /// The files.
        identity: Identity,
        /// What is wrong with them.
        error: rustls::Error,
    },
}

/// All certificates of a file, at least one.
///
/// # Errors
/// [`FileError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.map_err(|error| blame(path, error, CERTIFICATE))?;
    if found.is_empty() { Err(without(path, CERTIFICATE)) } else { Ok(found) }
}

/// The first private key of a file.
///
/// # Errors
/// [`FileError`].
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let key = PrivateKeyDer::from_pem_slice(&read(path)?);
    key.map_err(|error| blame(path, error, PRIVATE_KEY))
}

/// The authorities whose certificates are in a file.
///
/// # Errors
/// [`FileError`].
pub fn authorities(path: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| FileError::NotOfAuthority { path: path.to_owned(), error })?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|error| FileError::Read { path: path.to_owned(), error })
}

fn blame(path: &Path, error: pem::Error, wanted: &'static str) -> FileError {
    match error {
        pem::Error::NoItemsFound => without(path, wanted),
        error => FileError::NotPem { path: path.to_owned(), error },
    }
}

fn without(path: &Path, wanted: &'static str) -> FileError {
    FileError::Without { path: path.to_owned(), wanted }
}

const CERTIFICATE: &str = "certificate (-----BEGIN CERTIFICATE-----)";
const PRIVATE_KEY: &str = "private key (-----BEGIN PRIVATE KEY-----)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_what_it_should_hold() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pem");
        let named = path.display().to_string();
        let check = |text: &str, certificate: &str, key: &str| {
            std::fs::write(&path, text).unwrap();
            let found = [certificates(&path).map(drop), private_key(&path).map(drop)];
            for (found, expect) in found.into_iter().zip([certificate, key]) {
                let found = found.unwrap_err().to_string();
                assert_eq!(found.strip_prefix(&named).unwrap(), expect, "{text:?}");
            }
        };
        let (no_certificate, no_key) =
            (format!(": holds no {CERTIFICATE}"), format!(": holds no {PRIVATE_KEY}"));
        check("", &no_certificate, &no_key);
        check("no PEM at all\n", &no_certificate, &no_key);
        let other = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";
        check(other, &no_certificate, &no_key);
        let cut = "-----BEGIN CERTIFICATE-----\nMAA=\n";
        let not_pem = certificates_of(&path, cut).unwrap_err().to_string();
        assert!(not_pem.starts_with(&format!("{named}: not PEM: ")), "{not_pem}");

        let missing = certificates(&directory.path().join("missing")).unwrap_err().to_string();
        assert!(missing.starts_with("reading ") && missing.contains("missing: "), "{missing}");

        let junk = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, junk).unwrap();
        let error = authorities(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{named}: no certificate of an authority: it is no certificate"));
    }

    fn certificates_of(path: &Path, text: &str) -> Result<Vec<CertificateDer<'static>>, FileError> {
        std::fs::write(path, text).unwrap();
        certificates(path)
    }
}
