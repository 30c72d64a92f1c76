//! Over HTTP: each message a POST, answers as JSON or as events.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use serde_json::Value;

use super::exchange::{End, Exchange, Headers, Raw, Wait};
use super::replies::Replies;
use super::{AFTER_ANSWER, MAX_MESSAGE, MAX_MESSAGES};
use crate::client::{Body, Client};
use crate::clock;
use crate::error::{Error, Result};
use crate::protocol::framing::sse::Parser;
use crate::protocol::framing::{encode, name_member};
use crate::protocol::rpc::{is_request, is_response};

const SESSION_ID: &str = "mcp-session-id";
const AGENT: &str = concat!("chaterimo-peer/", env!("CARGO_PKG_VERSION"));
/// How often a legacy stream that broke before its answer is taken up again.
const RESUMPTIONS: usize = 5;
/// The longest pause before that, whatever the server wants.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Http {
    pub(super) client: Client,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) patience: Duration,
    pub(super) replies: Replies,
}

impl Http {
    /// Sends, and reads what was waited for; what the server asks in the meantime is answered with `session`.
    pub(super) async fn exchange(&self, raw: Raw, session: &Headers) -> Result<Exchange> {
        let deadline = clock::instant() + self.patience;
        let mut stream = self.open(raw).await?;
        for _ in 0..RESUMPTIONS {
            self.read(&mut stream, session, deadline).await?;
            let Some(last) = stream.to_resume(session) else { break };
            let pause = stream.retry.unwrap_or_default().min(LONGEST_PAUSE);
            tokio::time::sleep(pause).await;
            let headers = session.clone().with("accept", "text/event-stream").with("last-event-id", &last);
            let get = Raw {
                method: "GET".into(),
                headers,
                wait: stream.exchange.sent.wait.clone(),
                ..Raw::default()
            };
            let next = self.open(get).await?;
            if next.body.is_none() {
                break;
            }
            stream.take_up(next);
        }
        Ok(stream.exchange)
    }

    async fn read(&self, stream: &mut Stream, session: &Headers, deadline: std::time::Instant) -> Result<()> {
        while stream.wants_more() {
            let left = deadline.saturating_duration_since(clock::instant());
            let heard = stream.next(left).await?;
            self.answer(stream, session).await?;
            if heard.is_none() {
                return Ok(());
            }
        }
        stream.finish().await;
        Ok(())
    }

    /// Answers what was asked on `stream`, with the fields of `session`.
    async fn answer(&self, stream: &mut Stream, session: &Headers) -> Result<()> {
        while let Some(question) = stream.asked.pop_front() {
            let reply = self.replies.to(&question);
            let mut headers = session
                .clone()
                .with("content-type", "application/json")
                .with("accept", "application/json, text/event-stream");
            // A server may ping before it has answered initialize, whose answer gives the session its id.
            if let Some(id) = stream.exchange.headers.get(SESSION_ID) {
                headers.set_bytes(SESSION_ID, id.as_bytes());
            }
            let raw =
                Raw { method: "POST".into(), headers, body: reply.to_string().into(), ..Raw::default() };
            self.open(raw).await?;
        }
        Ok(())
    }

    /// Answers what was asked on a stream that the server writes to by itself, in the session of that stream. That it
    /// takes no answer is no error of the stream.
    pub(super) async fn answer_on(&self, stream: &mut Stream) {
        let mut session = Headers::default();
        for name in ["mcp-protocol-version", SESSION_ID] {
            if let Some(value) = stream.exchange.sent.headers.get(name) {
                session.set(name, value);
            }
        }
        let _ = self.answer(stream, &session).await;
    }

    /// Reads `streams` as long as `under_way` is, and answers what is asked there: an answer may depend on it.
    pub(super) async fn beside<T>(
        &self,
        mut under_way: Pin<Box<impl Future<Output = T>>>,
        streams: &mut [&mut Stream],
    ) -> T {
        loop {
            tokio::select! {
                biased;
                done = &mut under_way => return done,
                // What is said of an answer is awaited in any case: who breaks off may not have been heard.
                place = any(streams) => if let Some(stream) = streams.get_mut(place) {
                    Box::pin(self.answer_on(stream)).await;
                },
            }
        }
    }

