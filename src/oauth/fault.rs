//! What is wrong with a request to the authorization server, in OAuth's own words (RFC 6749, sections 4.1.2.1 and 5.2;
//! RFC 7591, section 3.2.2; RFC 8707, section 2).

use std::borrow::Cow;

use crate::error::Error;

/// An error of OAuth: a code of the standard, and what to do about it.
#[derive(Debug)]
pub struct Fault {
    /// The standard's code.
    pub code: &'static str,
    /// For the developer of the client; ASCII without `"` and `\` (RFC 6749, section 5.2), nothing secret.
    pub description: Cow<'static, str>,
}

impl Fault {
    /// The fault `code`.
    pub fn new(code: &'static str, description: impl Into<Cow<'static, str>>) -> Fault {
        Fault { code, description: description.into() }
    }

    /// A parameter is missing, stands twice or is malformed.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new("invalid_request", description)
    }

    /// The client is unknown or did not prove who it is. Clients register anew on it.
    pub fn invalid_client(description: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new("invalid_client", description)
    }

    /// A code or refresh token that does not hold.
    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new("invalid_grant", description)
    }

    /// The HTTP status of the answer that carries it.
    pub fn status(&self) -> u16 {
        match self.code {
            "invalid_client" => 401,
            "server_error" => 500,
            "temporarily_unavailable" => 503,
            "slow_down" => 429,
            _ => 400,
        }
    }
}

/// What the store could not do: the client may try again where that may help. The cause is logged here, once.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let status = error.kind.http_status();
        if status >= 500 {
            tracing::error!(?error, "the authorization server could not answer");
        }
        match status {
            503 => {
                Fault::new("temporarily_unavailable", "The server cannot answer now; try again in a moment.")
            }
            500.. => Fault::new("server_error", "The server met a fault of its own; its log says which."),
            _ => Fault::new("invalid_request", error.public),
        }
    }
}
