//! The machine of a replay: what the client says in, what is to be sent out. It has no socket and no clock.

mod standing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::era::{Facts, asked_for};
use super::find::{Finder, apart, continued, known_requests};
use crate::protocol::revision::Revision;
use crate::protocol::rpc::{
    INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, is_request, is_response,
};
use crate::protocol::transcript::turns::{Kind, Turn, brief, method_of, version_of};
use crate::protocol::transcript::{Transcript, Transport};

/// A recording at play.
pub struct Player {
    turns: Vec<Turn>,
    facts: Facts,
    finder: Finder,
    strict: bool,
    streams: BTreeMap<u64, Stream>,
    opened: u64,
    /// What the client did that the recording has not.
    faults: Vec<String>,
    told: usize,
    /// Requests that a lenient replay told of as answered in spite of other parameters, and from where on.
    apart: BTreeSet<String>,
}

/// How a message is answered over HTTP. What is sent comes by [`Player::ready`].
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// What the body is.
    pub form: Form,
    /// The stream of what is sent.
    pub stream: Option<u64>,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None.
    Empty,
    /// One message, which is ready; or where the recorded body was none, that: a text, if it was no JSON.
    Whole,
    /// Events.
    Events,
}

/// What goes out on a stream: a message, or with `None` its end.
pub type Sent = (u64, Option<Value>);

struct Stream {
    steps: VecDeque<Step>,
    /// It has no end of its own.
    stays: bool,
}

struct Step {
    /// The turn that must be played before.
    after: Option<usize>,
    message: Value,
}

/// The request that is answered.
struct Asked<'m> {
    message: &'m Value,
    to: Revision,
}

impl Player {
    /// Plays `transcript` to a client; a strict one must say what was recorded, in that order.
    pub fn new(transcript: &Transcript, strict: bool) -> Player {
        let turns = transcript.turns();
        let (facts, finder) = (Facts::of(&turns), Finder::new(&turns));
        Player {
            turns,
            facts,
            finder,
            strict,
            streams: BTreeMap::new(),
            opened: 0,
            faults: Vec::new(),
            told: 0,
            apart: BTreeSet::new(),
        }
    }

    /// The revision that the sender of `message` speaks, if the message says so: a modern one, or the first of a session.
    pub fn revision_of(&self, message: &Value) -> Option<Revision> {
        let version = |message: &Value| message["params"]["protocolVersion"].clone();
        if version_of(message).is_some() || method_of(message) == Some("server/discover") {
            return Some(Revision::MODERN);
        }
        method_of(message).filter(|method| *method == "initialize")?;
        let recorded = self.turns.iter().find(|turn| turn.method() == Some("initialize"));
        let same =
            |turn: &&Turn| turn.message.as_ref().is_some_and(|asked| version(asked) == version(message));
        Some(recorded.filter(same).map_or_else(|| asked_for(message), |turn| turn.revision))
    }

    /// The revision of the recording's first message.
    pub fn revision(&self) -> Revision {
        self.turns.first().map_or(Revision::LAST_LEGACY, |turn| turn.revision)
    }

    /// Whether the recorded server went without session ids, in the legacy era and over HTTP.
    pub fn is_without_sessions(&self, transport: Transport) -> bool {
        let opened =
            self.turns.iter().find(|turn| turn.method() == Some("initialize") && turn.response().is_some());
        let answer = opened.filter(|_| transport == Transport::Http).and_then(|turn| turn.answer.as_ref());
        answer.is_some_and(|answer| !answer.headers.contains_key("mcp-session-id"))
    }

    /// Where MCP was spoken, such as `/mcp/`.
    pub fn path(&self) -> Option<&str> {
        let spoken = self.turns.iter().find(|turn| turn.kind == Kind::Request)?;
        let path = spoken.request.as_ref()?.path.as_deref()?;
        Some(path.split_once('?').map_or(path, |(path, _)| path)) // A query may hold a placeholder, and is not looked at.
    }

    /// Takes one message of a client that speaks `to`.
    pub fn say(&mut self, message: &Value, to: Revision) -> Reply {
        let asked = Asked { message, to };
        let found = match self.strict {
            true => self.finder.strictly(&self.turns, message),
            false => Ok(self.find(message)).and_then(|found| found.ok_or_else(String::new)),
        };
        match found {
            Ok(turn) => {
                self.note_apart(turn, message);
                self.play(turn, &asked)
            }
            Err(text) if !text.is_empty() => self.differs(&asked, text),
            Err(_) if is_response(message) || message.get("id").is_none() => taken(202),
            Err(_) => self.unrecorded(&asked),
        }
    }

