//! A call that waits for what a legacy client is asked: by requests on the stream of the call, answered by messages of
//! their own. A modern client is asked by the call's result instead.

use std::time::Duration;

use serde_json::Value;

use super::call::Call;
use super::rpc::{Fault, INVALID_REQUEST, Id, Response, put};

/// How long a person may think before a call that asked is given up.
pub const ANSWER_TIME: Duration = Duration::from_secs(10 * 60);

/// A call and the answers that it still needs.
#[derive(Debug)]
pub struct Asking {
    call: Call,
    /// Identifier of the request, and the name of the answer.
    open: Vec<(Id, String)>,
    requests: Vec<Vec<u8>>,
}

/// Where a call stands after one of its answers came.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost more than the move")]
pub enum Answered {
    /// More are to come.
    Waiting(Asking),
    /// All are there: make the call again.
    Again(Call),
    /// The client cannot answer: send this.
    Ended(Response),
}

impl Asking {
    /// `first` is the number of the first request; each takes one, and none may be used twice in a session.
    pub(super) fn new(mut call: Call, ask: super::outcome::Ask, first: u64) -> Asking {
        let (mut open, mut requests) = (Vec::new(), Vec::new());
        for ((name, request), number) in ask.requests.into_iter().zip(first..) {
            let id = Id::Text(format!("ask-{number}"));
            requests.push(message(&id, &request));
            open.push((id, name));
        }
        call.request_state = ask.state;
        Asking { call, open, requests }
    }

    /// The requests to send, each once.
    pub fn take_requests(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.requests)
    }

    /// The identifiers whose answers are still to come.
    pub fn waits_for(&self) -> impl Iterator<Item = &Id> {
        self.open.iter().map(|(id, _)| id)
    }

    /// The call's own identifier: what a cancellation names.
    pub fn call_id(&self) -> &Id {
        &self.call.id
    }

    /// Takes the client's answer; one that was not asked for changes nothing, an error ends the call. (A person who
    /// turns an elicitation away is no error: its result says so.)
    pub fn answer(mut self, id: &Id, outcome: Result<Value, Value>) -> Answered {
        let Some(at) = self.open.iter().position(|(open, _)| open == id) else {
            return Answered::Waiting(self);
        };
        let (_, name) = self.open.remove(at);
        match outcome {
            Ok(answer) => drop(self.call.answers.insert(name, answer)),
            Err(error) => {
                let said: String = error["message"].as_str().unwrap_or_default().chars().take(200).collect();
                let text = format!("The client could not answer what the server asked it: {said}");
                return Answered::Ended(self.call.fault(&Fault::new(200, INVALID_REQUEST, text)));
            }
        }
        if self.open.is_empty() { Answered::Again(self.call) } else { Answered::Waiting(self) }
    }

    /// The answer to the call when the client's never came.
    pub fn give_up(self) -> Response {
        let text = "The client did not answer in time what the server asked it; call again.";
        self.call.fault(&Fault::new(200, INVALID_REQUEST, text))
    }
}

fn message(id: &Id, request: &Value) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    id.write(&mut out);
    out.extend_from_slice(br#","method":"#);
    put(&mut out, &request["method"]);
    if let Some(params) = request.get("params") {
        out.extend_from_slice(br#","params":"#);
        put(&mut out, params);
    }
    out.push(b'}');
    out
}
