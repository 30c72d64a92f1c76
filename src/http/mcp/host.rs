//! Who answers behind the transport: the product for one credential, or the server of a test.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::mpsc;

use super::desk::Desk;
use crate::http::respond::Refusal;
use crate::protocol::framing::sse;
use crate::protocol::{Ask, Call, Engine, Event, Filter, Response, Session, View};

/// Messages that a stream holds before whoever sends them has to wait.
const MAIL_MAX: usize = 64;

/// Answers the calls of one client. It is cloned for each exchange that outlives its request.
pub trait Host: Clone + Send + Sync + 'static {
    /// What tells its streams what happened.
    type Feed: Feed;

    /// The protocol.
    fn engine(&self) -> &Engine;

    /// What the client may see.
    fn view(&self) -> View;

    /// Where the answers of legacy clients arrive; one for the whole server.
    fn desk(&self) -> &Arc<Desk>;

    /// Between two comment lines that keep a stream alive.
    fn heartbeat(&self) -> Duration;

    /// Keeps a new legacy session; its id, in visible ASCII.
    ///
    /// # Errors
    /// What keeps it from doing so.
    fn open(&self, session: &Session) -> Result<String, Refusal>;

    /// The session of this id, if it is this client's.
    ///
    /// # Errors
    /// What keeps it from looking.
    fn find(&self, id: &str) -> Result<Option<Session>, Refusal>;

    /// Keeps what became of a session, if it still is what it `was`; whether it was. Two of the client's requests may
    /// change it at once, and come to different processes.
    ///
    /// # Errors
    /// What keeps it from doing so.
    fn keep(&self, id: &str, was: &Session, session: &Session) -> Result<bool, Refusal>;

    /// Ends a session; whether there was one to end.
    ///
    /// # Errors
    /// What keeps it from doing so.
    fn end(&self, id: &str) -> Result<bool, Refusal>;

    /// Whether the call may send anything before its answer. Any other is answered by plain JSON alone.
    fn converses(&self, call: &Call) -> bool;

    /// Works for a call. What it mails goes out before the answer; a client that goes away drops the future.
    fn call(&self, call: Call, mail: &Mail) -> impl Future<Output = Ran> + Send;

    /// The same client with what it may do by now, for a call that waited for it; `None` when it is let in no more.
    fn renewed(&self) -> Option<Self> {
        Some(self.clone())
    }

    /// Tells of what changes from now on. How things stand now is where it starts from and is not told.
    ///
    /// # Errors
    /// What keeps it from looking.
    fn feed(&self, filter: &Filter) -> Result<Self::Feed, Refusal>;

    /// A permit for one more stream of the session (empty where there is none); `None` when there are too many.
    fn permit(&self, session: &str) -> Option<Permit>;
}

/// Tells of what happened.
pub trait Feed: Send + 'static {
    /// Ready when anything may have happened since the last time.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    /// What happened since the last time, of what the filter wants; what it did not want then is no news.
    fn news(&mut self, filter: &Filter) -> Vec<Event>;
}

/// How a call ended.
#[allow(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost more than the move")]
pub enum Ran {
    /// Send this.
    Done(Done),
    /// A legacy client is to be asked first.
    Ask(Call, Ask),
}

/// An answer, and the fields that go with it where it is the whole of the HTTP response.
pub struct Done {
    /// The message.
    pub response: Response,
    /// More fields.
    pub fields: HeaderMap,
}

impl From<Response> for Done {
    fn from(response: Response) -> Done {
        Done { response, fields: HeaderMap::new() }
    }
}

/// Leave to hold a stream open, one of those that there are.
pub struct Permit {
    /// Given back when nobody needs the stream any more, which may be after its connection.
    pub held: Box<dyn Send>,
    /// Dropped when its connection no longer carries it.
    pub carried: Box<dyn Send>,
    /// Whether the stream may go on; asked every few seconds.
    pub lives: Box<dyn FnMut() -> bool + Send>,
    /// Whether the server is about to stop; asked often.
    pub ended: Box<dyn Fn() -> bool + Send>,
}

/// Where a call puts what goes out before its answer.
#[derive(Clone)]
pub struct Mail {
    sender: Option<mpsc::Sender<Bytes>>,
    /// Whether a client that loses the connection can have the rest later.
    resumable: bool,
}

impl Mail {
    /// Mail that nobody reads, for calls that are answered by plain JSON.
    pub fn nowhere() -> Mail {
        Mail { sender: None, resumable: false }
    }

    pub(super) fn new(resumable: bool) -> (Mail, mpsc::Receiver<Bytes>) {
        let (sender, post) = mpsc::channel(MAIL_MAX);
        (Mail { sender: Some(sender), resumable }, post)
    }

    /// Whether anybody can read it.
    pub fn is_read(&self) -> bool {
        self.sender.is_some()
    }

    /// Sends one message, when there is room for it; whoever reads may be gone.
    pub async fn send(&self, message: &[u8]) {
        self.put(event(message)).await;
    }

    /// Lets the connection go, for the client to come back for the rest (MCP 2025-11-25, "Sending Messages to the Server",
    /// 6); nothing happens where it could not. Nothing need have been said before.
    pub async fn hang_up(&self) {
        if self.resumable {
            self.put(Bytes::new()).await;
        }
    }

    pub(super) async fn put(&self, event: Bytes) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(event).await;
        }
    }
}

/// A message as an event of a stream.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + 32);
    sse::write(&mut out, None, &String::from_utf8_lossy(message));
    out.into()
}
