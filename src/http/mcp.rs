//! MCP over Streamable HTTP: both eras at one URL.
//!
//! By the time a request comes here its Host, Origin and credential are good. What follows: the fields that say
//! what the body is and what may come back, the body, the session of a legacy client, the engine, and perhaps a tool.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming as HttpBody;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::time::timeout;

use super::Site;
use super::connection::Pulse;
use super::credential;
use super::limits::read_body;
use super::request::{check_accept, check_content};
use super::respond::{self, Answer, Refusal};
use super::stream::Stream;
use super::tokenized::Token;
use crate::access::{Endpoint, Grant, Sessions, Signals, reach};
use crate::app::{self, Caller};
use crate::clock::{SECOND, Time};
use crate::error::Error;
use crate::protocol::engine::unsupported;
use crate::protocol::{Call, Incoming, McpHeaders, Message, Outcome, Response, Session, Step, View, rpc};

/// One request to an endpoint, by someone known.
pub(super) struct Exchange<'a> {
    pub site: &'a Arc<Site>,
    pub pulse: &'a Arc<Pulse>,
    pub endpoint: Endpoint,
    /// The endpoint's path as the client spells it, without a token.
    pub path: &'a str,
    pub grant: Arc<Grant>,
    /// The token in the path that the grant came of; without one it came of the fields.
    pub token: Option<&'a Token>,
    pub headers: &'a HeaderMap,
    pub arrived: Instant,
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const READ_ONLY: HeaderName = HeaderName::from_static("x-mcp-readonly");
const PARAM: &str = "mcp-param-";