    /// Sends: a body that is no stream is read whole, a stream is left to be read.
    pub(super) async fn open(&self, mut raw: Raw) -> Result<Stream> {
        let mut answer = self.client.send(self.request(&raw)?).await?;
        if let Some(url) = self.moved(&raw, &answer)? {
            raw.url = Some(url);
            answer = self.client.send(self.request(&raw)?).await?;
        }
        Stream::of(answer, raw, self.patience).await
    }

    /// Where the server wants the same request sent, such as to /mcp/ instead of /mcp (RFC 9110, 15.4.8). Never to another
    /// origin, which must not come by the credentials.
    fn moved(&self, raw: &Raw, answer: &Response<Body>) -> Result<Option<String>> {
        let here = self.uri(raw)?;
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()?.parse::<Uri>().ok());
        let to = to.filter(|_| [307, 308].contains(&answer.status().as_u16()));
        let is_here = |to: &Uri| {
            let known = |authority: &str| {
                Some(authority) == here.authority().map(|own| own.as_str())
                    || Some(authority) == raw.headers.get("host")
            };
            to.authority().is_none_or(|authority| known(authority.as_str()))
                && to.scheme().is_none_or(|scheme| Some(scheme) == here.scheme())
        };
        Ok(to.filter(is_here).and_then(|to| {
            Some(format!("{}://{}{}", here.scheme_str()?, here.authority()?, to.path_and_query()?))
        }))
    }

    fn uri(&self, raw: &Raw) -> Result<Uri> {
        raw.url.as_deref().map_or_else(|| Ok(self.url.clone()), super::parse_url)
    }

    fn request(&self, raw: &Raw) -> Result<Request<Bytes>> {
        let wrong = |e: hyper::http::Error| Error::invalid("A header field cannot be sent.").because(e);
        let method = Method::from_bytes(raw.method.as_bytes()).map_err(|e| wrong(e.into()))?;
        let uri = self.uri(raw)?;
        let mut request = Request::builder().method(method).uri(uri).header(USER_AGENT, AGENT);
        for (name, value) in &self.headers {
            if raw.headers.get(name.as_str()).is_none() {
                request = request.header(name, value);
            }
        }
        for (name, value) in &raw.headers.0 {
            request = request.header(name, value.as_slice());
        }
        request.body(raw.body.clone()).map_err(wrong)
    }
}

/// What headers repeat of a modern message (MCP 2026-07-28, "Request Metadata").
pub(super) fn repeat(message: &Value, headers: &mut Headers) {
    let params = message.get("params");
    let version = params.and_then(|params| params.pointer("/_meta/io.modelcontextprotocol~1protocolVersion"));
    if let Some(version) = version.and_then(Value::as_str) {
        headers.set("mcp-protocol-version", &encode(version));
    }
    let Some(method) = message.get("method").and_then(Value::as_str) else { return };
    headers.set("mcp-method", &encode(method));
    let name = name_member(method).and_then(|member| params?.get(member)?.as_str());
    if let Some(name) = name {
        headers.set("mcp-name", &encode(name));
    }
}

