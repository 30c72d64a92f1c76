//! A replay over Streamable HTTP, in both eras: POST, the legacy era's GET and DELETE, and its session ids.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Method, Request};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::answer::{Answer, Events, empty, events, fault, json, text};
use super::player::{Form, Player, Reply};
use crate::error::Result;
use crate::local::{Local, is_here};
use crate::protocol::framing::sse;
use crate::protocol::revision::{Revision, names_modern};
use crate::protocol::rpc::{INVALID_REQUEST, PARSE_ERROR};
use crate::protocol::transcript::Transcript;

/// The largest body of a request, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Sessions that are remembered; one more takes the place of them all.
const MAX_SESSIONS: usize = 1_000;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// A replay that listens.
pub struct Server {
    local: Local,
    stage: Stage,
    url: String,
}

impl Server {
    /// Listens on `address`, port 0 for any, and plays `transcript` to whoever comes.
    ///
    /// # Errors
    /// `Invalid` when `address` is reachable from elsewhere, or taken.
    pub async fn bind(address: SocketAddr, transcript: &Transcript, strict: bool) -> Result<Server> {
        let local = Local::bind(address).await?;
        let player = Player::new(transcript, strict);
        let url = format!("{}{}", local.origin(), player.path().unwrap_or("/mcp"));
        let gives_sessions = !player.is_without_sessions(transcript.header.transport);
        let shared =
            Shared { player, sinks: HashMap::new(), sessions: HashMap::new(), opened: 0, gives_sessions };
        Ok(Server { local, stage: Stage(Arc::new(Mutex::new(shared))), url })
    }

    /// Where the client finds it: the recorded path on this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is told of at the end.
    pub fn stage(&self) -> Stage {
        self.stage.clone()
    }

    /// Answers until dropped; `tell` hears what the client says that the recording has not.
    pub async fn run(self, tell: impl Fn(&str) + Clone + Send + 'static) {
        let stage = self.stage;
        self.local
            .serve(move |request| {
                let (stage, tell) = (stage.clone(), tell.clone());
                async move {
                    let answer = stage.answer(request).await;
                    let news = stage.lock().player.news();
                    news.iter().for_each(|text| tell(text));
                    answer
                }
            })
            .await;
    }
}

/// The replay under way, shared by its connections.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<Shared>>);

struct Shared {
    player: Player,
    /// Where each open stream goes.
    sinks: HashMap<u64, UnboundedSender<Bytes>>,
    sessions: HashMap<String, Revision>,
    opened: u64,
    gives_sessions: bool,
}

impl Stage {
    /// How many messages were not as recorded, and what never came; see [`Player::outcome`].
    pub fn outcome(&self) -> (usize, Vec<String>) {
        self.lock().player.outcome()
    }

    /// The client of this stream has gone.
    pub(super) fn close(&self, stream: u64) {
        let mut shared = self.lock();
        shared.sinks.remove(&stream);
        shared.player.close(stream);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        if !is_local(&head.headers) {
            return text(403, "A replay answers requests for this machine alone.");
        }
        if is_elsewhere(head.uri.path()) {
            return text(404, "A replay wants no sign-in: it answers MCP alone.");
        }
        match head.method {
            Method::POST => {
                let Ok(body) = Limited::new(body, MAX_BYTES).collect().await else {
                    return text(413, "The message is too large.");
                };
                self.post(&head.headers, &body.to_bytes())
            }
            Method::GET => self.get(&head.headers),
            Method::DELETE => self.delete(&head.headers),
            _ => text(405, "MCP is POST, GET and DELETE."),
        }
    }

