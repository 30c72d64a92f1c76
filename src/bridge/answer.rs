//! What comes back over HTTP: messages one by one, whether in JSON or as events, or else an error in words.

use std::collections::VecDeque;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::Body;
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::sse::Parser;
use crate::protocol::rpc::Id;

/// The largest message from a server, in bytes.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// How much is read of an answer that is not MCP, in bytes.
const MAX_WORDS: usize = 64 * 1024;
/// How much of a server's own words is passed on, in characters.
const QUOTED: usize = 200;

/// The messages of one answer, as they come.
pub(super) struct Messages {
    ready: VecDeque<Bytes>,
    stream: Option<(Body, Parser)>,
    /// Where a legacy client can go on after a break: the id of the last event that had one.
    pub(super) last_event_id: Option<String>,
}

impl Messages {
    /// The messages of `answer` from the server at `url`.
    ///
    /// # Errors
    /// When it is no answer of an MCP server: `Unauthorized` or `Forbidden` when nobody is let in, `Unavailable`
    /// otherwise. The text is for the model and the operator both.
    pub(super) async fn open(answer: Response<Body>, url: &str, has_key: bool) -> Result<Messages> {
        let (head, body) = answer.into_parts();
        let lets_in = !matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if media_type(&head) == "text/event-stream" && head.status.is_success() {
            let stream = Some((body, Parser::new(MAX_MESSAGE)));
            return Ok(Messages { ready: VecDeque::new(), stream, last_event_id: None });
        }
        let whole = body.collect(if head.status.is_success() { MAX_MESSAGE } else { MAX_WORDS }).await?;
        let is_nothing = whole.is_empty() && head.status.is_success();
        if is_nothing || (lets_in && Part::read(&whole).is_some()) {
            let ready = if is_nothing { VecDeque::new() } else { VecDeque::from([whole]) };
            return Ok(Messages { ready, stream: None, last_event_id: None });
        }
        Err(not_mcp(&head, &whole, url, has_key))
    }

    /// Whether more may come than one body holds.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The next message as it came (a batch is one), `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, or an event is too large.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            let Some((body, parser)) = &mut self.stream else { return Ok(None) };
            let Some(chunk) = body.next_chunk().await? else {
                self.stream = None;
                continue;
            };
            for event in parser.feed(&chunk) {
                let event = event?;
                // An event without data only says where to go on.
                let tells = !event.data.is_empty() && event.is_message();
                self.last_event_id = event.id.or(self.last_event_id.take());
                if tells {
                    self.ready.push_back(event.data.into());
                }
            }
        }
    }
}

