//! Where a server is: a name and a port, looked up when they are needed. Opens nothing.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// HOST:PORT, looked up anew for every connection: an office may move while a client waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port != 0)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = bare.is_some() || !host.contains([':', '[', ']']);
        let host = bare.unwrap_or(host);
        (plain && !host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// Reads the same, or a host alone: then the port is `port`.
    #[must_use]
    pub fn parse_or_port(text: &str, port: u16) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse(&format!("{text}:{port}")))
    }

    /// Its name, or its address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Looks its addresses up.
    ///
    /// # Errors
    /// Why there is none, for a person. The resolver's own words are not for the log of a healthy
    /// run.
    pub fn look_up(&self) -> Result<Vec<SocketAddr>, String> {
        let Self { host, port } = self;
        let addresses = (host.as_str(), *port).to_socket_addrs();
        let addresses: Vec<_> = addresses.map(Iterator::collect).unwrap_or_default();
        if addresses.is_empty() {
            Err(format!("host name \"{host}\" cannot be resolved"))
        } else {
            Ok(addresses)
        }
    }
}

/// Where the address of a server was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSource {
    /// It was typed, as this option or argument.
    Typed(&'static str),
    /// In the environment or a file: its name and its place there.
    Setting(String),
    /// Nowhere: it is the default.
    Default,
}

impl AddressSource {
    /// What an error says about an address that was not typed. Begins with the end of a sentence.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Typed(_) => String::new(),
            Self::Setting(setting) => format!(". The address comes from {setting}: {GIVE_ANOTHER}"),
            Self::Default => format!(". That is the default address: {GIVE_ANOTHER}"),
        }
    }
}

const GIVE_ANOTHER: &str = "give another with --server HOST:PORT";

impl fmt::Display for AddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(option) => f.write_str(option),
            Self::Setting(setting) => f.write_str(setting),
            Self::Default => f.write_str("the default"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let cases = [
            ("127.0.0.1:12345", Some("127.0.0.1:12345")),
            ("server:1", Some("server:1")),
            ("[::1]:65535", Some("[::1]:65535")),
            ("server", None),
            ("server:", None),
            ("server:0", None),
            ("server:65536", None),
            (":1", None),
            ("::1:1", None),
            ("[::1:1", None),
            ("[]:1", None),
        ];
        for (text, shown) in cases {
            let address = Address::parse(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_host_alone_has_the_port_that_is_usual() {
        let cases = [
            ("server", Some("server:7")),
            ("127.0.0.1", Some("127.0.0.1:7")),
            ("[::1]", Some("[::1]:7")),
            ("server:1", Some("server:1")),
            ("[::1]:1", Some("[::1]:1")),
            ("", None),
            (":", None),
            ("::1", None),
            ("server:", None),
            ("server:0", None),
            ("server:65536", None),
        ];
        for (text, shown) in cases {
            let address = Address::parse_or_port(text, 7).map(|address| address.to_string());
            assert_eq!(address.as_deref(), shown, "{text}");
        }
    }
}
