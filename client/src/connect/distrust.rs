//! Why no connection to a server is of use, whatever is tried: whose certificate is not good, and
//! why; or that one of both speaks TLS and the other does not. Knows no socket.

use bolillero_tls::explain::{explain, is_final};
use bolillero_tls::rustls::{CertificateError, Error};

use super::records::Records;
use crate::config::Tls;

/// What has to be mended before another try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The server's certificate is not good.
    #[error("the certificate of the server at {server} is not good by --ca {ca}: {why}{hint}")]
    Server {
        /// Where.
        server: String,
        /// The file of the authority.
        ca: String,
        /// What is wrong with it.
        why: String,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// The server does not take ours.
    #[error("the server at {server} does not take this client's certificate, --cert {cert}: {why}")]
    Client {
        /// Where.
        server: String,
        /// The file.
        cert: String,
        /// What the server says.
        why: String,
    },
    /// The server wants one.
    #[error(
        "the server at {server} wants a certificate of this client: {why}. Give --cert and --key"
    )]
    Nobody {
        /// Where.
        server: String,
        /// What the server says.
        why: String,
    },
    /// It speaks no TLS.
    #[error(
        "what listens at {server} does not speak TLS ({why}). If it is the right address, go \
         without --tls"
    )]
    Plain {
        /// Where.
        server: String,
        /// What came.
        why: String,
    },
    /// It speaks nothing else.
    #[error("what listens at {server} speaks TLS: give --tls and --ca FILE")]
    Secure {
        /// Where.
        server: String,
    },
}

impl Distrust {
    /// What `error` means for a session with `server`; none where another try may end otherwise.
    /// Once the server has said something it has taken us for who we are.
    pub(crate) fn of(error: &Error, server: &str, tls: &Tls, records: &Records) -> Option<Self> {
        let (server, why) = (server.to_owned(), explain(error));
        match error {
            Error::InvalidCertificate(problem) => {
                let (ca, hint) = (tls.ca().display().to_string(), hint(problem));
                Some(Self::Server { server, ca, why, hint })
            }
            Error::InvalidMessage(_) | Error::InappropriateHandshakeMessage { .. }
                if records.is_handshaking() =>
            {
                Some(Self::Plain { server, why })
            }
            _ if records.has_heard() || !is_final(error) => None,
            _ => Some(match tls.cert() {
                Some(cert) => Self::Client { server, cert: cert.display().to_string(), why },
                None => Self::Nobody { server, why },
            }),
        }
    }

    /// What the first bytes of a connection in plain text mean, if they are TLS.
    pub(crate) fn of_plain(bytes: &[u8], server: &str) -> Option<Self> {
        is_alert(bytes).then(|| Self::Secure { server: server.to_owned() })
    }
}

/// Whether bytes are what TLS says to who does not speak it: a fatal alert.
///
/// ```text
/// 21     3  any    0  2     2      any
/// alert  version   length   fatal  why
/// ```
pub(crate) fn is_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [21, 3, _, 0, 2, 2, _])
}

fn hint(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ". If it is the right server, give its name with --server-name"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fatal_alert_is_taken_for_one() {
        for (bytes, expected) in [
            (&[21, 3, 3, 0, 2, 2, 50][..], true),
            (&[21, 3, 1, 0, 2, 2, 70], true),
            (&[21, 3, 3, 0, 2, 1, 0], false),
            (&[21, 3, 3, 0, 2, 2], false),
            (&[21, 3, 3, 0, 2, 2, 50, 0], false),
            (&[22, 3, 3, 0, 2, 2, 50], false),
            (b"", false),
        ] {
            assert_eq!(is_alert(bytes), expected, "{bytes:?}");
        }
    }
}