/// Waits until something came on one of `streams`: on which. For ever where nothing can come. Safe to cancel.
async fn any(streams: &mut [&mut Stream]) -> usize {
    poll_fn(|cx| {
        let mut streams = streams.iter_mut();
        let place = streams.position(|stream| !stream.has_ended() && pin!(stream.fill()).poll(cx).is_ready());
        place.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// An answer under way.
pub(super) struct Stream {
    pub(super) exchange: Exchange,
    body: Option<(Body, Parser)>,
    /// What came and was not given yet.
    ready: VecDeque<Value>,
    /// What the server asked and was not answered yet.
    asked: VecDeque<Value>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

impl From<Exchange> for Stream {
    fn from(exchange: Exchange) -> Stream {
        let ready = exchange.messages.iter().cloned().collect();
        Stream { exchange, body: None, ready, asked: VecDeque::new(), last_event_id: None, retry: None }
    }
}

impl Stream {
    async fn of(answer: Response<Body>, sent: Raw, patience: Duration) -> Result<Stream> {
        let (head, body) = answer.into_parts();
        let status = Some(head.status.as_u16());
        let mut exchange = Exchange { sent, status, headers: head.headers, ..Exchange::default() };
        if exchange.media_type() == "text/event-stream" {
            let body = Some((body, Parser::new(MAX_MESSAGE)));
            return Ok(Stream { body, ..Stream::from(exchange) });
        }
        match tokio::time::timeout(patience, body.collect(MAX_MESSAGE)).await {
            Ok(Ok(whole)) => exchange.body = whole.to_vec(),
            Ok(Err(_)) => exchange.end = End::Broken,
            Err(_) => exchange.end = End::TimedOut,
        }
        if let Ok(value) = serde_json::from_slice::<Value>(&exchange.body) {
            exchange.take(value);
        }
        exchange.messages.retain(is_message);
        let mut stream = Stream::from(exchange);
        stream.ready.clear();
        Ok(stream)
    }

    /// The next message within `patience`; `None` when there is none, and then the exchange says why.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Value>> {
        let deadline = clock::instant() + patience;
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            if self.has_ended() {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(clock::instant());
            // A server that sends something all the time does not let the time run out by itself.
            let filled = match left.is_zero() {
                true => None,
                false => tokio::time::timeout(left, self.fill()).await.ok(),
            };
            let Some(filled) = filled else {
                self.exchange.end = End::TimedOut;
                return Ok(None);
            };
            filled?;
        }
    }

    /// Reads what comes next, or that nothing more can. Safe to cancel.
    async fn fill(&mut self) -> Result<()> {
        if self.exchange.messages.len() >= MAX_MESSAGES {
            (self.exchange.end, self.body) = (End::Broken, None);
        }
        let Some((body, parser)) = &mut self.body else { return Ok(()) };
        let chunk = match body.next_chunk().await {
            Ok(Some(chunk)) => chunk,
            end => {
                self.exchange.end = if end.is_ok() { End::Whole } else { End::Broken };
                self.body = None;
                return Ok(());
            }
        };
        if self.exchange.body.len() < MAX_MESSAGE {
            self.exchange.body.extend_from_slice(&chunk);
        }
        self.retry = retry_in(&chunk).or(self.retry);
        for event in parser.feed(&chunk) {
            let event = event?;
            // An event with a name of its own, such as a heartbeat, need be no message.
            let is_ours = event.is_message();
            self.last_event_id = event.id.or(self.last_event_id.take());
            if let Ok(value) = serde_json::from_str::<Value>(&event.data)
                && (is_ours || is_message(&value))
            {
                self.take(value);
            }
        }
        Ok(())
    }

    fn take(&mut self, value: Value) {
        let before = self.exchange.messages.len();
        self.exchange.take(value);
        let came = self.exchange.messages.iter().skip(before);
        self.asked.extend(came.clone().filter(|message| is_request(message)).cloned());
        self.ready.extend(came.cloned());
    }

    /// Whether something that came is not looked at yet, or what is waited for did not come.
    fn wants_more(&self) -> bool {
        let exchange = &self.exchange;
        !self.ready.is_empty() || exchange.answer.is_none() || exchange.sent.wait == Wait::None
    }

    /// After the answer: reads on for a moment, to see whether the server ends the stream.
    async fn finish(&mut self) {
        let deadline = clock::instant() + AFTER_ANSWER;
        while self.body.is_some() {
            let left = deadline.saturating_duration_since(clock::instant());
            if !matches!(self.next(left).await, Ok(Some(_))) {
                break;
            }
        }
        if self.body.take().is_some() {
            self.exchange.end = End::LeftOpen;
        }
    }

    /// Where to take up a legacy stream that ended before its answer.
    fn to_resume(&self, session: &Headers) -> Option<String> {
        let waits = matches!(self.exchange.sent.wait, Wait::Answer(_)) && self.exchange.answer.is_none();
        let broke = self.body.is_none() && matches!(self.exchange.end, End::Whole | End::Broken);
        (waits && broke && !session.0.is_empty()).then(|| self.last_event_id.clone())?
    }

    fn take_up(&mut self, next: Stream) {
        self.body = next.body;
        self.last_event_id = next.last_event_id.or(self.last_event_id.take());
    }

    /// What has come and was not given yet.
    pub(super) fn early(&mut self) -> Option<Value> {
        self.ready.pop_front()
    }

    /// Whether nothing more can come.
    pub(super) fn has_ended(&self) -> bool {
        self.body.is_none()
    }
}

/// Whether it is meant as a message: also one that forgets to name JSON-RPC, unlike the errors of OAuth.
fn is_message(value: &Value) -> bool {
    value.get("jsonrpc").is_some() || (value.get("id").is_some() && is_response(value))
}

/// The pause that a stream asks for, when it stands whole in one chunk.
fn retry_in(chunk: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(chunk).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("retry:"))?;
    line.trim().parse().ok().map(Duration::from_millis)
}