    fn find(&self, message: &Value) -> Option<usize> {
        match message.get("id") {
            Some(id) if is_response(message) => self.finder.answer_to(&self.turns, id),
            _ => self.finder.leniently(&self.turns, message),
        }
    }

    /// Tells once of each request that gets the answer to other parameters, which only a lenient one does.
    fn note_apart(&mut self, place: usize, message: &Value) {
        let Some(turn) = self.turns.get(place).filter(|_| !self.strict) else { return };
        let Some(pointer) = apart(turn, message) else { return };
        let (brief, line) = (brief(message), turn.line);
        if self.apart.insert(format!("{brief} {pointer}")) {
            self.faults.push(format!(
                "{brief} is answered as on line {line}, though its parameters are others, first at {pointer}."
            ));
        }
    }

    /// What may go out now.
    pub fn ready(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        let finder = &self.finder;
        self.streams.retain(|id, stream| {
            while let Some(step) =
                stream.steps.pop_front_if(|step| step.after.is_none_or(|turn| finder.was_played(turn)))
            {
                sent.push((*id, Some(step.message)));
            }
            let goes_on = stream.stays || !stream.steps.is_empty();
            if !goes_on {
                sent.push((*id, None));
            }
            goes_on
        });
        sent
    }

    /// The client has gone from this stream.
    pub fn close(&mut self, stream: u64) {
        self.streams.remove(&stream);
    }

    /// What the client said since the last time that the recording has not.
    pub fn news(&mut self) -> Vec<String> {
        let told = std::mem::replace(&mut self.told, self.faults.len());
        self.faults.get(told..).unwrap_or_default().to_vec()
    }

    /// At the end of a strict replay, how many messages were wrong, and what never came.
    pub fn outcome(&self) -> (usize, Vec<String>) {
        let missing = self.finder.to_come(&self.turns).filter_map(|place| self.turns.get(place));
        let missing = missing.map(|turn| format!("line {}, {}, never came.", turn.line, turn.brief()));
        (self.faults.len(), if self.strict { missing.collect() } else { Vec::new() })
    }

    fn play(&mut self, place: usize, asked: &Asked<'_>) -> Reply {
        self.finder.play(place);
        let Some(turn) = self.turns.get(place) else { return taken(202) };
        match turn.kind {
            Kind::Request if turn.is_subscription() => self.open_standing(place, asked),
            Kind::Request => self.answer(place, asked),
            _ => taken(turn.status().unwrap_or(202)),
        }
    }

    /// Answers as recorded, in the words of the client's revision.
    fn answer(&mut self, mut place: usize, asked: &Asked<'_>) -> Reply {
        if self.wants_more(place) && !asked.to.is_modern() {
            let Some(whole) = continued(&self.turns, place) else {
                let text = "The recorded answer wants input first, in a way that only 2026-07-28 has.";
                return self.refuse(asked, 200, INTERNAL_ERROR, text.to_owned());
            };
            place = whole;
        }
        let Some(turn) = self.turns.get(place) else { return taken(202) };
        let mut steps: VecDeque<Step> = VecDeque::new();
        let (mut after, mut awaited) = (None, Vec::new());
        for said in &turn.said {
            let Some(message) = self.adapted(&said.message, turn, asked) else { continue };
            if is_request(&message) {
                let answered = message.get("id").and_then(|id| self.finder.answer_to(&self.turns, id));
                awaited.extend(answered);
                steps.push_back(Step { after, message });
                after = answered;
            } else {
                steps.push_back(Step { after, message });
            }
        }
        let waits = steps.iter().any(|step| step.after.is_some());
        let form = match (turn.is_stream(), &steps.len()) {
            (_, 0) => Form::Empty,
            (false, 1) if !waits => Form::Whole,
            _ => Form::Events,
        };
        let status = status_of(turn, asked.to, steps.back().map(|step| &step.message));
        awaited.iter().for_each(|turn| self.finder.unplay(*turn));
        self.open(steps, false, form, status)
    }

    /// Whether the answer is none yet: it asks the client for input, or names a task.
    fn wants_more(&self, place: usize) -> bool {
        let result =
            self.turns.get(place).and_then(Turn::response).and_then(|response| response.get("result"));
        result.and_then(|result| result.get("resultType")).is_some_and(|kind| kind != "complete")
    }

