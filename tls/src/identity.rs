//! Whom a certificate names: an agency, by one URI among its subject alternative names (RFC 5280,
//! section 4.2.1.6): `bolillero://agency/17`.

use std::fmt::Write as _;

use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_protocol::visible;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

/// Why a certificate names no agency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nameless {
    /// It cannot be read.
    #[error("it is no certificate")]
    Unreadable,
    /// It has no URI.
    #[error("it has no URI {AGENCY}N among its names")]
    Without,
    /// It has several, and whom it names is not to be guessed.
    #[error("it has {0} URIs among its names, where one is needed")]
    Several(usize),
    /// Its URI is of something else.
    #[error("its URI {0:?} is not {AGENCY}N with N from 1 to {AGENCIES_MAX}")]
    Other(String),
}

/// The name of an agency in a certificate.
#[must_use]
pub fn agency_uri(agency: u32) -> String {
    format!("{AGENCY}{agency}")
}

/// The agency that a certificate names.
///
/// # Errors
/// [`Nameless`].
pub fn agency_of(certificate: &CertificateDer<'_>) -> Result<u32, Nameless> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| Nameless::Unreadable)?;
    let uris: Vec<&str> = certificate.valid_uri_names().collect();
    match uris[..] {
        [] => Err(Nameless::Without),
        [uri] => parse(uri).ok_or_else(|| Nameless::Other(uri.to_owned())),
        _ => Err(Nameless::Several(uris.len())),
    }
}

/// What to call a certificate, as a person would look for it: its names, and the beginning of its
/// SHA-256.
#[must_use]
pub fn describe(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::new();
    if let Ok(certificate) = EndEntityCert::try_from(certificate) {
        let names = certificate.valid_uri_names().chain(certificate.valid_dns_names());
        for name in names.take(NAMES_MAX) {
            text.push_str(&visible::escape(name));
            text.push(' ');
        }
    }
    text.push_str("sha256 ");
    for byte in &Sha256::digest(certificate)[..FINGERPRINT_BYTES] {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn parse(uri: &str) -> Option<u32> {
    let agency: u32 = uri.strip_prefix(AGENCY)?.parse().ok()?;
    // As it would be written, so that one agency has one name.
    let known = (1..=AGENCIES_MAX).contains(&agency) && agency_uri(agency) == uri;
    known.then_some(agency)
}

/// What the URI of an agency begins with.
const AGENCY: &str = "bolillero://agency/";
/// So many names are told of a certificate.
const NAMES_MAX: usize = 3;
/// Enough to tell one certificate from all others somebody has.
const FINGERPRINT_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agency_has_one_name() {
        for (uri, agency) in [
            ("bolillero://agency/1", Some(1)),
            ("bolillero://agency/65535", Some(65_535)),
            ("bolillero://agency/0", None),
            ("bolillero://agency/65536", None),
            ("bolillero://agency/01", None),
            ("bolillero://agency/+1", None),
            ("bolillero://agency/", None),
            ("bolillero://agency/1/", None),
            ("bolillero://agency/-1", None),
            ("BOLILLERO://agency/1", None),
            ("https://agency/1", None),
            ("", None),
        ] {
            assert_eq!(parse(uri), agency, "{uri}");
        }
    }

    /// A certificate's names are whatever its maker wrote, also where the standard has ASCII only.
    #[cfg(feature = "authority")]
    #[test]
    fn the_names_of_a_certificate_steer_nothing() {
        use std::time::Duration;

        use rustls::pki_types::pem::PemObject as _;

        use crate::authority::{Authority, Validity};

        let validity = Validity::of(Duration::from_hours(1));
        let (authority, _) = Authority::generate(validity).unwrap();
        let issued = authority.client("x", &["bolillero://agency/abcdefg".to_owned()], validity);
        let mut der =
            CertificateDer::from_pem_slice(issued.unwrap().cert.as_bytes()).unwrap().to_vec();
        let at = der.windows(7).position(|window| window == b"abcdefg").unwrap();
        der[at..at + 7].copy_from_slice("\u{202e}\u{200b}\u{1b}".as_bytes());
        let described = describe(&der.into());
        assert!(
            described.starts_with(r"bolillero://agency/\u202e\u200b\u001b sha256 "),
            "{described}"
        );
    }
}
