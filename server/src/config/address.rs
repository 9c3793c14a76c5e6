//! Where to listen: `HOST` or `HOST:PORT`, and the port that the environment or the file says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, bail, ensure};

use super::sources::Sources;

/// The port where nothing names one.
pub const PORT_DEFAULT: u16 = 12345;
/// The port of the text dialect where nothing names one.
pub const TEXT_PORT_DEFAULT: u16 = 12346;
/// Nobody else is let in unless that is asked for.
const HOST_DEFAULT: &str = "127.0.0.1";

/// The address that `--listen` and `SERVER_PORT` mean.
pub(super) fn listen(typed: Option<&str>, sources: &Sources<'_>) -> anyhow::Result<SocketAddr> {
    let port = sources.get("SERVER_PORT", parse_port)?.unwrap_or(PORT_DEFAULT);
    resolve("listen", typed.unwrap_or(HOST_DEFAULT), port)
}

/// The address that `--listen-text` means.
pub(super) fn listen_text(typed: Option<&str>) -> anyhow::Result<Option<SocketAddr>> {
    typed.map(|text| resolve("listen-text", text, TEXT_PORT_DEFAULT)).transpose()
}

/// The address that a flag means, where `port` stands for one that is left out.
pub(super) fn resolve(flag: &str, text: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let resolve = || {
        let (host, port) = split_host(text, port)?;
        ensure!(!host.is_empty(), "no host");
        (host, port).to_socket_addrs()?.next().context("the name has no address")
    };
    resolve().with_context(|| format!("--{flag} {text}: not HOST or HOST:PORT"))
}

/// Where a server on this machine is found that listens on `address`.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Host and port of `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT`.
fn split_host(text: &str, port: u16) -> anyhow::Result<(&str, u16)> {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, parse_port(digits)?)),
            None if rest.is_empty() => Ok((host, port)),
            None => bail!("{rest:?} behind the address"),
        };
    }
    match text.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') => Ok((host, parse_port(digits)?)),
        _ => Ok((text, port)),
    }
}

pub(super) fn parse_port(text: &str) -> anyhow::Result<u16> {
    text.parse().ok().context("not a port, 0 to 65535")
}
