//! A client that says to a server what a recorded client said, and tells where the answers are not the recorded ones.
//!
//! Messages go one after the other, each as it was recorded, with what the server has made anew in the meantime (session
//! ids, cursors, request states) in the place of the old. Answers are compared as `transcript::compare` says of any server.
//! What the recorded server asked of its client is answered as that client did. The sign-in of a recording is left out: the
//! credential is the caller's.

mod instead;
mod run;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::error::Result;
use crate::peer::Dialler;
use crate::protocol::transcript::Transcript;
use crate::protocol::transcript::compare::Pointer;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Messages that were sent.
    pub messages: usize,
    /// How many of them have no answer in the recording, which ended before; their answers are not compared.
    pub unanswered: usize,
    /// The lines of messages, counted from 1, that were sent with a placeholder of the recorder in their parameters, or in
    /// what the client answers a question with on the way: what differs there may follow from that.
    pub redacted: BTreeSet<usize>,
    /// Messages that were not sent, for the server's process had ended.
    pub unsent: usize,
    /// How many of the messages that were sent were not answered as recorded.
    pub drifted: usize,
    /// Where.
    pub differences: Vec<Drift>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The line of the client's message in the transcript, counted from 1.
    pub line: usize,
    /// The message in a few words, such as `tools/call list_tickets`; with `→` and what the server said of its own accord,
    /// where that is what differs.
    pub message: String,
    /// A JSON pointer (RFC 6901) into the server's message; `/http/status` is the status.
    pub pointer: String,
    /// What was recorded; nothing where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Value>,
    /// What it is now; nothing where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Value>,
}

/// Says to the server of `dialler` what the client of `transcript` said. Differences at or below `ignored` do not count.
///
/// # Errors
/// `Invalid` when the server cannot be reached, lets nobody in or speaks no MCP, and when there is nothing to send.
pub async fn verify(transcript: &Transcript, dialler: &Dialler, ignored: &[Pointer]) -> Result<Report> {
    run::run(transcript, dialler, ignored).await
}
