//! A client of any MCP server, over HTTP or on stdio, in either era: for whatever tests a server from outside.
//!
//! It is no well-behaved client: it speaks well by default ([`Peer::ask`]), but lets its user send whatever bytes and
//! headers they like ([`Peer::raw`]) and gives all that came back, as it came. Everything has a time limit, and all
//! requests together have a number.

mod exchange;
mod http;
mod replies;
mod stdio;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

pub use self::exchange::{End, Exchange, Headers, Raw, Wait, same_id};
use self::http::Http;
use self::replies::Replies;
use self::stdio::Stdio;
use crate::client::{self, Client};
use crate::error::{Error, Kind, Result};

/// The largest message from a server, in bytes; also the most that is kept of one answer.
pub const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// The most messages that are read of one answer or stream: a server that goes on and on is broken off.
const MAX_MESSAGES: usize = 10_000;
/// The longest that all pauses together may take, which a server asked for.
const ALL_PAUSES: Duration = Duration::from_secs(30);
/// How long a stream may go on after the answer it was opened for.
const AFTER_ANSWER: Duration = Duration::from_millis(200);

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Target {
    /// The URL of its MCP endpoint.
    Url(String),
    /// The command that runs it on stdio, and its arguments.
    Command(Vec<OsString>),
}

/// How to talk to a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub target: Target,
    /// Fields of every HTTP request, such as `Authorization`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// One more file of certificate authorities to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The longest to wait for the end of one answer.
    pub patience: Duration,
    /// The longest to wait for the first answer of a process, which may take long to start, if that is longer.
    pub first: Duration,
    /// The longest pause that a server may ask for (`Retry-After`) to have what it refused with 429 or 503 sent once more;
    /// zero sends nothing twice.
    pub pause: Duration,
    /// The most messages and requests that are ever sent, by all peers made of these options.
    pub max_requests: usize,
}

impl Options {
    /// The options for `target`: no fields, 10 s for an answer and 30 s for the first, no pauses, 10,000 requests.
    pub fn new(target: Target) -> Options {
        let (patience, first) = (Duration::from_secs(10), Duration::from_secs(30));
        let (headers, ca_file, pause) = (Vec::new(), None, Duration::ZERO);
        Options { target, headers, ca_file, patience, first, pause, max_requests: 10_000 }
    }
}

impl Options {
    /// Whether a field is one that credentials come in, by its name.
    pub fn has_credential(&self) -> bool {
        const MARKS: [&str; 5] = ["auth", "key", "token", "cookie", "secret"];
        self.headers.iter().any(|(name, _)| MARKS.iter().any(|mark| name.as_str().contains(mark)))
    }
}

/// Makes peers of one server, which share connections and the count of requests.
#[derive(Clone)]
pub struct Dialler {
    options: Arc<Options>,
    place: Place,
    sent: Arc<AtomicUsize>,
    refused: Arc<Mutex<Refused>>,
}

/// What the server refused because it was asked too often.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refused {
    /// How many requests.
    pub count: usize,
    /// What it said to the first, in words.
    pub words: String,
    /// How long it was waited, in all.
    paused: Duration,
}

#[derive(Clone)]
enum Place {
    Http(Client, Uri),
    Command,
}

impl Dialler {
    /// Checks the options; sends and starts nothing.
    ///
    /// # Errors
    /// `Invalid` for a URL that is none; `Config` for a CA file that cannot be read.
    pub fn new(options: Options) -> Result<Dialler> {
        let place = match &options.target {
            Target::Command(_) => Place::Command,
            Target::Url(url) => Place::Http(client(&options)?, parse_url(url)?),
        };
        Ok(Dialler { options: Arc::new(options), place, sent: Arc::default(), refused: Arc::default() })
    }

    /// A peer that has said nothing yet; of a command, a process of its own.
    ///
    /// # Errors
    /// `Invalid` when the command cannot be started.
    pub fn dial(&self) -> Result<Peer> {
        let replies = Replies::default();
        let wire = match (&self.place, &self.options.target) {
            (Place::Http(client, url), _) => Wire::Http(Http {
                client: client.clone(),
                url: url.clone(),
                headers: self.options.headers.clone(),
                patience: self.options.patience,
                replies: replies.clone(),
            }),
            (Place::Command, Target::Command(command)) => {
                Wire::Stdio(Box::new(Stdio::spawn(command, &self.options, replies.clone())?))
            }
            (Place::Command, Target::Url(_)) => return Err(Error::internal("a URL is no command")),
        };
        Ok(Peer {
            wire,
            dialler: self.clone(),
            dialect: Dialect::Raw,
            replies,
            opening: Vec::new(),
            next_id: 0,
        })
    }

