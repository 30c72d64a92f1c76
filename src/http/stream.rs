//! A stream of server-sent events (HTML standard, section 9.2): a comment at once and at each heartbeat, until the
//! server stops or the client goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Site;
use super::connection::Pulse;

/// A comment line; clients skip it, and proxies see that the stream lives.
const COMMENT: &[u8] = b": \n\n";

/// The body of an event stream.
pub(super) struct Stream {
    site: Arc<Site>,
    pulse: Arc<Pulse>,
    beat: Interval,
    owner: i64,
}

impl Stream {
    /// A stream that belongs to the credential `owner`; `None` when it, or the server, has as many as it may.
    pub(super) fn open(site: &Arc<Site>, pulse: &Arc<Pulse>, owner: i64) -> Option<Stream> {
        let limits = &site.options.limits;
        site.streams.take(owner, limits.streams_per_credential, limits.streams).then(|| {
            let mut beat = interval(limits.heartbeat);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Stream { site: Arc::clone(site), pulse: Arc::clone(pulse), beat, owner }
        })
    }

    /// The next bytes; `None` at the end. The connection's task is woken when the server stops, and asks again.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.site.stop.is_stopping() {
            return Poll::Ready(None);
        }
        ready!(self.beat.poll_tick(cx));
        Poll::Ready(Some(Bytes::from_static(COMMENT)))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.pulse.answered();
        self.site.streams.give_back(self.owner);
    }
}

/// How many streams each credential has open.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<i64, u32>>);

impl Streams {
    fn take(&self, owner: i64, most: u32, most_in_all: usize) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_all: usize = open.values().map(|count| *count as usize).sum();
        let own = open.get(&owner).copied().unwrap_or_default();
        let fits = own < most && in_all < most_in_all;
        if fits {
            open.insert(owner, own + 1);
        }
        fits
    }

    fn give_back(&self, owner: i64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted() {
        let streams = Streams::default();
        assert!(streams.take(1, 2, 3) && streams.take(1, 2, 3));
        assert!(!streams.take(1, 2, 3), "as many as one credential may have");
        assert!(streams.take(2, 2, 3));
        assert!(!streams.take(3, 2, 3), "as many as there may be");
        streams.give_back(1);
        assert!(streams.take(3, 2, 3));
    }
}
