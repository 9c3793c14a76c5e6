//! What is so of TLS itself, for each driver: who comes in, what its bytes may be, and how it ends.

pub(crate) mod certificates;
pub(crate) mod handshakes;
pub(crate) mod records;
pub(crate) mod room;

use std::io::ErrorKind;

use bolillero_tls::rustls::{AlertDescription, Error};

use crate::client::Client;

/// Waits for the alert with which the other side ends a connection.
fn alert(client: &mut Client) -> AlertDescription {
    use std::io::Read as _;
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    match error.downcast::<Error>().unwrap() {
        Error::AlertReceived(alert) => alert,
        error => panic!("{error}"),
    }
}
