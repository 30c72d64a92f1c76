//! Over HTTP: a proxy on loopback that passes everything on to one origin and notes it.
//!
//! It rewrites nothing but `Host`, and takes out `Accept-Encoding`, so that answers come readable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};

use super::{Head, Recorder};
use crate::client::{self, Client};
use crate::error::{Error, Result};
use crate::local::{Local, is_here};
use crate::protocol::framing::sse::Parser;
use crate::protocol::transcript::From;

/// The largest body of a request, and the most that is noted of one message, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long a server may take to answer: whoever is recorded decides when that is too long.
const PATIENCE: Duration = Duration::from_secs(600);
/// Headers that are about one connection and not passed on (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A proxy that listens.
pub struct Proxy {
    local: Local,
    target: Target,
    url: String,
}

#[derive(Clone)]
struct Target {
    client: Client,
    /// Scheme and authority, without a slash at the end.
    origin: Arc<str>,
    exchanges: Arc<AtomicU64>,
}

type Answer = Response<Either<Tap, Full<Bytes>>>;

impl Proxy {
    /// Listens on `address` for what is meant for the server at `url`; port 0 picks a free one.
    ///
    /// # Errors
    /// `Invalid` when `url` is no http or https URL, or `address` is reachable from elsewhere or taken; `Config` when
    /// the CA file cannot be read.
    pub async fn bind(address: SocketAddr, url: &str, ca_file: Option<PathBuf>) -> Result<Proxy> {
        let origin = origin_of(url)?;
        let client = Client::new(client::Options { ca_file, head: PATIENCE, ..client::Options::default() })?;
        let local = Local::bind(address).await?;
        let url = local.origin().to_owned() + url.strip_prefix(&*origin).unwrap_or_default();
        let target = Target { client, origin: origin.into(), exchanges: Arc::default() };
        Ok(Proxy { local, target, url })
    }

    /// What to give the client instead of the server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server listens: a connection and no more. It may be started later, so nobody need be stopped by it.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub fn probe(&self) -> impl Future<Output = Result<()>> + use<> {
        let (client, origin) = (self.target.client.clone(), self.target.origin.clone());
        async move { client.reach(&origin.parse().map_err(Error::internal)?).await }
    }

    /// Passes on and notes until dropped. Where the server cannot be reached its client gets HTTP 502 and why.
    pub async fn run(self, recorder: Recorder) {
        let target = self.target;
        self.local
            .serve(move |request| {
                let (target, recorder) = (target.clone(), recorder.clone());
                async move { target.pass(request, recorder).await }
            })
            .await;
    }
}

fn origin_of(url: &str) -> Result<String> {
    let wrong =
        || Error::invalid(format!("{url:?} is no URL of an MCP server, such as http://127.0.0.1:8080/mcp/."));
    let uri: Uri = url.parse().map_err(|e| wrong().because(e))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => Ok(format!("{scheme}://{authority}")),
        _ => Err(wrong()),
    }
}

impl Target {
    async fn pass(&self, request: Request<Incoming>, recorder: Recorder) -> Answer {
        // The server cannot look at this itself: it is told its own name.
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        if !is_here(host.unwrap_or_default()) {
            let text = "The recorder passes on requests for this machine alone: Host must be its address.";
            return refuse(StatusCode::FORBIDDEN, text.into());
        }
        let exchange = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BYTES).collect().await else {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "The recorder takes no body like this.".into());
        };
        let body = body.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (method, headers) = (Some(parts.method.to_string()), parts.headers.clone());
        let opens = parts.method == hyper::Method::GET;
        let head = Head { method, path: Some(path.clone()), status: None, headers };
        recorder.note(From::Client, Some(exchange), Some(head), body.clone());
        match self.forward(parts.method, &path, parts.headers, body).await {
            Ok(answer) => tapped(answer, recorder, exchange, opens),
            Err(error) => {
                let head = Head { status: Some(502), ..Head::default() };
                recorder.note(From::Server, Some(exchange), Some(head), error.public.clone().into());
                refuse(StatusCode::BAD_GATEWAY, error.public)
            }
        }
    }

    async fn forward(
        &self,
        method: hyper::Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<client::Body>> {
        let mut request = Request::new(body);
        strip(&mut headers);
        headers.remove(HOST);
        headers.remove(ACCEPT_ENCODING);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        *request.uri_mut() = format!("{}{path}", self.origin).parse().map_err(Error::internal)?;
        self.client.send(request).await
    }
}

/// Takes out what is about the connection, `Connection`'s own list included.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn refuse(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(text)));
    *answer.status_mut() = status;
    answer
}

/// The stream of a GET is noted at once, for nothing may ever come on it.
fn tapped(answer: Response<client::Body>, recorder: Recorder, exchange: u64, opens: bool) -> Answer {
    let (mut parts, body) = answer.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let seen = match kind.starts_with(b"text/event-stream") {
        true => Seen::Events(Box::new(Parser::new(MAX_BYTES))),
        false => Seen::Whole(BytesMut::new()),
    };
    let head =
        Head { status: Some(parts.status.as_u16()), headers: parts.headers.clone(), ..Head::default() };
    strip(&mut parts.headers);
    let mut tap = Tapped { recorder, exchange, head: Some(head), seen };
    if opens && matches!(tap.seen, Seen::Events(_)) {
        tap.line(Bytes::new());
    }
    Response::from_parts(parts, Either::Left(Tap { body, tap }))
}

/// The body of an answer on its way, noted as it passes.
struct Tap {
    body: client::Body,
    tap: Tapped,
}

impl Body for Tap {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.tap.note(data);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is noted of one answer; the rest of it when the answer has passed or the client has gone.
struct Tapped {
    recorder: Recorder,
    exchange: u64,
    /// Goes with the first line.
    head: Option<Head>,
    seen: Seen,
}

enum Seen {
    /// A body that is one message.
    Whole(BytesMut),
    /// A stream of events.
    Events(Box<Parser>),
}

impl Tapped {
    fn note(&mut self, data: &Bytes) {
        match &mut self.seen {
            Seen::Whole(body) => body.extend_from_slice(&data[..data.len().min(MAX_BYTES - body.len())]),
            Seen::Events(parser) => {
                for event in parser.feed(data) {
                    let data = event.map_or_else(|error| error.public, |event| event.data);
                    self.line(data.into());
                }
            }
        }
    }

    fn line(&mut self, body: Bytes) {
        let head = self.head.take();
        if head.is_some() || !body.is_empty() {
            self.recorder.note(From::Server, Some(self.exchange), head, body);
        }
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        let rest = match &mut self.seen {
            Seen::Whole(body) => body.split().freeze(),
            Seen::Events(_) => Bytes::new(),
        };
        self.line(rest);
    }
}
