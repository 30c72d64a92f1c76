//! MCP over Streamable HTTP: both eras at one URL, for whoever answers behind it.
//!
//! By the time a request comes here its Host, Origin and credential are good and its body is read. What follows: the
//! session of a legacy client, the engine, and perhaps a call. A call that may say something before its answer gets a
//! stream as soon as it does; all others are answered by plain JSON.

mod desk;
mod host;
mod resume;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::request::{check_accept, check_content};
use super::respond::{self, Answer, Refusal};
use super::stream::{AtStop, Stream, Work};
use crate::error::Error;
use crate::protocol::engine::unsupported;
use crate::protocol::revision::names_modern;
use crate::protocol::{
    Call, Fault, Incoming, Listen, McpHeaders, Message, Outcome, Response, Revision, Session, Step, rpc,
};

use resume::{Tape, Tapes};

pub use desk::Desk;
pub use host::{Done, Feed, Host, Mail, Permit, Ran};

/// One request to an endpoint.
pub struct Exchange<'a, H> {
    /// Who answers.
    pub host: &'a H,
    /// The request's fields.
    pub headers: &'a HeaderMap,
}

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const PARAM: &str = "mcp-param-";

/// How often a change of a session is tried that others change meanwhile. Each time one of them came through, and a client
/// has no more requests under way at once than connections.
const CHANGES_TRIED: usize = 1_000;

