//! How one server is set up: by which names it is asked, from which pages, through which proxies.

use std::net::IpAddr;

use tokio_rustls::TlsAcceptor;

use super::limits::Limits;

/// The settings of the server.
#[derive(Clone, Default)]
pub struct Options {
    /// Where clients reach the server, without a slash at its end: `https://chat.example.com`. Every URL that the
    /// server gives out begins with it; none is made from a request.
    pub public_url: String,
    /// Names that `Host` may have beside that of `public_url`, with or without a port.
    pub allowed_hosts: Vec<String>,
    /// Origins that `Origin` may have beside that of `public_url`: `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// Whether the loopback names and origins are allowed: the listener's address is a loopback address.
    pub loopback: bool,
    /// Whose word on the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// TLS, when the server itself ends it.
    pub tls: Option<TlsAcceptor>,
    /// How much of everything the server takes.
    pub limits: Limits,
}

impl Options {
    /// Whether `host`, as the field or the request target has it, names this server.
    pub(super) fn allows_host(&self, host: &str) -> bool {
        let name = host_name(host);
        let matches =
            |allowed: &str| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name);
        (self.loopback && is_loopback_name(name))
            || matches(host_name(authority(&self.public_url)))
            || self.allowed_hosts.iter().any(|allowed| matches(allowed))
    }

    /// Whether a page of `origin` may ask this server.
    pub(super) fn allows_origin(&self, origin: &str) -> bool {
        (self.loopback && origin.contains("://") && is_loopback_name(host_name(authority(origin))))
            || origin.eq_ignore_ascii_case(origin_of(&self.public_url))
            || self.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Whether `address` is one of our own proxies.
    pub(super) fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

fn is_loopback_name(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost")
}

/// `scheme://authority` of a URL.
fn origin_of(url: &str) -> &str {
    let end = url.len() - authority_and_path(url).len() + authority(url).len();
    &url[..end]
}

fn authority_and_path(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

fn authority(url: &str) -> &str {
    authority_and_path(url).split('/').next().unwrap_or_default()
}

/// An authority without its port; an IPv6 address keeps its brackets.
fn host_name(authority: &str) -> &str {
    match authority.find(']') {
        Some(end) if authority.starts_with('[') => &authority[..=end],
        _ => authority.split(':').next().unwrap_or_default(),
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads the usual notation (RFC 4632 section 3.1, RFC 4291 section 2.3); `None` if it is none.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most)?;
        Some(Network { address, bits })
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differs = u64::from(ours.to_bits() ^ theirs.to_bits());
                differs >> (32 - self.bits) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differs = ours.to_bits() ^ theirs.to_bits();
                differs.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(loopback: bool) -> Options {
        Options {
            public_url: "https://chat.example.com:8443".into(),
            allowed_hosts: vec!["inner".into(), "ported:81".into()],
            allowed_origins: vec!["https://app.example.com".into()],
            loopback,
            ..Options::default()
        }
    }

    #[test]
    fn names_of_this_server() {
        let check = |loopback: bool, host: &str, expected: bool| {
            assert_eq!(options(loopback).allows_host(host), expected, "{host}");
        };
        check(false, "chat.example.com:8443", true);
        check(false, "CHAT.example.com", true);
        check(false, "inner:9", true);
        check(false, "ported:81", true);
        check(false, "ported:82", false);
        check(false, "evil.example.com", false);
        check(false, "localhost:8080", false);
        check(true, "localhost:8080", true);
        check(true, "127.0.0.1", true);
        check(true, "[::1]:8080", true);
        check(true, "[::2]:8080", false);
        check(true, "0.0.0.0:8080", false);
        check(true, "localhost.evil.example", false);
        check(true, "", false);
    }

    #[test]
    fn pages_that_may_ask() {
        let check = |loopback: bool, origin: &str, expected: bool| {
            assert_eq!(options(loopback).allows_origin(origin), expected, "{origin}");
        };
        check(false, "https://chat.example.com:8443", true);
        check(false, "https://chat.example.com", false);
        check(false, "http://chat.example.com:8443", false);
        check(false, "https://app.example.com", true);
        check(false, "null", false);
        check(false, "http://localhost:6274", false);
        check(true, "http://localhost:6274", true);
        check(true, "http://[::1]:1", true);
        check(true, "localhost", false);
        check(true, "http://evil.example.com", false);
    }

    #[test]
    fn networks() {
        let check = |network: &str, address: &str, expected: bool| {
            let contains = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(contains, expected, "{address} in {network}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("0.0.0.0/0", "192.0.2.8", true);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