    /// The same, for processes that were started before and need no more time for their first answer than for others.
    #[must_use]
    pub fn hurried(&self) -> Dialler {
        let first = self.options.patience;
        Dialler { options: Arc::new(Options { first, ..(*self.options).clone() }), ..self.clone() }
    }

    /// The same with connections of its own, on which nothing was said yet.
    ///
    /// # Errors
    /// `Config` for a CA file that cannot be read.
    pub fn apart(&self) -> Result<Dialler> {
        let place = match &self.place {
            Place::Http(_, url) => Place::Http(client(&self.options)?, url.clone()),
            Place::Command => Place::Command,
        };
        Ok(Dialler { place, ..self.clone() })
    }

    /// How it talks.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How many messages and requests were sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// What was refused so far because it was asked too often.
    pub fn refused(&self) -> Refused {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long to wait before `exchange`, which the server refused for now, is tried once more.
    fn pause(&self, exchange: &Exchange) -> Option<Duration> {
        let pause = exchange.retry_after().filter(|pause| *pause <= self.options.pause)?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.paused += pause;
        (refused.paused <= ALL_PAUSES && !self.options.pause.is_zero()).then_some(pause)
    }

    fn note_refusal(&self, exchange: &Exchange) {
        let Some(words) = exchange.limit() else { return };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        if refused.words.is_empty() {
            refused.words = words;
        }
    }

    fn count(&self) -> Result<()> {
        let limit = self.options.max_requests;
        match self.sent.fetch_add(1, Ordering::Relaxed) < limit {
            true => Ok(()),
            false => Err(Error::new(Kind::TooMany, format!("More than {limit} requests are not sent."))),
        }
    }
}

fn client(options: &Options) -> Result<Client> {
    Client::new(client::Options {
        ca_file: options.ca_file.clone(),
        head: options.patience,
        connect: options.patience.min(Duration::from_secs(10)),
        public_only: false,
    })
}

fn parse_url(url: &str) -> Result<Uri> {
    let wrong =
        || Error::invalid(format!("{url:?} is no URL of an MCP server, such as https://a.example/mcp."));
    let uri: Uri = url.parse().map_err(|e| wrong().because(e))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some() => Ok(uri),
        _ => Err(wrong()),
    }
}

/// What a peer adds to its messages by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialect {
    /// Nothing.
    Raw,
    /// A session: what the handshake agreed on, and its id, where the server gave one.
    Legacy {
        /// The revision that the server chose.
        revision: String,
        /// The value of `MCP-Session-Id`.
        session: Option<HeaderValue>,
    },
    /// `_meta` in each request, and the headers that repeat the body.
    Modern {
        /// The revision of each request.
        revision: String,
        /// The capabilities that each request declares.
        capabilities: Value,
    },
}

enum Wire {
    Http(Http),
    Stdio(Box<Stdio>),
}

/// One conversation with a server.
pub struct Peer {
    wire: Wire,
    dialler: Dialler,
    dialect: Dialect,
    replies: Replies,
    /// What opened the session, so that it can be shown how to open it again.
    opening: Vec<Exchange>,
    next_id: i64,
}

impl Peer {
    /// From now on each request is of the modern era, at `revision`, and declares `capabilities` (an object).
    pub fn speak_modern(&mut self, revision: &str, capabilities: Value) {
        self.dialect = Dialect::Modern { revision: revision.into(), capabilities };
        self.opening.clear();
    }

    /// From now on it adds to its messages what `dialect` says: for whoever sends a handshake of their own.
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Answers the server's next request of `method` with `outcome`, an object with `result` or `error`.
    pub fn will_answer(&mut self, method: &str, outcome: Value) {
        self.replies.add(method, outcome);
    }

    /// Forgets the answers that [`Peer::will_answer`] laid ready and the server did not ask for.
    pub fn forget_answers(&mut self) {
        self.replies.clear();
    }

