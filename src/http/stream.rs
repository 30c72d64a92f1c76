//! A stream of server-sent events (HTML standard, section 9.2): a comment at once and at each heartbeat, and what is put
//! into it, until its work is done, the client goes, or what the stream rests on is no more. One that tells what happens
//! ends with the server.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::mcp::Permit;
use crate::protocol::framing::sse::HEARTBEAT;

/// Between two looks at whether the stream may go on: a revoked credential has its streams for no longer.
const LOOK: Duration = Duration::from_secs(5);

/// What fills a stream; it gives the last event.
pub(super) type Work = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// What becomes of a stream when the server stops.
pub(super) enum AtStop {
    /// It goes on until its work is done: somebody waits for the answer.
    Finish,
    /// It ends, with this event if there is one: its work would never be done.
    End(Option<Bytes>),
}

/// The body of an event stream.
pub struct Stream {
    permit: Permit,
    /// What was put in by [`Stream::work`].
    post: mpsc::Receiver<Bytes>,
    work: Option<Work>,
    /// What goes out first.
    first: Option<Bytes>,
    /// What goes out last, once the work is done.
    last: Option<Bytes>,
    at_stop: AtStop,
    done: bool,
    looks: Interval,
    /// Looks between two comments.
    between: u32,
    /// Looks until the next comment.
    until_comment: u32,
}

impl Stream {
    /// A stream that begins with `first`.
    pub(super) fn new(
        permit: Permit,
        heartbeat: Duration,
        first: Option<Bytes>,
        (post, work): (mpsc::Receiver<Bytes>, Work),
        at_stop: AtStop,
    ) -> Stream {
        let mut looks = interval(LOOK.min(heartbeat));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looks_a_comment = heartbeat.as_millis() / looks.period().as_millis().max(1);
        let looks_a_comment = u32::try_from(looks_a_comment).unwrap_or(u32::MAX);
        let between = looks_a_comment.saturating_sub(1);
        if first.is_some() {
            looks.reset(); // Who has just been let in need not be looked at.
        }
        Stream {
            permit,
            post,
            work: Some(work),
            // A stream that begins with an event needs no comment to begin with.
            until_comment: if first.is_some() { between } else { 0 },
            first,
            last: None,
            at_stop,
            done: false,
            looks,
            between,
        }
    }

    /// The next bytes; `None` at the end. The connection's task is woken when the server stops, and asks again.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let AtStop::End(farewell) = &mut self.at_stop
            && !self.done
            && (self.permit.ended)()
        {
            self.last = farewell.take();
            self.end_work();
        }
        if let Some(Poll::Ready(last)) = self.work.as_mut().map(|work| work.as_mut().poll(cx)) {
            self.last = last;
            self.end_work();
        }
        // What was mailed before the work was done goes out before its end.
        if let Poll::Ready(Some(mail)) = self.post.poll_recv(cx) {
            return Poll::Ready(Some(mail));
        }
        if self.done {
            return Poll::Ready(self.last.take());
        }
        self.poll_looks(cx)
    }

    fn end_work(&mut self) {
        (self.done, self.work) = (true, None);
    }

    fn poll_looks(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.looks.poll_tick(cx).is_ready() {
            if !(self.permit.lives)() {
                return Poll::Ready(None);
            }
            if self.until_comment == 0 {
                self.until_comment = self.between;
                return Poll::Ready(Some(Bytes::from_static(HEARTBEAT)));
            }
            self.until_comment -= 1;
        }
        Poll::Pending
    }
}

/// How many streams are open, by credential and by session, and in all.
#[derive(Default)]
pub(super) struct Streams(Mutex<(usize, HashMap<String, u32>)>);

impl Streams {
    /// Takes a place for each of the named, if there is one for all and for `most` in all.
    pub(super) fn take(&self, wanted: [(&str, u32); 2], most: usize) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (in_all, open) = &mut *guard;
        let fits = wanted.iter().all(|(owner, most)| open.get(*owner).copied().unwrap_or_default() < *most);
        if !fits || *in_all >= most {
            return false;
        }
        *in_all += 1;
        for (owner, _) in wanted {
            *open.entry(owner.to_owned()).or_default() += 1;
        }
        true
    }

    /// Gives such places back.
    pub(super) fn give_back(&self, owners: &[String]) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (in_all, open) = &mut *guard;
        *in_all = in_all.saturating_sub(1);
        for owner in owners {
            match open.get_mut(owner) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(open.remove(owner)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted() {
        let streams = Streams::default();
        let take = |credential: &str, session: &str| streams.take([(credential, 3), (session, 2)], 5);
        assert!(take("a", "s1") && take("a", "s1"));
        assert!(!take("a", "s1"), "as many as one session may have");
        assert!(take("a", "s2"));
        assert!(!take("a", "s3"), "as many as one credential may have");
        assert!(take("b", "s4") && take("c", "s5"));
        assert!(!take("d", "s6"), "as many as there may be");
        streams.give_back(&["a".into(), "s1".into()]);
        assert!(take("d", "s6"));
    }
}
