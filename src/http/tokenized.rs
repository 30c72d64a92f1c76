//! Tokenized URLs: the credential stands in the path, for clients that can send no header. A token that does not hold is
//! a path that is not there, by every method and in every field of the answer; so it is looked at before anything else.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header;
use hyper::http::request::Parts;

use super::Site;
use super::request::{Peer, client_address};
use super::respond::Refusal;
use super::routes::{Access, Found};
use crate::access::Grant;
use crate::error::Result;

/// The segment of the path that is the token: `/mcp/t/TOKEN/`.
const SEGMENT: usize = 3;

/// A token, and from where it came: what it stands for may end while a stream is open.
#[derive(Clone)]
pub(super) struct Token {
    text: String,
    address: IpAddr,
}

impl Token {
    fn of(parts: &Parts, site: &Site, peer: Peer) -> Token {
        let text = parts.uri.path().split('/').nth(SEGMENT).unwrap_or_default().to_owned();
        Token { text, address: client_address(&parts.headers, peer, &site.options) }
    }

    /// What it stands for, if it stands for anything (any more).
    pub(super) fn grant(&self, site: &Site) -> Result<Option<Arc<Grant>>> {
        site.app.authenticate_url(&self.text, self.address)
    }
}

/// Whoever comes by a token that holds.
pub(super) struct Holder {
    pub token: Token,
    pub grant: Arc<Grant>,
}

/// Where a request goes that `found` says goes to a tokenized URL, and who makes it; other requests pass. Wrong tokens
/// lead nowhere, and too many of them are told to wait.
pub(super) fn admit(
    site: &Site,
    found: Found,
    parts: &Parts,
    peer: Peer,
) -> (Found, Result<Option<Holder>, Refusal>) {
    if found.route().is_none_or(|route| route.access != Access::Url) {
        return (found, Ok(None));
    }
    if !site.options.tokenized_urls {
        return (Found::Nothing, Ok(None));
    }
    let token = Token::of(parts, site, peer);
    match site.wait_for(|| token.grant(site)) {
        Ok(Some(grant)) => (found, Ok(Some(Holder { token, grant }))),
        Ok(None) => (Found::Nothing, wrong(site, token.address).map_or(Ok(None), Err)),
        Err(error) => (Found::Nothing, Err(error.into())),
    }
}

fn wrong(site: &Site, address: IpAddr) -> Option<Refusal> {
    let seconds = site.wrong_tokens.count(address, site.app.clock.now())?;
    let text = "Too many wrong URLs came from your address; wait a minute.";
    Some(Refusal::new(429, "too_many_requests", text).with(header::RETRY_AFTER, &seconds.to_string()))
}
