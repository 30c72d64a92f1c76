//! Where what a legacy client says to a call that is under way arrives: its answers to what it was asked, and that it no
//! longer wants the call. Both come by requests of their own, in the same session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;

use super::host::{Done, Host, Mail, Ran};
use super::resume::Tapes;
use crate::clock::random;
use crate::protocol::asking::ANSWER_TIME;
use crate::protocol::{Answered, Asking, Call, Id};

/// Changes of sessions that a stream may be behind with; of one that is further behind, all are looked at.
const MAX_CHANGED: usize = 64;

/// The calls under way that a client may still say something to.
pub struct Desk {
    lines: Mutex<HashMap<(String, Topic), mpsc::UnboundedSender<Said>>>,
    pub(super) next: AtomicU64,
    /// What clients may come back for.
    pub(super) tapes: Arc<Tapes>,
    /// The sessions that changed.
    changed: broadcast::Sender<Arc<str>>,
    /// Whether nobody is waited for any more.
    stopping: watch::Sender<bool>,
}

/// What something said is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Topic {
    /// A request of the server's.
    Asked(Id),
    /// A call of the client's.
    Call(Id),
}

enum Said {
    Answer(Id, Result<Value, Value>),
    Cancelled,
}

impl Default for Desk {
    fn default() -> Desk {
        // A session outlives the process, so its numbers must not begin anew.
        let next = AtomicU64::new(u64::from(u32::from_be_bytes(random())));
        let (changed, _) = broadcast::channel(MAX_CHANGED);
        let stopping = watch::Sender::new(false);
        Desk { lines: Mutex::default(), next, tapes: Arc::default(), changed, stopping }
    }
}

impl Desk {
    /// Gives up every call that waits for its client, or will: the server stops.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Says that what is kept of this session is another.
    pub(super) fn changed(&self, session: &str) {
        let _ = self.changed.send(session.into()); // There may be no stream at all.
    }

    /// The sessions that change from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changed.subscribe()
    }

    /// Hands on what a client answers; what nobody asked is dropped.
    pub(super) fn answer(&self, session: &str, id: Id, outcome: Result<Value, Value>) {
        self.say(session, Topic::Asked(id.clone()), Said::Answer(id, outcome));
    }

    /// Hands on that a client no longer wants a call.
    pub(super) fn cancel(&self, session: &str, id: Id) {
        self.say(session, Topic::Call(id), Said::Cancelled);
    }

    /// Ends every call of a session that is no more: nobody can answer what it asks.
    pub(super) fn end(&self, session: &str) {
        for ((owner, topic), line) in self.lines().iter() {
            if owner == session && matches!(topic, Topic::Call(_)) {
                let _ = line.send(Said::Cancelled);
            }
        }
    }

    fn say(&self, session: &str, topic: Topic, said: Said) {
        if let Some(line) = self.lines().get(&(session.to_owned(), topic)) {
            let _ = line.send(said);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<(String, Topic), mpsc::UnboundedSender<Said>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call's ear at the desk, until dropped.
struct Line {
    desk: Arc<Desk>,
    session: String,
    topics: Vec<Topic>,
    sender: mpsc::UnboundedSender<Said>,
    receiver: mpsc::UnboundedReceiver<Said>,
}

impl Line {
    /// A modern call belongs to no session, and is told nothing here: its client cancels it by letting go of the stream.
    fn new(desk: &Arc<Desk>, session: &str, call: &Call) -> Line {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (desk, session) = (Arc::clone(desk), session.to_owned());
        let mut line = Line { desk, session, topics: Vec::new(), sender, receiver };
        if !line.session.is_empty() {
            line.hear(Topic::Call(call.id.clone()));
        }
        line
    }

    fn hear(&mut self, topic: Topic) {
        self.desk.lines().insert((self.session.clone(), topic.clone()), self.sender.clone());
        self.topics.push(topic);
    }

    async fn cancelled(&mut self) {
        loop {
            match self.receiver.recv().await {
                Some(Said::Cancelled) | None => return,
                Some(Said::Answer(..)) => {}
            }
        }
    }

    /// What becomes of a call once the client was asked: the call to make again, or the answer to send, if any.
    async fn ask(&mut self, mut asking: Asking, mail: &Mail) -> Result<Call, Option<Done>> {
        let topics: Vec<Topic> = asking.waits_for().cloned().map(Topic::Asked).collect();
        topics.into_iter().for_each(|topic| self.hear(topic));
        for request in asking.take_requests() {
            mail.send(&request).await;
        }
        let mut stopping = self.desk.stopping.subscribe();
        loop {
            let said = tokio::select! {
                said = timeout(ANSWER_TIME, self.receiver.recv()) => said.ok(),
                _ = stopping.wait_for(|stops| *stops) => None,
            };
            let Some(said) = said else { return Err(Some(asking.give_up().into())) };
            let Some(Said::Answer(id, outcome)) = said else { return Err(None) };
            asking = match asking.answer(&id, outcome) {
                Answered::Waiting(asking) => asking,
                Answered::Again(call) => return Ok(call),
                Answered::Ended(response) => return Err(Some(response.into())),
            };
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut lines = self.desk.lines();
        for topic in self.topics.drain(..) {
            lines.remove(&(self.session.clone(), topic));
        }
    }
}

/// Works for a call until there is an answer, asking the client as often as it takes; `None` when the client cancels it.
pub(super) async fn converse<H: Host>(
    mut host: H,
    session: String,
    mut call: Call,
    mail: Mail,
) -> Option<Done> {
    let mut line = Line::new(host.desk(), &session, &call);
    loop {
        let ran = tokio::select! {
            ran = host.call(call, &mail) => ran,
            () = line.cancelled() => return None,
        };
        let (asker, ask) = match ran {
            Ran::Done(done) => return Some(done),
            Ran::Ask(call, ask) => (call, ask),
        };
        let first = host.desk().next.fetch_add(ask.requests.len() as u64, Relaxed);
        call = match asker.ask(ask, first) {
            Err(response) => return Some(response.into()),
            Ok(asking) => match line.ask(asking, &mail).await {
                Ok(call) => call,
                Err(done) => return done,
            },
        };
        host = host.renewed()?; // It may be long since the client asked for this.
    }
}
