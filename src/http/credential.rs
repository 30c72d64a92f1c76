//! The credential of a request, and the challenge to whoever sends none that holds (RFC 6750; RFC 9728, section 5.1).

use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderValue};

use super::Site;
use super::respond::Refusal;
use crate::access::{Endpoint, Grant};
use crate::oauth::audience::scope_text;
use crate::oauth::metadata::RESOURCE_PATH;

/// What is the matter with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    Missing,
    Invalid,
    Malformed,
}

/// Where a challenge is for.
#[derive(Clone, Copy)]
struct Resource<'a> {
    /// The public origin.
    origin: &'a str,
    /// The endpoint's path as the client spells it: strict clients want their own spelling back.
    path: &'a str,
    endpoint: Endpoint,
}

/// The grant of whoever sends these fields to the endpoint at `path`. A token for the other endpoint is as unknown as
/// any that we did not make (RFC 8707).
///
/// # Errors
/// 401 with a challenge when there is no credential or it stands for nothing, 400 when it cannot be read (RFC 6750
/// section 3.1); what the store says when it cannot be asked.
pub(super) fn authenticate(
    site: &Site,
    headers: &HeaderMap,
    endpoint: Endpoint,
    path: &str,
) -> Result<Arc<Grant>, Refusal> {
    let resource = Resource { origin: &site.options.public_origin, path, endpoint };
    let bearer = bearer(headers).map_err(|challenge| challenge.refusal(resource))?;
    let grant = site.app.authenticate(bearer)?;
    let holds = grant.filter(|grant| grant.audience.is_none_or(|audience| audience == endpoint));
    holds.ok_or_else(|| Challenge::Invalid.refusal(resource))
}

/// The challenge to an app whose token can only read, that tries to change something at `path` (RFC 6750, section 3.1).
pub(super) fn step_up(site: &Site, path: &str) -> HeaderValue {
    let resource = Resource { origin: &site.options.public_origin, path, endpoint: Endpoint::Full };
    let field = format!(
        "Bearer error=\"insufficient_scope\", scope=\"{}\", resource_metadata=\"{}\", \
         error_description=\"This tool changes things and needs mcp:write\"",
        resource.scope(),
        resource.metadata()
    );
    HeaderValue::try_from(field).unwrap_or(HeaderValue::from_static("Bearer error=\"insufficient_scope\""))
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

impl Resource<'_> {
    /// The URL of the resource's metadata (RFC 9728, section 3.1).
    fn metadata(self) -> String {
        format!("{}{RESOURCE_PATH}{}", self.origin, self.path)
    }

    /// All that can be asked for here: clients that ask again for more, later, get it wrong.
    fn scope(self) -> &'static str {
        scope_text(self.endpoint == Endpoint::Full)
    }
}

impl Challenge {
    /// One `WWW-Authenticate` field, `Bearer` first, the description last. Which credential is wrong, and how, is the
    /// same text for all, so that none can be guessed at.
    fn refusal(self, resource: Resource<'_>) -> Refusal {
        let (status, code, error, text) = match self {
            Challenge::Missing => (
                401,
                "unauthorized",
                "",
                "Sign in with OAuth, as the WWW-Authenticate field says, or send an API key: Authorization: Bearer cha_…",
            ),
            Challenge::Invalid => (
                401,
                "invalid_token",
                ", error=\"invalid_token\", error_description=\"The credential is unknown, expired or revoked\"",
                "The credential is unknown, expired or revoked. Connect again, or ask whoever runs this server for a new \
                 API key.",
            ),
            Challenge::Malformed => (
                400,
                "invalid_request",
                ", error=\"invalid_request\", \
                 error_description=\"Send one Authorization field: Bearer and a token\"",
                "Send one Authorization field: Bearer, a space, and a token or API key.",
            ),
        };
        let (metadata, scope) = (resource.metadata(), resource.scope());
        let field = format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scope}\"{error}");
        Refusal::new(status, code, text).with(header::WWW_AUTHENTICATE, &field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_name_the_resource_as_it_was_spelt() {
        let check = |challenge: Challenge, path: &str, endpoint: Endpoint, expected: &str| {
            let resource = Resource { origin: "https://chat.example.com", path, endpoint };
            let answer = challenge.refusal(resource).answer(super::super::respond::Style::Rpc, "");
            assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], expected);
        };
        let head = "Bearer resource_metadata=\"https://chat.example.com/.well-known/oauth-protected-resource";
        let both = "scope=\"mcp:read mcp:write\"";
        check(Challenge::Missing, "/mcp/", Endpoint::Full, &format!("{head}/mcp/\", {both}"));
        check(Challenge::Missing, "/mcp", Endpoint::Full, &format!("{head}/mcp\", {both}"));
        check(
            Challenge::Invalid,
            "/mcp-readonly/",
            Endpoint::ReadOnly,
            &format!(
                "{head}/mcp-readonly/\", scope=\"mcp:read\", error=\"invalid_token\", \
                 error_description=\"The credential is unknown, expired or revoked\""
            ),
        );
    }
}