impl<H: Host> Exchange<'_, H> {
    /// Whether a POST may come with these fields at all: before its body is read.
    ///
    /// # Errors
    /// 415 for a body that is not JSON, 406 for a client that does not take what it may be sent.
    pub fn check(headers: &HeaderMap) -> Result<(), Refusal> {
        check_content(headers)?;
        check_accept(headers, &["application/json", "text/event-stream"])
    }

    /// POST: messages of the client.
    ///
    /// # Errors
    /// What is wrong with the request on HTTP; what is wrong with its messages is an answer.
    pub async fn send(&self, body: Bytes) -> Result<Answer, Refusal> {
        let incoming = match rpc::parse(&body) {
            Ok(incoming) => incoming,
            Err(response) => return Ok(answer(response)),
        };
        drop(body);
        match incoming {
            Incoming::One(message) => self.one(message).await,
            Incoming::Batch(messages) => self.batch(messages).await,
        }
    }

    /// GET: the stream on which a legacy client hears what it did not ask for, or the rest of one that it lost.
    ///
    /// # Errors
    /// 405 without a session, 404 for an unknown one, 400 for a stream that is not kept, 409 when too many are open.
    pub fn listen(&self) -> Result<Answer, Refusal> {
        if let Some(refused) = self.refused_version() {
            return Ok(refused);
        }
        let id = self.own_session().filter(|_| !self.is_modern()).ok_or_else(|| only_post(&Method::GET))?;
        check_accept(self.headers, &["text/event-stream"])?;
        let session = self.find_session(id)?;
        if let Some(last_event) = self.text(&LAST_EVENT) {
            return self.resume(id, last_event);
        }
        let listen = self.host.engine().stream_of(&session).ok_or_else(no_such_session)?;
        self.open_stream(listen, id)
    }

    /// DELETE: a legacy client ends its session.
    ///
    /// # Errors
    /// 405 in the modern era, 400 without a session, 404 for an unknown one.
    pub fn end(&self) -> Result<Answer, Refusal> {
        if let Some(refused) = self.refused_version() {
            return Ok(refused);
        }
        if self.is_modern() {
            return Err(only_post(&Method::DELETE));
        }
        let session = self.own_session().ok_or_else(|| {
            Refusal::new(400, "no_session", "Name the session to end in the Mcp-Session-Id field.")
        })?;
        if self.host.end(session)? {
            self.host.desk().end(session);
            Ok(respond::empty(StatusCode::NO_CONTENT))
        } else {
            Err(no_such_session())
        }
    }

    async fn one(&self, message: Message) -> Result<Answer, Refusal> {
        let opens = opens_session(&message);
        let stateless = opens || message.names_version() || self.is_modern();
        let mut session = if stateless { Session::Stateless } else { self.named_session()? };
        let step = match !stateless && changes_session(&message) {
            true => self.change(message)?,
            false => self.step(&mut session, message),
        };
        match step {
            Step::Reply(response) if opens && session.peer().is_some() => {
                self.open_session(&session, response)
            }
            Step::Reply(response) => Ok(answer(response)),
            Step::Call(call) if self.host.converses(&call) => self.converse(call).await,
            Step::Call(call) => Ok(whole(self.run(call).await)),
            Step::Listen(listen) => self.open_stream(listen, ""),
            step => {
                self.hand_on(step);
                Ok(respond::empty(StatusCode::ACCEPTED))
            }
        }
    }

    fn step(&self, session: &mut Session, message: Message) -> Step {
        let params = self.param_headers();
        let headers = self.mcp_headers(&params);
        self.host.engine().handle(session, self.host.view(), Some(&headers), message)
    }

    /// What a message comes to that changes its session. Where another request changed the session meanwhile, it is taken
    /// up anew on what that one left, so that of two subscriptions that come at once none is lost.
    fn change(&self, message: Message) -> Result<Step, Refusal> {
        for _ in 0..CHANGES_TRIED {
            let before = self.named_session()?;
            let mut session = before.clone();
            let step = self.step(&mut session, message.clone());
            let Some(id) = self.own_session().filter(|_| session != before) else { return Ok(step) };
            if self.host.keep(id, &before, &session)? {
                self.host.desk().changed(id);
                return Ok(step);
            }
        }
        Err(Refusal::new(503, "unavailable", "The session changes too fast; send the request again."))
    }

    async fn batch(&self, messages: Vec<Message>) -> Result<Answer, Refusal> {
        let mut session = if self.is_modern() { Session::Stateless } else { self.named_session()? };
        if let Err(response) = self.host.engine().accepts_batch(&session, &messages) {
            return Ok(answer(response));
        }
        let (mut responses, mut fields) = (Vec::new(), HeaderMap::new());
        for message in messages {
            let step = match changes_session(&message) {
                true => {
                    let step = self.change(message)?;
                    session = self.named_session()?;
                    step
                }
                false => self.step(&mut session, message),
            };
            match step {
                Step::Reply(response) => responses.push(response),
                Step::Call(call) => {
                    let done = self.run(call).await;
                    fields.extend(done.fields);
                    responses.push(done.response);
                }
                step => self.hand_on(step),
            }
        }
        match responses.is_empty() {
            true => Ok(respond::empty(StatusCode::ACCEPTED)),
            false => Ok(whole(Done { response: rpc::join(&responses), fields })),
        }
    }

    /// What needs no answer. A call without a stream runs within its own request and is over in milliseconds: there is
    /// nothing left to stop.
    fn hand_on(&self, step: Step) {
        let session = self.own_session().unwrap_or_default();
        match step {
            Step::Resume(id, outcome) => self.host.desk().answer(session, id, outcome),
            Step::Cancel(id) => self.host.desk().cancel(session, id),
            _ => {}
        }
    }

    /// Works for a call that is answered by plain JSON.
    async fn run(&self, call: Call) -> Done {
        match self.host.call(call, &Mail::nowhere()).await {
            Ran::Done(done) => done,
            Ran::Ask(call, _) => {
                let text = "This call has to ask its client, which it cannot do here; send it by itself.";
                call.finish(Outcome::Fault(Fault::invalid(text))).into()
            }
        }
    }

    /// Works for a call that may say something before its answer: then the answer is a stream.
    async fn converse(&self, call: Call) -> Result<Answer, Refusal> {
        let session = self.session_of(&call);
        let Some(permit) = self.host.permit(session) else { return Ok(whole(self.run(call).await)) };
        let resumable = !session.is_empty() && call.peer.revision == Revision::V2025_11_25;
        let (mail, mut post) = Mail::new(resumable);
        let mut work = Box::pin(desk::converse(self.host.clone(), session.to_owned(), call, mail));
        let first = tokio::select! {
            biased;
            Some(first) = post.recv() => first,
            done = &mut work => return Ok(done.map_or_else(|| respond::empty(StatusCode::ACCEPTED), whole)),
        };
        let work: Work = Box::pin(async move { work.await.map(|done| host::event(&done.response.body)) });
        if resumable {
            return Ok(self.record(session, permit, first, (post, work)));
        }
        let stream = Stream::new(permit, self.host.heartbeat(), Some(first), (post, work), AtStop::Finish);
        Ok(respond::stream(stream))
    }

    /// A stream that the client may lose and come back to; its permit is kept until nobody needs it.
    fn record(
        &self,
        session: &str,
        permit: Permit,
        first: Bytes,
        said: (mpsc::Receiver<Bytes>, Work),
    ) -> Answer {
        let desk = self.host.desk();
        let number = desk.next.fetch_add(1, Relaxed);
        let held = Arc::new(Mutex::new(permit.held));
        let tape = Tapes::record(&desk.tapes, (session, number), first, said, Arc::clone(&held));
        self.play(tape, None, Permit { held: Box::new(held), ..permit })
    }

    /// The rest of a stream, after the event of this id.
    fn resume(&self, session: &str, last_event: &str) -> Result<Answer, Refusal> {
        let (tape, has) = self.host.desk().tapes.find(session, last_event).ok_or_else(|| {
            let text =
                "No stream with such an event is kept: it has ended a while ago. Send the request again.";
            Refusal::new(400, "no_such_event", text)
        })?;
        let permit = self.host.permit(session).ok_or_else(too_many_streams)?;
        Ok(self.play(tape, Some(has), permit))
    }

    fn play(&self, tape: Tape, has: Option<u64>, permit: Permit) -> Answer {
        let (mail, post) = Mail::new(false);
        let first = has.is_none().then(|| tape.priming());
        let work: Work = Box::pin(tape.play(has, mail));
        respond::stream(Stream::new(permit, self.host.heartbeat(), first, (post, work), AtStop::Finish))
    }

    /// Opens a stream of what happens; `session` is the legacy session that it belongs to.
    fn open_stream(&self, listen: Listen, session: &str) -> Result<Answer, Refusal> {
        let permit = self.host.permit(session).ok_or_else(too_many_streams)?;
        let first = listen.acknowledge().map(|message| host::event(&message));
        let at_stop = AtStop::End(listen.finish().map(|response| host::event(&response.body)));
        let feed = self.host.feed(&listen.filter)?;
        let (mail, post) = Mail::new(false);
        let work: Work = Box::pin(tell(self.host.clone(), feed, listen, session.to_owned(), mail));
        Ok(respond::stream(Stream::new(permit, self.host.heartbeat(), first, (post, work), at_stop)))
    }

    fn open_session(&self, session: &Session, response: Response) -> Result<Answer, Refusal> {
        let id = self.host.open(session)?;
        let mut answer = answer(response);
        let id = HeaderValue::try_from(id).map_err(Error::internal)?;
        answer.headers_mut().insert(SESSION_ID, id);
        Ok(answer)
    }

    /// The session that a legacy message names. One that opens a session belongs to none, and neither does a modern
    /// one, whatever else it carries.
    fn named_session(&self) -> Result<Session, Refusal> {
        self.own_session().map_or(Ok(Session::Stateless), |id| self.find_session(id))
    }

    /// The session that a call belongs to, which was found; empty for a modern one.
    fn session_of(&self, call: &Call) -> &str {
        self.own_session().filter(|_| !call.peer.revision.is_modern()).unwrap_or_default()
    }

    fn find_session(&self, id: &str) -> Result<Session, Refusal> {
        self.host.find(id)?.ok_or_else(no_such_session)
    }

    fn own_session(&self) -> Option<&str> {
        // What is no text is no id of ours either, but it is a session that was named.
        self.headers.get(&SESSION_ID).map(|id| id.to_str().unwrap_or_default())
    }

    fn is_modern(&self) -> bool {
        self.text(&VERSION).is_some_and(names_modern)
    }

    /// The answer to a revision in the header that is not served; of a POST, the engine says the same.
    fn refused_version(&self) -> Option<Answer> {
        Some(answer(unsupported(self.text(&VERSION)?)?.reply(None)))
    }

    fn mcp_headers<'h>(&'h self, params: &'h [(&'h str, &'h str)]) -> McpHeaders<'h> {
        McpHeaders {
            protocol_version: self.text(&VERSION),
            method: self.text(&METHOD),
            name: self.text(&NAME),
            params,
        }
    }

    fn param_headers(&self) -> Vec<(&str, &str)> {
        let names = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        names.filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, text(value)))).collect()
    }

    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).map(text)
    }
}