impl Exchange<'_> {
    /// POST: messages of the client.
    pub(super) async fn send(&self, body: HttpBody) -> Result<Answer, Refusal> {
        check_content(self.headers)?;
        check_accept(self.headers, &["application/json", "text/event-stream"])?;
        let limits = &self.site.options.limits;
        let read = read_body(body, limits, limits.body_bytes).await;
        let bytes = read.map_err(|fault| fault.refusal(limits.body_bytes))?;
        let incoming = match rpc::parse(&bytes) {
            Ok(incoming) => incoming,
            Err(response) => return Ok(answer(response)),
        };
        drop(bytes);
        match incoming {
            Incoming::One(message) => self.one(message).await,
            Incoming::Batch(messages) => self.batch(messages).await,
        }
    }

    /// GET: the stream on which a legacy client hears what it did not ask for.
    pub(super) fn listen(&self) -> Result<Answer, Refusal> {
        if let Some(refused) = self.refused_version() {
            return Ok(refused);
        }
        let session =
            self.own_session().filter(|_| !self.is_modern()).ok_or_else(|| only_post(&Method::GET))?;
        check_accept(self.headers, &["text/event-stream"])?;
        self.find_session(session)?;
        let (site, endpoint, id) = (Arc::clone(self.site), self.endpoint, session.to_owned());
        let path = self.path.to_owned();
        let credential = self.headers.get(header::AUTHORIZATION).cloned();
        let credential = credential.map(|value| (header::AUTHORIZATION, value)).into_iter().collect();
        let token = self.token.cloned();
        let lives = move || {
            let grant = match &token {
                Some(token) => token.grant(&site).ok().flatten(),
                None => credential::authenticate(&site, &credential, endpoint, &path).ok(),
            };
            grant.is_some_and(|grant| {
                sessions(&site, &grant, endpoint).find(&id).is_ok_and(|found| found.is_some())
            })
        };
        let owner = format!("{}/{}", self.grant.tenant.key(), self.grant.credential);
        Stream::open(self.site, self.pulse, [owner, session.to_owned()], Box::new(lives))
            .map(respond::stream)
            .ok_or_else(|| {
                Refusal::new(
                    409,
                    "too_many_streams",
                    "There are too many open streams; close some, then retry.",
                )
            })
    }

    /// DELETE: a legacy client ends its session.
    pub(super) fn end(&self) -> Result<Answer, Refusal> {
        if let Some(refused) = self.refused_version() {
            return Ok(refused);
        }
        if self.is_modern() {
            return Err(only_post(&Method::DELETE));
        }
        let session = self.own_session().ok_or_else(|| {
            Refusal::new(400, "no_session", "Name the session to end in the Mcp-Session-Id field.")
        })?;
        let ended = self.site.wait_for(|| self.sessions().end(session))?;
        if ended { Ok(respond::empty(StatusCode::NO_CONTENT)) } else { Err(no_such_session()) }
    }

    async fn one(&self, message: Message) -> Result<Answer, Refusal> {
        let opens = opens_session(&message);
        let stateless = opens || message.names_version() || self.is_modern();
        let mut session = if stateless { Session::Stateless } else { self.named_session()? };
        let params = self.param_headers();
        let step =
            self.site.app.engine.handle(&mut session, self.view(), Some(&self.mcp_headers(&params)), message);
        match step {
            Step::Reply(response) if opens && session.peer().is_some() => {
                self.open_session(&session, response)
            }
            step => Ok(match self.perform(step).await {
                Some(done) => self.metered(done),
                None => respond::empty(StatusCode::ACCEPTED),
            }),
        }
    }

    async fn batch(&self, messages: Vec<Message>) -> Result<Answer, Refusal> {
        let mut session = if self.is_modern() { Session::Stateless } else { self.named_session()? };
        if let Err(response) = self.site.app.engine.accepts_batch(&session, &messages) {
            return Ok(answer(response));
        }
        let (mut responses, mut exhausted) = (Vec::new(), None);
        for message in messages {
            let headers = self.mcp_headers(&[]);
            let step = self.site.app.engine.handle(&mut session, self.view(), Some(&headers), message);
            if let Some(done) = self.perform(step).await {
                exhausted = done.exhausted.and(done.balance).zip(done.exhausted).or(exhausted);
                responses.push(done.response);
            }
        }
        if responses.is_empty() {
            return Ok(respond::empty(StatusCode::ACCEPTED));
        }
        let (balance, exhausted) = exhausted.unzip();
        Ok(self.metered(app::Answer { exhausted, balance, ..unmetered(rpc::join(&responses)) }))
    }

    /// The answer to calls; when the quota refused one, its fields say so too.
    fn metered(&self, done: app::Answer) -> Answer {
        let quota = done.exhausted.map(|_| quota_fields(&done, self.site.app.clock.now()));
        let short = done.insufficient_scope.then(|| credential::step_up(self.site, self.path));
        let mut answer = answer(done.response);
        answer.headers_mut().extend(short.map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        if let Some(seconds) = done.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(quota) = quota {
            answer.headers_mut().extend(quota);
        }
        answer
    }

    /// Does what the engine says; the answer, if there is one.
    async fn perform(&self, step: Step) -> Option<app::Answer> {
        match step {
            Step::Reply(response) => Some(unmetered(response)),
            Step::Call(call) => Some(self.run(call).await),
            // A call runs within its own request and is over in milliseconds: there is nothing left to stop.
            Step::Cancel(_) | Step::Resume(..) | Step::Accepted => None,
            Step::Listen(_) => None,
        }
    }

    /// Runs a tool in its turn. Whoever hangs up while waiting is not served; a call that runs comes to its end.
    async fn run(&self, call: Call) -> app::Answer {
        let calls = &self.site.calls;
        let turn = match calls.try_acquire() {
            Ok(turn) => Some(turn),
            Err(_) => {
                timeout(self.site.options.limits.call_wait, calls.acquire()).await.ok().and_then(Result::ok)
            }
        };
        let (signals, arrived) = (self.signals(), self.arrived);
        let caller = Caller { grant: &self.grant, signals, transport: "http", arrived };
        match turn {
            Some(_turn) => self.site.wait_for(|| self.site.app.call(&caller, call)),
            None => unmetered(call.finish(busy())),
        }
    }

    fn open_session(&self, session: &Session, response: Response) -> Result<Answer, Refusal> {
        let peer = serde_json::to_string(session).map_err(Error::internal)?;
        let id = self.site.wait_for(|| self.sessions().open(peer))?;
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

    fn find_session(&self, id: &str) -> Result<Session, Refusal> {
        let found = self.site.wait_for(|| self.sessions().find(id))?;
        let kept = found.ok_or_else(no_such_session)?;
        serde_json::from_str(&kept).map_err(|_| no_such_session())
    }

    fn own_session(&self) -> Option<&str> {
        // What is no text is no id of ours either, but it is a session that was named.
        self.headers.get(&SESSION_ID).map(|id| id.to_str().unwrap_or_default())
    }

    fn sessions(&self) -> Sessions<'_> {
        sessions(self.site, &self.grant, self.endpoint)
    }

    fn is_modern(&self) -> bool {
        self.mcp_headers(&[]).names_modern()
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

    fn signals(&self) -> Signals {
        // Whoever names the field wants less, unless all it says is no.
        let mut wishes = self.headers.get_all(&READ_ONLY).iter();
        let read_only = wishes.any(|wish| !wish.as_bytes().eq_ignore_ascii_case(b"false"));
        self.site.app.signals(&self.grant, self.endpoint, read_only)
    }

    fn view(&self) -> View {
        app::view(reach(self.signals()))
    }
}

fn sessions<'s>(site: &'s Site, grant: &'s Grant, endpoint: Endpoint) -> Sessions<'s> {
    let app = &site.app;
    Sessions { store: &app.store, keyring: &app.keyring, grant, endpoint, now: app.clock.now() }
}

fn opens_session(message: &Message) -> bool {
    matches!(message, Message::Request { method, .. } if method == "initialize")
}

/// The value as text; one that is none equals nothing.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

fn unmetered(response: Response) -> app::Answer {
    app::Answer { response, balance: None, exhausted: None, retry_after: None, insufficient_scope: false }
}

fn answer(response: Response) -> Answer {
    respond::json(StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK), Bytes::from(response.body))
}

