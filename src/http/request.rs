//! What the server asks of every request before it looks at what is wanted: the target, `Host` and `Origin`; and
//! from where it came.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;

use super::options::Options;
use super::respond::Refusal;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub address: IpAddr,
}

/// The length of the target (RFC 9110 section 4.1 asks for 8,000 octets at least).
pub(super) fn check_target(parts: &Parts, options: &Options) -> Result<(), Refusal> {
    let length = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    match length <= options.limits.target_bytes {
        true => Ok(()),
        false => Err(Refusal::closing(
            414,
            "target_too_long",
            format!("The URL has {length} bytes; this server takes {}.", options.limits.target_bytes),
        )),
    }
}

/// One `Host` that names this server, and an absolute target that agrees with it (RFC 9112 section 3.2): a page
/// whose name was made to point here is kept out.
pub(super) fn check_host(parts: &Parts, options: &Options) -> Result<(), Refusal> {
    let host = single(&parts.headers, header::HOST).map_err(|count| {
        Refusal::closing(400, "bad_host", format!("A request has one Host field; this one has {count}."))
    })?;
    let agrees = parts.uri.authority().is_none_or(|target| target.as_str().eq_ignore_ascii_case(host));
    if !agrees {
        return Err(Refusal::closing(400, "bad_host", "Host and the request target name different servers."));
    }
    if !options.allowed.host(host) {
        return Err(Refusal::new(
            421,
            "unknown_host",
            format!(
                "This server is not known as {host:?}. Use its public URL, or add the name to allowed_hosts."
            ),
        ));
    }
    Ok(())
}

/// The `Origin` of a page that may ask, if there is one.
pub(super) fn check_origin<'a>(parts: &'a Parts, options: &Options) -> Result<Option<&'a str>, Refusal> {
    if !parts.headers.contains_key(header::ORIGIN) {
        return Ok(None);
    }
    match single(&parts.headers, header::ORIGIN) {
        Ok(origin) if options.allowed.origin(origin) => Ok(Some(origin)),
        Ok(origin) => Err(Refusal::new(
            403,
            "origin_not_allowed",
            format!(
                "Pages of {origin:?} may not use this server; its operator can add the origin to allowed_origins."
            ),
        )),
        Err(_) => Err(Refusal::new(403, "origin_not_allowed", "Origin must be one readable origin.")),
    }
}

/// The only value of a field; the error is how many readable ones there are.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<&str, usize> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value),
        (first, second) => Err(usize::from(first.is_some()) + second.iter().count() + values.count()),
    }
}

/// Where the request came from: the last address in `X-Forwarded-For`, or else `Forwarded` (RFC 7239), that is no
/// proxy of ours; without a trusted proxy the other end of the connection.
pub(super) fn client_address(headers: &HeaderMap, peer: Peer, options: &Options) -> IpAddr {
    if !options.is_trusted_proxy(peer.address) {
        return peer.address;
    }
    let hops = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|hop| hop.trim().to_owned()).collect()
    };
    let mut chain = hops("x-forwarded-for");
    if chain.is_empty() {
        chain =
            hops("forwarded").iter().map(|hop| forwarded_for(hop).unwrap_or_default().to_owned()).collect();
    }
    let mut client = peer.address;
    for hop in chain.iter().rev() {
        let Some(address) = address_of(hop) else { break };
        client = address;
        if !options.is_trusted_proxy(address) {
            break;
        }
    }
    client
}

fn forwarded_for(hop: &str) -> Option<&str> {
    let pair = hop
        .split(';')
        .map(str::trim)
        .find(|pair| pair.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("for=")))?;
    Some(pair[4..].trim_matches('"'))
}

/// An address, perhaps with a port, perhaps in brackets.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(hop);
    let parsed = bare.parse().ok().or_else(|| bare.rsplit_once(':')?.0.parse().ok());
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// A body of JSON, as it is.
pub(super) fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::new(415, "unsupported_media_type", what));
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if coded {
        return refuse("Send the body as it is, without Content-Encoding.");
    }
    match is_of_type(headers, "application/json") {
        true => Ok(()),
        false => refuse("Send JSON, with Content-Type: application/json."),
    }
}

/// Whether the body is of the media type `wanted`, whatever its parameters.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let found = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    found.is_some_and(|found| media_type(found).eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Whether the client takes every one of `wanted`; a client that does not say takes anything (RFC 9110 section 12.5.1).
pub(super) fn check_accept(headers: &HeaderMap, wanted: &[&'static str]) -> Result<(), Refusal> {
    match headers.get(header::ACCEPT) {
        // What nearly every client sends.
        Some(value) if value == "application/json, text/event-stream" => return Ok(()),
        Some(_) => {}
        None => return Ok(()),
    }
    let accepted = headers.get_all(header::ACCEPT);
    let takes = |wanted: &&str| {
        let mut ranges = accepted.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        ranges.any(|range| covers(media_type(range), wanted.as_bytes()))
    };
    match wanted.iter().all(takes) {
        true => Ok(()),
        false => Err(Refusal::new(
            406,
            "not_acceptable",
            format!("The client must accept what it may be sent: Accept: {}.", wanted.join(", ")),
        )),
    }
}

fn covers(range: &[u8], wanted: &[u8]) -> bool {
    range == b"*/*"
        || range.eq_ignore_ascii_case(wanted)
        || range.strip_suffix(b"*").is_some_and(|kind| kind.ends_with(b"/") && wanted.starts_with(kind))
}

/// A media type or range without its parameters.
fn media_type(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::options::tests::options;

    #[test]
    fn the_client_behind_proxies() {
        let options = options("TRUSTED_PROXIES=10.0.0.0/8");
        let check = |peer: &str, field: &'static str, value: &str, expected: &str| {
            let headers = HeaderMap::from_iter([(field.parse().unwrap(), value.parse().unwrap())]);
            let peer = Peer { address: peer.parse().unwrap() };
            let found = client_address(&headers, peer, &options);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer:?} {field}: {value}");
        };
        check("192.0.2.1", "x-forwarded-for", "198.51.100.1", "192.0.2.1");
        check("10.0.0.1", "x-forwarded-for", "198.51.100.1", "198.51.100.1");
        check("10.0.0.1", "x-forwarded-for", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1");
        check("10.0.0.1", "x-forwarded-for", "198.51.100.1:4711", "198.51.100.1");
        check("10.0.0.1", "x-forwarded-for", "198.51.100.1, nonsense", "10.0.0.1");
        check("10.0.0.1", "forwarded", "for=198.51.100.1;proto=https, for=10.0.0.2", "198.51.100.1");
        check("10.0.0.1", "forwarded", "For=\"[2001:db8::1]:4711\"", "2001:db8::1");
        check("10.0.0.1", "x-other", "198.51.100.1", "10.0.0.1");
    }
}
