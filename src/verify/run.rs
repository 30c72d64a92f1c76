//! One pass over the turns of a recording.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::instead::{is_mcp, no_mcp};
use super::streams::{Open, Unasked};
use super::{Drift, Report};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::peer::{Dialect, Dialler, End, Exchange, Peer, Raw};
use crate::protocol::rpc::{is_request, is_response};
use crate::protocol::transcript::compare::{
    Difference, Of, Opaque, Pointer, compare_all, holds_placeholder, is_one_secret,
};
use crate::protocol::transcript::turns::{Kind, Said, Turn, brief, method_of, version_of};
use crate::protocol::transcript::{Http, Transcript, is_left_out};

/// The recorded fields that are sent as they were.
const FIELDS: [&str; 5] = ["accept", "content-type", "mcp-method", "mcp-name", "mcp-protocol-version"];
const SESSION_ID: &str = "mcp-session-id";
/// How long a process may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) struct Run<'a> {
    pub(super) turns: &'a [Turn],
    pub(super) dialler: &'a Dialler,
    pub(super) peer: Peer,
    ignored: &'a [Pointer],
    /// Sessions of the recording, and those of now in their place; under an empty name that where there was none.
    sessions: HashMap<String, HeaderValue>,
    /// Opaque texts of the recording, and those of now.
    learnt: HashMap<String, String>,
    pub(super) open: Vec<Open>,
    pub(super) unasked: Unasked,
    /// The server's process has ended in the middle; a handshake starts another.
    gone: bool,
    /// The server has said something of MCP.
    pub(super) has_spoken: bool,
    /// What it said before that, where a server may not know what it is asked.
    strange: Option<Error>,
    report: Report,
    drifted: BTreeSet<usize>,
}

pub(super) async fn run(transcript: &Transcript, dialler: &Dialler, ignored: &[Pointer]) -> Result<Report> {
    let turns = transcript.turns();
    let mut run = Run {
        turns: &turns,
        dialler,
        peer: dialler.dial()?,
        ignored,
        sessions: HashMap::new(),
        learnt: HashMap::new(),
        open: Vec::new(),
        unasked: Unasked::default(),
        gone: false,
        has_spoken: false,
        strange: None,
        report: Report::default(),
        drifted: BTreeSet::new(),
    };
    for (place, turn) in turns.iter().enumerate() {
        if run.gone && turn.method() != Some("initialize") {
            run.report.unsent += usize::from(turn.is_said());
        } else if !turn.turned_away() {
            run.turn(place, turn).await?;
            run.hear(place).await;
        }
    }
    run.finish().await
}

