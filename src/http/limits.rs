//! How much of everything one server takes, and the reading of a body within it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::respond::Refusal;
use crate::clock;

/// The limits of the server. Each is a number that an operator may change; the defaults suit one small machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; more wait in the listener's queue.
    pub connections: usize,
    /// Connections open at once from one address (IPv6: one /64); trusted proxies are not counted.
    pub connections_per_address: u32,
    /// From the first byte of a request, or from the connection, to the end of its head.
    pub head_time: Duration,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// The body's bytes a second at least, after five seconds of grace.
    pub body_rate: u32,
    /// Between an answer and the next request on a connection.
    pub idle_time: Duration,
    /// How long a client may leave what was sent to it unread.
    pub write_time: Duration,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Bytes of the request line and the fields together. The number of fields is hyper's: 100.
    pub head_bytes: usize,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Streams open at once, in all.
    pub streams: usize,
    /// Streams open at once, of one credential.
    pub streams_per_credential: u32,
    /// Streams open at once, of one session.
    pub streams_per_session: u32,
    /// Between two comment lines that keep a stream alive.
    pub heartbeat: Duration,
    /// Tool calls that run at once; more wait.
    pub running_calls: usize,
    /// How long a tool call may wait for its turn.
    pub call_wait: Duration,
    /// How long requests may go on after the server was told to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_address: 64,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            body_rate: 1_024,
            idle_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
            target_bytes: 8 * 1_024,
            head_bytes: 32 * 1_024,
            body_bytes: 1_024 * 1_024,
            streams: 1_000,
            streams_per_credential: 8,
            streams_per_session: 4,
            heartbeat: Duration::from_secs(15),
            running_calls: 64,
            call_wait: Duration::from_secs(30),
            drain_time: Duration::from_secs(25),
        }
    }
}

/// Seconds before the rate of a body is looked at.
const GRACE: Duration = Duration::from_secs(5);

/// Why a body was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    TooLarge,
    TooSlow,
    /// The connection ended, or the chunks were malformed.
    Broken,
}

/// The whole body, of `most` bytes at most. One that has come already, as nearly all have, is taken without a copy and
/// without a timer.
pub(super) async fn read_body(mut body: Incoming, limits: &Limits, most: usize) -> Result<Bytes, BodyFault> {
    if body.size_hint().lower() > most as u64 {
        return Err(BodyFault::TooLarge);
    }
    match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
        Poll::Ready(None) => Ok(Bytes::new()),
        Poll::Ready(Some(Err(_))) => Err(BodyFault::Broken),
        Poll::Ready(Some(Ok(frame))) => {
            let bytes = frame.into_data().unwrap_or_default();
            if body.is_end_stream() { Ok(bytes) } else { read_slowly(body, bytes, limits, most).await }
        }
        Poll::Pending => read_slowly(body, Bytes::new(), limits, most).await,
    }
}

impl BodyFault {
    /// The refusal that says so.
    pub(super) fn refusal(self, most: usize) -> Refusal {
        match self {
            BodyFault::TooLarge => Refusal::closing(
                413,
                "body_too_large",
                format!("The body is larger than {most} bytes; send less at a time."),
            ),
            BodyFault::TooSlow => {
                Refusal::closing(408, "body_too_slow", "The body came too slowly; send it again.")
            }
            BodyFault::Broken => {
                Refusal::closing(400, "body_broken", "The body ended early or is malformed.")
            }
        }
    }
}

async fn read_slowly(
    mut body: Incoming,
    first: Bytes,
    limits: &Limits,
    most: usize,
) -> Result<Bytes, BodyFault> {
    let start = Instant::from_std(clock::instant());
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len() > most {
            return Err(BodyFault::TooLarge);
        }
        let earned = Duration::from_millis(whole.len() as u64 * 1_000 / u64::from(limits.body_rate.max(1)));
        let deadline = start + (GRACE + earned).min(limits.body_time);
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(BodyFault::TooSlow),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(_))) => return Err(BodyFault::Broken),
            Ok(Some(Ok(frame))) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
        }
    }
}
