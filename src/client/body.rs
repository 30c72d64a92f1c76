//! The body of an answer: read whole under a limit, or chunk by chunk as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};

use super::pool::Lease;
use crate::error::{Error, Kind, Result};

/// The body of an answer. Read to its end it gives its connection back for the next request; dropped before, it
/// closes the connection, which tells the server that nobody listens any more.
pub struct Body {
    incoming: Incoming,
    lease: Option<Lease>,
    /// The longest that `collect` waits for the next chunk.
    patience: Duration,
}

impl Body {
    pub(super) fn new(incoming: Incoming, lease: Lease, patience: Duration) -> Body {
        let mut body = Body { incoming, lease: Some(lease), patience };
        if hyper::body::Body::is_end_stream(&body.incoming) {
            body.give_back();
        }
        body
    }

    /// The next bytes as they come, `None` at the end. Waits as long as the server does: the caller sets the time
    /// limit, for a stream may be silent for long. Safe to cancel.
    ///
    /// # Errors
    /// `Unavailable` when the connection breaks before the body is whole.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.frame().await {
            match frame?.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// `TooLarge` as soon as more than `limit` bytes came; `Unavailable` when the connection breaks, or when nothing
    /// comes for as long as the client waits for the head of an answer.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next_in_time().await? {
            if whole.len() + chunk.len() > limit {
                return Err(Error::new(Kind::TooLarge, format!("The answer is larger than {limit} bytes.")));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    async fn next_in_time(&mut self) -> Result<Option<Bytes>> {
        let patience = self.patience;
        tokio::time::timeout(patience, self.next_chunk()).await.unwrap_or_else(|_| {
            let silence = format!("The answer stopped for {} s before its end.", patience.as_secs());
            Err(Error::new(Kind::Unavailable, silence))
        })
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

/// Frame by frame, for whoever passes it on.
impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() {
            self.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| broken().because(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn broken() -> Error {
    Error::new(Kind::Unavailable, "The connection broke before the answer was whole.")
}
