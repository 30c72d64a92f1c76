//! Answers: the body type, the fields that every answer has, and refusals in words.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::stream::Stream;
use crate::error::Error;

/// An answer to one request.
pub type Answer = hyper::Response<Payload>;

/// What an answer carries.
pub enum Payload {
    /// All of it, sent in one write with the head.
    Whole(Bytes),
    /// Events, as they come.
    Stream(Box<Stream>),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Payload::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Payload::Stream(stream) => stream.poll_next(cx).map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::Stream(_) => SizeHint::default(),
        }
    }
}

/// JSON with the fields that every answer has.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = Payload::Whole(body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Payload::Whole(Bytes::new()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The answer with another status.
pub(super) fn with_status(mut answer: Answer, status: StatusCode) -> Answer {
    *answer.status_mut() = status;
    answer
}

/// The fields of a stream of events: nothing between us and the client may hold them back or change them.
pub(super) fn stream(stream: Stream) -> Answer {
    let mut answer = empty(StatusCode::OK);
    *answer.body_mut() = Payload::Stream(Box::new(stream));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer
}

/// The way to another page of ours, by GET (RFC 9110, section 15.4.4).
pub(super) fn see_other(location: &str) -> Answer {
    let mut answer = empty(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Has an answer wait before it is sent.
#[derive(Clone, Copy)]
pub(super) struct Late(pub Duration);

/// Has the browser keep a cookie.
pub(super) fn set_cookie(answer: &mut Answer, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// How a refusal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `{"error": code, "message": text}`.
    Plain,
    /// A JSON-RPC error without id, for MCP endpoints.
    Rpc,
    /// `{"error": code, "error_description": text}` (RFC 6749, section 5.2).
    OAuth,
    /// A page for people.
    Page,
}

/// A request that is turned away before it reaches what it asks for.
#[derive(Debug)]
pub struct Refusal {
    pub(super) status: StatusCode,
    code: &'static str,
    text: Cow<'static, str>,
    field: Option<(HeaderName, HeaderValue)>,
    closes: bool,
}

impl Refusal {
    /// `text` says what to do.
    pub fn new(status: u16, code: &'static str, text: impl Into<Cow<'static, str>>) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal { status, code, text: text.into(), field: None, closes: false }
    }

    /// A refusal after which the connection cannot be used.
    pub(super) fn closing(status: u16, code: &'static str, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { closes: true, ..Refusal::new(status, code, text) }
    }

    /// What is answered for all that is not there, and for all that is another's.
    pub(super) fn not_found() -> Refusal {
        Refusal::new(
            404,
            "not_found",
            "There is nothing here. It may have been removed, or the link is wrong.",
        )
    }

    /// No refusal of the person, but of this page: the way to another.
    pub(super) fn see_other(location: &str) -> Refusal {
        Refusal::new(303, "see_other", "").with(header::LOCATION, location)
    }

    /// With one more field; a value that no field can have is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Refusal {
        self.field = HeaderValue::from_str(value).ok().map(|value| (name, value));
        self
    }

    /// The nearest word that OAuth has for it.
    fn oauth_code(&self) -> &'static str {
        match self.status.as_u16() {
            503 => "temporarily_unavailable",
            500.. => "server_error",
            _ => "invalid_request",
        }
    }

    /// The answer to a request for `path`, as the table of routes spells it.
    pub fn answer(self, style: Style, path: &str) -> Answer {
        let mut answer = match style {
            _ if self.status.is_redirection() => empty(self.status),
            Style::Plain => json(self.status, json!({"error": self.code, "message": self.text}).to_string()),
            Style::Rpc => {
                let code = if self.status.is_server_error() { -32603 } else { -32600 };
                let error = json!({"code": code, "message": self.text});
                json(self.status, json!({"jsonrpc": "2.0", "error": error}).to_string())
            }
            Style::OAuth => {
                let body = json!({"error": self.oauth_code(), "error_description": self.text});
                json(self.status, body.to_string())
            }
            Style::Page => super::pages::refused(self.status, self.code, &self.text, path),
        };
        if let Some((name, value)) = self.field {
            answer.headers_mut().insert(name, value);
        }
        if self.closes {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// An error of ours: its text to whoever asked, its cause to the log.
impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        if error.kind.http_status() >= 500 {
            tracing::error!(?error, "a request could not be answered");
        }
        Refusal::new(error.kind.http_status(), "failed", error.public)
    }
}

/// Lets pages of `origin` read the answer (Fetch standard, section 3.2).
pub(super) fn allow_origin(headers: &mut HeaderMap, origin: &str) {
    if let Ok(origin) = HeaderValue::from_str(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let exposed = HeaderValue::from_static("Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Lets every page read the answer; for documents that are public.
pub(super) fn allow_all_origins(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