    fn post(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Array(batch)) => self.batch(headers, &batch),
            Ok(message) if message.is_object() => self.message(headers, &message),
            Ok(_) => fault(INVALID_REQUEST, "A message is a JSON object."),
            Err(error) => fault(PARSE_ERROR, &format!("The body is no JSON: {error}.")),
        }
    }

    fn message(&self, headers: &HeaderMap, message: &Value) -> Answer {
        let mut shared = self.lock();
        let to = match shared.revision(headers, message) {
            Ok(to) => to,
            Err(refused) => return *refused,
        };
        let reply = shared.player.say(message, to);
        let (mut answer, whole) = self.send(&mut shared, &reply);
        let agreed = whole.as_ref().and_then(|whole| whole["result"]["protocolVersion"].as_str());
        if message["method"] == "initialize"
            && shared.gives_sessions
            && let Some(agreed) = agreed.and_then(Revision::parse)
        {
            let id = shared.open_session(agreed);
            answer.headers_mut().extend(HeaderValue::from_str(&id).ok().map(|id| (SESSION_ID, id)));
        }
        answer
    }

    /// The answers of a batch (revision 2025-03-26) as one array.
    fn batch(&self, headers: &HeaderMap, batch: &[Value]) -> Answer {
        let mut shared = self.lock();
        let mut answers = Vec::new();
        for message in batch {
            let to = match shared.revision(headers, message) {
                Ok(to) => to,
                Err(refused) => return *refused,
            };
            let reply = shared.player.say(message, to);
            answers.extend(shared.flush(reply.stream));
        }
        match answers.is_empty() {
            true => empty(202),
            false => json(200, &Value::Array(answers)),
        }
    }

    fn get(&self, headers: &HeaderMap) -> Answer {
        let accept = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !accept.contains("text/event-stream") {
            return text(405, "A GET opens a stream of events; say so in Accept.");
        }
        let mut shared = self.lock();
        match shared.revision(headers, &Value::Null) {
            Ok(to) => {
                let reply = shared.player.listen(to);
                self.send(&mut shared, &reply).0
            }
            Err(refused) => *refused,
        }
    }

    fn delete(&self, headers: &HeaderMap) -> Answer {
        let id = headers.get(SESSION_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        match self.lock().sessions.remove(id) {
            Some(_) => empty(204),
            None => text(404, "There is no such session."),
        }
    }

    /// The answer that carries `reply`, and its message where it is one.
    fn send(&self, shared: &mut Shared, reply: &Reply) -> (Answer, Option<Value>) {
        match (reply.form, reply.stream) {
            (Form::Events, Some(stream)) => {
                let (sink, source) = unbounded_channel();
                shared.sinks.insert(stream, sink);
                shared.flush(None);
                (events(reply.status, Events { source, stage: self.clone(), stream, beat: None }), None)
            }
            (Form::Whole, stream) => match shared.flush(stream).into_iter().next() {
                Some(Value::String(words)) => (text(reply.status, &words), None),
                Some(message) => (json(reply.status, &message), Some(message)),
                None => (empty(reply.status), None),
            },
            _ => {
                shared.flush(None);
                (empty(reply.status), None)
            }
        }
    }
}

impl Shared {
    /// The revision of whoever sends `message`; else what they are told.
    fn revision(&self, headers: &HeaderMap, message: &Value) -> std::result::Result<Revision, Box<Answer>> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let version = header(PROTOCOL_VERSION);
        if let Some(revision) = self.player.revision_of(message) {
            return Ok(revision);
        }
        if version.is_some_and(names_modern) {
            return Ok(Revision::MODERN);
        }
        match header("mcp-session-id") {
            Some(id) if self.gives_sessions => self.sessions.get(id).copied().ok_or_else(|| {
                Box::new(text(404, "There is no such session; a replay that is started anew knows none."))
            }),
            None if self.gives_sessions => {
                Err(Box::new(fault(INVALID_REQUEST, "Mcp-Session-Id is missing: begin with initialize.")))
            }
            _ => Ok(version.and_then(Revision::parse).unwrap_or_else(|| self.player.revision())),
        }
    }

    fn open_session(&mut self, revision: Revision) -> String {
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.clear();
        }
        self.opened += 1;
        let id = format!("replay-{}", self.opened);
        self.sessions.insert(id.clone(), revision);
        id
    }

    /// Sends what is ready to the streams it is for; gives back what is for `own`, which has no sink.
    fn flush(&mut self, own: Option<u64>) -> Vec<Value> {
        let mut given = Vec::new();
        for (stream, message) in self.player.ready() {
            match message {
                Some(message) if Some(stream) == own => given.push(message),
                message => self.pass(stream, message),
            }
        }
        given
    }

    fn pass(&mut self, stream: u64, message: Option<Value>) {
        let Some(message) = message else {
            self.sinks.remove(&stream);
            return;
        };
        let mut event = Vec::new();
        sse::write(&mut event, None, &message.to_string());
        if let Some(sink) = self.sinks.get(&stream) {
            let _ = sink.send(event.into()); // Who has gone is taken out when the body is dropped.
        }
    }
}

/// Whether the request names this machine, and the page that it comes from, if it names one, is this machine's: others
/// are neither to read a recording nor to play it on.
fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let origin = text(ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    is_here(text(HOST).unwrap_or_default()) && origin.is_none_or(is_here)
}

/// Whether a client asks for a sign-in there.
fn is_elsewhere(path: &str) -> bool {
    path.starts_with("/.well-known/") || matches!(path, "/authorize" | "/register" | "/token" | "/revoke")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let check = |host: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            assert_eq!(is_local(&headers), expected, "{host}");
        };
        check("127.0.0.1:8080", true);
        check("localhost:8080", true);
        check("localhost", true);
        check("[::1]:8080", true);
        check("[::1]", true);
        check("evil.example:8080", false);
        check("127.0.0.1.evil.example", false);
        check("192.168.0.1:8080", false);
        let check = |origin: &'static str, expected: bool| {
            let fields = [(HOST, "127.0.0.1:1"), (ORIGIN, origin)];
            let headers = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
            assert_eq!(is_local(&headers.into_iter().collect()), expected, "{origin}");
        };
        check("http://localhost:6274", true);
        check("http://[::1]", true);
        check("https://evil.example", false);
        check("http://localhost.evil.example:80", false);
        check("null", false);
        check("", false);
    }
}
