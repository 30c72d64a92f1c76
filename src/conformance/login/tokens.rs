//! What the token endpoint answers, and what an endpoint that wants a token does with one.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::Client;
use super::web::{Answer, Web};
use crate::error::{Error, Kind, Result};
use crate::peer::{client_info, meta};

/// How often a request is made that is refused for being one too many.
const TRIES: u32 = 4;
/// The longest pause between.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Tokens that were given.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token, if there is one.
    pub refresh: Option<String>,
    /// What was granted, where the answer says so.
    pub scope: Option<String>,
}

impl Tokens {
    /// The tokens of a successful answer.
    pub fn read(answer: &Answer) -> Option<Tokens> {
        let body = answer.json().filter(|_| answer.status == 200)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Tokens { access: text("access_token")?, refresh: text("refresh_token"), scope: text("scope") })
    }
}

/// Asks the token endpoint at `url`, or another that takes a client's form; again after a pause where it is asked to.
///
/// # Errors
/// `TooMany` when that does not help: what was refused for being too often says nothing about the rest. Those of
/// [`Web::send`].
pub async fn ask(web: &Web, url: &str, client: &Client, pairs: &[(&str, &str)]) -> Result<Answer> {
    for _ in 0..TRIES {
        let answer = web.post_form(url, &client.form(pairs), client.authorization().as_ref()).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        let wanted = answer.retry_after().unwrap_or(Duration::from_secs(2));
        tokio::time::sleep(wanted.min(LONGEST_PAUSE)).await;
    }
    Err(Error::new(Kind::TooMany, "the authorization server refuses so many requests (429)"))
}

/// A first message that changes nothing: what a token is shown with to see whether it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// `server/discover` of 2026-07-28.
    Modern,
    /// `initialize` of 2025-11-25.
    Legacy,
}

impl Knock {
    /// The one and the other.
    pub const ALL: [Knock; 2] = [Knock::Modern, Knock::Legacy];

    fn body(self) -> Value {
        match self {
            Knock::Modern => {
                json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta("2026-07-28", &json!({}))}})
            }
            Knock::Legacy => json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": client_info()}}),
        }
    }

    /// Sends it to the MCP endpoint at `url` with these credentials.
    ///
    /// # Errors
    /// Those of [`Web::send`].
    pub async fn send(self, web: &Web, url: &str, token: Option<&str>) -> Result<Answer> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut fields = authorization.iter().map(|value| ("authorization", &**value)).collect::<Vec<_>>();
        if self == Knock::Modern {
            fields.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", "server/discover")]);
        }
        web.post_json(url, &self.body(), &fields).await
    }
}

/// Whether an MCP endpoint let somebody in: it answered the message with a result.
pub fn is_let_in(answer: &Answer) -> bool {
    answer.is_success() && answer.json().is_some_and(|body| body.get("result").is_some())
}
