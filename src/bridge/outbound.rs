//! A message on its way to the server, and the HTTP request that carries it.

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request};

use super::Bridge;
use super::legacy::Session;
use crate::error::{Error, Result};
use crate::protocol::framing::{encode, name_member};
use crate::protocol::rpc::{Id, Message};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Where a legacy server keeps its session.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const AGENT: &str = concat!("chaterimo-bridge/", env!("CARGO_PKG_VERSION"));

/// A message (or a batch) from stdin.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    /// The line as it came.
    pub(super) body: Bytes,
    /// The requests in it, which want an answer.
    pub(super) ids: Vec<Id>,
    /// What its headers repeat of it; none in the legacy era.
    modern: Option<Repeated>,
}

/// What the headers of a modern request repeat of its body.
#[derive(Clone, Debug)]
struct Repeated {
    version: String,
    method: String,
    name: Option<String>,
}

impl Outbound {
    pub(super) fn one(body: Bytes, message: &Message) -> Outbound {
        Outbound { body, ids: id_of(message).into_iter().collect(), modern: Repeated::of(message) }
    }

    /// Only the legacy era has batches.
    pub(super) fn batch(body: Bytes, messages: &[Message]) -> Outbound {
        Outbound { body, ids: messages.iter().filter_map(id_of).collect(), modern: None }
    }

    /// A notification of the bridge's own, in the legacy era.
    pub(super) fn notification(body: Bytes) -> Outbound {
        Outbound { body, ids: Vec::new(), modern: None }
    }

    /// Whether it says all about itself, so that it belongs to no session.
    pub(super) fn is_modern(&self) -> bool {
        self.modern.is_some()
    }

    /// Whether its answer is a stream that stays open.
    pub(super) fn is_endless(&self) -> bool {
        self.modern.as_ref().is_some_and(|repeated| repeated.method == "subscriptions/listen")
    }
}

impl Repeated {
    fn of(message: &Message) -> Option<Repeated> {
        let (Message::Request { method, params, .. } | Message::Notification { method, params }) = message
        else {
            return None;
        };
        let version = params.version()?;
        let name = name_member(method).and_then(|member| params.get(member)?.as_str());
        Some(Repeated { version: version.into(), method: method.clone(), name: name.map(str::to_owned) })
    }
}

fn id_of(message: &Message) -> Option<Id> {
    match message {
        Message::Request { id, .. } => Some(id.clone()),
        _ => None,
    }
}

impl Bridge {
    /// The POST of `outbound`; in the legacy era it belongs to `session`, if there is one.
    pub(super) fn post(&self, outbound: &Outbound, session: Option<&Session>) -> Result<Request<Bytes>> {
        let mut request = self
            .request(Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if let Some(repeated) = &outbound.modern {
            request = request
                .header(PROTOCOL_VERSION, &*encode(&repeated.version))
                .header(MCP_METHOD, &*encode(&repeated.method));
            if let Some(name) = &repeated.name {
                request = request.header(MCP_NAME, &*encode(name));
            }
        } else if let Some(session) = session {
            request = in_session(request, session);
        }
        finished(request, outbound.body.clone())
    }

    /// The GET of the session's stream of notifications, or of what followed `last_event_id` on a stream that broke.
    pub(super) fn get(&self, session: &Session, last_event_id: Option<&str>) -> Result<Request<Bytes>> {
        let mut request = in_session(self.request(Method::GET).header(ACCEPT, "text/event-stream"), session);
        if let Some(id) = last_event_id {
            request = request.header(LAST_EVENT_ID, id);
        }
        finished(request, Bytes::new())
    }

    /// The DELETE that ends the session.
    pub(super) fn delete(&self, session: &Session) -> Result<Request<Bytes>> {
        finished(in_session(self.request(Method::DELETE), session), Bytes::new())
    }

    fn request(&self, method: Method) -> Builder {
        let request = Request::builder().method(method).uri(self.url.clone()).header(USER_AGENT, AGENT);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }
}

fn in_session(request: Builder, session: &Session) -> Builder {
    let request = request.header(PROTOCOL_VERSION, &session.revision);
    match &session.id {
        Some(id) => request.header(SESSION_ID, id),
        None => request,
    }
}

fn finished(request: Builder, body: Bytes) -> Result<Request<Bytes>> {
    request
        .body(body)
        .map_err(|e| Error::invalid("A value of the message cannot be sent in a header.").because(e))
}

/// The session id that a server gave with its answer.
pub(super) fn session_id(value: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut id = value?.clone();
    id.set_sensitive(true);
    Some(id)
}
