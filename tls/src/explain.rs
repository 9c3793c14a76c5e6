//! What is wrong with a handshake, in words of somebody who has to mend it. Knows no connection.

use std::fmt;

use bolillero_protocol::visible;
use rustls::{AlertDescription, CertificateError, Error};

/// An error of TLS, without saying whose certificate or connection it is about. The names that a
/// certificate has are escaped, where they have characters that cannot be shown.
#[must_use]
pub fn explain(error: &Error) -> String {
    visible::escape(&explain_raw(error)).into_owned()
}

fn explain_raw(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::InconsistentKeys(_) => "the key is not that of the certificate".to_owned(),
        Error::NoCertificatesPresented => "no certificate was shown".to_owned(),
        Error::InvalidMessage(_) => "what came is not TLS".to_owned(),
        Error::AlertReceived(alert) => format!("the other side said {}", explain_alert(*alert)),
        Error::PeerIncompatible(what) => format!("nothing can be agreed on: {}", spaced(what)),
        Error::PeerMisbehaved(what) => {
            format!("the other side breaks the rules of TLS: {}", spaced(what))
        }
        error => error.to_string(),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::BadEncoding => "it is no certificate".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: are both clocks right?".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is not signed by an authority that is trusted here".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for this side of a connection".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let (expected, names) = (expected.to_str(), presented.iter().map(|it| name(it)));
            match &names.collect::<Vec<_>>()[..] {
                [] => format!("it is not for {expected}, and names no host"),
                names => format!("it is not for {expected}, but for {}", names.join(", ")),
            }
        }
        CertificateError::Other(error) => error.to_string(),
        error => spaced(error),
    }
}

/// A name of a certificate, without the kind that rustls shows around it: `DnsName("localhost")`.
fn name(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// A value that has no words but the name in its code: `UnrecognisedName` is "unrecognised name".
fn spaced(value: &impl fmt::Debug) -> String {
    let (mut words, mut before) = (String::new(), ' ');
    for c in format!("{value:?}").chars() {
        if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
        before = c;
    }
    words
}

fn explain_alert(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::CertificateRequired => "that a certificate is needed",
        AlertDescription::CertificateExpired => {
            "that this certificate has expired, or is not valid yet"
        }
        AlertDescription::UnknownCA => {
            "that this certificate is not signed by an authority that is trusted there"
        }
        AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => "that this certificate is not accepted there",
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "that nothing can be agreed on: neither TLS 1.2 nor 1.3?"
        }
        AlertDescription::InternalError => "that it failed",
        alert => return spaced(&alert),
    };
    words.to_owned()
}

/// Whether another try would end the same way: certificates have to be mended first.
#[must_use]
pub fn is_final(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(_) => true,
        Error::AlertReceived(alert) => matches!(
            alert,
            AlertDescription::CertificateRequired
                | AlertDescription::CertificateExpired
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rustls::PeerIncompatible;
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn the_names_of_a_certificate_steer_nothing() {
        let error = Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("localhost").unwrap(),
            presented: vec!["ok\u{202e}\u{200b}".to_owned(), "\u{1b}[2J\u{e0041}".to_owned()],
        });
        let explained = r"it is not for localhost, but for ok\u202e\u200b, \u001b[2J\u{e0041}";
        assert_eq!(explain(&error), explained);
    }

    #[test]
    fn an_error_is_told_in_words() {
        let not_for = |presented: &[&str]| {
            Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("office.example").unwrap(),
                presented: presented.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        let names = ["DnsName(\"localhost\")", "IpAddress(127.0.0.1)", "DirectoryName"];
        let rows = [
            (
                not_for(&names),
                "it is not for office.example, but for localhost, 127.0.0.1, DirectoryName",
            ),
            (
                not_for(&["UniformResourceIdentifier(\"bolillero://agency/7\")"]),
                "it is not for office.example, but for bolillero://agency/7",
            ),
            (not_for(&[]), "it is not for office.example, and names no host"),
            (Error::InvalidCertificate(CertificateError::Revoked), "revoked"),
            (
                Error::AlertReceived(AlertDescription::UnrecognisedName),
                "the other side said unrecognised name",
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                "nothing can be agreed on: no cipher suites in common",
            ),
        ];
        for (error, expected) in rows {
            assert_eq!(explain(&error), expected);
        }
    }
}
