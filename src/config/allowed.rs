//! Which `Host` and `Origin` headers the server answers: the guard against DNS rebinding and foreign pages.

use std::net::SocketAddr;

use super::values::is_loopback_name;
use super::{Config, PublicUrl};

/// The hosts and origins of a configuration, worked out once.
#[derive(Debug)]
pub struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
    loopback: bool,
}

impl Allowed {
    /// Those of `public_url`, the settings, and the names of this machine when it listens there only.
    pub fn new(config: &Config, bound: SocketAddr) -> Allowed {
        let public = config.public_url.as_ref();
        let own = if bound.ip().is_unspecified() { None } else { Some(bound.ip().to_string()) };
        let hosts =
            config.allowed_hosts.iter().cloned().chain(public.map(|url| url.host().to_owned())).chain(own);
        let origins = config.allowed_origins.iter().cloned().chain(public.map(|url| url.as_str().to_owned()));
        Allowed { hosts: hosts.collect(), origins: origins.collect(), loopback: bound.ip().is_loopback() }
    }

    /// Whether a request addressed to `host`, as the `Host` header has it, is meant for this server. The port is
    /// not compared: a port forwarded from elsewhere is common, and a page cannot forge the name.
    pub fn host(&self, host: &str) -> bool {
        let name = without_port(host);
        let known = self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name));
        known || (self.loopback && is_loopback_name(&name.to_ascii_lowercase()))
    }

    /// Whether a page of `origin`, as the `Origin` header has it, may call the server; `null` may not.
    pub fn origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|own| own.eq_ignore_ascii_case(origin)) {
            return true;
        }
        self.loopback && PublicUrl::parse(origin).is_ok_and(|origin| origin.is_loopback())
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}