fn media_type(head: &Parts) -> &str {
    let value = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// What of a message matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Part<'a> {
    pub(super) id: Option<Id>,
    method: Option<IgnoredAny>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Negotiated {
    #[serde(rename = "protocolVersion")]
    protocol_version: String,
}

impl<'a> Part<'a> {
    /// The message in `bytes`, or those of a batch; `None` when it is no JSON-RPC.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Vec<Part<'a>>> {
        let parts = match bytes.trim_ascii_start().first()? {
            b'[' => serde_json::from_slice::<Vec<Part<'_>>>(bytes).ok()?,
            _ => vec![serde_json::from_slice::<Part<'_>>(bytes).ok()?],
        };
        parts.iter().all(Part::is_message).then_some(parts)
    }

    /// Whether it answers a request, as against asking or telling something.
    pub(super) fn is_answer(&self) -> bool {
        self.method.is_none()
    }

    /// The revision that the answer to `initialize` names.
    pub(super) fn negotiated(&self) -> Option<String> {
        Some(serde_json::from_str::<Negotiated>(self.result?.get()).ok()?.protocol_version)
    }

    /// The same error with the id of the request that it must be about.
    pub(super) fn with_id(&self, id: &Id) -> Option<Bytes> {
        let mut message = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        id.write(&mut message);
        message.extend_from_slice(br#","error":"#);
        message.extend_from_slice(self.error?.get().as_bytes());
        message.push(b'}');
        Some(message.into())
    }

    fn is_message(&self) -> bool {
        let is_error = || {
            let error = serde_json::from_str::<Value>(self.error?.get()).ok()?;
            Some(error.get("code")?.is_i64())
        };
        self.method.is_some() || (self.id.is_some() && self.result.is_some()) || is_error().unwrap_or(false)
    }
}

/// `message` on one line. A line end in JSON stands between tokens only, where a space means the same.
pub(super) fn one_line(message: Bytes) -> Bytes {
    let trimmed = message.slice_ref(message.trim_ascii());
    match trimmed.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        false => trimmed,
        true => trimmed.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect(),
    }
}

/// Why `answer` is no answer of an MCP server, and what to do.
fn not_mcp(head: &Parts, body: &[u8], url: &str, has_key: bool) -> Error {
    let status = head.status;
    let code = status.as_u16();
    let (kind, text) = match status {
        StatusCode::UNAUTHORIZED if !has_key => (
            Kind::Unauthorized,
            format!("{url} wants an API key (HTTP 401). Set CHATERIMO_API_KEY to a key of that server."),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            if code == 401 { Kind::Unauthorized } else { Kind::Forbidden },
            format!(
                "{url} refuses the API key (HTTP {code}). Check that CHATERIMO_API_KEY holds a whole key of that \
                 server which is not revoked and may be used at this URL."
            ),
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => (
            Kind::Unavailable,
            format!("There is no MCP server at {url} (HTTP {code}). Check the path of the URL."),
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            Kind::TooMany,
            format!("{url} gets too many requests (HTTP 429). Wait a minute, then try again."),
        ),
        _ if status.is_redirection() => {
            let target =
                head.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
            (Kind::Unavailable, format!("{url} leads to {target} (HTTP {code}). Use that URL instead."))
        }
        _ if status.is_success() => {
            (Kind::Unavailable, format!("{url} answers with something that is not MCP. Check the URL."))
        }
        _ => (Kind::Unavailable, format!("{url} cannot answer now (HTTP {code}).")),
    };
    Error::new(kind, text + &words(body).map(|words| format!(" It says: {words}")).unwrap_or_default())
}

/// The server's own words, if its body is JSON that has some: a fault of JSON-RPC, OAuth or a web framework.
fn words(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let texts = [
        json.pointer("/error/message"),
        json.get("error_description"),
        json.get("message"),
        json.get("detail"),
    ];
    let text = texts.into_iter().flatten().find_map(Value::as_str)?;
    Some(crate::error::one_line(text, QUOTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_messages_from_other_json() {
        let check = |body: &str, expected: bool| {
            assert_eq!(Part::read(body.as_bytes()).is_some(), expected, "{body}")
        };
        check(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#, true);
        check(r#" [{"jsonrpc":"2.0","id":"a","result":{}},{"jsonrpc":"2.0","method":"x"}]"#, true);
        check(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#, true);
        check(r#"{"error":"invalid_token","error_description":"expired"}"#, false);
        check(r#"{"error":{"message":"no"}}"#, false);
        check(r#"{"detail":"Not found"}"#, false);
        check(r#"{"id":1}"#, false);
        check("<html>", false);
        check("", false);
    }

    #[test]
    fn puts_a_message_on_one_line() {
        let check = |message: &'static str, expected: &str| assert_eq!(one_line(message.into()), expected);
        check("{}", "{}");
        check("\n{\r\n \"a\": \"b\\n\"\n}\n", "{   \"a\": \"b\\n\" }");
    }

    #[test]
    fn names_the_request_that_an_error_left_out() {
        let parts =
            Part::read(br#"{"jsonrpc":"2.0","error":{"code":-32020,"message":"no","data":[1.50]}}"#).unwrap();
        let message = parts[0].with_id(&Id::Number(7)).unwrap();
        assert_eq!(
            message,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32020,"message":"no","data":[1.50]}}"#
        );
    }
}