    /// A message of the recording as this client is to get it; `None` when it is not to get it.
    fn adapted(&self, recorded: &Value, turn: &Turn, asked: &Asked<'_>) -> Option<Value> {
        let mut message = recorded.clone();
        let from = turn.revision;
        if is_response(recorded) {
            let method = method_of(asked.message).unwrap_or_default();
            if let Some(result) = recorded.get("result") {
                message["result"] = match (method, asked.to == from) {
                    (_, true) => result.clone(),
                    ("initialize", false) => self.facts.initialized(asked.to),
                    _ => self.facts.result(result, method, from, asked.to),
                };
            }
            if let (Some(id), Some(recorded)) = (asked.message.get("id"), message.get_mut("id")) {
                *recorded = id.clone();
            }
            return Some(message);
        }
        let params = message.get_mut("params");
        if let Some(token) = params.and_then(|params| params.get_mut("progressToken")) {
            *token = asked.message.get("params")?.get("_meta")?.get("progressToken")?.clone();
        }
        // A modern server asks in its answers alone. What is no message is the body of a refusal, where it is all that came;
        // among messages on a stream nobody could read it.
        let asks_across = is_request(&message) && asked.to.is_modern() != from.is_modern();
        let can_be_read = message.is_object() || turn.said.len() == 1;
        (can_be_read && !asks_across).then_some(message)
    }

    /// Answers what the recording does not hold but a server has all the same; else says what it does hold.
    fn unrecorded(&mut self, asked: &Asked<'_>) -> Reply {
        let method = method_of(asked.message).unwrap_or_default();
        let result = match method {
            "initialize" => self.facts.initialized(asked.to),
            "server/discover" => self.facts.discovered(),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
            "subscriptions/listen" => return self.listen_across(asked),
            _ => {
                let known = known_requests(&self.turns).join(", ");
                let text =
                    format!("The recording has no answer to {}. It has: {known}.", brief(asked.message));
                self.faults.push(text.clone());
                let is_known = self.turns.iter().any(|turn| turn.method() == Some(method));
                return match is_known {
                    true => self.refuse(asked, 200, INVALID_PARAMS, text),
                    false => self.refuse(asked, 404, METHOD_NOT_FOUND, text),
                };
            }
        };
        self.reply(asked, 200, json!({"result": result}))
    }

    fn differs(&mut self, asked: &Asked<'_>, text: String) -> Reply {
        self.faults.push(text.clone());
        match is_request(asked.message) {
            true => self.refuse(asked, 400, INVALID_REQUEST, format!("Not as recorded: {text}")),
            false => taken(400),
        }
    }

    fn refuse(&mut self, asked: &Asked<'_>, status: u16, code: i32, text: String) -> Reply {
        let status = if asked.to.is_modern() || status == 400 { status } else { 200 };
        self.reply(asked, status, json!({"error": {"code": code, "message": text}}))
    }

    fn reply(&mut self, asked: &Asked<'_>, status: u16, outcome: Value) -> Reply {
        let mut message = json!({"jsonrpc": "2.0", "id": asked.message["id"]});
        if let (Value::Object(message), Value::Object(outcome)) = (&mut message, outcome) {
            message.extend(outcome);
        }
        self.open(VecDeque::from([Step { after: None, message }]), false, Form::Whole, status)
    }

    fn open(&mut self, steps: VecDeque<Step>, stays: bool, form: Form, status: u16) -> Reply {
        self.opened += 1;
        self.streams.insert(self.opened, Stream { steps, stays });
        Reply { status, form, stream: Some(self.opened) }
    }
}

fn taken(status: u16) -> Reply {
    Reply { status, form: Form::Empty, stream: None }
}

/// The recorded status, or for a client of the other era the one that this answer has there, if it is a message.
fn status_of(turn: &Turn, to: Revision, message: Option<&Value>) -> u16 {
    let message = message.filter(|message| message.is_object());
    let code = message.and_then(|message| message.get("error")?.get("code")?.as_i64());
    match turn.status() {
        Some(status) if to.is_modern() == turn.revision.is_modern() || message.is_none() => status,
        _ if to.is_modern() && code == Some(METHOD_NOT_FOUND.into()) => 404,
        _ => 200,
    }
}
