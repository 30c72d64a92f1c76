//! The authorization server over HTTP: requests into the words of [`crate::oauth`], and what it says into answers.

pub(super) mod authorize;
pub(super) mod clients;
pub(super) mod tokens;

use hyper::StatusCode;
use serde_json::json;

use super::respond::{self, Answer};
use crate::oauth::Fault;

/// The answer that carries a fault (RFC 6749, section 5.2; RFC 7591, section 3.2.2).
pub(super) fn fault(fault: &Fault) -> Answer {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({"error": fault.code, "error_description": fault.description});
    respond::json(status, body.to_string())
}
