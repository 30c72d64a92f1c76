//! What the text of a setting may be: each parser gives the value, or says what is wanted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use hyper::Uri;

/// The value, or what is wanted instead: the end of the sentence "… is wanted".
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("a path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn flag(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "true or false".to_owned())
}

pub(super) fn number(text: &str, least: u32, most: u32) -> Parsed<u32> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("a whole number from {least} to {most}"))
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "an address and port such as 127.0.0.1:8787 or [::1]:8787".to_owned())
}

/// Nothing, or what `parse` makes of the text.
pub(super) fn optional<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Items between commas, each made of what `parse` takes.
pub(super) fn list<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| parse(item).map_err(|wanted| format!("a list in which each item is {wanted}"))).collect()
}

/// A host name as `Host` has it, without port, in lower case.
pub(super) fn host(text: &str) -> Parsed<String> {
    let authority = text.parse::<hyper::http::uri::Authority>().ok();
    let bare = authority.filter(|a| a.port().is_none() && a.host() == text && !text.contains('@'));
    bare.map(|a| a.host().to_ascii_lowercase())
        .ok_or_else(|| "a host name without port such as mcp.example.com".to_owned())
}

/// An origin as browsers send it (RFC 6454), in lower case.
pub(super) fn origin(text: &str) -> Parsed<String> {
    PublicUrl::parse(text)
        .map(|url| url.text)
        .map_err(|_| "an origin such as https://app.example.com".to_owned())
}

pub(super) fn model(text: &str) -> Parsed<String> {
    let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:/".contains(c));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a model's name of at most 64 letters, digits, -._:/".to_owned())
    }
}

/// The origin under which clients reach the server: scheme, host and port, no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    host: String,
}

impl PublicUrl {
    pub(super) fn parse(text: &str) -> Parsed<PublicUrl> {
        let wanted = || "a URL without path such as https://mcp.example.com".to_owned();
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wanted())?;
        let scheme =
            uri.scheme_str().filter(|scheme| matches!(*scheme, "https" | "http")).ok_or_else(wanted)?;
        let authority = uri.authority().filter(|a| !a.as_str().contains('@') && !a.host().is_empty());
        let authority = authority.ok_or_else(wanted)?.as_str().to_ascii_lowercase();
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(wanted());
        }
        let authority = authority.strip_suffix(default_port(scheme)).unwrap_or(&authority);
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        Ok(PublicUrl { text: format!("{scheme}://{authority}"), host })
    }

    /// `https://mcp.example.com`, without a slash at its end and without the scheme's own port.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in lower case, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is an `https` URL.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether its host is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback_name(&self.host)
    }
}

fn default_port(scheme: &str) -> &'static str {
    if scheme == "https" { ":443" } else { ":80" }
}

/// Whether a host, an IPv6 address in its brackets, names this machine whatever DNS says.
pub(super) fn is_loopback_name(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An address or a network of addresses: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network that `text` writes.
    ///
    /// # Errors
    /// What is wanted instead: the end of the sentence "… is wanted".
    pub fn parse(text: &str) -> Result<Network, String> {
        let wanted = || "an address or network such as 10.0.0.5 or 10.0.0.0/8".to_owned();
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wanted())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(wanted)?;
        Ok(Network { address, bits })
    }

    /// Whether the network holds `address`; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()) << 96, u128::from(other.to_bits()) << 96)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits()),
            _ => return false,
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
        own & mask == other & mask
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Parsed<LogFormat> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("text or json".to_owned()),
        }
    }
}

/// How far apps are let in that name themselves by the URL of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDocuments {
    /// Any: a document that is not known is fetched from the app's own server.
    Fetch,
    /// Those whose documents come with the program or lie in the operator's folder; nothing is fetched.
    Known,
    /// None.
    Off,
}

impl ClientDocuments {
    pub(super) fn parse(text: &str) -> Parsed<ClientDocuments> {
        match text {
            "fetch" => Ok(ClientDocuments::Fetch),
            "known" => Ok(ClientDocuments::Known),
            "off" => Ok(ClientDocuments::Off),
            _ => Err("fetch, known or off".to_owned()),
        }
    }
}

/// A text that is neither shown nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn parse(text: &str) -> Parsed<Secret> {
        let fits = text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Secret(text.to_owned())) } else { Err("a key of visible ASCII characters".to_owned()) }
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
