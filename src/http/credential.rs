//! The credential of a request, and the challenge to whoever sends none that holds (RFC 6750).

use std::sync::Arc;

use hyper::header::{self, HeaderMap};

use super::Site;
use super::respond::Refusal;
use crate::access::Grant;

/// What is the matter with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    Missing,
    Invalid,
    Malformed,
}

/// The grant of whoever sends these fields.
///
/// # Errors
/// 401 with a challenge when there is no credential or it stands for nothing, 400 when it cannot be read (RFC 6750
/// section 3.1); what the store says when it cannot be asked.
pub(super) fn authenticate(site: &Site, headers: &HeaderMap) -> Result<Arc<Grant>, Refusal> {
    let bearer = bearer(headers).map_err(Challenge::refusal)?;
    site.app.authenticate(bearer)?.ok_or_else(|| Challenge::Invalid.refusal())
}

fn bearer(headers: &HeaderMap) -> Result<&str, Challenge> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Challenge::Missing)?;
    if values.next().is_some() {
        return Err(Challenge::Malformed);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Challenge::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Challenge::Missing);
    }
    let token = token.trim();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    match !token.is_empty() && token.bytes().all(is_token) {
        true => Ok(token),
        false => Err(Challenge::Malformed),
    }
}

impl Challenge {
    /// One `WWW-Authenticate` field, `Bearer` first, the description last. Which credential is wrong, and how, is the
    /// same text for all, so that none can be guessed at. The URL of the resource's metadata will stand first here.
    fn refusal(self) -> Refusal {
        let (status, code, field, text) = match self {
            Challenge::Missing => (
                401,
                "unauthorized",
                "Bearer realm=\"chaterimo\"",
                "Send an API key: Authorization: Bearer cha_…",
            ),
            Challenge::Invalid => (
                401,
                "invalid_token",
                "Bearer realm=\"chaterimo\", error=\"invalid_token\", \
                 error_description=\"The credential is unknown, expired or revoked\"",
                "The credential is unknown, expired or revoked. Ask whoever runs this server for a new API key.",
            ),
            Challenge::Malformed => (
                400,
                "invalid_request",
                "Bearer realm=\"chaterimo\", error=\"invalid_request\", \
                 error_description=\"Send one Authorization field: Bearer and a token\"",
                "Send one Authorization field: Bearer, a space, and an API key.",
            ),
        };
        Refusal::new(status, code, text).with(header::WWW_AUTHENTICATE, field)
    }
}
