//! How one server is set up, worked out once from the settings and the address that it really listens on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use super::limits::Limits;
use super::tls;
use crate::config::{Config, Network};
use crate::error::Result;
use crate::oauth;

/// The settings of the server.
pub struct Options {
    /// Where clients reach the server, without a slash at its end: `https://chat.example.com`. Every URL that the
    /// server gives out begins with it; none is made from a request.
    pub public_origin: String,
    /// Which `Host` and `Origin` are answered.
    pub allowed: Allowed,
    /// Whose word on the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Whether tokenized URLs are answered.
    pub tokenized_urls: bool,
    /// TLS, when the server itself ends it.
    pub tls: Option<TlsAcceptor>,
    /// How much of everything the server takes.
    pub limits: Limits,
    /// How the authorization server is set up.
    pub oauth: oauth::Settings,
    /// Where it knows clients from that describe themselves in a document.
    pub documents: Arc<oauth::Documents>,
}

impl Options {
    /// The options that `config` comes to for a listener at `bound`.
    ///
    /// # Errors
    /// Those of reading the certificate and its key.
    pub fn new(config: &Config, bound: SocketAddr) -> Result<Options> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        let public_origin = config.public_origin(bound);
        let documents = oauth::Documents::open(&oauth::document::Options::new(config), &public_origin)?;
        Ok(Options {
            public_origin,
            allowed: Allowed::new(config, bound),
            trusted_proxies: config.trusted_proxies.clone(),
            tokenized_urls: config.tokenized_urls,
            tls,
            limits: limits(config),
            oauth: oauth::Settings {
                access_seconds: config.access_token_seconds,
                refresh_idle_days: config.refresh_idle_days,
                grant_days: config.grant_days,
                registration: config.registration,
            },
            documents: Arc::new(documents),
        })
    }

    /// Whether `address` is one of our own proxies.
    pub(super) fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

fn limits(config: &Config) -> Limits {
    let seconds = |count: u32| Duration::from_secs(count.into());
    Limits {
        connections: config.max_connections as usize,
        connections_per_address: config.max_connections_per_ip,
        head_time: seconds(config.header_timeout_seconds),
        body_time: seconds(config.body_timeout_seconds),
        idle_time: seconds(config.idle_timeout_seconds),
        body_bytes: config.max_body_bytes as usize,
        call_wait: seconds(config.call_wait_seconds),
        drain_time: seconds(config.shutdown_seconds),
        ..Limits::default()
    }
}

/// Which `Host` and `Origin` are answered: the guard against names made to point here (DNS rebinding) and against
/// foreign pages.
pub struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Whether the names of this machine are allowed: nobody else can connect.
    loopback: bool,
}

impl Allowed {
    fn new(config: &Config, bound: SocketAddr) -> Allowed {
        let public = config.public_url.as_ref();
        let own = (!bound.ip().is_unspecified()).then(|| match bound.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let hosts = public.map(|url| url.host().to_owned()).into_iter().chain(own);
        let origins = public.map(|url| url.as_str().to_owned()).into_iter();
        Allowed {
            hosts: hosts.chain(config.allowed_hosts.iter().cloned()).collect(),
            origins: origins.chain(config.allowed_origins.iter().cloned()).collect(),
            loopback: bound.ip().is_loopback(),
        }
    }

    /// Whether `host`, as the field or the request target has it, names this server. The port does not matter: it may
    /// be forwarded from elsewhere, and a page cannot make up the name.
    pub(super) fn host(&self, host: &str) -> bool {
        let name = host_name(host);
        (self.loopback && is_loopback_name(name))
            || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }

    /// Whether a page of `origin` may ask this server.
    pub(super) fn origin(&self, origin: &str) -> bool {
        let name = origin.split_once("://").map(|(_, authority)| host_name(authority));
        (self.loopback && name.is_some_and(is_loopback_name))
            || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

fn is_loopback_name(name: &str) -> bool {
    matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost")
}

/// An authority without its port; an IPv6 address keeps its brackets.
fn host_name(authority: &str) -> &str {
    let after_address = authority.find(']').map_or(0, |end| end + 1);
    let port = authority.get(after_address..).and_then(|rest| rest.find(':'));
    port.map_or(authority, |port| &authority[..after_address + port])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Environment, Flags};

    /// The options that `NAME=value` variables (CHATERIMO_ left out) come to.
    pub fn options(variables: &str) -> Options {
        let pairs = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
        let variables = pairs.map(|(name, value)| (format!("CHATERIMO_{name}"), value.to_owned()));
        let environment = variables.chain([("HOME".to_owned(), "/".to_owned())]).collect();
        let config = Config::load(&Flags::default(), &Environment(environment)).unwrap();
        Options::new(&config, config.listen).unwrap()
    }

    const LOOPBACK: &str = "LISTEN=127.0.0.1:0";
    const PUBLIC: &str = "LISTEN=0.0.0.0:0 PUBLIC_URL=https://chat.example.com:8443 ALLOWED_HOSTS=inner \
                          ALLOWED_ORIGINS=https://app.example.com";

    #[test]
    fn names_of_this_server() {
        let check = |variables: &str, host: &str, expected: bool| {
            assert_eq!(options(variables).allowed.host(host), expected, "{host}");
        };
        check(PUBLIC, "chat.example.com:8443", true);
        check(PUBLIC, "CHAT.example.com", true);
        check(PUBLIC, "inner:9", true);
        check(PUBLIC, "evil.example.com", false);
        check(PUBLIC, "localhost:8080", false);
        check(PUBLIC, "0.0.0.0:8080", false);
        check(LOOPBACK, "localhost:8080", true);
        check(LOOPBACK, "LocalHost", true);
        check(LOOPBACK, "127.0.0.1", true);
        check(LOOPBACK, "[::1]:8080", true);
        check(LOOPBACK, "[::2]:8080", false);
        check(LOOPBACK, "0.0.0.0:8080", false);
        check(LOOPBACK, "localhost.evil.example", false);
        check(LOOPBACK, "", false);
        check("LISTEN=192.0.2.7:80", "192.0.2.7", true);
        check("LISTEN=[2001:db8::7]:80", "[2001:db8::7]:80", true);
        check("LISTEN=192.0.2.7:80", "localhost", false);
    }

    #[test]
    fn pages_that_may_ask() {
        let check = |variables: &str, origin: &str, expected: bool| {
            assert_eq!(options(variables).allowed.origin(origin), expected, "{origin}");
        };
        check(PUBLIC, "https://chat.example.com:8443", true);
        check(PUBLIC, "https://chat.example.com", false);
        check(PUBLIC, "http://chat.example.com:8443", false);
        check(PUBLIC, "https://app.example.com", true);
        check(PUBLIC, "null", false);
        check(PUBLIC, "http://localhost:6274", false);
        check(LOOPBACK, "http://localhost:6274", true);
        check(LOOPBACK, "http://[::1]:1", true);
        check(LOOPBACK, "localhost", false);
        check(LOOPBACK, "null", false);
        check(LOOPBACK, "http://evil.example.com", false);
    }
}
