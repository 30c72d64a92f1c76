//! A stream of server-sent events (HTML standard, section 9.2): a comment at once and at each heartbeat, until the
//! server stops, the client goes, or what the stream rests on is no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Site;
use super::connection::Pulse;

/// A comment line; clients skip it, and proxies see that the stream lives.
const COMMENT: &[u8] = b": \n\n";
/// Between two looks at whether the stream may go on: a revoked credential has its streams for no longer.
const LOOK: Duration = Duration::from_secs(5);

/// The body of an event stream.
pub(super) struct Stream {
    site: Arc<Site>,
    pulse: Arc<Pulse>,
    place: [String; 2],
    lives: Box<dyn FnMut() -> bool + Send>,
    looks: Interval,
    /// Looks until the next comment.
    until_comment: u32,
}

impl Stream {
    /// A stream of one credential and one session, for as long as `lives` says so; `None` when either, or the server,
    /// has as many as it may.
    pub(super) fn open(
        site: &Arc<Site>,
        pulse: &Arc<Pulse>,
        [credential, session]: [String; 2],
        lives: Box<dyn FnMut() -> bool + Send>,
    ) -> Option<Stream> {
        let limits = &site.options.limits;
        let wanted = [
            (credential.as_str(), limits.streams_per_credential),
            (session.as_str(), limits.streams_per_session),
        ];
        site.streams.take(wanted, limits.streams).then(|| {
            let mut looks = interval(LOOK.min(limits.heartbeat));
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (site, pulse) = (Arc::clone(site), Arc::clone(pulse));
            Stream { site, pulse, place: [credential, session], lives, looks, until_comment: 0 }
        })
    }

    /// The next bytes; `None` at the end. The connection's task is woken when the server stops, and asks again.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.site.stop.is_stopping() {
                return Poll::Ready(None);
            }
            ready!(self.looks.poll_tick(cx));
            if !(self.lives)() {
                return Poll::Ready(None);
            }
            if self.until_comment == 0 {
                let looks =
                    self.site.options.limits.heartbeat.as_millis() / self.looks.period().as_millis().max(1);
                self.until_comment = u32::try_from(looks).unwrap_or(u32::MAX).saturating_sub(1);
                return Poll::Ready(Some(Bytes::from_static(COMMENT)));
            }
            self.until_comment -= 1;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.pulse.answered();
        self.site.streams.give_back(&self.place);
    }
}

/// How many streams are open, by credential and by session, and in all.
#[derive(Default)]
pub(super) struct Streams(Mutex<(usize, HashMap<String, u32>)>);

impl Streams {
    fn take(&self, wanted: [(&str, u32); 2], most: usize) -> bool {
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

    fn give_back(&self, owners: &[String]) {
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
