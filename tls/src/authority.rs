//! A small authority: a key, the certificate that says so, and those it signs. Knows no file.
//!
//! The authority's name holds the beginning of its public key's SHA-256. So its key alone is enough
//! to sign as it, and two authorities never have one name.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType,
};
use sha2::{Digest as _, Sha256};

use crate::identity::agency_uri;

pub use rcgen::Error;

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its private key, PKCS#8.
    pub key: String,
}

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// It is good from here on.
    pub from: SystemTime,
    /// It is good up to here.
    pub until: SystemTime,
}

impl Validity {
    /// From now on, for `time`. It begins a little earlier: no two clocks are the same.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        let now = SystemTime::now();
        Self { from: now - CLOCKS_DIFFER, until: now + time }
    }
}

impl Authority {
    /// A new one: with a key of its own, and the certificate that says who it is.
    ///
    /// # Errors
    /// [`Error`]: no randomness, or times that no certificate can hold.
    pub fn generate(validity: Validity) -> Result<(Self, Issued), Error> {
        let key = KeyPair::generate()?;
        let mut params = params_of(&key);
        set_validity(&mut params, validity);
        let issued = Issued { cert: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Ok((Self { issuer: Issuer::new(params, key) }, issued))
    }

    /// The one that has this key.
    ///
    /// # Errors
    /// [`Error`]: it is no private key.
    pub fn from_key(pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(pem)?;
        Ok(Self { issuer: Issuer::new(params_of(&key), key) })
    }

    /// A certificate for a server that is reached by these names and addresses.
    ///
    /// # Errors
    /// [`Error`]: a name that no certificate can hold.
    pub fn server(&self, names: &[String], validity: Validity) -> Result<Issued, Error> {
        let names = CertificateParams::new(names.to_vec())?.subject_alt_names;
        self.issue("Bolillero server", names, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// A certificate for an agency.
    ///
    /// # Errors
    /// [`Error`].
    pub fn agency(&self, agency: u32, validity: Validity) -> Result<Issued, Error> {
        self.client(&format!("agency {agency}"), &[agency_uri(agency)], validity)
    }

    /// A certificate for a client with these URIs, whatever they are.
    ///
    /// # Errors
    /// [`Error`]: a URI that no certificate can hold.
    pub fn client(&self, name: &str, uris: &[String], validity: Validity) -> Result<Issued, Error> {
        let uris = uris.iter().map(|uri| Ok(SanType::URI(uri.as_str().try_into()?)));
        let uris = uris.collect::<Result<_, Error>>()?;
        self.issue(name, uris, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue(
        &self,
        name: &str,
        alternatives: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Issued, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = alternatives;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, validity);
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { cert, key: key.serialize_pem() })
    }
}

fn params_of(key: &KeyPair) -> CertificateParams {
    let mut name = "Bolillero authority ".to_owned();
    for byte in &Sha256::digest(key.der_bytes())[..NAME_BYTES] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn set_validity(params: &mut CertificateParams, Validity { from, until }: Validity) {
    params.not_before = from.into();
    params.not_after = until.into();
}

/// How far two clocks may be apart.
const CLOCKS_DIFFER: Duration = Duration::from_mins(5);
/// Enough to tell authorities apart.
const NAME_BYTES: usize = 4;
