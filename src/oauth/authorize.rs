//! Authorization requests (OAuth 2.1, section 4.1.1): what a client asks for, checked before a person sees it.
//!
//! The way of one: [`Asked::parse`]; the person signs in; the client is looked up and [`Asked::redirect`] picks where
//! the person will be sent back. What is wrong up to here is shown on a page and never redirected. Then
//! [`Asked::check`]; what is wrong there may go back to the app ([`refusal_url`]). Then `consent` asks the person.

use serde::{Deserialize, Serialize};

use super::audience::{Scopes, Target, target};
use super::params::Params;
use super::{Client, ClientKind, Fault, redirect};
use crate::access::Endpoint;

/// Bytes of all parameters.
const BYTES_MAX: usize = 8 * 1_024;
/// Bytes of `state`.
const STATE_BYTES_MAX: usize = 2 * 1_024;

/// An authorization request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    params: Params,
}

/// An authorization request that is in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub client: Client,
    /// Where the person is sent back to: one of the client's, as it was asked for.
    pub redirect_uri: String,
    /// What the client wants back, to the byte.
    pub state: Option<String>,
    /// The S256 challenge, 43 characters (RFC 7636, section 4.2).
    pub challenge: String,
    /// The endpoint it is for; `None` leaves that to the person.
    pub endpoint: Option<Endpoint>,
    /// Whether it asks to change things.
    pub write: bool,
}

/// How the person is to be asked (OpenID Connect Core, section 3.1.2.1). `consent` is what we always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Not at all: the request fails instead.
    pub none: bool,
    /// The person is to give the password again.
    pub login: bool,
}

impl Asked {
    /// The request that these parameters, decoded, are.
    ///
    /// # Errors
    /// `invalid_request` for the person's eyes, to be shown on a page: a parameter twice, more than 8 KiB in all or
    /// 2 KiB of `state`, no `client_id`.
    pub fn parse(pairs: Vec<(String, String)>) -> Result<Asked, Fault> {
        let params = Params::new(pairs)?;
        if params.bytes() > BYTES_MAX {
            return Err(Fault::invalid_request("The request is longer than 8192 bytes."));
        }
        if params.get("state").is_some_and(|state| state.len() > STATE_BYTES_MAX) {
            return Err(Fault::invalid_request("state is longer than 2048 bytes."));
        }
        params.need("client_id")?;
        Ok(Asked { params })
    }

    /// The `client_id`.
    pub fn client_id(&self) -> &str {
        self.params.get("client_id").unwrap_or_default()
    }

    /// What the client wants back.
    pub fn state(&self) -> Option<&str> {
        self.params.get("state")
    }

    /// How the person is to be asked; values we do not know are left out.
    pub fn prompt(&self) -> Prompt {
        let has = |name| self.params.get("prompt").unwrap_or_default().split(' ').any(|one| one == name);
        Prompt { none: has("none"), login: has("login") }
    }

    /// Where the person will be sent back: what the request names, if it is one of the client's; what the client has,
    /// if it has one and the request names none (OAuth 2.1, section 4.1.1).
    ///
    /// # Errors
    /// `invalid_request`, to be shown on a page: nobody may be sent to a place that the client did not register.
    pub fn redirect(&self, client: &Client) -> Result<String, Fault> {
        match (self.params.get("redirect_uri"), client.redirect_uris.as_slice()) {
            (Some(asked), _) if client.allows_redirect(asked) => Ok(asked.to_owned()),
            (Some(_), _) => Err(Fault::invalid_request(
                "The redirect_uri of the request is none of those that the app registered.",
            )),
            (None, [only]) if !redirect::is_loopback(only) => Ok(only.clone()),
            (None, _) => Err(Fault::invalid_request("The parameter redirect_uri is missing.")),
        }
    }

    /// The request of `client`, whose person goes back to `redirect_uri`.
    ///
    /// # Errors
    /// What the app is told: `unsupported_response_type`, `invalid_request`, `invalid_target` (RFC 6749, section
    /// 4.1.2.1; RFC 8707, section 2).
    pub fn check(&self, issuer: &str, client: Client, redirect_uri: String) -> Result<Request, Fault> {
        let get = |name| self.params.get(name);
        if self.params.need("response_type")? != "code" {
            return Err(Fault::new("unsupported_response_type", "response_type must be code."));
        }
        if get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Fault::invalid_request("response_mode must be query, or left out."));
        }
        let challenge = self.challenge()?;
        let scopes = Scopes::parse(get("scope"));
        let endpoint = endpoint(target(issuer, self.params.resources())?, scopes);
        let write = scopes.write && endpoint != Some(Endpoint::ReadOnly);
        let state = self.state().map(str::to_owned);
        Ok(Request { client, redirect_uri, state, challenge, endpoint, write })
    }

    fn challenge(&self) -> Result<String, Fault> {
        let challenge = self.params.need("code_challenge")?;
        // Without a method the standard means `plain`, which protects from nobody who sees the request.
        if self.params.need("code_challenge_method")? != "S256" {
            return Err(Fault::invalid_request("code_challenge_method must be S256."));
        }
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if challenge.len() != 43 || !challenge.bytes().all(is_base64url) {
            return Err(Fault::invalid_request(
                "code_challenge must be the 43 characters of a SHA-256 in base64url.",
            ));
        }
        Ok(challenge.to_owned())
    }
}

/// The endpoint a request is for. Where `resource` does not say, the scopes do: who wants to write means the full one,
/// who wants to read alone the other; and where those do not either, the person is asked.
fn endpoint(target: Target, scopes: Scopes) -> Option<Endpoint> {
    match (target, scopes) {
        (Target::One(endpoint), _) => Some(endpoint),
        (Target::Any, Scopes { write: true, .. }) => Some(Endpoint::Full),
        (Target::Any, Scopes { read: true, .. }) => Some(Endpoint::ReadOnly),
        (Target::Any, _) => None,
    }
}

/// Whether a fault of this client's request is sent back to it at once. An app that came by itself is not handed a
/// way to send people where it likes: they see a page first, with the link (RFC 9700, section 4.11.2).
pub fn is_told_at_once(client: &Client) -> bool {
    client.kind == ClientKind::Operator
}

/// Where the person goes back with `fault` (RFC 6749, section 4.1.2.1; `iss`: RFC 9207).
pub fn refusal_url(issuer: &str, redirect_uri: &str, state: Option<&str>, fault: &Fault) -> String {
    let what = [("error", fault.code), ("error_description", &*fault.description)];
    answer_url(redirect_uri, what.into_iter(), state, issuer)
}

/// Where the person goes back with a code (RFC 6749, section 4.1.2).
pub(super) fn code_url(issuer: &str, request: &Request, code: &str) -> String {
    answer_url(&request.redirect_uri, [("code", code)].into_iter(), request.state.as_deref(), issuer)
}

/// The URI with more in its query; what is there stays as it is.
fn answer_url<'a>(
    redirect_uri: &'a str,
    what: impl Iterator<Item = (&'static str, &'a str)>,
    state: Option<&'a str>,
    issuer: &'a str,
) -> String {
    let pairs = what.chain(state.map(|state| ("state", state))).chain([("iss", issuer)]);
    let mut url = redirect_uri.to_owned();
    for (name, value) in pairs {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        push_encoded(&mut url, value);
    }
    url
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3), so that every way of decoding gives the same.
fn push_encoded(url: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
}

#[cfg(test)]
mod tests;
