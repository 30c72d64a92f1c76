//! What comes of a call, and how it is put into the protocol's words.

use data_encoding::HEXLOWER;
use serde_json::json;

use super::follow::Follow;
use super::{App, confirm, words};
use crate::clock::{Time, random};
use crate::error::Error;
use crate::protocol::rpc::INVALID_REQUEST;
use crate::protocol::{self, Ask, Call, Fault, Outcome, Output, Response};
use crate::store::quota::{Balance, Exhausted};
use crate::tools::Refusal;

/// What comes of a call.
pub enum Answer {
    /// Its answer.
    Now(Reply),
    /// Its work goes on and the client wants to be told of it: the answer comes of this.
    Later(Follow),
    /// A legacy client is asked first, by requests on the call's stream; with the answers the call is made again.
    Ask(Call, Ask),
}

/// A response, and what HTTP says of it in its own fields too.
pub struct Reply {
    /// What the client gets.
    pub response: Response,
    /// Why the call was not made, where HTTP has words for that.
    pub barred: Option<Barred>,
}

/// What bars a call in the words of HTTP.
pub enum Barred {
    /// The quota is used up: what is left of it, and which window refused.
    Quota(Balance, Exhausted),
    /// Too many calls of the credential were refused: seconds to wait.
    Flood(i64),
    /// The app is to ask its person for mcp:write, then to call again (RFC 6750, section 3.1).
    Scope,
}

/// How a call ended, before it is put into the protocol's words.
pub(super) struct Ended {
    pub(super) result: Result<String, Refusal>,
    pub(super) balance: Option<Balance>,
    pub(super) exhausted: Option<Exhausted>,
    /// Seconds to wait, where it is one refusal too many and was not logged.
    pub(super) flood: Option<i64>,
}

impl Answer {
    /// The answer without waiting for work, and without asking: what would be asked first is refused.
    pub fn at_once(self) -> Reply {
        match self {
            Answer::Now(reply) => reply,
            Answer::Later(follow) => follow.finish().into(),
            Answer::Ask(call, _) => {
                let Refusal { code, message, .. } = confirm::nobody_to_ask();
                let refusal = protocol::Refusal { code, message, data: None, meta: None };
                call.finish(Outcome::Refused(refusal)).into()
            }
        }
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply { response, barred: None }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer::Now(response.into())
    }
}

impl Ended {
    pub(super) fn of(result: Result<String, Refusal>, balance: Option<Balance>) -> Ended {
        Ended { result, balance, exhausted: None, flood: None }
    }

    pub(super) fn failed(error: Error) -> Ended {
        Ended::of(Err(error.into()), None)
    }
}

impl App {
    /// What a tool's call came to.
    pub(super) fn answer(&self, call: Call, ended: Ended) -> Answer {
        self.answer_with(call, ended, |mut structured, balance, meta| {
            words::add_notice(&mut structured, balance);
            Outcome::Done(Output { structured, meta })
        })
    }

    /// What a call came to; `done` makes the outcome of a result, given what is left and the `_meta` that says so.
    pub(super) fn answer_with(
        &self,
        call: Call,
        ended: Ended,
        done: impl FnOnce(String, Option<&Balance>, Option<String>) -> Outcome,
    ) -> Answer {
        let Ended { result, balance, exhausted, .. } = ended;
        let barred = balance.zip(exhausted).map(|(balance, exhausted)| Barred::Quota(balance, exhausted));
        let meta = balance.as_ref().map(words::quota_meta);
        let outcome = match result {
            Ok(result) => done(result, balance.as_ref(), meta),
            Err(refusal) if refusal.code == words::NO_SCOPE => {
                let response = call.fault(&Fault::new(403, INVALID_REQUEST, refusal.message));
                return Answer::Now(Reply { response, barred: Some(Barred::Scope) });
            }
            Err(refusal) => {
                Outcome::Refused(refused(call.name(), refusal, exhausted, self.clock.now(), meta))
            }
        };
        Answer::Now(Reply { response: call.finish(outcome), barred })
    }
}

/// The refusal in the protocol's words. A fault of ours is logged here, once, under a reference that the model is told.
pub(super) fn refused(
    tool: &str,
    mut refusal: Refusal,
    exhausted: Option<Exhausted>,
    now: Time,
    meta: Option<String>,
) -> protocol::Refusal {
    if let Some(cause) = refusal.cause.take() {
        let reference = HEXLOWER.encode(&random::<4>());
        tracing::error!(tool, reference, error = ?cause, "a call failed");
        refusal.message.push_str(&format!(" (reference {reference})"));
    }
    let data = exhausted.map(|exhausted| {
        json!({
            "window": exhausted.window,
            "limit": exhausted.limit,
            "retry_at": exhausted.retry_at,
            "retry_after_seconds": exhausted.seconds_from(now),
        })
    });
    protocol::Refusal { code: refusal.code, message: refusal.message, data, meta }
}
