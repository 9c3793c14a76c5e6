//! What is wrong with a handshake, in words of somebody who has to mend it. Knows no connection.

use rustls::{AlertDescription, CertificateError, Error};

/// An error of TLS, without saying whose certificate or connection it is about.
#[must_use]
pub fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::InconsistentKeys(_) => "the key is not that of the certificate".to_owned(),
        Error::NoCertificatesPresented => "no certificate was shown".to_owned(),
        Error::InvalidMessage(_) => "what came is not TLS".to_owned(),
        Error::AlertReceived(alert) => format!("the other side said {}", explain_alert(*alert)),
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
            let expected = expected.to_str();
            format!("it is not for {expected}, but for {}", presented.join(", "))
        }
        CertificateError::Other(error) => error.to_string(),
        error => error.to_string(),
    }
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
        alert => return format!("{alert:?}"),
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
