//! What the token endpoint answers, and what an endpoint that wants a token does with one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
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

/// Tokens that were given and not revoked yet, with what they are for a revocation endpoint (RFC 7009, 2.1).
#[derive(Default)]
pub struct Alive(Mutex<Vec<(&'static str, String)>>);

impl Alive {
    /// These were given.
    pub fn note(&self, tokens: &Tokens) {
        let refresh = tokens.refresh.iter().map(|token| ("refresh_token", token.clone()));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(refresh.chain([("access_token", tokens.access.clone())]));
    }

    /// This one was revoked.
    pub fn forget(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, known)| known != token);
    }

    /// All of them: refresh tokens first, for their grants end with them.
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|(kind, _)| *kind != "refresh_token");
        all
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

    /// Sends it to the MCP endpoint at `url` with these credentials. A session that it opens is ended.
    ///
    /// # Errors
    /// Those of [`Web::send`].
    pub async fn send(self, web: &Web, url: &str, token: Option<&str>) -> Result<Answer> {
        let answer = self.open(web, url, token).await?;
        end_session(web, url, token, &answer).await;
        Ok(answer)
    }

    /// The same, and a session stays open, to be ended by [`end_session`].
    ///
    /// # Errors
    /// Those of [`Web::send`].
    pub async fn open(self, web: &Web, url: &str, token: Option<&str>) -> Result<Answer> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut fields = authorization.iter().map(|value| ("authorization", &**value)).collect::<Vec<_>>();
        if self == Knock::Modern {
            fields.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", "server/discover")]);
        }
        web.post_json(url, &self.body(), &fields).await
    }
}

/// Ends the session that `opened` began, if it did.
pub async fn end_session(web: &Web, url: &str, token: Option<&str>, opened: &Answer) {
    let Some(id) = opened.field("mcp-session-id") else { return };
    let mut request =
        Request::delete(url).header("mcp-session-id", id).header("mcp-protocol-version", "2025-11-25");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    // A server may let nobody end a session.
    let _ = web.send(request.body(Bytes::new())).await;
}

/// Whether an MCP endpoint let somebody in: it answered the message with a result.
pub fn is_let_in(answer: &Answer) -> bool {
    answer.is_success() && answer.json().is_some_and(|body| body.get("result").is_some())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client;
    use crate::client::testing::{serve, whole};

    #[tokio::test]
    async fn a_session_that_a_knock_opens_is_ended() {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let notes = seen.clone();
        let url = serve(move |request: Request<Bytes>| {
            let field = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
            let line =
                format!("{} {:?} {}", request.method(), field("mcp-session-id"), field("authorization"));
            notes.lock().unwrap().push(line);
            let mut answer = whole(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
            answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
            async move { answer }
        })
        .await;
        let web = Web::new(client::Options::default()).unwrap();
        let answer = Knock::Legacy.send(&web, &url, Some("t")).await.unwrap();
        assert!(is_let_in(&answer));
        assert_eq!(*seen.lock().unwrap(), ["POST \"\" Bearer t", "DELETE \"s1\" Bearer t"]);
    }
}
