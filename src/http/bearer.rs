//! The product behind the transport, for one request's credential.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Site;
use super::connection::Pulse;
use super::credential;
use super::mcp::{Desk, Done, Feed, Host, Mail, Permit, Ran};
use super::respond::Refusal;
use super::tokenized::Token;
use crate::access::{Endpoint, Grant, Sessions, Signals, reach};
use crate::app::follow::{Follow, LOOK_EVERY, Look, PATIENCE};
use crate::app::{self, Answer, Barred, Caller, Reply};
use crate::clock::{self, SECOND, Time};
use crate::error::Error;
use crate::protocol::{Call, Engine, Event, Filter, Outcome, Response, Session, View};
use crate::store::quota::{Balance, Exhausted};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const READ_ONLY: HeaderName = HeaderName::from_static("x-mcp-readonly");

/// Whoever has a credential that holds, at one of the endpoints.
#[derive(Clone)]
pub(super) struct Bearer {
    pub site: Arc<Site>,
    pub pulse: Arc<Pulse>,
    pub endpoint: Endpoint,
    /// The endpoint's path as the client spells it, without a token.
    pub path: &'static str,
    pub grant: Arc<Grant>,
    /// Where the grant came from: what a stream looks at again.
    pub proof: Proof,
    /// Whether the request wants to read only.
    pub read_only: bool,
    pub arrived: Instant,
}

/// What a grant came of.
#[derive(Clone)]
pub(super) enum Proof {
    /// The Authorization field.
    Field(Option<HeaderValue>),
    /// The token in the path.
    Path(Token),
}

/// Whether the fields ask to be shown no more than what reads: whoever names the field wants less, unless all it says is
/// no.
pub(super) fn wants_read_only(headers: &HeaderMap) -> bool {
    let mut wishes = headers.get_all(&READ_ONLY).iter();
    wishes.any(|wish| !wish.as_bytes().eq_ignore_ascii_case(b"false"))
}

impl Host for Bearer {
    type Feed = News;

    fn engine(&self) -> &Engine {
        &self.site.app.engine
    }

    fn view(&self) -> View {
        app::view(reach(self.signals()))
    }

    fn desk(&self) -> &Arc<Desk> {
        &self.site.desk
    }

    fn heartbeat(&self) -> Duration {
        self.site.options.limits.heartbeat
    }

    fn open(&self, session: &Session) -> Result<String, Refusal> {
        let peer = serde_json::to_string(session).map_err(Error::internal)?;
        Ok(self.site.wait_for(|| self.sessions(&self.grant).open(peer))?)
    }

    fn find(&self, id: &str) -> Result<Option<Session>, Refusal> {
        let kept = self.site.wait_for(|| self.sessions(&self.grant).find(id))?;
        Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()))
    }

    fn keep(&self, id: &str, was: &Session, session: &Session) -> Result<bool, Refusal> {
        let text = |session: &Session| serde_json::to_string(session).map_err(Error::internal);
        let (before, peer) = (text(was)?, text(session)?);
        Ok(self.site.wait_for(|| {
            let sessions = self.sessions(&self.grant);
            if sessions.keep(id, before, peer.clone())? {
                return Ok::<_, Error>(true);
            }
            // An older version of this program may have written the same in other words.
            let same = |kept: &String| serde_json::from_str::<Session>(kept).is_ok_and(|kept| kept == *was);
            match sessions.find(id)?.filter(same) {
                Some(kept) => sessions.keep(id, kept, peer),
                None => Ok(false),
            }
        })?)
    }

    fn end(&self, id: &str) -> Result<bool, Refusal> {
        Ok(self.site.wait_for(|| self.sessions(&self.grant).end(id))?)
    }

    fn converses(&self, call: &Call) -> bool {
        app::converses(call)
    }

    /// Works for a call in its turn. Whoever hangs up while waiting is not served; a call that runs comes to its end.
    async fn call(&self, call: Call, mail: &Mail) -> Ran {
        let turn = self.site.calls.try_acquire();
        let turn = match turn {
            Ok(turn) => Some(turn),
            Err(_) => {
                let wait = self.site.options.limits.call_wait;
                timeout(wait, self.site.calls.acquire()).await.ok().and_then(Result::ok)
            }
        };
        let Some(turn) = turn else { return Ran::Done(call.finish(busy()).into()) };
        let caller =
            Caller { grant: &self.grant, signals: self.signals(), transport: "http", arrived: self.arrived };
        let answer = self.site.wait_for(|| self.site.app.call(&caller, call));
        drop(turn);
        match answer {
            Answer::Ask(call, ask) if mail.is_read() => Ran::Ask(call, ask),
            Answer::Later(follow) if mail.is_read() => Ran::Done(self.follow(follow, mail).await.into()),
            answer => Ran::Done(self.done(answer.at_once())),
        }
    }

    fn renewed(&self) -> Option<Bearer> {
        let grant = self.site.wait_for(|| self.grant_now())?;
        Some(Bearer { grant, arrived: clock::instant(), ..self.clone() })
    }

    fn feed(&self, filter: &Filter) -> Result<News, Refusal> {
        let site = Arc::clone(&self.site);
        let changes = site.app.changes();
        let feed = site.wait_for(|| app::Feed::new(&site.app, &self.grant, filter))?;
        Ok(News { site, changes, feed })
    }

    fn permit(&self, session: &str) -> Option<Permit> {
        let limits = &self.site.options.limits;
        let credential = format!("{}/{}", self.grant.tenant.key(), self.grant.credential);
        let wanted = [
            (credential.as_str(), limits.streams_per_credential),
            (session, if session.is_empty() { u32::MAX } else { limits.streams_per_session }),
        ];
        self.site.streams.take(wanted, limits.streams).then(|| {
            let site = Arc::clone(&self.site);
            let held = Held { site: Arc::clone(&site), owners: [credential.clone(), session.to_owned()] };
            let carried = Carried(Arc::clone(&self.pulse));
            let (bearer, id) = (self.clone(), session.to_owned());
            let lives = move || bearer.site.wait_for(|| bearer.lives(&id));
            let ended = move || site.stop.is_stopping();
            Permit {
                held: Box::new(held),
                carried: Box::new(carried),
                lives: Box::new(lives),
                ended: Box::new(ended),
            }
        })
    }
}

