//! Requests to the tested server and its authorization server, and what is said of their answers.
//!
//! Nothing that is said of an answer holds a secret: of a body the member `error` alone, of a place to go its origin
//! and path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use serde_json::Value;

use crate::client::{self, Client};
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::sse::Parser;

/// Bytes of an answer that are read; no document or token is longer.
const MAX_BYTES: usize = 256 * 1024;
/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest pause that a server may ask for before a request is sent again (`Retry-After`).
const MAX_PAUSE: Duration = Duration::from_secs(3);
const AGENT: &str = concat!("chaterimo-conformance/", env!("CARGO_PKG_VERSION"));

/// What asks. The operator named the server, so every address is called, this machine's included.
#[derive(Clone)]
pub struct Web {
    client: Client,
    sent: Arc<AtomicUsize>,
}

/// An answer, whole, or of a stream its beginning.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Web {
    /// One that calls as `options` say.
    ///
    /// # Errors
    /// `Config` when the CA file cannot be read.
    pub fn new(options: client::Options) -> Result<Web> {
        let client = Client::new(client::Options { head: PATIENCE, ..options })?;
        Ok(Web { client, sent: Arc::default() })
    }

    /// How many requests were sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Fetches `url`.
    ///
    /// # Errors
    /// As for [`Web::send`].
    pub async fn get(&self, url: &str, accept: &str) -> Result<Answer> {
        self.send(Request::get(url).header(ACCEPT, accept).body(Bytes::new())).await
    }

    /// Posts a form, with what the client proves itself by. What is refused for being one too many is given as it came.
    ///
    /// # Errors
    /// As for [`Web::send`], but for `TooMany`.
    pub async fn post_form(
        &self,
        url: &str,
        pairs: &[(&str, &str)],
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.once(made(request.body(body.into()))?).await
    }

    /// Posts JSON with more fields in the head.
    ///
    /// # Errors
    /// As for [`Web::send`].
    pub async fn post_json(&self, url: &str, body: &Value, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.to_string().into())).await
    }

    /// Sends `request` and reads the answer: all of it, up to 256 KiB; of a stream what comes first. What is refused for
    /// being one too many (429) is sent once more where the server wants it after a short pause.
    ///
    /// # Errors
    /// `Invalid` when the request cannot be made; `TooMany` when it is refused so for good, which says nothing about
    /// what was asked; those of [`Client::send`].
    pub async fn send(&self, request: hyper::http::Result<Request<Bytes>>) -> Result<Answer> {
        let request = made(request)?;
        let mut answer = self.once(request.clone()).await?;
        if let (429, Some(pause)) = (answer.status, answer.retry_after().filter(|pause| *pause <= MAX_PAUSE))
        {
            tokio::time::sleep(pause).await;
            answer = self.once(request).await?;
        }
        match answer.status {
            429 => Err(Error::new(Kind::TooMany, limited(&answer))),
            _ => Ok(answer),
        }
    }

    async fn once(&self, mut request: Request<Bytes>) -> Result<Answer> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        self.sent.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.send(request).await?;
        Ok(read(answer).await)
    }
}

fn made(request: hyper::http::Result<Request<Bytes>>) -> Result<Request<Bytes>> {
    request.map_err(|e| Error::invalid("A URL or a field cannot be sent.").because(e))
}

fn limited(answer: &Answer) -> String {
    let after = answer.field("retry-after").map(|after| format!(", Retry-After: {}", printable(after)));
    crate::conformance::limited(&format!("HTTP {}{}", answer.status, after.unwrap_or_default()))
}

/// What breaks off or goes on for too long is read as far as it came.
async fn read(answer: Response<client::Body>) -> Answer {
    let (parts, mut body) = answer.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let is_stream = kind.starts_with(b"text/event-stream");
    let mut whole = BytesMut::new();
    while whole.len() < MAX_BYTES && !(is_stream && first_message(&whole).is_some()) {
        match tokio::time::timeout(PATIENCE, body.next_chunk()).await {
            Ok(Ok(Some(chunk))) => whole.extend_from_slice(&chunk),
            _ => break,
        }
    }
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: whole.freeze() }
}

/// The first JSON object among the events of a stream; an event that only primes the stream has none.
fn first_message(stream: &[u8]) -> Option<Value> {
    let mut events = Parser::new(MAX_BYTES).feed(stream).into_iter().flatten();
    events.find_map(|event| serde_json::from_str(&event.data).ok().filter(Value::is_object))
}

impl Answer {
    /// The first field of this name, if it is ASCII.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The seconds of `Retry-After`; of one that is a date, nothing.
    pub fn retry_after(&self) -> Option<Duration> {
        self.field("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }

    /// Every field of this name.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The JSON of the body, or of the first message of a stream.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().or_else(|| first_message(&self.body))
    }

    /// Whether it is the answer of something that speaks JSON-RPC.
    pub fn is_json_rpc(&self) -> bool {
        self.json().is_some_and(|body| body.get("jsonrpc").is_some())
    }

    /// Whether the body says that it is JSON.
    pub fn is_json(&self) -> bool {
        let kind = self.field("content-type").unwrap_or_default().to_ascii_lowercase();
        kind.starts_with("application/json") || kind.contains("+json")
    }

    /// Whether the answer is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Where a redirect leads.
    pub fn location(&self) -> Option<&str> {
        let redirects = (300..400).contains(&self.status);
        self.headers.get(LOCATION).filter(|_| redirects)?.to_str().ok()
    }

    /// The member `error` of the body: what went wrong, in OAuth's words.
    pub fn error(&self) -> Option<String> {
        self.json()?.get("error")?.as_str().map(str::to_owned)
    }

    /// The answer for a report, such as `400 invalid_grant` or `303 to https://app.example.com/callback`.
    pub fn shown(&self) -> String {
        match (self.error(), self.location()) {
            (Some(error), _) => format!("{} {}", self.status, printable(&error)),
            (None, Some(location)) => format!("{} to {}", self.status, without_query(location)),
            (None, None) => self.status.to_string(),
        }
    }
}

/// `url` as far as its path.
pub fn without_query(url: &str) -> String {
    printable(url.split(['?', '#']).next().unwrap_or_default())
}

/// At most 200 characters of `text`, without control characters.
pub fn printable(text: &str) -> String {
    crate::error::without_secrets(&crate::error::one_line(text, 200)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = fields.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Answer { status, headers: headers.collect(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn what_is_said_of_an_answer_has_no_secret() {
        let check = |answer: Answer, expected: &str| assert_eq!(answer.shown(), expected);
        check(answer(200, &[], r#"{"access_token":"x"}"#), "200");
        check(answer(400, &[], r#"{"error":"invalid_grant"}"#), "400 invalid_grant");
        check(
            answer(303, &[("location", "https://a.example/cb?code=secret#x")], ""),
            "303 to https://a.example/cb",
        );
        check(answer(200, &[("location", "https://a.example/cb")], ""), "200");
    }

    #[test]
    fn a_stream_has_its_first_message() {
        let check = |body: &str, expected: Option<&str>| {
            let found = answer(200, &[], body).json().map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{body}");
        };
        check("id: 1\ndata:\n\ndata: {\"a\":1}\n\n", Some(r#"{"a":1}"#));
        check(r#"{"a":1}"#, Some(r#"{"a":1}"#));
        check("<html>", None);
        check("id: 1\ndata:\n\n", None);
        check("event: message\ndata:{\"a\":\n", None);
        check("event: message\ndata:{\"a\":1}\n\n", Some(r#"{"a":1}"#));
    }
}
