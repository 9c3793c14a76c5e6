//! TLS as all programs of Bolillero use it: which files it takes, whose certificates are good, and
//! what is wrong with one that is not. Knows no socket and no session.
//!
//! ```text
//! files       PEM files -> certificates and keys
//! identity    a certificate -> the agency that it names
//! server      files -> what a server's handshakes keep to        client   the same for a client
//! explain     what is wrong with a handshake, in words
//! authority   makes certificates (feature `authority`)
//! ```

#![forbid(unsafe_code)]

pub mod files;
pub mod identity;
pub mod server;
pub mod client;
pub mod explain;
#[cfg(feature = "authority")]
pub mod authority;

pub use rustls;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};

/// The files in which somebody's certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and behind it those between it and its authority. PEM.
    pub cert: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, PEM.
    pub key: PathBuf,
}

/// The same for all, so that nothing depends on who installs a default for the process first. Suites
/// with AES-128 come first: they are as good as any, and ring has no hardware for SHA-384, which those
/// with AES-256 hash with.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    Arc::new(provider)
}
