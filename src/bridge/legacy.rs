//! The legacy era: the session that a handshake opens, its stream of notifications, and how a lost one comes back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderValue;
use tokio::task::AbortHandle;

use super::answer::Part;
use super::outbound::{Outbound, SESSION_ID, session_id};
use super::{Bridge, PATIENCE};
use crate::error::{Error, Kind, Result};

/// How long to wait before a broken stream is opened again, the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest to wait for the server when the session ends.
const FAREWELL: Duration = Duration::from_secs(5);
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A session as the server knows it.
pub(super) struct Session {
    /// What the server calls it; a server may do without.
    pub(super) id: Option<HeaderValue>,
    /// The revision agreed on.
    pub(super) revision: HeaderValue,
    /// The client's handshake, for the day the server forgets the session.
    initialize: Outbound,
}

#[derive(Default)]
pub(super) struct State {
    session: Mutex<Option<Arc<Session>>>,
    /// The task that holds the stream of notifications.
    listener: Mutex<Option<AbortHandle>>,
    /// Held while a lost session is opened again, so that it is once.
    reopening: tokio::sync::Mutex<()>,
}

impl State {
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    fn set_listener(&self, listener: Option<AbortHandle>) {
        let before = std::mem::replace(&mut *lock(&self.listener), listener);
        before.iter().for_each(AbortHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bridge {
    /// The client's own `initialize`: a new session, and its answer to the client.
    pub(super) async fn shake_hands(&self, outbound: Outbound) {
        self.close_session().await;
        match self.open_session(&outbound).await {
            Ok((session, messages)) => {
                *lock(&self.legacy.session) = session.map(Arc::new);
                for message in messages {
                    self.deliver(message, &mut outbound.ids.clone()).await;
                }
            }
            Err(error) => {
                self.tell(&error);
                for id in &outbound.ids {
                    self.answer_with(id, &error).await;
                }
            }
        }
    }

    /// Sends `initialize`: the session it opened, unless the server refused, and what the server answered.
    async fn open_session(&self, initialize: &Outbound) -> Result<(Option<Session>, Vec<Bytes>)> {
        let slow = || Error::new(Kind::Unavailable, format!("{} does not end its handshake.", self.shown));
        tokio::time::timeout(PATIENCE, self.ask_for_session(initialize)).await.unwrap_or_else(|_| Err(slow()))
    }

    async fn ask_for_session(&self, initialize: &Outbound) -> Result<(Option<Session>, Vec<Bytes>)> {
        let answer = self.client.send(self.post(initialize, None)?).await?;
        let id = session_id(answer.headers().get(SESSION_ID));
        let mut messages = self.open(answer).await?;
        let mut heard = Vec::new();
        while let Some(message) = messages.next().await? {
            let revision = Part::read(&message)
                .into_iter()
                .flatten()
                .find(Part::is_answer)
                .map(|part| part.negotiated());
            heard.push(message);
            if let Some(revision) = revision {
                let revision = revision.and_then(|revision| HeaderValue::from_str(&revision).ok());
                let session =
                    revision.map(|revision| Session { id, revision, initialize: initialize.clone() });
                return Ok((session, heard));
            }
        }
        Err(Error::new(Kind::Unavailable, format!("{} did not answer the handshake.", self.shown)))
    }

    /// Opens a session anew after the server forgot `lost`, with the same handshake. Whoever comes second finds it done.
    ///
    /// # Errors
    /// When the server does not agree as it did before: then the client must be started again.
    pub(super) async fn reopen(self: &Arc<Self>, lost: &Arc<Session>) -> Result<()> {
        let _alone = self.legacy.reopening.lock().await;
        if !self.legacy.session().is_some_and(|session| Arc::ptr_eq(&session, lost)) {
            return Ok(());
        }
        let (session, _) = self.open_session(&lost.initialize).await?;
        let session = session.filter(|session| session.revision == lost.revision).ok_or_else(|| {
            let text =
                format!("{} forgot the session and opens no other like it. Connect again.", self.shown);
            Error::new(Kind::Unavailable, text)
        })?;
        let initialized = Outbound::notification(Bytes::from_static(INITIALIZED));
        self.open(self.client.send(self.post(&initialized, Some(&session))?).await?).await?;
        *lock(&self.legacy.session) = Some(Arc::new(session));
        self.listen();
        Ok(())
    }

    /// Opens the session's stream of notifications, if there is a session and the server has such streams; opens it
    /// again whenever it breaks.
    pub(super) fn listen(self: &Arc<Self>) {
        let Some(session) = self.legacy.session() else { return };
        let bridge = self.clone();
        let task = tokio::spawn(async move { bridge.hear(&session).await });
        self.legacy.set_listener(Some(task.abort_handle()));
    }

    async fn hear(&self, session: &Session) {
        let (mut last_event_id, mut pause) = (None, FIRST_PAUSE);
        loop {
            match self.hear_once(session, &mut last_event_id).await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => return,
                Err(error) => tracing::debug!(?error, "the stream of notifications broke"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One stream to its end. False when the server has none for this session.
    async fn hear_once(&self, session: &Session, last_event_id: &mut Option<String>) -> Result<bool> {
        let answer = self.client.send(self.get(session, last_event_id.as_deref())?).await?;
        if !answer.status().is_success() {
            return if answer.status().is_server_error() { Ok(true) } else { Ok(false) };
        }
        let mut messages = self.open(answer).await?;
        if !messages.is_stream() {
            return Ok(false);
        }
        let mut heard = Ok(true);
        loop {
            match messages.next().await {
                Ok(Some(message)) => self.deliver(message, &mut Vec::new()).await,
                Ok(None) => break,
                Err(error) => {
                    heard = Err(error);
                    break;
                }
            }
        }
        *last_event_id = messages.last_event_id.or(last_event_id.take());
        heard
    }

    /// Ends the session, if there is one, here and on the server.
    pub(super) async fn close_session(&self) {
        self.legacy.set_listener(None);
        let session = lock(&self.legacy.session).take();
        let Some(session) = session.filter(|session| session.id.is_some()) else { return };
        if let Ok(request) = self.delete(&session) {
            // A server that cannot hear it forgets idle sessions by itself.
            let _ = tokio::time::timeout(FAREWELL, self.client.send(request)).await;
        }
    }
}
