//! Streams that outlive their connections (MCP 2025-11-25, "Resumability and Redelivery"): what a call of a legacy client
//! says is kept until a little after its answer, and a client that lost its connection asks for the rest by the id of
//! the last event that it has. A lost connection is no cancellation there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::host::Mail;
use crate::http::stream::Work;

/// How long a stream is kept after its last event.
const KEPT: Duration = Duration::from_secs(60);
/// Events of a stream that are kept; of more, the first are gone.
const MAX_EVENTS: usize = 256;
/// After which time a client is to come back, in milliseconds.
const RETRY_MS: u32 = 500;

/// The streams that can be resumed, by session and number.
#[derive(Default)]
pub(super) struct Tapes(Mutex<HashMap<(String, u64), Tape>>);

/// What a stream says.
#[derive(Clone)]
pub(super) struct Tape {
    number: u64,
    said: Arc<watch::Sender<Said>>,
}

#[derive(Default)]
struct Said {
    events: VecDeque<Bytes>,
    /// How many there were before those.
    gone: u64,
    /// Which connection carries it: the first is 0; it moves on when the client comes back, and when it is to.
    turn: u64,
    ended: bool,
}

impl Tapes {
    /// A tape of the call, which goes on without any connection: `first` and `post` are what it says, `work` gives its
    /// answer. `held` is given back with the last who needs it.
    pub(super) fn record(
        tapes: &Arc<Tapes>,
        (session, number): (&str, u64),
        first: Bytes,
        (mut post, mut work): (mpsc::Receiver<Bytes>, Work),
        held: impl Send + 'static,
    ) -> Tape {
        let tape = Tape { number, said: Arc::default() };
        let key = (session.to_owned(), number);
        tapes.all().insert(key.clone(), tape.clone());
        let (tapes, ours) = (Arc::clone(tapes), tape.clone());
        tape.put(first);
        tokio::spawn(async move {
            let answer = loop {
                tokio::select! {
                    biased;
                    Some(said) = post.recv() => ours.put(said),
                    answer = &mut work => break answer,
                }
            };
            while let Ok(said) = post.try_recv() {
                ours.put(said);
            }
            answer.into_iter().for_each(|answer| ours.put(answer));
            drop((held, work));
            ours.said.send_modify(|said| said.ended = true);
            sleep(KEPT).await;
            tapes.all().remove(&key);
        });
        tape
    }

    /// The stream that the event of this id came by, and how many of its events the client has.
    pub(super) fn find(&self, session: &str, last_event: &str) -> Option<(Tape, u64)> {
        let (number, place) = last_event.split_once('.')?;
        let key = (session.to_owned(), number.parse().ok()?);
        let tape = self.all().get(&key)?.clone();
        Some((tape, place.parse().ok()?))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(String, u64), Tape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    /// The event that tells a client how to come back; it has no data.
    pub(super) fn priming(&self) -> Bytes {
        format!("id: {}.0\nretry: {RETRY_MS}\ndata: \n\n", self.number).into()
    }

    /// Mails what was said after the first `has` events and what will be, until the end, or until another connection carries
    /// it. `has` is `None` for the connection that it began on. There is no last event beside those.
    pub(super) async fn play(self, has: Option<u64>, mail: Mail) -> Option<Bytes> {
        let turn = has.map_or(0, |_| self.next_turn());
        let mut has = has.unwrap_or(0);
        let mut heard = self.said.subscribe();
        loop {
            let (next, ended) = {
                let said = heard.borrow_and_update();
                if said.turn != turn {
                    return None;
                }
                (said.after(has, self.number), said.ended)
            };
            for (number, event) in next {
                has = number;
                mail.put(event).await;
            }
            if ended || heard.changed().await.is_err() {
                return None;
            }
        }
    }

    fn next_turn(&self) -> u64 {
        let mut turn = 0;
        self.said.send_modify(|said| {
            said.turn += 1;
            turn = said.turn;
        });
        turn
    }

    /// Keeps an event; an empty one is the wish to let the connection go ([`Mail::hang_up`]).
    fn put(&self, event: Bytes) {
        self.said.send_modify(|said| {
            if event.is_empty() {
                said.turn += 1;
                return;
            }
            said.events.push_back(event);
            if said.events.len() > MAX_EVENTS {
                said.events.pop_front();
                said.gone += 1;
            }
        });
    }
}

impl Said {
    /// Each event after the first `has`, with its number and its id.
    fn after(&self, has: u64, stream: u64) -> Vec<(u64, Bytes)> {
        let numbered = (self.gone + 1..).zip(&self.events).filter(|(number, _)| *number > has);
        let named = |(number, event): (u64, &Bytes)| {
            let mut bytes = format!("id: {stream}.{number}\n").into_bytes();
            bytes.extend_from_slice(event);
            (number, Bytes::from(bytes))
        };
        numbered.map(named).collect()
    }
}
