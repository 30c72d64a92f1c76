//! What goes on beyond one message on stdio: streams of changes, calls that are followed, and calls that wait for what the
//! client was asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::access::Grant;
use crate::app::follow::{Follow, LOOK_EVERY, Look, PATIENCE};
use crate::app::{App, Feed};
use crate::clock;
use crate::error::Result;
use crate::protocol::asking::ANSWER_TIME;
use crate::protocol::rpc::{Fault, REFUSED};
use crate::protocol::{Answered, Ask, Asking, Call, Id, Listen, Response, Session};

/// Streams, and calls that wait, that may be open at once: more than any client has.
const OPEN_MAX: usize = 100;
/// Between two looks at the streams.
const LOOK_AT_STREAMS: Duration = Duration::from_millis(250);

/// Everything that is open.
#[derive(Default)]
pub(super) struct Open {
    streams: Vec<Stream>,
    follows: Vec<Followed>,
    asking: Vec<Waiting>,
    /// How many requests the server has made.
    asked: u64,
}

struct Stream {
    listen: Listen,
    grant: Arc<Grant>,
    feed: Feed,
    changes: watch::Receiver<u64>,
}

struct Waiting {
    asking: Asking,
    until: Instant,
}

struct Followed {
    follow: Follow,
    until: Instant,
}

impl Open {
    /// How long until the next look; `None` when there is nothing to look at.
    pub(super) fn pause(&self) -> Option<Duration> {
        let calls = (!self.follows.is_empty()).then_some(LOOK_EVERY);
        let streams = (!self.streams.is_empty()).then_some(LOOK_AT_STREAMS);
        let now = clock::instant();
        let asked = self.asking.iter().map(|waiting| waiting.until.saturating_duration_since(now)).min();
        [calls, streams, asked].into_iter().flatten().min()
    }

    /// Whether a call waits for its work.
    pub(super) fn follows_any(&self) -> bool {
        !self.follows.is_empty()
    }

    /// Opens a stream; the refusal when there are too many.
    pub(super) fn listen(
        &mut self,
        app: &App,
        grant: &Arc<Grant>,
        listen: Listen,
    ) -> Result<Option<Response>> {
        if self.streams.len() >= OPEN_MAX {
            let text = format!("There are {OPEN_MAX} open streams; cancel some, then retry.");
            return Ok(Some(Fault::new(200, REFUSED, text).reply(listen.id.as_ref())));
        }
        let changes = app.changes();
        let feed = Feed::new(app, grant, &listen.filter)?;
        self.streams.push(Stream { listen, grant: Arc::clone(grant), feed, changes });
        Ok(None)
    }

    /// Opens the stream of a legacy session, whose messages come between the others, once there is a session.
    pub(super) fn hear_session(&mut self, app: &App, grant: &Arc<Grant>, session: &Session) -> Result<()> {
        let open = self.streams.iter().any(|stream| stream.listen.id.is_none());
        match app.engine.stream_of(session) {
            Some(listen) if !open && !listen.filter.is_empty() => self.listen(app, grant, listen).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Follows a call to its end; the answer at once when there are too many.
    pub(super) fn follow(&mut self, follow: Follow) -> Option<Response> {
        if self.follows.len() >= OPEN_MAX {
            return Some(follow.finish());
        }
        self.follows.push(Followed { follow, until: clock::instant() + PATIENCE });
        None
    }

    /// Keeps a call until the client has answered; the requests to send it, or the answer to a client that cannot.
    #[allow(clippy::result_large_err, reason = "it is an answer, not an error")]
    pub(super) fn ask(&mut self, call: Call, ask: Ask) -> std::result::Result<Vec<Vec<u8>>, Response> {
        if self.asking.len() >= OPEN_MAX {
            let text = format!("{OPEN_MAX} calls wait for your answers; answer some, then retry.");
            return Err(call.fault(&Fault::new(200, REFUSED, text)));
        }
        let first = self.asked;
        self.asked += ask.requests.len() as u64;
        let mut asking = call.ask(ask, first)?;
        let requests = asking.take_requests();
        self.asking.push(Waiting { asking, until: clock::instant() + ANSWER_TIME });
        Ok(requests)
    }

    /// Takes the client's answer; what becomes of the call that waited for it.
    pub(super) fn answer(&mut self, id: &Id, outcome: std::result::Result<Value, Value>) -> Option<Answered> {
        let waits = |waiting: &Waiting| waiting.asking.waits_for().any(|open| open == id);
        let at = self.asking.iter().position(waits)?;
        let Waiting { asking, until } = self.asking.swap_remove(at);
        match asking.answer(id, outcome) {
            Answered::Waiting(asking) => {
                self.asking.push(Waiting { asking, until });
                None
            }
            answered => Some(answered),
        }
    }

    /// Ends what the client no longer wants.
    pub(super) fn cancel(&mut self, id: &Id) {
        self.streams.retain(|stream| stream.listen.id.as_ref() != Some(id));
        self.asking.retain(|waiting| waiting.asking.call_id() != id);
        self.follows.retain(|followed| followed.follow.call_id() != id);
    }

    /// What is to be said now. A stream that cannot be looked at is tried again with the next change; when `key` stands
    /// for nothing any more, which is a change too, every stream ends.
    pub(super) fn look(&mut self, app: &App, key: &str, session: &Session) -> Vec<Vec<u8>> {
        let mut messages = self.look_at_calls();
        let stirred = |stream: &Stream| stream.changes.has_changed().unwrap_or(false);
        if self.streams.iter().any(stirred) {
            match app.authenticate(key) {
                Ok(Some(_)) => {}
                Ok(None) => messages.extend(self.end_streams()),
                Err(error) => {
                    tracing::warn!(?error, "whether the key still holds could not be seen");
                    return messages;
                }
            }
        }
        for stream in &mut self.streams {
            if !stream.changes.has_changed().unwrap_or(false) {
                continue;
            }
            stream.changes.mark_unchanged();
            if let Some(now) = app.engine.stream_of(session).filter(|_| stream.listen.id.is_none()) {
                stream.listen = now; // A legacy session may watch other resources by now.
            }
            match stream.feed.news(&stream.listen.filter) {
                Ok(events) => messages.extend(events.iter().filter_map(|event| stream.listen.deliver(event))),
                Err(error) => {
                    tracing::warn!(?error, grant = %stream.grant.credential, "a stream could not be told what changed");
                }
            }
        }
        messages
    }

    fn end_streams(&mut self) -> Vec<Vec<u8>> {
        let ended = std::mem::take(&mut self.streams);
        ended.iter().filter_map(|stream| Some(stream.listen.finish()?.body)).collect()
    }

    fn look_at_calls(&mut self) -> Vec<Vec<u8>> {
        let (mut messages, now) = (Vec::new(), clock::instant());
        for late in self.asking.extract_if(.., |waiting| waiting.until <= now) {
            messages.push(late.asking.give_up().body);
        }
        for mut followed in std::mem::take(&mut self.follows) {
            match followed.follow.look() {
                Ok(Look::Wait(news)) if now < followed.until => {
                    messages.extend(news);
                    self.follows.push(followed);
                }
                _ => messages.push(followed.follow.finish().body),
            }
        }
        messages
    }
}