/// The windows of a quota that was used up, and when to come again (draft-ietf-httpapi-ratelimit-headers-10).
fn quota_fields(done: &app::Answer, now: Time) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let (Some(balance), Some(exhausted)) = (done.balance, done.exhausted) else { return headers };
    let seconds = |to: Time| ((to.0 - now.0 + SECOND - 1) / SECOND).max(1);
    let (mut policies, mut limits) = (Vec::new(), Vec::new());
    for (name, length, window) in [("minute", 60, balance.minute), ("day", 86_400, balance.day)] {
        let Some(limit) = window.limit else { continue };
        let (left, resets) = (window.remaining.unwrap_or(0), seconds(window.resets_at));
        policies.push(format!("\"{name}\";q={limit};w={length}"));
        limits.push(format!("\"{name}\";r={left};t={resets}"));
    }
    for (name, items) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, limits)] {
        headers.extend(HeaderValue::try_from(items.join(", ")).map(|value| (name, value)));
    }
    headers.insert(header::RETRY_AFTER, seconds(exhausted.retry_at).into());
    headers
}

fn only_post(method: &Method) -> Refusal {
    Refusal::new(
        405,
        "method_not_allowed",
        format!("{method} needs the id of a legacy session; POST serves the rest."),
    )
    .with(header::ALLOW, "POST")
}

/// One text for every id that is not the client's own here: it tells nothing of those of others.
fn no_such_session() -> Refusal {
    Refusal::new(404, "no_such_session", "There is no such session; send initialize to open one.")
}

fn busy() -> Outcome {
    Outcome::Refused(crate::protocol::Refusal {
        code: "unavailable",
        message: "The server is busy; try again in a few seconds.".into(),
        data: None,
        meta: None,
    })
}