impl Bearer {
    fn sessions<'s>(&'s self, grant: &'s Grant) -> Sessions<'s> {
        let app = &self.site.app;
        let now = app.clock.now();
        Sessions { store: &app.store, keyring: &app.keyring, grant, endpoint: self.endpoint, now }
    }

    fn signals(&self) -> Signals {
        self.site.app.signals(&self.grant, self.endpoint, self.read_only)
    }

    /// Tells how far the work of a call is, until it is done or the client has waited long enough. Nobody can be told
    /// without a stream: then the answer is how it stands.
    async fn follow(&self, mut follow: Follow, mail: &Mail) -> Response {
        let mut changes = self.site.app.changes();
        let until = clock::instant() + PATIENCE;
        while mail.is_read() && clock::instant() < until {
            match self.site.wait_for(|| follow.look()) {
                Ok(Look::Done) => break,
                Ok(Look::Wait(news)) => {
                    if let Some(news) = news {
                        mail.send(&news).await;
                    }
                    let _ = timeout(LOOK_EVERY, changes.changed()).await;
                }
                Err(error) => {
                    tracing::warn!(?error, "a call could not be followed");
                    break;
                }
            }
        }
        follow.finish()
    }

    /// Whether credential and session still hold, and the credential reaches what it did: a stream tells what could be
    /// seen when it was opened.
    fn lives(&self, session: &str) -> bool {
        let (first, now) = (&self.grant, self.grant_now());
        let same = |now: &Arc<Grant>| now.chatbots == first.chatbots && now.read_only == first.read_only;
        now.filter(same).is_some_and(|grant| {
            session.is_empty() || self.sessions(&grant).find(session).is_ok_and(|found| found.is_some())
        })
    }

    /// What the credential stands for by now.
    fn grant_now(&self) -> Option<Arc<Grant>> {
        match &self.proof {
            Proof::Path(token) => token.grant(&self.site).ok().flatten(),
            Proof::Field(value) => {
                let field = value.iter().map(|value| (header::AUTHORIZATION, value.clone()));
                credential::authenticate(&self.site, &field.collect(), self.endpoint, self.path).ok()
            }
        }
    }

    /// The answer to a call, with the fields that say why it was barred.
    fn done(&self, reply: Reply) -> Done {
        let fields = match reply.barred {
            None => HeaderMap::new(),
            Some(Barred::Quota(balance, exhausted)) => {
                quota_fields(&balance, &exhausted, self.site.app.clock.now())
            }
            Some(Barred::Flood(seconds)) => HeaderMap::from_iter([(header::RETRY_AFTER, seconds.into())]),
            Some(Barred::Scope) => {
                let step_up = credential::step_up(&self.site, self.path);
                HeaderMap::from_iter([(header::WWW_AUTHENTICATE, step_up)])
            }
        };
        Done { response: reply.response, fields }
    }
}

/// A place among the open streams, until dropped.
struct Held {
    site: Arc<Site>,
    owners: [String; 2],
}

impl Drop for Held {
    fn drop(&mut self) {
        self.site.streams.give_back(&self.owners);
    }
}

/// A connection that carries a stream, until dropped.
struct Carried(Arc<Pulse>);

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// What happens to what the credential may see.
pub(super) struct News {
    site: Arc<Site>,
    changes: watch::Receiver<u64>,
    feed: app::Feed,
}

impl Feed for News {
    async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await; // The app is gone: nothing will ever change again.
        }
    }

    fn news(&mut self, filter: &Filter) -> Vec<Event> {
        let feed = &mut self.feed;
        self.site.wait_for(|| feed.news(filter)).unwrap_or_else(|error| {
            tracing::warn!(?error, "an open stream could not be told what changed");
            Vec::new()
        })
    }
}

/// The windows of a quota that was used up, and when to come again (draft-ietf-httpapi-ratelimit-headers-10).
fn quota_fields(balance: &Balance, exhausted: &Exhausted, now: Time) -> HeaderMap {
    let mut headers = HeaderMap::new();
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

fn busy() -> Outcome {
    Outcome::Refused(crate::protocol::Refusal {
        code: "unavailable",
        message: "The server is busy; try again in a few seconds.".into(),
        data: None,
        meta: None,
    })
}