    /// The legacy handshake: asks for `version` and, when the server agrees on one, says `notifications/initialized`.
    /// What came of `initialize` is given whatever it is; `dialect` tells whether there is a session now.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub async fn shake_hands(&mut self, version: &str, capabilities: Value) -> Result<Exchange> {
        self.dialect = Dialect::Raw;
        self.opening.clear();
        let params =
            json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client_info()});
        let asked = self.ask("initialize", params).await?;
        let revision =
            asked.result().and_then(|result| result.get("protocolVersion")).and_then(Value::as_str);
        if let Some(revision) = revision {
            let session = asked.headers.get("mcp-session-id").cloned();
            self.dialect = Dialect::Legacy { revision: revision.to_owned(), session };
            let told = self.tell("notifications/initialized", Value::Null).await?;
            self.opening = vec![asked.clone(), told];
        }
        Ok(asked)
    }

    /// What the peer adds by itself.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Whether the server is a process of ours.
    pub fn is_stdio(&self) -> bool {
        matches!(self.wire, Wire::Stdio(_))
    }

    /// Counts an exchange among those that led to the state of things, as the handshake did.
    pub fn remember(&mut self, exchange: Exchange) {
        self.opening.push(exchange);
    }

    /// The exchanges of the handshake, and what else led to the state of things; empty where there was none.
    pub fn opening(&self) -> &[Exchange] {
        &self.opening
    }

    /// The request of `method`, with an id of its own and all that the dialect adds. `params` null are left out.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut message = self.notification(method, params);
        if let Value::Object(members) = &mut message {
            members.insert("id".into(), self.next_id.into());
        }
        message
    }

    /// The notification of `method`, with all that the dialect adds. `params` null are left out.
    pub fn notification(&self, method: &str, mut params: Value) -> Value {
        if let Dialect::Modern { revision, capabilities } = &self.dialect {
            if params.is_null() {
                params = Value::Object(Map::new());
            }
            if let Value::Object(members) = &mut params {
                let meta = members.entry("_meta").or_insert_with(|| json!({}));
                for (name, value) in self::meta(revision, capabilities) {
                    meta.as_object_mut().map(|meta| meta.entry(name).or_insert(value));
                }
            }
        }
        let mut message = json!({"jsonrpc": "2.0", "method": method});
        if let (Value::Object(members), false) = (&mut message, params.is_null()) {
            members.insert("params".into(), params);
        }
        message
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off. That it does not answer in time is no error: see
    /// [`Exchange::end`].
    pub async fn ask(&mut self, method: &str, params: Value) -> Result<Exchange> {
        let message = self.request(method, params);
        self.send(&message).await
    }

    /// Tells; on HTTP it waits for the status, on stdio for nothing.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub async fn tell(&mut self, method: &str, params: Value) -> Result<Exchange> {
        let message = self.notification(method, params);
        self.send(&message).await
    }

    /// Sends a message as it is, with the headers that it should have, and waits for the answer if it is a request.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub async fn send(&mut self, message: &Value) -> Result<Exchange> {
        let raw = self.post(message);
        self.raw(raw).await
    }

    /// The POST of `message`, with the headers that it should have, to be distorted. On stdio the body is the line.
    pub fn post(&self, message: &Value) -> Raw {
        let wait = match message.get("id") {
            Some(id) if message.get("method").is_some() => Wait::Answer(id.clone()),
            _ => Wait::None,
        };
        Raw {
            method: "POST".into(),
            headers: self.headers_of(message),
            body: message.to_string().into(),
            wait,
            url: None,
        }
    }

    fn headers_of(&self, message: &Value) -> Headers {
        let mut headers = Headers::default();
        headers.set("content-type", "application/json");
        headers.set("accept", "application/json, text/event-stream");
        match &self.dialect {
            Dialect::Raw => {}
            Dialect::Legacy { .. } => headers.extend(&self.session_headers()),
            Dialect::Modern { .. } => http::repeat(message, &mut headers),
        }
        headers
    }

    /// The headers of every request of the session.
    pub fn session_headers(&self) -> Headers {
        let mut headers = Headers::default();
        if let Dialect::Legacy { revision, session } = &self.dialect {
            headers.set("mcp-protocol-version", revision);
            if let Some(session) = session {
                headers.set_bytes("mcp-session-id", session.as_bytes());
            }
        }
        headers
    }

    /// Sends these bytes with these headers; on HTTP once more where the server redirects within its origin (307, 308), and
    /// [`Raw::url`] of what was sent then says where to. On stdio the body is written as one line, and method and headers say
    /// nothing. What the server asks in the meantime is refused, but for `ping` and what [`Peer::will_answer`] laid ready.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off, or a header cannot be sent at all.
    pub async fn raw(&mut self, raw: Raw) -> Result<Exchange> {
        self.raw_beside(raw, Vec::new()).await
    }

    /// The same, and reads `open` meanwhile: what the server asks there is answered too, for it may wait for that. All that
    /// came is for [`Peer::hear`].
    ///
    /// # Errors
    /// Those of [`Peer::raw`].
    pub async fn raw_beside(&mut self, raw: Raw, open: Vec<&mut Listening>) -> Result<Exchange> {
        self.dialler.count()?;
        let session = self.session_headers();
        let mut streams: Vec<_> = open.into_iter().map(|listening| &mut listening.0).collect();
        let http = match &mut self.wire {
            Wire::Http(http) => http,
            Wire::Stdio(stdio) => return stdio.exchange(raw).await,
        };
        // In boxes, for whoever calls this holds the whole of it, and calls it from deep within.
        let mut exchange = http.beside(Box::pin(http.exchange(raw, &session)), &mut streams).await?;
        if exchange.limit().is_some()
            && let Some(pause) = self.dialler.pause(&exchange)
        {
            tokio::time::sleep(pause).await;
            self.dialler.count()?;
            exchange = http.beside(Box::pin(http.exchange(exchange.sent, &session)), &mut streams).await?;
        }
        self.dialler.note_refusal(&exchange);
        Ok(exchange)
    }

    /// Opens a stream that the server writes to by itself: by `message` if there is one (`subscriptions/listen`), or
    /// else by GET. On stdio nothing but the message is sent, for what is told there comes anyway.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub async fn listen(&mut self, message: Option<&Value>) -> Result<Listening> {
        self.dialler.count()?;
        let get = || {
            let headers = self.session_headers().with("accept", "text/event-stream");
            Raw { method: "GET".into(), headers, ..Raw::default() }
        };
        let raw = message.map_or_else(get, |message| self.post(message));
        let stream = match (&mut self.wire, message) {
            (Wire::Http(http), _) => {
                let stream = http.open(raw).await?;
                self.dialler.note_refusal(&stream.exchange);
                stream
            }
            (Wire::Stdio(stdio), Some(_)) => stdio.tell(raw).await?.into(),
            (Wire::Stdio(_), None) => Exchange::default().into(),
        };
        Ok(Listening(stream))
    }

    /// The next message on the stream within `patience`; `None` when none came or the stream ended. What came is noted
    /// in the stream's exchange too, and what the server asks there is answered as [`Peer::raw`] does.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn hear(&mut self, listening: &mut Listening, patience: Duration) -> Result<Option<Value>> {
        match &mut self.wire {
            Wire::Http(http) => {
                let heard = listening.0.next(patience).await;
                Box::pin(http.answer_on(&mut listening.0)).await;
                heard
            }
            Wire::Stdio(stdio) => {
                if let Some(early) = listening.0.early() {
                    return Ok(Some(early));
                }
                if listening.exchange().messages.len() >= MAX_MESSAGES {
                    return Ok(None);
                }
                let heard = stdio.next(patience).await;
                listening.0.exchange.messages.extend(heard.clone());
                Ok(heard)
            }
        }
    }

    /// Lines on stdout that were no JSON; empty on HTTP.
    pub fn strays(&self) -> &[String] {
        match &self.wire {
            Wire::Http(_) => &[],
            Wire::Stdio(stdio) => &stdio.strays,
        }
    }

    /// The first of them that is not blank, quoted for people.
    pub fn printed(&self) -> Option<String> {
        self.strays()
            .iter()
            .map(|line| line.trim())
            .find(|line| !line.is_empty())
            .map(crate::protocol::rpc::quote)
    }

    /// What the process wrote to stderr last, for people: its last lines, and the one before them that names an error, each
    /// indented. Waits half a second for something to come. `None` where nothing did, and on HTTP.
    pub async fn last_words(&self) -> Option<String> {
        let Wire::Stdio(stdio) = &self.wire else { return None };
        for _ in 0..25 {
            if !stdio.stderr().trim().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stdio::last_words(&stdio.stderr())
    }

    /// Whether the server is a process that has ended, or closed its stdout.
    pub fn has_gone(&self) -> bool {
        matches!(&self.wire, Wire::Stdio(stdio) if stdio.has_gone())
    }

    /// Ends the conversation: DELETE for a session, the end of stdin for a process, of which it says whether it ended
    /// by itself within `patience`. A process that did not is killed. `None` on HTTP.
    pub async fn close(mut self, patience: Duration) -> Option<bool> {
        let has_session = matches!(&self.dialect, Dialect::Legacy { session: Some(_), .. });
        if has_session && !self.is_stdio() {
            let raw = Raw { method: "DELETE".into(), headers: self.session_headers(), ..Raw::default() };
            let _ = self.raw(raw).await;
        }
        match self.wire {
            Wire::Http(_) => None,
            Wire::Stdio(stdio) => Some(stdio.close(patience).await),
        }
    }
}

/// A stream that the server writes to by itself. To drop it closes it.
pub struct Listening(http::Stream);

impl Listening {
    /// What opened it, and all that came.
    pub fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    /// Whether the server ended it.
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

/// Who this client is.
pub fn client_info() -> Value {
    json!({"name": "chaterimo", "version": env!("CARGO_PKG_VERSION")})
}

/// What a modern request says of itself in `_meta`.
pub fn meta(revision: &str, capabilities: &Value) -> Map<String, Value> {
    let ours = [
        ("io.modelcontextprotocol/protocolVersion", json!(revision)),
        ("io.modelcontextprotocol/clientInfo", client_info()),
        ("io.modelcontextprotocol/clientCapabilities", capabilities.clone()),
    ];
    ours.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}
