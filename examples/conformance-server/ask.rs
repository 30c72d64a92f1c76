//! Questions to the client, round by round, and the state between rounds: it passes through the client's hands, so it is
//! signed, bound to what it belongs to, and good for a while only (MCP 2026-07-28, "Multi Round-Trip Requests").

use chaterimo::clock::{Clock, HOUR, random};
use chaterimo::protocol::rpc::INVALID_PARAMS;
use chaterimo::protocol::{Ask, Call, Fault};
use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fill::fill;

/// How long a state is taken back.
const LIFETIME: i64 = HOUR;

type Requests = Map<String, Value>;

/// What is to be asked, and how.
pub struct Questions<'a> {
    /// Each round has requests by name, with places to fill.
    pub rounds: &'a [Requests],
    /// Whether no answer is taken without a state.
    pub signed: bool,
    /// Whether what the client cannot answer is left out.
    pub declared_only: bool,
}

/// Asks with the key of one process.
pub struct Asker {
    key: hmac::Key,
    clock: Clock,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// The call that it belongs to.
    of: String,
    /// When it ends, in milliseconds.
    until: i64,
    answers: Requests,
}

impl Asker {
    pub fn new() -> Asker {
        Asker { key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()), clock: Clock::System }
    }

    /// The next questions to the client; `None` when all are answered, and then `scope` has the answers. INVALID_PARAMS for
    /// a state that is not of this server, and for answers that are none.
    pub fn next(
        &self,
        of: &str,
        call: &Call,
        questions: &Questions<'_>,
        scope: &mut Value,
    ) -> Result<Option<Ask>, Fault> {
        let mut answers = match &call.request_state {
            Some(state) => self.open(of, state)?,
            None => Map::new(),
        };
        let answers_taken = !questions.signed || call.request_state.is_some();
        for round in questions.rounds {
            let asked = |(name, request): (&String, &Value)| {
                let can = call.peer.answers(method(request), request.get("params"));
                (can || !questions.declared_only).then(|| (name.clone(), fill(request, scope)))
            };
            let mut requests: Requests = round.iter().filter_map(asked).collect();
            for (name, request) in &requests {
                if let Some(answer) = call.answers.get(name).filter(|_| answers_taken) {
                    check_answer(name, method(request), answer)?;
                    answers.insert(name.clone(), answer.clone());
                }
            }
            requests.retain(|name, _| !answers.contains_key(name));
            if !requests.is_empty() {
                let has_state = questions.signed || !answers.is_empty();
                let state = has_state.then(|| self.seal(of, answers));
                return Ok(Some(Ask { requests, state }));
            }
        }
        if let Value::Object(scope) = scope {
            scope.extend(answers);
        }
        Ok(None)
    }

    fn seal(&self, of: &str, answers: Requests) -> String {
        let until = self.clock.now().plus(LIFETIME).0;
        let state = serde_json::to_vec(&State { of: of.to_owned(), until, answers }).unwrap_or_default();
        let tag = hmac::sign(&self.key, &state);
        format!("{}.{}", BASE64URL_NOPAD.encode(&state), BASE64URL_NOPAD.encode(tag.as_ref()))
    }

    fn open(&self, of: &str, text: &str) -> Result<Requests, Fault> {
        let read = || {
            let (state, tag) = text.split_once('.')?;
            let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
            let (state, tag) = (decode(state)?, decode(tag)?);
            hmac::verify(&self.key, &state, &tag).ok()?;
            let state: State = serde_json::from_slice(&state).ok()?;
            (state.of == of && self.clock.now().0 < state.until).then_some(state.answers)
        };
        let wrong =
            "requestState is none that this server gave for this call, or too old; call again without it.";
        read().ok_or_else(|| Fault::new(200, INVALID_PARAMS, wrong))
    }
}

/// The method of a request to the client.
pub fn method(request: &Value) -> &str {
    request["method"].as_str().unwrap_or_default()
}

/// INVALID_PARAMS for what is no result of that method.
pub fn check_answer(name: &str, method: &str, answer: &Value) -> Result<(), Fault> {
    let is_result = match method {
        "elicitation/create" => {
            matches!(answer["action"].as_str(), Some("accept" | "decline" | "cancel"))
                && answer.get("content").is_none_or(Value::is_object)
        }
        "sampling/createMessage" => {
            answer["role"].is_string() && (answer["content"].is_object() || answer["content"].is_array())
        }
        _ => answer["roots"].is_array(),
    };
    match is_result {
        true => Ok(()),
        false => {
            let text =
                format!("Invalid params: params.inputResponses[{name:?}] must be a result of {method}.");
            Err(Fault::new(200, INVALID_PARAMS, text))
        }
    }
}
