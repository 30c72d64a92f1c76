//! One connection: its bytes pass the [`Screen`], its deadlines are kept by one timer, its requests go to the
//! router.
//!
//! hyper has one timeout, for the head, which also cuts idle connections and sets a timer for each request. Here a
//! connection has a [`Pulse`] instead: the moment at which it is cut if nothing happens. Moving it costs a store;
//! the timer is set anew only when it fires early, which is about once a minute.

use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::Site;
use super::limits::Limits;
use super::request::Peer;
use super::router;
use super::screen::{POISON, Screen};
use crate::clock;

/// Bytes that are read and thrown away after an answer that ended a request early, so that the client comes to
/// read the answer instead of finding the connection reset.
const LINGER_BYTES: usize = 4 * 1_024 * 1_024;
const LINGER_TIME: Duration = Duration::from_secs(2);
/// hyper's buffers grow no further than this.
const BUFFER_BYTES: usize = 64 * 1_024;

/// Serves the requests that come over `io` until either side ends it.
pub(super) async fn run<S>(io: S, peer: Peer, site: Arc<Site>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pulse = Arc::new(Pulse::new(&site.options.limits));
    let io = TokioIo::new(Io::new(io, Arc::clone(&pulse)));
    let service = service_fn(|request| {
        pulse.begin_request();
        router::serve(Arc::clone(&site), peer, Arc::clone(&pulse), request)
    });
    let mut http = pin!(builder(&site.options.limits).serve_connection(io, service));
    let mut sleep = pin!(sleep_until((clock::instant() + site.options.limits.head_time).into()));
    let mut told = pin!(site.stop.told());
    let (mut heard, mut leaving) = (false, false);
    poll_fn(|cx| {
        // The waker of a spawned task stays the same, so it is left with the signal once.
        heard = heard || told.as_mut().poll(cx).is_pending();
        if !leaving && site.stop.is_stopping() {
            leaving = true;
            http.as_mut().graceful_shutdown();
        }
        if http.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        pulse.poll_end(sleep.as_mut(), cx)
    })
    .await;
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes)
        .max_buf_size(BUFFER_BYTES.max(limits.head_bytes));
    builder
}

/// When a connection is cut if nothing happens, shared by its bytes, its requests and its timer. All three run in
/// one task; the atomics only say so to the compiler.
pub(super) struct Pulse {
    start: Instant,
    /// Milliseconds after `start`; [`NEVER`] while the server is at work.
    deadline: AtomicU64,
    phase: AtomicU8,
    times: Times,
}

struct Times {
    head: Duration,
    idle: Duration,
    write: Duration,
}

const NEVER: u64 = u64::MAX;

const HEAD: u8 = 0;
const WORK: u8 = 1;
const ANSWERED: u8 = 2;
const IDLE: u8 = 3;

impl Pulse {
    fn new(limits: &Limits) -> Pulse {
        let times = Times { head: limits.head_time, idle: limits.idle_time, write: limits.write_time };
        let start = clock::instant();
        let pulse = Pulse { start, deadline: AtomicU64::new(NEVER), phase: AtomicU8::new(HEAD), times };
        pulse.end_in(pulse.times.head);
        pulse
    }

    fn end_in(&self, time: Duration) {
        let end = clock::instant().duration_since(self.start) + time;
        self.deadline.store(u64::try_from(end.as_millis()).unwrap_or(NEVER), Relaxed);
    }

    fn bytes_came(&self) {
        if self.phase.load(Relaxed) == IDLE {
            self.phase.store(HEAD, Relaxed);
            self.end_in(self.times.head);
        }
    }

    /// The head of a request is there.
    fn begin_request(&self) {
        self.phase.store(WORK, Relaxed);
        self.deadline.store(NEVER, Relaxed);
    }

    /// The last byte of an answer is on its way to the connection.
    pub(super) fn answered(&self) {
        self.phase.store(ANSWERED, Relaxed);
    }

    fn flushed(&self) {
        if self.phase.load(Relaxed) == ANSWERED {
            self.phase.store(IDLE, Relaxed);
            self.end_in(self.times.idle);
        }
    }

    /// Ready when the connection is to be cut.
    fn poll_end(&self, mut sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let deadline = match self.deadline.load(Relaxed) {
                NEVER => None,
                millis => Some(self.start + Duration::from_millis(millis)),
            };
            if let Some(end) = deadline.filter(|end| *end < sleep.deadline().into_std()) {
                sleep.as_mut().reset(end.into());
            }
            ready!(sleep.as_mut().poll(cx));
            let now = clock::instant();
            match deadline {
                Some(end) if end <= now => return Poll::Ready(()),
                Some(end) => sleep.as_mut().reset(end.into()),
                None => sleep.as_mut().reset((now + self.times.idle).into()),
            }
        }
    }
}

/// The stream under hyper.
struct Io<S> {
    inner: S,
    pulse: Arc<Pulse>,
    screen: Screen,
    /// What is left to give of [`POISON`], once a line did not pass.
    poison: Option<&'static [u8]>,
    stalled: bool,
    ended: bool,
    lingered: Option<usize>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    fn new(inner: S, pulse: Arc<Pulse>) -> Io<S> {
        let screen = Screen::default();
        Io { inner, pulse, screen, poison: None, stalled: false, ended: false, lingered: None }
    }

    fn give_poison(&mut self, buffer: &mut ReadBuf<'_>) {
        let left = self.poison.unwrap_or_default();
        let (now, later) = left.split_at(left.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.poison = Some(later);
    }

    /// Notes whether the client takes what it is sent.
    fn wrote<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_pending() != self.stalled {
            self.stalled = outcome.is_pending();
            match self.stalled {
                true => self.pulse.end_in(self.pulse.times.write),
                false => self.pulse.deadline.store(NEVER, Relaxed),
            }
        }
        outcome
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4_096];
        while let Some(left) = self.lingered.filter(|left| *left > 0) {
            let mut buffer = ReadBuf::new(&mut scratch);
            let outcome = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer));
            if outcome.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.lingered = Some(left.saturating_sub(buffer.filled().len()));
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poison.is_some() {
            self.give_poison(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        if buffer.filled().len() == before {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        self.pulse.bytes_came();
        if let Err(passed) = self.screen.read(&buffer.filled()[before..]) {
            buffer.set_filled(before + passed);
            self.poison = Some(POISON);
            self.give_poison(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        let outcome = self.wrote(outcome);
        if outcome.is_ready() {
            self.pulse.flushed();
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            let unread = !self.ended && (self.poison.is_some() || !self.screen.at_rest());
            self.lingered = Some(if unread { LINGER_BYTES } else { 0 });
            self.pulse.end_in(LINGER_TIME);
        }
        self.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;
    use crate::clock::Clock;
    use crate::http::options::tests::options;

    /// What a connection weighs beside its read buffer (8 KiB, hyper's) and its socket.
    #[tokio::test]
    async fn a_connection_is_light() {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::System, false, Vec::new()).unwrap();
        let site = Arc::new(Site::new(Arc::new(app), options("")));
        let (io, _) = tokio::io::duplex(1);
        let bytes = size_of_val(&run(io, Peer { address: [127, 0, 0, 1].into() }, site));
        assert!(bytes <= 4_096, "{bytes} bytes");
    }
}
