//! Servers and clients over TLS: the options of the one, the blocking streams of the other.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use bolillero_tls::rustls::pki_types::ServerName;
use bolillero_tls::rustls::{ClientConfig, ClientConnection, StreamOwned};
use bolillero_tls::server::ServerFiles;

use crate::certificates::write_server_files;
use crate::process::PATIENCE;
use crate::wire::Wire;

pub(crate) type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Writes the files of a server; returns the options that name its certificate and key, and behind
/// them that of the authority for clients.
pub(crate) fn server_options(directory: &Path) -> [String; 6] {
    let ServerFiles { identity, client_ca } = write_server_files(directory);
    let [cert, key, ca] = [identity.cert, identity.key, client_ca.unwrap()]
        .map(|path| path.into_os_string().into_string().unwrap());
    let [names_cert, names_key, names_ca] =
        ["--tls-cert", "--tls-key", "--tls-client-ca"].map(str::to_owned);
    [names_cert, cert, names_key, key, names_ca, ca]
}

pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Wire<Secured> {
    secure(TcpStream::connect_timeout(&address, PATIENCE).unwrap(), config)
}

pub(crate) fn secure(stream: TcpStream, config: &Arc<ClientConfig>) -> Wire<Secured> {
    let Wire(stream) = Wire::over(stream);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    Wire(StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream))
}
