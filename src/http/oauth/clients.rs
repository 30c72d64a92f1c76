//! What clients read about this server before they know it, and where they register.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};

use super::super::request::is_of_type;
use super::super::respond::{self, Answer, Refusal};
use super::super::visit::Asked;
use super::fault;
use crate::oauth::metadata::{self, Spelling};
use crate::oauth::registration;

/// The document of the authorization server (RFC 8414).
pub(in super::super) fn server(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    Ok(document(asked.site.oauth.metadata.server()))
}

/// The document of an MCP endpoint, in the spelling that the path ends with (RFC 9728); at the root that of `/mcp`.
pub(in super::super) fn resource(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let path = asked.pattern.strip_prefix(metadata::RESOURCE_PATH).unwrap_or_default();
    let spelling = Spelling::of(path).unwrap_or(Spelling::Full);
    Ok(document(asked.site.oauth.metadata.resource(spelling)))
}

/// Registers a client (RFC 7591, section 3).
pub(in super::super) fn register(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    if !asked.site.oauth.settings.registration {
        return Err(Refusal::new(404, "not_found", "Apps do not register themselves here."));
    }
    if !is_of_type(&asked.parts.headers, "application/json") {
        return Err(Refusal::new(415, "unsupported", "Send the registration as application/json."));
    }
    Ok(asked.site.oauth.register(&asked.body, asked.address).map_or_else(
        |wrong| {
            let mut answer = fault(&wrong);
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                answer.headers_mut().insert(RETRY_AFTER, registration::RETRY_SECONDS.into());
            }
            answer
        },
        |body| respond::json(StatusCode::CREATED, body),
    ))
}

fn document(body: Bytes) -> Answer {
    let mut answer = respond::json(StatusCode::OK, body);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(metadata::CACHE_CONTROL));
    answer
}
