//! A transcript as a row of turns: each thing the client said, with all that the server said because of it.
//!
//! On HTTP an answer belongs to the request of its exchange. On stdio, and where a legacy server answers on its stream
//! of notifications, it is found by its id; what answers nothing goes by its subscription, its progress token, or the
//! request under way; else to a turn of its own that stands for the open pipe.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;

use super::{From, Http, Line, Transcript};
use crate::protocol::listen::SUBSCRIPTION;
use crate::protocol::meta::VERSION;
use crate::protocol::revision::{Revision, names_modern};
use crate::protocol::rpc::{is_request, is_response};

/// One thing that the client said, or did over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Its line in the transcript, counted from 1, the header included.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// The message; none of a GET or DELETE, and of what is no JSON.
    pub message: Option<Value>,
    /// On HTTP, the head of the request.
    pub request: Option<Http>,
    /// On HTTP, the head of the answer.
    pub answer: Option<Http>,
    /// All that the server said because of it, in order.
    pub said: Vec<Said>,
    /// The revision that was spoken.
    pub revision: Revision,
}

/// What a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request,
    /// Wants none.
    Notification,
    /// Answers what the server asked.
    Response,
    /// A stream of what the server says of its own accord: a GET, or the pipe itself.
    Stream,
    /// The end of a legacy session.
    Delete,
    /// No message of MCP: a sign-in, or bytes that are no JSON-RPC.
    Other,
}

/// One thing that the server said.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Its line in the transcript, counted from 1.
    pub line: usize,
    /// The message, or a text where it was no JSON.
    pub message: Value,
    /// The last turn before it, whoever it is for; an answer of the client that nobody asked for does not count.
    pub after: Option<usize>,
}

/// The member of `message` that a method's name is in.
pub fn method_of(message: &Value) -> Option<&str> {
    message.get("method")?.as_str()
}

/// Which tool, prompt, resource or task a request is about.
pub fn name_of(message: &Value) -> Option<&str> {
    let params = message.get("params")?;
    ["name", "uri", "taskId"].iter().find_map(|member| params.get(member)?.as_str())
}

/// The version that the message itself names, as all of the modern era do.
pub fn version_of(message: &Value) -> Option<&str> {
    message.get("params")?.get("_meta")?.get(VERSION)?.as_str()
}

/// `message` in a few words for people, such as `tools/call list_tickets`.
pub fn brief(message: &Value) -> String {
    match (method_of(message), name_of(message)) {
        (Some(method), Some(name)) => format!("{method} {name}"),
        (Some(method), None) => method.to_owned(),
        _ if is_response(message) => "an answer to the server's request".to_owned(),
        _ => "what is no message".to_owned(),
    }
}

impl Turn {
    /// Its method, where it has one.
    pub fn method(&self) -> Option<&str> {
        method_of(self.message.as_ref()?)
    }

    /// The server's answer to this request.
    pub fn response(&self) -> Option<&Value> {
        self.said.iter().map(|said| &said.message).find(|message| is_response(message))
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref()?.status
    }

    /// Whether the server turned it away before it looked at the message: no credential, the wrong one, another place.
    pub fn turned_away(&self) -> bool {
        matches!(self.status(), Some(300..=399 | 401 | 403 | 407))
    }

    /// Whether the answer was a stream of events.
    pub fn is_stream(&self) -> bool {
        let kind = self.answer.as_ref().and_then(|http| http.headers.get("content-type"));
        kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// Whether it is a `subscriptions/listen` that was taken.
    pub fn is_subscription(&self) -> bool {
        let refused = self.response().is_some_and(|response| response.get("error").is_some());
        let taken = !refused && self.status().is_none_or(|status| status == 200);
        self.kind == Kind::Request && self.method() == Some("subscriptions/listen") && taken
    }

    /// Whether it is a message that any client would say again: no answer to a server, no sign-in.
    pub fn is_said(&self) -> bool {
        matches!(self.kind, Kind::Request | Kind::Notification) && !self.turned_away()
    }

    /// In a few words, such as `tools/call list_tickets` or `GET`.
    pub fn brief(&self) -> String {
        let verb = || self.request.as_ref().and_then(|http| http.method.clone()).unwrap_or_default();
        self.message.as_ref().map_or_else(verb, brief)
    }
}

impl Transcript {
    /// Its turns, in the order in which the client spoke.
    pub fn turns(&self) -> Vec<Turn> {
        let mut reader = Reader::default();
        for (index, line) in self.lines.iter().enumerate() {
            match line.from {
                From::Client => reader.client(index + 2, line),
                From::Server => reader.server(index + 2, line),
            }
        }
        reader.turns
    }
}

#[derive(Default)]
struct Reader {
    turns: Vec<Turn>,
    exchanges: HashMap<u64, Range<usize>>,
    /// Requests by id, and by the token of their progress.
    asked: HashMap<String, usize>,
    tokens: HashMap<String, usize>,
    /// What the server asked, by id.
    questions: HashSet<String>,
    /// The last turn that something may come after.
    spoken: Option<usize>,
    /// The turn that stands for the pipe.
    pipe: Option<usize>,
    /// The revision of the session that was opened last.
    agreed: Option<Revision>,
}

impl Reader {
    fn client(&mut self, number: usize, line: &Line) {
        let first = self.turns.len();
        for message in messages(line.message.as_ref()) {
            let turn = self.turn(number, line, message);
            if let (Kind::Request, Some(message)) = (turn.kind, &turn.message) {
                let place = self.turns.len();
                self.asked.insert(message["id"].to_string(), place);
                let token = &message["params"]["_meta"]["progressToken"];
                self.tokens.insert(token.to_string(), place);
            }
            let answers = turn.message.as_ref().filter(|_| turn.kind == Kind::Response);
            if answers.is_none_or(|answer| self.questions.contains(&answer["id"].to_string())) {
                self.spoken = Some(self.turns.len());
            }
            self.turns.push(turn);
        }
        if let Some(exchange) = line.exchange {
            self.exchanges.insert(exchange, first..self.turns.len());
        }
    }