/// Puts what happens into a stream, for ever. What a legacy session watches may change meanwhile.
async fn tell<H: Host>(
    host: H,
    mut feed: H::Feed,
    mut listen: Listen,
    session: String,
    mail: Mail,
) -> Option<Bytes> {
    let mut changes = host.desk().changes();
    loop {
        tokio::select! {
            () = feed.changed() => {}
            () = changed(&mut changes, &session) => {}
        }
        if !session.is_empty()
            && let Ok(Some(session)) = host.find(&session)
            && let Some(now) = host.engine().stream_of(&session)
        {
            listen = now;
        }
        for event in feed.news(&listen.filter) {
            if let Some(message) = listen.deliver(&event) {
                mail.send(&message).await;
            }
        }
    }
}

/// Ready when what is kept of the session is another. Only its own streams look then: to subscribe costs nothing, so it
/// must cost others nothing either.
async fn changed(changes: &mut broadcast::Receiver<Arc<str>>, session: &str) {
    while !session.is_empty() {
        match changes.recv().await {
            Ok(other) if *other != *session => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => break,
        }
    }
    std::future::pending().await
}

fn opens_session(message: &Message) -> bool {
    matches!(message, Message::Request { method, .. } if method == "initialize")
}

/// Whether the message may change what is kept of its session.
fn changes_session(message: &Message) -> bool {
    const METHODS: [&str; 3] = ["logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
    matches!(message, Message::Request { method, .. } if METHODS.contains(&method.as_str()))
}

/// The value as text; one that is none equals nothing.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

fn whole(done: Done) -> Answer {
    let mut answer = answer(done.response);
    answer.headers_mut().extend(done.fields);
    answer
}

fn answer(response: Response) -> Answer {
    respond::json(StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK), Bytes::from(response.body))
}

fn only_post(method: &Method) -> Refusal {
    Refusal::new(
        405,
        "method_not_allowed",
        format!("{method} needs the id of a legacy session; POST serves the rest."),
    )
    .with(header::ALLOW, "POST")
}

fn too_many_streams() -> Refusal {
    Refusal::new(409, "too_many_streams", "There are too many open streams; close some, then retry.")
}

/// One text for every id that is not the client's own here: it tells nothing of those of others.
fn no_such_session() -> Refusal {
    Refusal::new(404, "no_such_session", "There is no such session; send initialize to open one.")
}