impl Run<'_> {
    async fn finish(mut self) -> Result<Report> {
        if self.report.messages == 0 {
            return Err(Error::invalid("The recording holds no message of a client that could be sent."));
        }
        if let Some(strange) = self.strange.take().filter(|_| !self.has_spoken) {
            return Err(strange);
        }
        self.left_over();
        self.peer.close(FAREWELL).await;
        self.report.drifted = self.drifted.len();
        Ok(self.report)
    }

    async fn turn(&mut self, place: usize, turn: &Turn) -> Result<()> {
        match (turn.kind, &turn.message) {
            (Kind::Request, Some(message)) if turn.is_subscription() => {
                let message = self.prepared(turn, message);
                self.report.messages += 1;
                self.subscribe(place, turn, Some(&message)).await
            }
            (Kind::Request | Kind::Notification, Some(message)) => self.say(place, turn, message).await,
            (Kind::Stream, _) => self.subscribe(place, turn, None).await,
            (Kind::Delete, _) if !self.peer.is_stdio() => self.delete(turn).await,
            // The client's answers go when the server asks; a sign-in is not said again.
            _ => Ok(()),
        }
    }

    async fn say(&mut self, place: usize, turn: &Turn, message: &Value) -> Result<()> {
        let opens = method_of(message) == Some("initialize");
        if opens && self.peer.is_stdio() && (self.gone || *self.peer.dialect() != Dialect::Raw) {
            let next = match self.dialler.dial() {
                Ok(next) => next,
                Err(error) => {
                    self.gone = true;
                    self.report.messages += 1;
                    return self.broke_off(turn, &error);
                }
            };
            std::mem::replace(&mut self.peer, next).close(FAREWELL).await;
            self.gone = false;
        }
        let message = self.prepared(turn, message);
        self.lay_answers_ready(place, turn);
        let mut raw = self.peer.post(&message);
        if let Some(request) = &turn.request {
            self.dress(&mut raw, request);
        }
        self.report.messages += 1;
        let open = self.open.iter_mut().map(|open| &mut open.listening).collect();
        let exchange = match self.peer.raw_beside(raw, open).await {
            Ok(exchange) if !self.has_spoken && has_ended(&exchange) => return Err(self.ended().await),
            Ok(exchange) if self.peer.is_stdio() && has_ended(&exchange) => return self.died(turn).await,
            Ok(exchange) => exchange,
            Err(_) if !self.has_spoken && self.peer.is_stdio() => return Err(self.ended().await),
            Err(error) if !self.has_spoken => return Err(unreachable(&error)),
            Err(_) if self.peer.is_stdio() => return self.died(turn).await,
            Err(error) => return self.broke_off(turn, &error),
        };
        self.let_in(&exchange)?;
        self.know(turn, &exchange)?;
        if opens {
            self.take_session(turn, &exchange);
        }
        self.compare(turn, &exchange);
        Ok(())
    }

    async fn delete(&mut self, turn: &Turn) -> Result<()> {
        let mut raw = Raw { method: "DELETE".into(), ..Raw::default() };
        if let Some(request) = &turn.request {
            self.dress(&mut raw, request);
        }
        self.report.messages += 1;
        let answered = self.peer.raw(raw).await;
        self.peer.speak(Dialect::Raw);
        match answered {
            Ok(exchange) => self.status(turn, &exchange),
            Err(error) => self.broke_off(turn, &error)?,
        }
        Ok(())
    }

    /// The message as it is sent, which the peer then speaks the era of.
    fn prepared(&mut self, turn: &Turn, message: &Value) -> Value {
        let message = self.renewed(message);
        self.heed(turn, &message["params"]);
        self.speak_for(&message, turn);
        message
    }

    /// Notes the turn where what is sent because of it holds what the recorder put in the place of something.
    fn heed(&mut self, turn: &Turn, sent: &Value) {
        if holds_placeholder(sent) {
            self.report.redacted.insert(turn.line);
        }
    }

    /// Has the peer add the headers of this message's era: a modern one says all itself, others belong to the session.
    fn speak_for(&mut self, message: &Value, turn: &Turn) {
        if let Some(version) = version_of(message) {
            let capabilities = json!({});
            self.peer.speak(Dialect::Modern { revision: version.to_owned(), capabilities });
        } else if matches!(self.peer.dialect(), Dialect::Modern { .. }) || turn.method() == Some("initialize")
        {
            self.peer.speak(Dialect::Raw);
        }
    }

    /// The fields as they were recorded, but for the session.
    fn dress(&self, raw: &mut Raw, request: &Http) {
        for name in FIELDS {
            match request.headers.get(name) {
                Some(value) => raw.headers.set(name, value),
                None => raw.headers.remove(name),
            }
        }
        let recorded = request.headers.get(SESSION_ID).map(String::as_str);
        // Where the recorded server kept no sessions, this one may, and its client would say so.
        let in_session = recorded.is_some() || matches!(self.peer.dialect(), Dialect::Legacy { .. });
        let now = self.sessions.get(recorded.unwrap_or_default()).filter(|_| in_session);
        match now.map(HeaderValue::as_bytes).or(recorded.map(str::as_bytes)) {
            None => raw.headers.remove(SESSION_ID),
            Some(now) => raw.headers.set_bytes(SESSION_ID, now),
        }
    }

    /// What the recorded client answered when the server asked, because of this turn or on an open stream in its time. What
    /// the server did not ask for before is forgotten, or it would answer another question.
    pub(super) fn lay_answers_ready(&mut self, place: usize, turn: &Turn) {
        self.peer.forget_answers();
        let answered = turn.said.iter().find(|said| is_response(&said.message)).map_or(0, |said| said.line);
        let silent = |turn: &&Turn| matches!(turn.kind, Kind::Response | Kind::Other);
        let last = place + self.turns.iter().skip(place + 1).take_while(silent).count();
        let in_time = |said: &&Said| said.line < answered || said.after.is_none_or(|after| after <= last);
        let open = self.open.iter().flat_map(|open| open.due.iter().take_while(in_time));
        let ready: Vec<_> = turn.said.iter().chain(open).filter_map(|said| self.answer_to(said)).collect();
        for (method, outcome) in ready {
            if turn.kind != Kind::Stream {
                self.heed(turn, &outcome);
            }
            self.peer.will_answer(&method, outcome);
        }
    }

    /// The method of a question, and what the recorded client answered.
    fn answer_to(&self, question: &Said) -> Option<(String, Value)> {
        let method = method_of(&question.message).filter(|_| is_request(&question.message))?;
        let later = self.turns.iter().filter(|turn| turn.kind == Kind::Response && turn.line > question.line);
        let mut answers = later.filter_map(|turn| turn.message.as_ref());
        let mut outcome = answers.find(|answer| answer["id"] == question.message["id"])?.clone();
        if let Value::Object(members) = &mut outcome {
            members.retain(|name, _| name == "result" || name == "error");
        }
        Some((method.to_owned(), outcome))
    }

    /// # Errors
    /// When the first message is refused for want of a credential, and so all would be.
    fn let_in(&self, exchange: &Exchange) -> Result<()> {
        match exchange.status {
            Some(status @ (401 | 403)) if !self.has_spoken => Err(Error::invalid(format!(
                "The server lets nobody in without its credential (HTTP {status}); give it with --header \
                 'Authorization: Bearer …'."
            ))),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// When what came is no MCP, and nothing before it was. A server of the legacy era may know no `server/discover`, and
    /// say so in any words: of that is told when nothing of MCP came later.
    fn know(&mut self, turn: &Turn, exchange: &Exchange) -> Result<()> {
        self.has_spoken |= exchange.messages.iter().any(is_mcp);
        let (Some(method), Some(_), false) = (turn.method(), turn.response(), self.has_spoken) else {
            return Ok(());
        };
        let error = no_mcp(method, exchange, &self.peer);
        let first = self.strange.take().unwrap_or(error);
        match method {
            "server/discover" => self.strange = Some(first),
            _ => return Err(first),
        }
        Ok(())
    }

    /// The process ended before it said anything of MCP: here is what it printed, and the end of what it wrote to stderr.
    async fn ended(&self) -> Error {
        let printed = self.peer.printed().map(|line| format!(" It printed {line}.")).unwrap_or_default();
        let said = self.peer.last_words().await.map(|words| format!(" It said:\n{words}"));
        Error::invalid(format!("The server ended before it answered.{printed}{}", said.unwrap_or_default()))
    }

    fn take_session(&mut self, turn: &Turn, exchange: &Exchange) {
        let session = exchange.headers.get(SESSION_ID).cloned();
        let recorded = turn.answer.as_ref().and_then(|answer| answer.headers.get(SESSION_ID));
        let begins = turn.method() == Some("initialize");
        let recorded = recorded.map(String::as_str).or(begins.then_some(""));
        if let (Some(recorded), Some(session)) = (recorded, &session) {
            self.sessions.insert(recorded.to_owned(), session.clone());
        }
        let agreed = exchange.result().and_then(|result| result["protocolVersion"].as_str());
        if let Some(revision) = agreed.map(str::to_owned) {
            self.peer.speak(Dialect::Legacy { revision, session });
        }
    }

    /// `message` with what the server has made anew in the place of what was recorded.
    fn renewed(&self, message: &Value) -> Value {
        match message {
            Value::String(text) => self.learnt.get(text).unwrap_or(text).clone().into(),
            Value::Array(items) => items.iter().map(|item| self.renewed(item)).collect(),
            Value::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.clone(), self.renewed(value))).collect(),
            ),
            other => other.clone(),
        }
    }

    fn compare(&mut self, turn: &Turn, exchange: &Exchange) {
        let recorded = turn.response().filter(|response| response.is_object());
        let nothing_came = turn.answer.is_none() && turn.said.is_empty();
        let was_too_long = turn.said.iter().any(|said| is_left_out(&said.message));
        self.status(turn, exchange);
        if recorded.is_none() && (nothing_came || was_too_long) && exchange.answer.is_some() {
            self.report.unanswered += 1; // The recorder was stopped before, or could not note it: nothing to compare with.
            return;
        }
        self.compare_told(turn, exchange);
        match (recorded, &exchange.answer) {
            (None, None) => {}
            (Some(recorded), Some(now)) => self.compare_messages(turn, None, recorded, now),
            (recorded, now) => self.differs(turn, None, "", recorded, now.as_ref()),
        }
    }

    fn status(&mut self, turn: &Turn, exchange: &Exchange) {
        if let (Some(recorded), Some(now)) = (turn.status(), exchange.status)
            && recorded != now
        {
            self.differs(turn, None, "/http/status", Some(&recorded.into()), Some(&now.into()));
        }
    }

    /// What the server told and asked on the way to its answer: by method, in order.
    fn compare_told(&mut self, turn: &Turn, exchange: &Exchange) {
        let mut told: VecDeque<Value> =
            exchange.messages.iter().filter(|message| counts(message)).cloned().collect();
        for said in turn.said.iter().map(|said| &said.message).filter(|message| counts(message)) {
            let Some(method) = method_of(said) else { continue };
            match told
                .iter()
                .position(|message| method_of(message) == Some(method))
                .and_then(|at| told.remove(at))
            {
                Some(now) => self.compare_messages(turn, Some(said), said, &now),
                None => self.differs(turn, Some(said), "", Some(said), None),
            }
        }
        match self.peer.is_stdio() {
            true => told.into_iter().for_each(|now| self.unasked.keep(now)),
            false => told.iter().for_each(|now| self.differs(turn, Some(now), "", None, Some(now))),
        }
    }

    /// Notes where the two differ, and what opaque texts became.
    pub(super) fn compare_messages(
        &mut self,
        turn: &Turn,
        told: Option<&Value>,
        recorded: &Value,
        now: &Value,
    ) {
        let mut recorded = recorded.clone();
        if is_request(&recorded) {
            recorded["id"] = now["id"].clone();
        }
        let found = compare_all(&recorded, now, Of::Any, self.ignored);
        found.opaque.into_iter().for_each(|opaque| self.learn(opaque));
        for Difference { pointer, recorded, now } in found.differences {
            self.differs(turn, told, &pointer, recorded.as_ref(), now.as_ref());
        }
    }

    /// Remembers what an opaque text became: the newest, but the plain form of one that came percent-encoded too.
    fn learn(&mut self, Opaque { recorded, now, .. }: Opaque) {
        let known = self.learnt.get(&recorded);
        if known.is_none_or(|known| known.len() > now.len() || !is_one_secret(known, &now)) {
            self.learnt.insert(recorded, now);
        }
    }

    pub(super) fn differs(
        &mut self,
        turn: &Turn,
        told: Option<&Value>,
        pointer: &str,
        recorded: Option<&Value>,
        now: Option<&Value>,
    ) {
        if self.ignored.iter().any(|ignored| ignored.covers(pointer)) {
            return;
        }
        let about = told.map(|told| format!(" → {}", brief(told))).unwrap_or_default();
        let message = if turn.line == 1 { "the pipe".to_owned() } else { turn.brief() };
        self.drifted.insert(turn.line);
        self.report.differences.push(Drift {
            line: turn.line,
            message: message + &about,
            pointer: pointer.to_owned(),
            recorded: recorded.cloned(),
            now: now.cloned(),
        });
    }

    /// The process ended at this message: that is one difference, and what was to come after it is not sent.
    pub(super) async fn died(&mut self, turn: &Turn) -> Result<()> {
        self.gone = true;
        let words = self.peer.last_words().await.unwrap_or_default();
        let why = words.lines().last().map(|line| format!(": {}", line.trim())).unwrap_or_default();
        let now = format!("the process ended{why}");
        self.broke_off(turn, &Error::new(ErrorKind::Unavailable, now))
    }

    /// The server was there, and is no more, or broke its answer off: that is a difference.
    pub(super) fn broke_off(&mut self, turn: &Turn, error: &Error) -> Result<()> {
        let recorded = turn.response().cloned();
        self.differs(turn, None, "", recorded.as_ref(), Some(&error.public.clone().into()));
        Ok(())
    }
}

fn has_ended(exchange: &Exchange) -> bool {
    exchange.end == End::Broken && exchange.answer.is_none()
}

/// Whether it is told or asked. How often progress is told, and how far it is then, is the hour's.
fn counts(message: &Value) -> bool {
    !is_response(message) && method_of(message) != Some("notifications/progress")
}

/// That the server cannot be reached is a fault of what was given, not a difference.
pub(super) fn unreachable(error: &Error) -> Error {
    match error.kind {
        ErrorKind::Unavailable => Error::invalid(&*error.public),
        kind => Error::new(kind, &*error.public),
    }
}
