//! The HTTP answers of a replay: whole, or a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, interval};

use super::serve::Stage;
use crate::protocol::framing::sse;

/// How often a quiet stream gets a comment, so that nobody takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) type Answer = Response<Either<Full<Bytes>, Events>>;

/// The body of a stream.
pub(super) struct Events {
    pub(super) source: UnboundedReceiver<Bytes>,
    pub(super) stage: Stage,
    pub(super) stream: u64,
    /// From the first time that nothing is there to send.
    pub(super) beat: Option<Interval>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        if let Poll::Ready(event) = self.source.poll_recv(cx) {
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        }
        let beat = self.beat.get_or_insert_with(|| interval(HEARTBEAT));
        beat.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(sse::HEARTBEAT)))))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stage.close(self.stream);
    }
}

fn with_body(status: u16, kind: &'static str, body: Either<Full<Bytes>, Events>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn json(status: u16, message: &Value) -> Answer {
    with_body(status, "application/json", Either::Left(message.to_string().into()))
}

pub(super) fn text(status: u16, words: &str) -> Answer {
    with_body(status, "text/plain; charset=utf-8", Either::Left(words.to_owned().into()))
}

pub(super) fn events(status: u16, events: Events) -> Answer {
    with_body(status, "text/event-stream", Either::Right(events))
}

pub(super) fn empty(status: u16) -> Answer {
    let mut answer = text(status, "");
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

pub(super) fn fault(code: i32, words: &str) -> Answer {
    json(400, &serde_json::json!({"jsonrpc": "2.0", "error": {"code": code, "message": words}}))
}