    fn turn(&self, number: usize, line: &Line, message: Option<&Value>) -> Turn {
        let header = |name: &str| line.http.as_ref()?.headers.get(name);
        let version = message.and_then(version_of).or(header("mcp-protocol-version").map(String::as_str));
        let revision = match version {
            Some(version) if names_modern(version) => Revision::MODERN,
            Some(version) => Revision::parse(version).unwrap_or(self.last()),
            None => self.last(),
        };
        Turn {
            line: number,
            kind: kind_of(line, message),
            message: message.cloned(),
            request: line.http.clone(),
            answer: None,
            said: Vec::new(),
            revision,
        }
    }

    fn server(&mut self, number: usize, line: &Line) {
        let exchange = line.exchange.and_then(|exchange| self.exchanges.get(&exchange)).cloned();
        if let (Some(head), Some(turns)) = (&line.http, &exchange) {
            for turn in self.turns.get_mut(turns.clone()).unwrap_or_default() {
                turn.answer.get_or_insert_with(|| head.clone());
            }
        }
        for message in messages(line.message.as_ref()).into_iter().flatten() {
            let after = self.spoken;
            if is_request(message) {
                self.questions.insert(message["id"].to_string());
            }
            let owner = match &exchange {
                Some(turns) => self.owner_on_http(message, turns),
                None => self.owner_on_a_pipe(message),
            };
            self.heed(owner, message);
            if let Some(turn) = self.turns.get_mut(owner) {
                turn.said.push(Said { line: number, message: message.clone(), after });
            }
        }
    }

    fn owner_on_http(&self, message: &Value, turns: &Range<usize>) -> usize {
        let asked = self.asked_with(message).filter(|asked| {
            turns.contains(asked) || self.turns.get(turns.start).is_some_and(|turn| turn.kind == Kind::Stream)
        });
        asked.unwrap_or(turns.start)
    }

    /// The request that `message` answers.
    fn asked_with(&self, message: &Value) -> Option<usize> {
        let id = message.get("id").filter(|_| is_response(message))?;
        self.asked.get(&id.to_string()).copied()
    }

    fn owner_on_a_pipe(&mut self, message: &Value) -> usize {
        if let Some(asked) = self.asked_with(message) {
            return asked;
        }
        let params = &message["params"];
        let listening = params["_meta"].get(SUBSCRIPTION).and_then(|id| self.asked.get(&id.to_string()));
        let progress = params.get("progressToken").and_then(|token| self.tokens.get(&token.to_string()));
        let nameless = is_response(message).then(|| self.turns.len().checked_sub(1)).flatten();
        let found = listening.or(progress).copied().or(nameless).or_else(|| self.under_way(message));
        found.unwrap_or_else(|| self.pipe())
    }

    /// The last request that waits for its answer. A change of a list is told to nobody in particular.
    fn under_way(&self, message: &Value) -> Option<usize> {
        let changed = method_of(message)?.ends_with("/list_changed");
        self.turns.iter().rposition(|turn| {
            let waits = turn.kind == Kind::Request && turn.response().is_none();
            !changed && waits && turn.method() != Some("subscriptions/listen")
        })
    }

    fn pipe(&mut self) -> usize {
        let place = self.turns.len();
        *self.pipe.get_or_insert_with(|| {
            let (message, request, answer, said) = (None, None, None, Vec::new());
            let revision = self.agreed.unwrap_or(Revision::LAST_LEGACY);
            self.turns.push(Turn { line: 1, kind: Kind::Stream, message, request, answer, said, revision });
            place
        })
    }

    /// Learns the revision from the answer to a handshake, and marks the handshake with it.
    fn heed(&mut self, owner: usize, message: &Value) {
        let Some(turn) = self.turns.get_mut(owner).filter(|turn| turn.method() == Some("initialize")) else {
            return;
        };
        let agreed = message["result"]["protocolVersion"].as_str().and_then(Revision::parse);
        self.agreed = agreed.or(self.agreed);
        turn.revision = self.agreed.unwrap_or(Revision::LAST_LEGACY);
    }

    fn last(&self) -> Revision {
        self.agreed.unwrap_or(Revision::LAST_LEGACY)
    }
}

/// The messages of a line: those of a batch each, or one, or one that is none.
fn messages(message: Option<&Value>) -> Vec<Option<&Value>> {
    match message {
        Some(Value::Array(batch)) => batch.iter().map(Some).collect(),
        message => vec![message],
    }
}

fn kind_of(line: &Line, message: Option<&Value>) -> Kind {
    let verb = line.http.as_ref().and_then(|http| http.method.as_deref());
    let accepts = || line.http.as_ref()?.headers.get("accept").map(|kinds| kinds.contains("event-stream"));
    match message.filter(|message| message.get("jsonrpc").is_some()) {
        Some(message) if is_response(message) => Kind::Response,
        Some(message) if method_of(message).is_none() => Kind::Other,
        Some(message) if message.get("id").is_some() => Kind::Request,
        Some(_) => Kind::Notification,
        None if verb == Some("GET") && accepts() == Some(true) => Kind::Stream,
        None if verb == Some("DELETE") => Kind::Delete,
        None => Kind::Other,
    }
}
