//! One message to the server and what comes back for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};

use super::Bridge;
use super::answer::{Messages, Part, one_line};
use super::legacy::Session;
use super::outbound::Outbound;
use crate::client::Body;
use crate::error::{Error, Kind, Result};
use crate::protocol::rpc::Id;

/// How often a broken stream of answers is taken up again at the same event (legacy era, where the server numbers them).
const MAX_RESUMES: u32 = 5;
/// The pause before that.
const RESUME_PAUSE: Duration = Duration::from_millis(500);
/// After the last answer, how long to wait for the end of the stream, so that its connection can serve again.
const LINGER: Duration = Duration::from_secs(1);

impl Bridge {
    /// Sends `outbound` and delivers what comes back. Each of its requests gets an answer, if only an error, unless it
    /// was cancelled.
    pub(super) async fn relay(self: &Arc<Self>, outbound: &Outbound) {
        let mut awaited = outbound.ids.clone();
        let Err(error) = self.exchange(outbound, &mut awaited).await else { return };
        if !self.tell(&error) && outbound.ids.is_empty() {
            tracing::warn!(?error, "the server did not take a message that wants no answer");
        }
        self.fail(&awaited, &error).await;
    }

    async fn exchange(self: &Arc<Self>, outbound: &Outbound, awaited: &mut Vec<Id>) -> Result<()> {
        let mut session = if outbound.is_modern() { None } else { self.legacy.session() };
        let mut answer = self.client.send(self.post(outbound, session.as_deref())?).await?;
        if let Some(lost) = session.as_ref().filter(|session| is_lost(session, &answer)) {
            self.reopen(lost).await?;
            session = self.legacy.session();
            answer = self.client.send(self.post(outbound, session.as_deref())?).await?;
        }
        let mut messages = self.open(answer).await?;
        let (mut resumed_at, mut resumes) = (String::new(), 0);
        loop {
            let end = self.deliver_all(&mut messages, awaited).await;
            if awaited.is_empty() {
                return Ok(());
            }
            match (&session, messages.last_event_id.take()) {
                (Some(session), Some(event)) if resumes < MAX_RESUMES || event != resumed_at => {
                    resumes = if event == resumed_at { resumes + 1 } else { 1 };
                    messages = self.resume(session, &event).await?;
                    resumed_at = event;
                }
                _ => return end.and_then(|()| Err(self.cut_short())),
            }
        }
    }

    /// Delivers messages to the end, or until nothing more is awaited.
    async fn deliver_all(&self, messages: &mut Messages, awaited: &mut Vec<Id>) -> Result<()> {
        let wanted = !awaited.is_empty();
        while let Some(message) = messages.next().await? {
            self.deliver(message, awaited).await;
            if wanted && awaited.is_empty() {
                let _ = tokio::time::timeout(LINGER, messages.next()).await;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes a message of the server to stdout, and strikes what it answers off `awaited`.
    pub(super) async fn deliver(&self, message: Bytes, awaited: &mut Vec<Id>) {
        let Some(parts) = Part::read(&message) else {
            tracing::warn!(bytes = message.len(), "the server sent an event that is no JSON-RPC message");
            return;
        };
        for part in parts.iter().filter(|part| part.is_answer()) {
            let Some(id) = &part.id else { return self.deliver_nameless(part, awaited).await };
            awaited.retain(|waiting| waiting != id);
            self.in_flight().remove(id);
        }
        drop(parts);
        self.say(one_line(message)).await;
    }

    /// An error that does not say what it is about: it is about the one request that waits, if there is one.
    async fn deliver_nameless(&self, error: &Part<'_>, awaited: &mut Vec<Id>) {
        match (&awaited[..], awaited.first().and_then(|id| error.with_id(id))) {
            ([id], Some(message)) => {
                self.in_flight().remove(id);
                awaited.clear();
                self.say(one_line(message)).await;
            }
            _ => tracing::warn!("the server sent an error that names no request"),
        }
    }

    async fn resume(&self, session: &Session, last_event_id: &str) -> Result<Messages> {
        tokio::time::sleep(RESUME_PAUSE).await;
        let mut messages =
            self.open(self.client.send(self.get(session, Some(last_event_id))?).await?).await?;
        messages.last_event_id = Some(last_event_id.to_owned());
        Ok(messages)
    }

    pub(super) async fn open(&self, answer: Response<Body>) -> Result<Messages> {
        Messages::open(answer, &self.shown, self.authorization.is_some()).await
    }

    fn cut_short(&self) -> Error {
        let text = format!("{} ended its answer before it was complete. Try again.", self.shown);
        Error::new(Kind::Unavailable, text)
    }
}

/// Whether the server says that it has no such session (MCP 2025-11-25, "Session Management").
fn is_lost(session: &Session, answer: &Response<Body>) -> bool {
    session.id.is_some() && answer.status() == StatusCode::NOT_FOUND
}
